//! What is forgotten because it is old: first what waits for a delivery that will not come (it ends as `expired`), then
//! headers and bodies, and what destinations answered, then everything that is known of an event. Of what is still to
//! be delivered nothing is, but what was answered to earlier tries.
//!
//! PostgreSQL drops whole days. SQLite has none, and deletes a little at a time, so that no webhook waits for it; so does
//! PostgreSQL with what a tenant keeps for less time than the operator says.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use relay::clock::Clock;
use relay::id::{DeliveryId, DestinationId, TenantId, first_of, millis_of};
use relay::retention::Retention;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait, Value};
use uuid::Uuid;

use crate::command::{self, Kind};
use crate::delivery::SHARDS;
use crate::operational::Notice;
use crate::partition::{self, DAY_MS};
use crate::{Database, destination, notice, operational, pending, replay, stat, tenant};

/// Rows that one statement deletes, and bytes of bodies: some milliseconds, in which SQLite writes nothing else.
const STEP: i64 = 500;
const STEP_BYTES: i64 = 8 << 20;
/// So long before something expires its tenant is told, in milliseconds, or half as long as it is kept if that is less.
const ANNOUNCED_MS: i64 = 3 * DAY_MS;
/// Tenants that are looked at between two looks at the list of them.
const TENANTS: u64 = 250;

/// Tables of whole days, each with the column whose time says which day.
pub(crate) const METADATA: [(&str, &str); 3] = [("attempt", "delivery_id"), ("delivery", "id"), ("event", "id")];
pub(crate) const PAYLOAD: (&str, &str) = ("payload", "event_id");

/// Forgets what is older than it may be. Every process may do it; none does twice what another does. One thing that fails
/// keeps no other from being done.
pub async fn forget(db: &Database, clock: &Clock, retention: &Retention) -> Result<(), DbErr> {
    let now = clock.now();
    let (payloads, metadata) = (now - retention.payload_ms, now - retention.metadata_ms);
    let counts = stat::forget(db, now, metadata).await;
    let expired = expire(db, now, retention).await.and(counts);
    if db.is_sqlite() {
        return expired.and(forget_rows(db, now, retention).await);
    }
    let bodies = forget_days(db, &[PAYLOAD], payloads).await.and(forget_answers_of_days(db, payloads).await);
    let all = forget_days(db, &METADATA, metadata).await.and(replay::forget(db, None, metadata).await);
    let rows = forget_rows_of_some(db, now, retention).await;
    let mut errors: Vec<DbErr> = [bodies, all, expired, rows].into_iter().filter_map(Result::err).collect();
    // Whoever hears that a day was locked waits longer before it tries again.
    errors.sort_by_key(|error| !is_locked(error));
    errors.into_iter().next().map_or(Ok(()), Err)
}

/// Has the owners end what was to be delivered for longer than bodies are kept. Mostly it is parked, since its destination is
/// paused, disabled, or too slow for ever; but there are schedules that are longer, and faults of our own.
async fn expire(db: &Database, now: i64, retention: &Retention) -> Result<(), DbErr> {
    let less = less(db, retention).await?;
    let kept = |tenant: TenantId| less.get(&tenant).unwrap_or(retention).payload_ms;
    for shard in 0..SHARDS {
        for (tenant, destination, oldest) in pending::parked_destinations(db, shard).await? {
            expire_of(db, (tenant, destination), (oldest, kept(tenant)), now).await?;
        }
    }
    let from = |kept: i64| now - kept + announced(kept);
    // Of whoever keeps it for the shortest time.
    let before = less.values().chain([retention]).map(|it| from(it.payload_ms)).max().unwrap_or(now);
    let mut after = None;
    loop {
        let tenants = pending::oldest_of_tenants(db, first_of(before), (after, TENANTS)).await?;
        for &(tenant, oldest) in &tenants {
            let from = from(kept(tenant));
            if oldest.is_none_or(|oldest| oldest.millis() >= from) {
                continue;
            }
            for (destination, oldest) in pending::destinations_before(db, tenant, first_of(from)).await? {
                expire_of(db, (tenant, destination), (oldest, kept(tenant)), now).await?;
            }
        }
        match tenants.last() {
            Some(&(last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

/// What waits for a destination, if it does for too long: the oldest of it, and how long bodies are kept.
async fn expire_of(
    db: &Database,
    (tenant, destination): (TenantId, DestinationId),
    (oldest, kept): (DeliveryId, i64),
    now: i64,
) -> Result<(), DbErr> {
    let until = now - kept;
    if oldest.millis() < until + announced(kept) {
        announce(db, (tenant, destination), (oldest.millis(), kept), now).await?;
    }
    if oldest.millis() >= until || command::is_left(&db.steady, destination, Kind::Expire).await? {
        return Ok(());
    }
    tracing::info!(tenant.id = %tenant, destination.id = %destination, "what waits there for too long expires");
    command::leave(&db.finish, (tenant, destination), Kind::Expire, first_of(until)).await
}

/// How long before it expires something is told of that is kept so long.
fn announced(kept: i64) -> i64 {
    ANNOUNCED_MS.min(kept / 2)
}

/// Tells a tenant that what waits for a destination of its own expires soon, once in as long a time as it has to act.
async fn announce(
    db: &Database,
    (tenant, id): (TenantId, DestinationId),
    (oldest, kept): (i64, i64),
    now: i64,
) -> Result<(), DbErr> {
    let _leave = db.may_change().await;
    let txn = db.begin().await?;
    let since = now - announced(kept);
    if notice::claim(&txn, tenant, ("destination.expiring", id.uuid()), since, now).await?
        && let Some(row) = destination::find(&txn, tenant, id).await?
    {
        operational::tell_if_wanted(&txn, &Notice::expiring(&row, oldest, oldest + kept), now).await?;
        txn.commit().await?;
    }
    Ok(())
}

/// How long those tenants keep what comes that keep less than the operator says.
async fn less(db: &Database, retention: &Retention) -> Result<HashMap<TenantId, Retention>, DbErr> {
    let mut less = HashMap::new();
    let mut after = None;
    loop {
        let tenants = tenant::that_keep_less(&db.read, after, TENANTS).await?;
        for tenant in &tenants {
            less.insert(tenant.id(), tenant.retention(retention)?);
        }
        match tenants.last() {
            Some(last) => after = Some(last.id()),
            None => return Ok(less),
        }
    }
}

/// After each day that was dropped everybody else has so many times as long for themselves: they waited meanwhile, and plan
/// all their statements anew behind it.
const REST: u32 = 30;
const REST_AT_MOST: Duration = Duration::from_secs(5);

/// Drops the days of these tables that ended before `until`, the oldest first.
async fn forget_days(db: &Database, tables: &[(&str, &str)], until: i64) -> Result<(), DbErr> {
    let mut days: Vec<(i64, &str)> = Vec::new();
    for (table, _) in tables {
        let of_it = partition::days(&db.read, table).await?;
        days.extend(of_it.into_iter().filter(|day| (day + 1) * DAY_MS <= until).map(|day| (day, *table)));
    }
    // Attempts before their deliveries, and those before their events: in the order of the tables.
    days.sort_by_key(|(day, _)| *day);
    let mut result = Ok(());
    for (day, table) in days {
        // Asked before anybody has to wait for it.
        let dropped = if is_wanted(&db.read, day).await? { Ok(false) } else { drop_and_rest(db, table, day).await };
        match dropped {
            Ok(true) => tracing::info!(table, day = partition::name(day), "an old day was forgotten"),
            Ok(false) => tracing::debug!(table, day = partition::name(day), "something of it is still to be delivered"),
            // Whoever reads one of them for long mostly reads them all, and everybody has waited for half a second.
            Err(error) if is_locked(&error) => return Err(error),
            Err(error) => result = Err(error),
        }
    }
    result
}

/// Whether something of a day is still to be delivered.
async fn is_wanted(db: &impl ConnectionTrait, day: i64) -> Result<bool, DbErr> {
    let text = "SELECT EXISTS (SELECT 1 FROM pending
        WHERE (event_id >= $1 AND event_id < $2) OR (id >= $1 AND id < $2))";
    let values: [Value; 2] = [first_of(day * DAY_MS).into(), first_of((day + 1) * DAY_MS).into()];
    let row = db.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, values)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("EXISTS".into()))?.try_get_by_index(0)
}

async fn drop_and_rest(db: &Database, table: &str, day: i64) -> Result<bool, DbErr> {
    let began = Instant::now();
    let dropped = drop_day(db, table, day).await;
    tokio::time::sleep((began.elapsed() * REST).min(REST_AT_MOST)).await;
    dropped
}

/// Whether it is gone. Whoever reads the table meanwhile is waited for only briefly, since everybody else has to wait
/// behind us.
async fn drop_day(db: &Database, table: &str, day: i64) -> Result<bool, DbErr> {
    let _leave = db.may_change().await;
    let txn = db.write.begin().await?;
    let run = |text: String| txn.execute_raw(Statement::from_string(DbBackend::Postgres, text));
    run("SET LOCAL lock_timeout = '4s'".to_owned()).await?;
    run(format!("SELECT pg_advisory_xact_lock({})", partition::LOCK)).await?;
    let name = format!("{table}_{}", partition::name(day));
    if !partition::days(&txn, table).await?.contains(&day) {
        return Ok(true);
    }
    run("SET LOCAL lock_timeout = '500ms'".to_owned()).await?;
    run("SET LOCAL enable_seqscan = on".to_owned()).await?;
    // In the order in which those lock them that read or write: else each of us would wait for what the other has.
    run(format!("LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE")).await?;
    run(format!("LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")).await?;
    // Whoever sends something of it again has read it first, and so was waited for.
    if is_wanted(&txn, day).await? {
        return Ok(false);
    }
    run(format!("DROP TABLE {name}")).await?;
    txn.commit().await?;
    Ok(true)
}

/// Whether a lock was not got in time.
pub(crate) fn is_locked(error: &DbErr) -> bool {
    use sea_orm::{RuntimeErr, sqlx};
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    matches!(error.as_ref(), sqlx::Error::Database(error) if error.code().as_deref() == Some("55P03"))
}

/// Deletes each tenant's old rows, a little at a time.
async fn forget_rows(db: &Database, now: i64, retention: &Retention) -> Result<(), DbErr> {
    let mut before = None;
    loop {
        let tenants = tenant::page(&db.read, before, TENANTS).await?;
        for tenant in &tenants {
            forget_of(db, tenant, now, retention).await?;
        }
        match tenants.last() {
            Some(last) => before = Some(last.id()),
            None => return Ok(()),
        }
    }
}

/// The same of those alone that keep less than the operator says: of the others, days are dropped.
async fn forget_rows_of_some(db: &Database, now: i64, retention: &Retention) -> Result<(), DbErr> {
    let mut after = None;
    loop {
        let tenants = tenant::that_keep_less(&db.read, after, TENANTS).await?;
        for tenant in &tenants {
            forget_of(db, tenant, now, retention).await?;
        }
        match tenants.last() {
            Some(last) => after = Some(last.id()),
            None => return Ok(()),
        }
    }
}

async fn forget_of(db: &Database, tenant: &tenant::Model, now: i64, operators: &Retention) -> Result<(), DbErr> {
    let (kept, tenant) = (tenant.retention(operators)?, tenant.id());
    let (payloads, metadata) = (now - kept.payload_ms, now - kept.metadata_ms);
    delete(db, PAYLOAD, tenant, wanted_from(db, tenant, payloads).await?).await?;
    forget_answers(db, tenant, payloads).await?;
    let from = wanted_from(db, tenant, metadata).await?;
    for table in METADATA {
        delete(db, table, tenant, from).await?;
    }
    if kept.metadata_ms < operators.metadata_ms {
        stat::forget_of(db, tenant, metadata).await?;
    }
    replay::forget(db, Some(tenant), metadata).await
}

/// Forgets what was answered in the days that ended before `until`. Days of attempts stay for as long as their events, so
/// that their rows are looked for, of all tenants at once: the index has an entry for each that is left.
async fn forget_answers_of_days(db: &Database, until: i64) -> Result<(), DbErr> {
    let until = until - until.rem_euclid(DAY_MS);
    let text = "SELECT tenant_id FROM attempt WHERE response_body IS NOT NULL AND delivery_id < $1 LIMIT 1";
    loop {
        let values: [Value; 1] = [first_of(until).into()];
        // Not on a connection for people's reads: there, a table whose numbers are old may be read from its beginning.
        let left = db.finish.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, values)).await?;
        let Some(left) = left else { return Ok(()) };
        forget_answers(db, left.try_get_by_index::<Uuid>(0)?.into(), until).await?;
    }
}

/// Forgets what was answered to a tenant's deliveries from before `until`, a little at a time: it may repeat what
/// destinations were sent.
async fn forget_answers(db: &Database, tenant: TenantId, until: i64) -> Result<(), DbErr> {
    const SOME: &str = "SELECT delivery_id FROM attempt
        WHERE tenant_id = $1 AND response_body IS NOT NULL AND delivery_id < $2 ORDER BY delivery_id LIMIT $3";
    const FORGET: &str = "UPDATE attempt SET response_headers = NULL, response_body = NULL
        WHERE tenant_id = $1 AND response_body IS NOT NULL AND delivery_id >= $2 AND delivery_id <= $3";
    let backend = db.finish.get_database_backend();
    loop {
        let values: [Value; 3] = [tenant.uuid().into(), first_of(until).into(), STEP.into()];
        let some = db.finish.query_all_raw(Statement::from_sql_and_values(backend, SOME, values)).await?;
        let (Some(first), Some(last)) = (some.first(), some.last()) else { return Ok(()) };
        let [first, last] = [first.try_get_by_index::<Uuid>(0)?, last.try_get_by_index::<Uuid>(0)?];
        let values: [Value; 3] = [tenant.uuid().into(), first.into(), last.into()];
        db.finish.execute_raw(Statement::from_sql_and_values(backend, FORGET, values)).await?;
    }
}

/// From when on a tenant's rows stay: `until`, or when the oldest was made that is still to be delivered.
async fn wanted_from(db: &Database, tenant: TenantId, until: i64) -> Result<i64, DbErr> {
    let text = "SELECT id FROM pending WHERE tenant_id = $1 AND id < $2 ORDER BY id LIMIT 1";
    let values: [Value; 2] = [tenant.uuid().into(), first_of(until).into()];
    let statement = Statement::from_sql_and_values(db.read.get_database_backend(), text, values);
    let oldest = db.read.query_one_raw(statement).await?.map(|row| row.try_get_by_index::<Uuid>(0)).transpose()?;
    Ok(oldest.map_or(until, |id| until.min(millis_of(id))))
}

async fn delete(db: &Database, table: (&str, &str), tenant: TenantId, until: i64) -> Result<(), DbErr> {
    let mut from = Uuid::nil();
    while let Some((_, last)) = delete_some(db, table, tenant, from..first_of(until)).await? {
        from = last;
    }
    Ok(())
}

/// Deletes a few of a tenant's rows behind the first id and before the second, but what is being sent again. How many they
/// were, and the last of them; None if there was none.
pub(crate) async fn delete_some(
    db: &Database,
    (table, key): (&str, &str),
    tenant: TenantId,
    ids: std::ops::Range<Uuid>,
) -> Result<Option<(u64, Uuid)>, DbErr> {
    let (size, wanted) = match table {
        "payload" => ("length(body)", "pending.event_id = old.event_id"),
        "event" => ("0", "pending.event_id = old.id"),
        _ => ("0", "false"),
    };
    let text = format!(
        "DELETE FROM {table} WHERE tenant_id = $1 AND {key} IN
            (SELECT {key} FROM (SELECT {key}, size, sum(size) OVER (ORDER BY {key}) AS total FROM
                (SELECT {key}, {size} AS size FROM {table} old WHERE tenant_id = $1 AND {key} > $2 AND {key} < $3
                    AND NOT EXISTS
                    (SELECT 1 FROM pending WHERE pending.tenant_id = $1 AND pending.trigger <> 0 AND {wanted})
                ORDER BY {key} LIMIT {STEP}) AS few) AS added
            WHERE total - size < {STEP_BYTES})
        AND {key} > $2 AND {key} < $3 RETURNING {key}"
    );
    let values: [Value; 3] = [tenant.uuid().into(), ids.start.into(), ids.end.into()];
    let statement = Statement::from_sql_and_values(db.finish.get_database_backend(), &text, values);
    let rows = db.finish.query_all_raw(statement).await?;
    let keys = rows.iter().map(|row| row.try_get_by_index::<Uuid>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(keys.iter().max().map(|last| (keys.len() as u64, *last)))
}

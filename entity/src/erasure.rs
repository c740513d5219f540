//! Erasing a tenant with all that it had, a little at a time. Nothing of it is accepted or sent any more when this begins
//! (see [`crate::configuration`]); it ends when nothing is found that was overlooked.

use relay::clock::Clock;
use relay::id::{DestinationId, SourceId, TenantId, first_of};
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use uuid::Uuid;

use crate::change::{self, Changed};
use crate::command::{self, Kind};
use crate::{Database, destination, health, retention, source, subscription, tenant};

/// Destinations that one transaction ends, and rows of the smaller tables that one statement deletes.
const STEP: u64 = 100;
const ROWS: u64 = 500;
/// So many steps in one table, then it is another tenant's turn.
const STEPS: usize = 200;
/// What was accepted before the tenant was frozen is committed by then, on the slowest of databases.
const SETTLED_MS: i64 = 10_000;
/// The last id there can be: its time has 48 bits.
const LAST_MS: i64 = (1 << 48) - 1;

/// The smaller tables that hold a tenant's rows, apart from those that are erased with something else.
const TABLES: [&str; 16] = [
    "subscription",
    "health",
    "replay",
    "own_request",
    "own_request_day",
    "rejection",
    "rejection_total",
    "access_token",
    "credential",
    "source_key",
    "api_key",
    "command",
    "notice",
    "stat",
    "idempotency",
    // Destroyed already, but made anew by what was accepted at that moment.
    "payload_key",
];

/// Goes on with every tenant that is being erased. Whether there is more to do at once.
pub async fn go_on(db: &Database, clock: &Clock) -> Result<(), DbErr> {
    let mut result = Ok(());
    for row in tenant::erasing(&db.read).await? {
        // One that fails, or has much, keeps no other from being erased.
        let ended = match erase(db, row.id(), clock.now()).await {
            Ok(true) if is_settled(&row, clock.now()) => finish(db, row.id(), clock.now()).await,
            other => other.map(|_| ()),
        };
        result = result.and(ended);
    }
    result
}

fn is_settled(row: &tenant::Model, now: i64) -> bool {
    row.erasing_since.is_some_and(|since| now >= since + SETTLED_MS)
}

/// Whether nothing was there any more.
async fn erase(db: &Database, tenant: TenantId, now: i64) -> Result<bool, DbErr> {
    let mut erased = 0;
    while let ids @ [_, ..] = destination::page(&db.read, tenant, None, None, STEP).await?.as_slice() {
        let ids: Vec<DestinationId> = ids.iter().map(destination::Model::id).collect();
        end_destinations(db, tenant, &ids, now).await?;
        erased += counted(db, tenant, ids.len() as u64).await?;
    }
    if is_pending(db, tenant).await? {
        // The owners of its shards end these; what is in flight ends as it ends.
        return Ok(false);
    }
    // Before its events, which know of sources that were deleted long ago.
    let sources = source::ids(&db.read, tenant).await?;
    for source in sources.iter().copied().chain(sources_of_events(db, tenant).await?) {
        erased += counted(db, tenant, delete_dedupe(db, source).await?).await?;
    }
    for table in [retention::PAYLOAD].into_iter().chain(retention::METADATA) {
        let mut from = Uuid::nil();
        for _ in 0..STEPS {
            let some = retention::delete_some(db, table, tenant, from..first_of(LAST_MS)).await?;
            let Some((count, last)) = some else { break };
            (erased, from) = (erased + counted(db, tenant, count).await?, last);
        }
    }
    if erased > 0 {
        // What refers to the rest goes first.
        return Ok(false);
    }
    for source in sources {
        source::delete(&db.finish, tenant, source).await?;
        erased += counted(db, tenant, 1).await?;
    }
    for table in TABLES {
        erased += counted(db, tenant, delete_all(db, table, tenant).await?).await?;
    }
    erased += counted(db, tenant, delete_audit(db, tenant).await?).await?;
    Ok(erased == 0)
}

/// The same number, once it stands in what is shown of the deletion.
async fn counted(db: &Database, tenant: TenantId, rows: u64) -> Result<u64, DbErr> {
    if rows > 0 {
        tenant::count_erased(&db.finish, tenant, rows).await?;
    }
    Ok(rows)
}

/// As when each of them is deleted.
async fn end_destinations(db: &Database, tenant: TenantId, ids: &[DestinationId], now: i64) -> Result<(), DbErr> {
    let _leave = db.may_change().await;
    let txn = db.begin().await?;
    for id in ids {
        subscription::delete_of(&txn, tenant, *id).await?;
        health::forget(&txn, tenant, *id).await?;
        destination::delete(&txn, tenant, *id).await?;
        command::leave(&txn, (tenant, *id), Kind::EndDestination, id.uuid()).await?;
    }
    let changed: Vec<Changed> = ids.iter().map(|id| Changed::Destination(*id)).collect();
    change::record(&txn, &changed, now).await?;
    txn.commit().await
}

async fn is_pending(db: &Database, tenant: TenantId) -> Result<bool, DbErr> {
    let text = "SELECT 1 FROM pending WHERE tenant_id = $1 LIMIT 1";
    let statement = Statement::from_sql_and_values(db.read.get_database_backend(), text, [tenant.uuid().into()]);
    Ok(db.read.query_one_raw(statement).await?.is_some())
}

/// The sources that a tenant's events came from: a loose scan of their index.
async fn sources_of_events(db: &Database, tenant: TenantId) -> Result<Vec<SourceId>, DbErr> {
    let next = |after: &str| {
        format!(
            "SELECT source_id FROM event WHERE tenant_id = $1 AND source_id IS NOT NULL{after} ORDER BY source_id LIMIT 1"
        )
    };
    let text = format!(
        "WITH RECURSIVE s (source_id) AS (SELECT * FROM ({}) AS first
            UNION ALL SELECT ({}) FROM s WHERE s.source_id IS NOT NULL)
        SELECT source_id FROM s WHERE source_id IS NOT NULL",
        next(""),
        next(" AND event.source_id > s.source_id")
    );
    let statement = Statement::from_sql_and_values(db.read.get_database_backend(), text, [tenant.uuid().into()]);
    let rows = db.read.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
}

/// Whether anything is there still, be it what another process is deleting.
async fn is_any_left(txn: &impl ConnectionTrait, tenant: TenantId) -> Result<bool, DbErr> {
    let large = ["payload", "attempt", "delivery", "event", "pending", "destination", "source"];
    let tables = TABLES.into_iter().chain(large);
    let any = tables.map(|table| format!("EXISTS (SELECT 1 FROM {table} WHERE tenant_id = $1)"));
    let text = format!("SELECT {}", any.collect::<Vec<_>>().join(" OR "));
    let statement = Statement::from_sql_and_values(txn.get_database_backend(), text, [tenant.uuid().into()]);
    let row = txn.query_one_raw(statement).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("EXISTS".into()))?.try_get_by_index(0)
}

/// By the rows' places: a key of several columns SQLite would look for in all of the tenant's rows.
async fn delete_all(db: &Database, table: &str, tenant: TenantId) -> Result<u64, DbErr> {
    let text = if db.is_sqlite() {
        format!("DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE tenant_id = $1 LIMIT {ROWS})")
    } else {
        format!(
            "DELETE FROM {table} WHERE tenant_id = $1
                AND ctid = ANY(ARRAY(SELECT ctid FROM {table} WHERE tenant_id = $1 LIMIT {ROWS}))"
        )
    };
    by_steps(db, &text, tenant.uuid()).await
}

async fn delete_dedupe(db: &Database, source: SourceId) -> Result<u64, DbErr> {
    let text = format!(
        "DELETE FROM dedupe WHERE source_id = $1 AND key IN
            (SELECT key FROM dedupe WHERE source_id = $1 ORDER BY key LIMIT {ROWS})"
    );
    by_steps(db, &text, source.uuid()).await
}

/// That it was deleted, by whom and when, is all that stays: how it was before is forgotten, too.
async fn delete_audit(db: &Database, tenant: TenantId) -> Result<u64, DbErr> {
    let text = format!(
        "DELETE FROM audit WHERE tenant_id = $1 AND id IN
            (SELECT id FROM audit WHERE tenant_id = $1 AND NOT (action = 'delete' AND object = 'tenant')
            ORDER BY id LIMIT {ROWS})"
    );
    by_steps(db, &text, tenant.uuid()).await
}

async fn by_steps(db: &Database, text: &str, of: Uuid) -> Result<u64, DbErr> {
    let mut all = 0;
    loop {
        let values: [Value; 1] = [of.into()];
        let statement = Statement::from_sql_and_values(db.finish.get_database_backend(), text, values);
        let rows = db.finish.execute_raw(statement).await?.rows_affected();
        all += rows;
        if rows == 0 {
            return Ok(all);
        }
    }
}

async fn finish(db: &Database, id: TenantId, now: i64) -> Result<(), DbErr> {
    let _leave = db.may_change().await;
    let txn = db.begin().await?;
    if let Some(row) = tenant::lock(&txn, id).await?.filter(|row| row.erased_at.is_none())
        && !is_any_left(&txn, id).await?
    {
        let nothing = tenant::Model { name: String::new(), limits: "{}".to_owned(), retention: None, ..row.clone() };
        tenant::save(&txn, tenant::Model { erased_at: Some(now), version: row.version + 1, ..nothing }).await?;
        txn.commit().await?;
        tracing::info!(tenant.id = %id, "a tenant is erased");
    }
    Ok(())
}

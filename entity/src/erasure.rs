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
/// What was accepted before the tenant was frozen is committed by then, on the slowest of databases.
const SETTLED_MS: i64 = 10_000;
/// The last id there can be: its time has 48 bits.
const LAST_MS: i64 = (1 << 48) - 1;

/// The smaller tables that hold a tenant's rows, each with its key, apart from those that are erased with something else.
const TABLES: [(&str, &str); 13] = [
    ("subscription", "id"),
    ("health", "destination_id"),
    ("replay", "id"),
    ("own_request", "key"),
    ("own_request_day", "day"),
    ("rejection", "id"),
    ("rejection_total", "source_id"),
    ("access_token", "hash"),
    ("credential", "id"),
    ("source_key", "hash"),
    ("api_key", "id"),
    ("command", "id"),
    ("notice", "object"),
];

/// Goes on with every tenant that is being erased. Whether there is more to do at once.
pub async fn go_on(db: &Database, clock: &Clock) -> Result<(), DbErr> {
    for row in tenant::erasing(&db.read).await? {
        if erase(db, row.id(), clock.now()).await? && is_settled(&row, clock.now()) {
            finish(db, row.id(), clock.now()).await?;
            tracing::info!(tenant.id = %row.id(), "a tenant is erased");
        }
    }
    Ok(())
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
        tenant::count_erased(&db.finish, tenant, ids.len() as u64).await?;
        erased += ids.len() as u64;
    }
    if is_pending(db, tenant).await? {
        // The owners of its shards end these; what is in flight ends as it ends.
        return Ok(false);
    }
    for table in [retention::PAYLOAD].into_iter().chain(retention::METADATA) {
        let mut from = Uuid::nil();
        while let Some((count, last)) = retention::delete_some(db, table, tenant, from..first_of(LAST_MS)).await? {
            tenant::count_erased(&db.finish, tenant, count).await?;
            (erased, from) = (erased + count, last);
        }
    }
    for source in source::ids(&db.read, tenant).await? {
        erased += delete_dedupe(db, source).await?;
        source::delete(&db.finish, tenant, source).await?;
        erased += 1;
    }
    for table in TABLES {
        erased += delete_all(db, table, tenant).await?;
    }
    erased += delete_audit(db, tenant).await?;
    Ok(erased == 0)
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

async fn delete_all(db: &Database, (table, key): (&str, &str), tenant: TenantId) -> Result<u64, DbErr> {
    let text = format!(
        "DELETE FROM {table} WHERE tenant_id = $1 AND {key} IN
            (SELECT {key} FROM {table} WHERE tenant_id = $1 ORDER BY {key} LIMIT {ROWS})"
    );
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
    if let Some(row) = tenant::lock(&txn, id).await?.filter(|row| row.erased_at.is_none()) {
        let nothing = tenant::Model { name: String::new(), limits: "{}".to_owned(), retention: None, ..row.clone() };
        tenant::save(&txn, tenant::Model { erased_at: Some(now), version: row.version + 1, ..nothing }).await?;
        txn.commit().await?;
    }
    Ok(())
}

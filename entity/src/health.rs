//! Which destinations fail, and since when without a success: written by the owner of their shard alone, at the first
//! failure and at the next success. A destination that is well has no row.

use std::collections::HashMap;

use relay::id::{DestinationId, TenantId};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Database;
use crate::shard::Lease;

/// A destination that has begun to fail, or is well again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub tenant_id: TenantId,
    pub destination_id: DestinationId,
    /// Under which it was seen.
    pub lease: Lease,
    /// Milliseconds since 1970; None: it is well.
    pub failing_since: Option<i64>,
}

/// The failing destinations of a shard.
pub async fn of_shard(db: &Database, shard: i16) -> Result<Vec<(DestinationId, i64)>, DbErr> {
    let text = "SELECT destination_id, failing_since FROM health WHERE shard = $1";
    let look = Statement::from_sql_and_values(db.steady.get_database_backend(), text, [shard.into()]);
    db.steady.query_all_raw(look).await?.iter().map(read).collect()
}

/// Since when a tenant's destination fails, if it does.
pub async fn failing_since(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    destination: DestinationId,
) -> Result<Option<i64>, DbErr> {
    let text = "SELECT failing_since FROM health WHERE tenant_id = $1 AND destination_id = $2";
    let values: [Value; 2] = [tenant.uuid().into(), destination.uuid().into()];
    let row = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

/// Since when these of a tenant's destinations fail; those that do not are missing.
pub async fn failing(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    destinations: &[DestinationId],
) -> Result<HashMap<DestinationId, i64>, DbErr> {
    if destinations.is_empty() {
        return Ok(HashMap::new());
    }
    let places = (2..2 + destinations.len()).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
    let text = format!(
        "SELECT destination_id, failing_since FROM health WHERE tenant_id = $1 AND destination_id IN ({places})"
    );
    let ids = destinations.iter().map(|id| Value::from(id.uuid()));
    let values: Vec<Value> = std::iter::once(tenant.uuid().into()).chain(ids).collect();
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    rows.iter().map(read).collect()
}

fn read(row: &QueryResult) -> Result<(DestinationId, i64), DbErr> {
    Ok((row.try_get_by_index::<Uuid>(0)?.into(), row.try_get_by_index(1)?))
}

/// A destination's past does not count any more: it is deleted, or a person says that it is well.
pub async fn forget(txn: &impl ConnectionTrait, tenant: TenantId, destination: DestinationId) -> Result<(), DbErr> {
    let text = "DELETE FROM health WHERE tenant_id = $1 AND destination_id = $2";
    let values: [Value; 2] = [tenant.uuid().into(), destination.uuid().into()];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}

/// Writes what turned, no two of the same destination. What belongs to a shard with another owner or epoch is left as it
/// is: the new owner sees for itself.
pub async fn turn(db: &Database, owner: Uuid, turns: &[Turn]) -> Result<(), DbErr> {
    let (ill, well): (Vec<&Turn>, Vec<&Turn>) = turns.iter().partition(|turn| turn.failing_since.is_some());
    for (turns, texts) in [(&ill, BEGINS), (&well, ENDS)] {
        if turns.is_empty() {
            continue;
        }
        if db.is_sqlite() {
            for turn in turns {
                db.finish.execute_raw(on_sqlite(texts.1, owner, turn)).await?;
            }
        } else {
            db.finish.execute_raw(on_postgres(texts.0, owner, turns)).await?;
        }
    }
    Ok(())
}

/// Rule K: the shards' rows are held against a takeover.
const BEGINS: (&str, &str) = (
    "WITH own AS MATERIALIZED (
        SELECT id, epoch FROM shard WHERE id = ANY($2::smallint[]) AND owner = $1 ORDER BY id FOR KEY SHARE
    )
    INSERT INTO health (shard, tenant_id, destination_id, failing_since)
    SELECT x.shard, x.tenant_id, x.destination_id, x.failing_since
    FROM unnest($2::smallint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[])
        AS x(shard, epoch, tenant_id, destination_id, failing_since)
    JOIN own ON own.id = x.shard AND own.epoch = x.epoch
    CROSS JOIN LATERAL (SELECT FROM destination d WHERE d.tenant_id = x.tenant_id AND d.id = x.destination_id LIMIT 1) d
    ORDER BY x.tenant_id, x.destination_id
    ON CONFLICT (tenant_id, destination_id) DO UPDATE SET failing_since = excluded.failing_since",
    "INSERT INTO health (shard, tenant_id, destination_id, failing_since)
    SELECT $2, $4, $5, $6 FROM shard WHERE id = $2 AND owner = $1 AND epoch = $3
    AND EXISTS (SELECT 1 FROM destination WHERE tenant_id = $4 AND id = $5)
    ON CONFLICT (tenant_id, destination_id) DO UPDATE SET failing_since = excluded.failing_since",
);
/// Looked up one by one, however few there were when they were last counted (decision 46).
const ENDS: (&str, &str) = (
    "WITH own AS MATERIALIZED (
        SELECT id, epoch FROM shard WHERE id = ANY($2::smallint[]) AND owner = $1 ORDER BY id FOR KEY SHARE
    )
    DELETE FROM health h
    USING unnest($2::smallint[], $3::bigint[], $4::uuid[], $5::uuid[], $6::bigint[])
        AS x(shard, epoch, tenant_id, destination_id, failing_since)
    JOIN own ON own.id = x.shard AND own.epoch = x.epoch
    WHERE h.tenant_id = ANY(ARRAY[x.tenant_id]) AND h.destination_id BETWEEN x.destination_id AND x.destination_id",
    "DELETE FROM health WHERE tenant_id = $4 AND destination_id = $5 AND $6 IS NULL
    AND EXISTS (SELECT 1 FROM shard WHERE id = $2 AND owner = $1 AND epoch = $3)",
);

fn on_sqlite(text: &str, owner: Uuid, turn: &Turn) -> Statement {
    let values: [Value; 6] = [
        owner.into(),
        turn.lease.shard.into(),
        turn.lease.epoch.into(),
        turn.tenant_id.uuid().into(),
        turn.destination_id.uuid().into(),
        turn.failing_since.into(),
    ];
    Statement::from_sql_and_values(DbBackend::Sqlite, text, values)
}

fn on_postgres(text: &str, owner: Uuid, turns: &[&Turn]) -> Statement {
    let array = |of: ArrayType, value: &dyn Fn(&Turn) -> Value| {
        Value::Array(of, Some(Box::new(turns.iter().map(|turn| value(turn)).collect())))
    };
    let values: [Value; 6] = [
        owner.into(),
        array(ArrayType::SmallInt, &|turn| turn.lease.shard.into()),
        array(ArrayType::BigInt, &|turn| turn.lease.epoch.into()),
        array(ArrayType::Uuid, &|turn| turn.tenant_id.uuid().into()),
        array(ArrayType::Uuid, &|turn| turn.destination_id.uuid().into()),
        // Empty elements of arrays panic; those that are well do not look at it.
        array(ArrayType::BigInt, &|turn| turn.failing_since.unwrap_or_default().into()),
    ];
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}

//! Unfinished deliveries. A row is the queue entry: it exists exactly as long as the delivery is unfinished.

use std::collections::HashSet;

use relay::id::{DeliveryId, DestinationId, EventId, ReplayId, SubscriptionId, TenantId};
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Database;
use crate::delivery::{Trigger, shard_of};

/// A delivery that is to be made now, asked for by a person: a replay, a retry or a test.
#[derive(Debug, Clone, Copy)]
pub struct NewPending {
    pub tenant_id: TenantId,
    pub id: DeliveryId,
    pub event_id: EventId,
    /// None for tests and forced replays.
    pub subscription_id: Option<SubscriptionId>,
    pub destination_id: DestinationId,
    /// Its line, where the destination wants an order: see [`relay::order`].
    pub order_key: Option<i32>,
    pub trigger: Trigger,
    /// The finished delivery that this one repeats.
    pub retry_of: Option<DeliveryId>,
    /// The replay of many that asked for it.
    pub replay_id: Option<ReplayId>,
    /// Bytes of the event's body.
    pub size: i32,
    /// When it is due: the present.
    pub due_at: i64,
}

/// Puts a delivery into the queue, in the transaction that answers for it.
pub async fn insert(txn: &impl ConnectionTrait, new: &NewPending) -> Result<(), DbErr> {
    let text = "INSERT INTO pending
        (tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, attempts, trigger, retry_of, size, order_key,
        replay_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9, $10, $11, $12)";
    let values: [Value; 12] = [
        new.tenant_id.uuid().into(),
        new.id.uuid().into(),
        shard_of(new.destination_id).into(),
        new.due_at.into(),
        new.event_id.uuid().into(),
        new.subscription_id.map(relay::id::Id::uuid).into(),
        new.destination_id.uuid().into(),
        new.trigger.number().into(),
        new.retry_of.map(relay::id::Id::uuid).into(),
        new.size.into(),
        new.order_key.into(),
        new.replay_id.map(relay::id::Id::uuid).into(),
    ];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}

/// An unfinished delivery as scheduling needs it; bodies are read when a slot is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    pub tenant_id: TenantId,
    pub id: DeliveryId,
    pub shard: i16,
    /// [`relay::clock::NEVER`] = parked.
    pub due_at: i64,
    /// Place in line.
    pub seq: i64,
    pub event_id: EventId,
    pub subscription_id: Option<SubscriptionId>,
    pub destination_id: DestinationId,
    /// Its line, if it was accepted while the destination wanted an order.
    pub order_key: Option<i32>,
    /// How many were made so far.
    pub attempts: i16,
    pub trigger: Trigger,
    /// Bytes of the event's body.
    pub size: i32,
}

const COLUMNS: &str =
    "tenant_id, id, shard, due_at, seq, event_id, subscription_id, destination_id, attempts, trigger, size, order_key";

impl Due {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self {
            tenant_id: row.try_get_by_index::<Uuid>(0)?.into(),
            id: row.try_get_by_index::<Uuid>(1)?.into(),
            shard: row.try_get_by_index(2)?,
            due_at: row.try_get_by_index(3)?,
            seq: row.try_get_by_index(4)?,
            event_id: row.try_get_by_index::<Uuid>(5)?.into(),
            subscription_id: row.try_get_by_index::<Option<Uuid>>(6)?.map(Into::into),
            destination_id: row.try_get_by_index::<Uuid>(7)?.into(),
            attempts: row.try_get_by_index(8)?,
            trigger: Trigger::from_number(row.try_get_by_index(9)?),
            size: row.try_get_by_index(10)?,
            order_key: row.try_get_by_index(11)?,
        })
    }
}

/// How far a shard was read: rows are read in the order of due time and id. Only a hint, since a row may become visible
/// after one that is due later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub due_at: i64,
    pub id: Uuid,
}

impl Cursor {
    /// Before every row that is due at `due_at` or later.
    #[must_use]
    pub fn from(due_at: i64) -> Self {
        Self { due_at, id: Uuid::nil() }
    }

    /// After this row.
    #[must_use]
    pub fn after(due: &Due) -> Self {
        Self { due_at: due.due_at, id: due.id.uuid() }
    }
}

/// Rows a shard gives at a time. A shard that gives fewer has no more that are due.
pub const PAGE: usize = 64;

/// What is due by `now` in these shards, each from its cursor on, at most [`PAGE`] rows a shard.
pub async fn load_due(db: &Database, cursors: &[(i16, Cursor)], now: i64) -> Result<Vec<Due>, DbErr> {
    if db.is_sqlite() {
        return load_due_on_sqlite(db, cursors, now).await;
    }
    let text = format!(
        "SELECT p.* FROM unnest($1::smallint[], $2::bigint[], $3::uuid[]) s(shard, due, id)
        CROSS JOIN LATERAL (SELECT {COLUMNS} FROM pending p
            WHERE p.shard = s.shard AND p.due_at < 9223372036854775807 AND (p.due_at, p.id) > (s.due, s.id)
            AND p.due_at <= $4 ORDER BY p.due_at, p.id LIMIT {PAGE}) p"
    );
    let values: [Value; 4] = [
        array(ArrayType::SmallInt, cursors.iter().map(|(shard, _)| (*shard).into())),
        array(ArrayType::BigInt, cursors.iter().map(|(_, cursor)| cursor.due_at.into())),
        array(ArrayType::Uuid, cursors.iter().map(|(_, cursor)| cursor.id.into())),
        now.into(),
    ];
    let rows = db.steady.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, values)).await?;
    rows.iter().map(Due::read).collect()
}

/// One range a shard, joined into one text: a statement costs a hop to the connection's thread. The parked due time
/// stands as a literal: bound, it turns the search into a scan.
async fn load_due_on_sqlite(db: &Database, cursors: &[(i16, Cursor)], now: i64) -> Result<Vec<Due>, DbErr> {
    let range = |place: usize| {
        let (shard, due, id) = (3 * place + 2, 3 * place + 3, 3 * place + 4);
        format!(
            "SELECT * FROM (SELECT {COLUMNS} FROM pending WHERE shard = ${shard} AND due_at < 9223372036854775807
            AND (due_at, id) > (${due}, ${id}) AND due_at <= $1 ORDER BY due_at, id LIMIT {PAGE})"
        )
    };
    let text = (0..cursors.len()).map(range).collect::<Vec<_>>().join(" UNION ALL ");
    let bounds = cursors.iter().flat_map(|(shard, cursor)| [(*shard).into(), cursor.due_at.into(), cursor.id.into()]);
    let values: Vec<Value> = std::iter::once(now.into()).chain(bounds).collect();
    let rows = db.steady.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, text, values)).await?;
    rows.iter().map(Due::read).collect()
}

/// The parked rows of a destination that stand behind `after` in line. Only a read: a row stays parked until it is
/// finished or rescheduled.
pub async fn take_back(
    db: &Database,
    shard: i16,
    destination: DestinationId,
    after: i64,
    limit: usize,
) -> Result<Vec<Due>, DbErr> {
    let text = format!(
        "SELECT {COLUMNS} FROM pending WHERE shard = $1 AND destination_id = $2 AND due_at = 9223372036854775807
        AND seq > $3 ORDER BY seq LIMIT $4"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values: [Value; 4] = [shard.into(), destination.uuid().into(), after.into(), limit.into()];
    let rows =
        db.steady.query_all_raw(Statement::from_sql_and_values(db.steady.get_database_backend(), text, values)).await?;
    rows.iter().map(Due::read).collect()
}

/// Which destinations of a shard have parked rows, whose they are, and the first of those rows: a loose index scan, one
/// step a destination.
pub async fn parked_destinations(
    db: &Database,
    shard: i16,
) -> Result<Vec<(TenantId, DestinationId, DeliveryId)>, DbErr> {
    let text = "WITH RECURSIVE t(d) AS (
            SELECT (SELECT destination_id FROM pending WHERE shard = $1 AND due_at = 9223372036854775807
                ORDER BY destination_id LIMIT 1)
            UNION ALL SELECT (SELECT destination_id FROM pending WHERE shard = $1 AND due_at = 9223372036854775807
                AND destination_id > t.d ORDER BY destination_id LIMIT 1) FROM t WHERE t.d IS NOT NULL),
        u AS (SELECT d FROM t WHERE d IS NOT NULL LIMIT 10000)
        SELECT d, (SELECT tenant_id FROM pending WHERE shard = $1 AND due_at = 9223372036854775807
                AND destination_id = u.d ORDER BY seq LIMIT 1),
            (SELECT id FROM pending WHERE shard = $1 AND due_at = 9223372036854775807
                AND destination_id = u.d ORDER BY seq LIMIT 1) FROM u";
    let read = Statement::from_sql_and_values(db.steady.get_database_backend(), text, [shard.into()]);
    let rows = db.steady.query_all_raw(read).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        // None if the last of its rows ended between two of the looks.
        let [tenant, first] = [row.try_get_by_index::<Option<Uuid>>(1)?, row.try_get_by_index(2)?];
        if let (Some(tenant), Some(first)) = (tenant, first) {
            found.push((tenant.into(), row.try_get_by_index::<Uuid>(0)?.into(), first.into()));
        }
    }
    Ok(found)
}

/// The next tenants behind `after`, at most `limit` of them, each with the oldest of its rows from before `before`, if there is any.
/// Nothing younger is looked at: what was deleted lately is passed by over and over while an open transaction keeps it.
pub(crate) async fn oldest_of_tenants(
    db: &Database,
    before: Uuid,
    (after, limit): (Option<TenantId>, u64),
) -> Result<Vec<(TenantId, Option<DeliveryId>)>, DbErr> {
    let text = format!(
        "SELECT t.id, (SELECT p.id FROM pending p WHERE p.tenant_id = t.id AND p.id < $1 ORDER BY p.id LIMIT 1)
        FROM tenant t WHERE t.id > $2 ORDER BY t.id LIMIT {limit}"
    );
    let after = after.map_or(Uuid::nil(), TenantId::uuid);
    let read = Statement::from_sql_and_values(db.steady.get_database_backend(), text, [before.into(), after.into()]);
    let rows = db.steady.query_all_raw(read).await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let oldest = row.try_get_by_index::<Option<Uuid>>(1)?;
        found.push((row.try_get_by_index::<Uuid>(0)?.into(), oldest.map(DeliveryId::from)));
    }
    Ok(found)
}

/// The destinations of a tenant's rows from before `before`, each with its oldest, as far as the oldest 10,000 rows tell.
pub(crate) async fn destinations_before(
    db: &Database,
    tenant: TenantId,
    before: Uuid,
) -> Result<Vec<(DestinationId, DeliveryId)>, DbErr> {
    let text = "SELECT destination_id, id FROM pending WHERE tenant_id = $1 AND id < $2 ORDER BY id LIMIT 10000";
    let values: [Value; 2] = [tenant.uuid().into(), before.into()];
    let rows =
        db.steady.query_all_raw(Statement::from_sql_and_values(db.steady.get_database_backend(), text, values)).await?;
    let mut oldest = Vec::<(DestinationId, DeliveryId)>::new();
    let mut known = HashSet::new();
    for row in &rows {
        let destination: DestinationId = row.try_get_by_index::<Uuid>(0)?.into();
        if known.insert(destination) {
            oldest.push((destination, row.try_get_by_index::<Uuid>(1)?.into()));
        }
    }
    Ok(oldest)
}

/// Rows of a destination, whatever their due time, at most 1,000 of them, in the order of the line.
pub async fn of_destination(db: &Database, destination: DestinationId) -> Result<Vec<Due>, DbErr> {
    let text = format!("SELECT {COLUMNS} FROM pending WHERE destination_id = $1 ORDER BY seq LIMIT 1000");
    let values: [Value; 1] = [destination.uuid().into()];
    let rows =
        db.steady.query_all_raw(Statement::from_sql_and_values(db.steady.get_database_backend(), text, values)).await?;
    rows.iter().map(Due::read).collect()
}

/// Rows of a subscription to this destination, at most 1,000 of them, in the order of the line.
pub async fn of_subscription(
    db: &Database,
    destination: DestinationId,
    subscription: SubscriptionId,
) -> Result<Vec<Due>, DbErr> {
    let text = format!(
        "SELECT {COLUMNS} FROM pending WHERE destination_id = $1 AND subscription_id = $2 ORDER BY seq LIMIT 1000"
    );
    let values: [Value; 2] = [destination.uuid().into(), subscription.uuid().into()];
    let rows =
        db.steady.query_all_raw(Statement::from_sql_and_values(db.steady.get_database_backend(), text, values)).await?;
    rows.iter().map(Due::read).collect()
}

/// Rows that a replay has made for this destination, at most 1,000 of them.
pub async fn of_replay(
    db: &Database,
    (tenant, destination): (TenantId, DestinationId),
    replay: ReplayId,
) -> Result<Vec<Due>, DbErr> {
    let text = format!(
        "SELECT {COLUMNS} FROM pending WHERE tenant_id = $1 AND replay_id = $2 AND destination_id = $3 ORDER BY id LIMIT 1000"
    );
    let values: [Value; 3] = [tenant.uuid().into(), replay.uuid().into(), destination.uuid().into()];
    let rows =
        db.steady.query_all_raw(Statement::from_sql_and_values(db.steady.get_database_backend(), text, values)).await?;
    rows.iter().map(Due::read).collect()
}

/// Those of a tenant's deliveries that are unfinished, in no order.
pub async fn these(db: &Database, tenant: TenantId, ids: &[DeliveryId]) -> Result<Vec<Due>, DbErr> {
    let ids = ids.iter().map(|id| Value::from(id.uuid()));
    let (text, values): (_, Vec<Value>) = if db.is_sqlite() {
        let places = (2..ids.len() + 2).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ");
        let text = format!("SELECT {COLUMNS} FROM pending WHERE tenant_id = $1 AND id IN ({places})");
        (text, std::iter::once(tenant.uuid().into()).chain(ids).collect())
    } else {
        // One by one, or it may read all that waits of the tenant.
        let text = format!(
            "SELECT p.* FROM unnest($2::uuid[]) x(id)
            CROSS JOIN LATERAL (SELECT {COLUMNS} FROM pending p WHERE p.tenant_id = $1 AND p.id = x.id LIMIT 1) p"
        );
        (text, vec![tenant.uuid().into(), array(ArrayType::Uuid, ids)])
    };
    let rows =
        db.steady.query_all_raw(Statement::from_sql_and_values(db.steady.get_database_backend(), text, values)).await?;
    rows.iter().map(Due::read).collect()
}

mod backlog;
mod heads;

pub use backlog::{Backlog, backlog};
pub use heads::{Head, heads, heads_of_lines};

fn array(of: ArrayType, values: impl Iterator<Item = Value>) -> Value {
    Value::Array(of, Some(Box::new(values.collect())))
}

//! How much a tenant has, for operators: counted no further than is cheap.

use relay::id::{TenantId, first_of};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};

/// Rows that are looked at for a figure; who has more has "at least" so many.
pub const MOST: i64 = 10_000;

const DAY_MS: i64 = 86_400_000;

/// A tenant in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Without the one that is built in.
    pub sources: i64,
    pub destinations: i64,
    pub subscriptions: i64,
    /// Unfinished deliveries, counted up to [`MOST`]; the next two are of those alone, the oldest ones.
    pub pending: i64,
    /// Of them, those whose destination is paused or disabled.
    pub held: i64,
    /// When the first that is due by now was due.
    pub oldest_due: Option<i64>,
    /// Events of the last 24 hours, counted up to [`MOST`], and the bytes of those.
    pub events: i64,
    pub bytes: i64,
}

/// Counts. `now` is the present.
pub async fn figures(db: &impl ConnectionTrait, tenant: TenantId, now: i64) -> Result<Figures, DbErr> {
    let counts = "SELECT (SELECT count(*) FROM source WHERE tenant_id = $1),
        (SELECT count(*) FROM destination WHERE tenant_id = $1),
        (SELECT count(*) FROM subscription WHERE tenant_id = $1)";
    let counts = one(db, counts, vec![tenant.uuid().into()]).await?;
    let queue = format!(
        "SELECT count(*), count(CASE WHEN destination.state <> 'active' THEN 1 END),
            min(CASE WHEN due_at <= $2 THEN due_at END)
        FROM (SELECT tenant_id, destination_id, due_at FROM pending
            WHERE tenant_id = $1 ORDER BY id LIMIT {MOST}) AS first
        LEFT JOIN destination ON destination.tenant_id = first.tenant_id AND destination.id = first.destination_id"
    );
    let queue = one(db, &queue, vec![tenant.uuid().into(), now.into()]).await?;
    let events = format!(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS bigint)
        FROM (SELECT size FROM event WHERE tenant_id = $1 AND id >= $2 ORDER BY id LIMIT {MOST}) AS recent"
    );
    let events = one(db, &events, vec![tenant.uuid().into(), first_of(now - DAY_MS).into()]).await?;
    Ok(Figures {
        sources: counts.try_get_by_index(0)?,
        destinations: counts.try_get_by_index(1)?,
        subscriptions: counts.try_get_by_index(2)?,
        pending: queue.try_get_by_index(0)?,
        held: queue.try_get_by_index(1)?,
        oldest_due: queue.try_get_by_index(2)?,
        events: events.try_get_by_index(0)?,
        bytes: events.try_get_by_index(1)?,
    })
}

async fn one(db: &impl ConnectionTrait, text: &str, values: Vec<Value>) -> Result<QueryResult, DbErr> {
    let look = Statement::from_sql_and_values(db.get_database_backend(), text, values);
    db.query_one_raw(look).await?.ok_or_else(|| DbErr::RecordNotFound("count".into()))
}

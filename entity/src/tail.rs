//! What a live tail reads: by the tenant's keys alone, since nobody who listens may cost those anything who do not. Ids
//! first, and the rows of those that are news.

use relay::id::{DeliveryId, TenantId, first_of};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Database;

/// A table whose rows come in the order of their ids, more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Followed {
    Events,
    /// Finished deliveries, in the order in which they were made.
    Finished,
    Rejections,
}

impl Followed {
    fn table(self) -> &'static str {
        match self {
            Self::Events => "event",
            Self::Finished => "delivery",
            Self::Rejections => "rejection",
        }
    }
}

/// A tenant's ids from `from` on, oldest first, at most `limit`. None is younger than `until` (milliseconds since 1970),
/// which keeps PostgreSQL from looking into days to come.
pub async fn ids(
    db: &Database,
    tenant: TenantId,
    of: Followed,
    (from, until): (Uuid, i64),
    limit: usize,
) -> Result<Vec<Uuid>, DbErr> {
    let text = format!(
        "SELECT id FROM {} WHERE tenant_id = $1 AND id >= $2 AND id < $3 ORDER BY id LIMIT {limit}",
        of.table()
    );
    let values: [Value; 3] = [tenant.uuid().into(), from.into(), first_of(until).into()];
    let rows = read(db, text, values.into()).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// A tenant's unfinished deliveries, and how many attempts each has had: of many, so many of the oldest and of the newest.
pub async fn unfinished(db: &Database, tenant: TenantId, each: usize) -> Result<Vec<(DeliveryId, i16)>, DbErr> {
    let text = format!(
        "SELECT * FROM (SELECT id, attempts FROM pending WHERE tenant_id = $1 ORDER BY id LIMIT {each}) AS oldest
        UNION SELECT * FROM (SELECT id, attempts FROM pending WHERE tenant_id = $1 ORDER BY id DESC LIMIT {each}) AS newest"
    );
    let values: [Value; 1] = [tenant.uuid().into()];
    let rows = read(db, text, values.into()).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index::<Uuid>(0)?.into(), row.try_get_by_index(1)?))).collect()
}

/// Which of the deliveries that were made before `made_before` ended at `ended_after` or later (milliseconds since 1970).
/// No index says when one ended, so `among` of them are looked at, the youngest.
pub async fn ended(
    db: &Database,
    tenant: TenantId,
    (made_before, ended_after): (i64, i64),
    among: usize,
) -> Result<Vec<DeliveryId>, DbErr> {
    let text = format!(
        "SELECT id FROM (SELECT id, finished_at FROM delivery WHERE tenant_id = $1 AND id < $2
            ORDER BY id DESC LIMIT {among}) AS youngest
        WHERE finished_at >= $3 ORDER BY id"
    );
    let values: [Value; 3] = [tenant.uuid().into(), first_of(made_before).into(), ended_after.into()];
    let rows = read(db, text, values.into()).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index::<Uuid>(0)?.into())).collect()
}

/// As people's searches are read, which keep nothing else waiting.
async fn read(db: &Database, text: String, values: Vec<Value>) -> Result<Vec<QueryResult>, DbErr> {
    db.read.query_all_raw(Statement::from_sql_and_values(db.read.get_database_backend(), text, values)).await
}

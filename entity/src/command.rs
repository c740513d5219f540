//! What the api wants done to pending rows: only the owner of their shard may touch them, so it is asked by a row.

use relay::id::TenantId;
use sea_orm::{ConnectionTrait, DbErr, Statement, Value};
use uuid::Uuid;

/// What is to be done. Doing it twice does no harm: a command is deleted after it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// End this delivery; one in flight ends with its true outcome. Target: a delivery.
    Cancel,
    /// Make this delivery due now. Target: a delivery.
    TryNow,
    /// The destination is gone: end its deliveries. Target: a destination.
    EndDestination,
    /// The subscription is gone: end its deliveries. Target: a subscription (the shard is its destination's).
    EndSubscription,
}

impl Kind {
    fn number(self) -> i16 {
        self as i16
    }

    /// None for a kind that a newer version wrote.
    fn from_number(number: i16) -> Option<Self> {
        [Self::Cancel, Self::TryNow, Self::EndDestination, Self::EndSubscription]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

/// A command that waits for the owner of its shard.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    pub id: i64,
    pub shard: i16,
    pub tenant_id: TenantId,
    /// None: a newer version's, left for a newer worker.
    pub kind: Option<Kind>,
    pub target: Uuid,
}

/// Leaves a command for the owner of `shard`. Commits with the change that causes it.
pub async fn leave(
    txn: &impl ConnectionTrait,
    shard: i16,
    tenant: TenantId,
    kind: Kind,
    target: Uuid,
) -> Result<(), DbErr> {
    let text = "INSERT INTO command (shard, tenant_id, kind, target) VALUES ($1, $2, $3, $4)";
    let values: [Value; 4] = [shard.into(), tenant.uuid().into(), kind.number().into(), target.into()];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}

/// The commands that wait, oldest first, at most 1,000 of them; the worker picks those of its shards.
pub async fn waiting(db: &impl ConnectionTrait) -> Result<Vec<Command>, DbErr> {
    let text = "SELECT id, shard, tenant_id, kind, target FROM command ORDER BY id LIMIT 1000";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await?;
    rows.iter()
        .map(|row| {
            Ok(Command {
                id: row.try_get_by_index(0)?,
                shard: row.try_get_by_index(1)?,
                tenant_id: row.try_get_by_index::<Uuid>(2)?.into(),
                kind: Kind::from_number(row.try_get_by_index(3)?),
                target: row.try_get_by_index(4)?,
            })
        })
        .collect()
}

/// A command was carried out.
pub async fn done(db: &impl ConnectionTrait, id: i64) -> Result<(), DbErr> {
    let delete =
        Statement::from_sql_and_values(db.get_database_backend(), "DELETE FROM command WHERE id = $1", [id.into()]);
    db.execute_raw(delete).await.map(drop)
}

//! What the api wants done to pending rows: only the owner of their shard may touch them, so it is asked by a row.

use relay::id::{DestinationId, TenantId};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::delivery::shard_of;

/// What is to be done. Doing it twice does no harm: a command is deleted after it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// End this delivery; one in flight ends with its true outcome. Target: a delivery.
    Cancel,
    /// Make this delivery due now. Target: a delivery.
    TryNow,
    /// The destination is gone: end its deliveries. Target: a destination.
    EndDestination,
    /// The subscription is gone: end its deliveries. Target: a subscription.
    EndSubscription,
    /// End what the destination has been waiting for for too long. Target: the first id that is young enough.
    Expire,
    /// The replay was cancelled: end what it made for this destination, as [`Kind::Cancel`] does. Target: a replay.
    CancelReplay,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Cancel, Self::TryNow, Self::EndDestination, Self::EndSubscription, Self::Expire, Self::CancelReplay];

    /// Whether it is about one delivery.
    #[must_use]
    pub fn is_of_one(self) -> bool {
        matches!(self, Self::Cancel | Self::TryNow)
    }

    pub(crate) fn number(self) -> i16 {
        self as i16
    }
}

/// A command that waits for the owner of its shard.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    pub id: i64,
    pub shard: i16,
    pub tenant_id: TenantId,
    pub kind: Kind,
    pub destination_id: DestinationId,
    pub target: Uuid,
}

/// Leaves a command for the owner of the destination's shard. Commits with the change that causes it.
pub async fn leave(
    txn: &impl ConnectionTrait,
    (tenant, destination): (TenantId, DestinationId),
    kind: Kind,
    target: Uuid,
) -> Result<(), DbErr> {
    let text = "INSERT INTO command (shard, tenant_id, kind, destination_id, target) VALUES ($1, $2, $3, $4, $5)";
    let values: [Value; 5] = [
        shard_of(destination).into(),
        tenant.uuid().into(),
        kind.number().into(),
        destination.uuid().into(),
        target.into(),
    ];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}

/// Whether such a command waits for a destination already.
pub async fn is_left(db: &impl ConnectionTrait, destination: DestinationId, kind: Kind) -> Result<bool, DbErr> {
    let text = "SELECT 1 FROM command WHERE shard = $1 AND destination_id = $2 AND kind = $3 LIMIT 1";
    let values: [Value; 3] = [shard_of(destination).into(), destination.uuid().into(), kind.number().into()];
    let row = db.query_one_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    Ok(row.is_some())
}

/// The commands that wait for the owner of these shards, oldest first, at most 1,000 of them; expiries, which nobody waits
/// for, come last. Those of a newer version are left for a newer worker.
pub async fn waiting(db: &impl ConnectionTrait, shards: &[i16]) -> Result<Vec<Command>, DbErr> {
    let list = |numbers: &mut dyn Iterator<Item = i16>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
    };
    let text = format!(
        "SELECT id, shard, tenant_id, kind, destination_id, target FROM command
        WHERE shard IN ({}) AND kind IN ({}) ORDER BY CASE kind WHEN {} THEN 1 ELSE 0 END, id LIMIT 1000",
        list(&mut shards.iter().copied()),
        list(&mut Kind::ALL.into_iter().map(Kind::number)),
        Kind::Expire.number(),
    );
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), text)).await?;
    rows.iter().map(Command::read).collect()
}

impl Command {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let kind: i16 = row.try_get_by_index(3)?;
        let known = Kind::ALL.into_iter().find(|known| known.number() == kind);
        Ok(Self {
            id: row.try_get_by_index(0)?,
            shard: row.try_get_by_index(1)?,
            tenant_id: row.try_get_by_index::<Uuid>(2)?.into(),
            kind: known.ok_or_else(|| DbErr::Type(format!("no kind of command is number {kind}")))?,
            destination_id: row.try_get_by_index::<Uuid>(4)?.into(),
            target: row.try_get_by_index(5)?,
        })
    }
}

/// A command found nothing to do, or has done all of it.
pub async fn done(db: &impl ConnectionTrait, id: i64) -> Result<(), DbErr> {
    let delete =
        Statement::from_sql_and_values(db.get_database_backend(), "DELETE FROM command WHERE id = $1", [id.into()]);
    db.execute_raw(delete).await.map(drop)
}

//! The operator's sealing keys as the database knows them: one row for each that sealed something here, so that no process
//! starts without a key that is needed, and none is called needless that still seals.

use relay::clock::Clock;
use relay::keyring::{Keyring, OpenError, key_of};
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, QueryOrder, Set};

use crate::{Database, Transaction};

mod reseal;

pub(crate) use reseal::Sealed;
pub use reseal::{ResealError, Resealed, reseal};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sealing_key")]
pub struct Model {
    /// As in `HOOKYARD_MASTER_KEYS`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Opens with this key and no other.
    pub canary: String,
    /// When a process that seals with it last said so.
    pub sealing_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Insists that the key is among these.
    pub fn is_opened_by(&self, keyring: &Keyring) -> Result<(), KeysError> {
        match keyring.open(&self.canary, CANARY) {
            Ok(_) => Ok(()),
            Err(OpenError::UnknownKey(id)) => Err(KeysError::Missing(id)),
            Err(OpenError::Tampered | OpenError::Malformed) => Err(KeysError::Other(self.id.clone())),
        }
    }
}

/// Keys that are needed here and were not given.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error("the keys could not be compared with the database's")]
    Database(#[from] DbErr),
    #[error(
        "the sealing keys (HOOKYARD_MASTER_KEYS, or hookyard.keys without it) lack `{0}`, which sealed what this database \
         holds: give it too, behind the key that is to seal. `hookyard reseal` makes it needless"
    )]
    Missing(String),
    #[error(
        "the sealing key `{0}` (in HOOKYARD_MASTER_KEYS, or hookyard.keys without it) is another than the one of this id that \
         sealed what this database holds"
    )]
    Other(String),
}

/// What a canary says, and whose it is.
const CANARY: &str = "canary";
/// A process says so each minute (see [`crate::housekeeping`]); one that was silent for so long has ended, or has been told
/// to seal with another key.
pub const SILENT_MS: i64 = 3 * 60_000;

/// Whether anything was ever sealed here.
pub async fn is_any(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(Entity::find().one(db).await?.is_some())
}

/// Compares the keys with those that the database needs, and notes the one that seals from now on.
pub async fn check(db: &Database, clock: &Clock, keyring: &Keyring) -> Result<(), KeysError> {
    let txn = alone(db).await?;
    compare(&txn, keyring).await?;
    note(&txn, keyring, clock.now()).await?;
    txn.commit().await?;
    Ok(())
}

/// Nobody else notes a key until the transaction ends: two processes with different keys may start on an empty database,
/// and only one of them is the first.
async fn alone(db: &Database) -> Result<Transaction, DbErr> {
    let txn = db.begin().await?;
    if txn.get_database_backend() == DbBackend::Postgres {
        txn.execute_unprepared("LOCK TABLE sealing_key IN EXCLUSIVE MODE").await?;
    }
    Ok(txn)
}

async fn compare(txn: &Transaction, keyring: &Keyring) -> Result<(), KeysError> {
    needed(txn).await?.iter().try_for_each(|row| row.is_opened_by(keyring))
}

/// The keys that sealed something here.
pub async fn needed(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by_asc(Column::Id).all(db).await
}

/// Says that this process seals with the first of its keys.
pub async fn note(db: &impl ConnectionTrait, keyring: &Keyring, now: i64) -> Result<(), DbErr> {
    let canary = keyring.seal(CANARY.as_bytes(), CANARY);
    let id = key_of(&canary).unwrap_or_default().to_owned();
    let row = ActiveModel { id: Set(id), canary: Set(canary), sealing_at: Set(now) };
    let mut latest = sea_orm::sea_query::OnConflict::column(Column::Id);
    latest.update_column(Column::SealingAt);
    Entity::insert(row).on_conflict(latest).exec_without_returning(db).await.map(drop)
}

//! External ids that were seen, for as long as a repeat of them is to be told from a new event.

use relay::id::{EventId, SourceId};
use sea_orm::{ConnectionTrait, DbErr, Statement};

/// What is the same in a repeat, hashed: an external id may be longer than an index row, or hold what text must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    /// The first 16 bytes of its SHA-256.
    pub hash: [u8; 16],
    /// From then on the same is a new event.
    pub expires_at: i64,
}

impl Key {
    /// The key of what a repeat has in common with its event, until then.
    #[must_use]
    pub fn of(same: &[u8], expires_at: i64) -> Self {
        let whole = relay::secret::fingerprint(same);
        let mut hash = [0; 16];
        hash.copy_from_slice(&whole[..16]);
        Self { hash, expires_at }
    }
}

/// What a source already knows of a key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original {
    pub(crate) source_id: SourceId,
    pub(crate) hash: [u8; 16],
    pub(crate) event_id: EventId,
    pub(crate) expires_at: i64,
}

/// Forgets what expired before `now`, a bounded step; says how many it forgot.
pub async fn forget(db: &impl ConnectionTrait, now: i64) -> Result<u64, DbErr> {
    let delete = "DELETE FROM dedupe WHERE (source_id, key) IN
        (SELECT source_id, key FROM dedupe WHERE expires_at <= $1 ORDER BY expires_at LIMIT 1000)";
    let statement = Statement::from_sql_and_values(db.get_database_backend(), delete, [now.into()]);
    Ok(db.execute_raw(statement).await?.rows_affected())
}

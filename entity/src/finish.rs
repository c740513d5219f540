//! What the owner of a shard writes about its deliveries: the end of one, its next try, its place among the parked.
//! Every statement checks owner and epoch, and holds the shard's row against a takeover until it has committed (rule K).

use relay::id::{DeliveryId, TenantId};
use relay::keyring::DataKey;
use sea_orm::DbErr;
use uuid::Uuid;

use crate::Database;
use crate::attempt::Outcome;
use crate::delivery::State;
use crate::payload_key::{Owner, SEALED};

mod postgres;
mod sqlite;

/// The row that is written, and under which epoch of its shard it was loaded (rule E).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub tenant_id: TenantId,
    pub id: DeliveryId,
    pub shard: i16,
    pub epoch: i64,
}

/// One HTTP request and its outcome, as it is kept.
#[derive(Debug, Clone)]
pub struct AttemptLog {
    /// Counts from 1.
    pub number: i16,
    pub at: i64,
    pub duration_ms: i32,
    pub outcome: Outcome,
    pub status: Option<i16>,
    /// What went wrong, for people.
    pub error: Option<String>,
    pub remote_address: Option<String>,
    /// A JSON array of `[name, value]`, values as Latin-1.
    pub response_headers: Option<String>,
    /// The first 16 KiB.
    pub response_body: Option<Vec<u8>>,
    /// Whether it has a row of its own: each that failed, and a success where its answer is to be kept. Any other success
    /// is told from its delivery.
    pub keep: bool,
}

impl AttemptLog {
    /// The same, with the answer sealed, if there is one, and a key: see
    /// [`PayloadKeys::sealing`](crate::payload_key::PayloadKeys::sealing).
    #[must_use]
    pub fn sealed(self, key: Option<&DataKey>, (tenant, delivery): (TenantId, DeliveryId)) -> Self {
        let (Some(key), true) = (key, self.has_answer()) else { return self };
        let of = Owner::Answer(tenant, delivery, self.number);
        let (headers, body) = (self.response_headers.as_deref(), self.response_body.as_deref());
        let sealed = of.seal(key, headers.unwrap_or_default(), body.unwrap_or_default());
        Self { response_headers: Some(SEALED.to_owned()), response_body: Some(sealed), ..self }
    }

    /// Whether something of what was answered is kept.
    #[must_use]
    pub const fn has_answer(&self) -> bool {
        self.response_headers.is_some() || self.response_body.is_some()
    }

    /// The same, without it.
    #[must_use]
    pub fn without_answer(self) -> Self {
        Self { response_headers: None, response_body: None, ..self }
    }
}

/// What is written about one row.
#[derive(Debug, Clone)]
pub enum Change {
    /// It is over: the pending row becomes a delivery row.
    Finish {
        state: State,
        reason: Option<String>,
        /// None: as many as the row says, where no attempt led to this end.
        last: Option<AttemptLog>,
    },
    /// It is tried again at `due_at`.
    Reschedule { due_at: i64, last: AttemptLog },
    /// It waits for its destination, off the clock.
    Park,
    /// It is due then, its attempts as they are.
    Move { due_at: i64 },
}

impl Change {
    /// When the row is due from now on; parked where it does not matter.
    fn due_at(&self) -> i64 {
        match self {
            Self::Reschedule { due_at, .. } | Self::Move { due_at } => *due_at,
            Self::Park | Self::Finish { .. } => relay::clock::NEVER,
        }
    }

    /// Whether something came of the delivery or of an attempt of it.
    #[must_use]
    pub fn is_an_outcome(&self) -> bool {
        matches!(self, Self::Finish { .. } | Self::Reschedule { .. })
    }

    /// The attempt that led to this.
    pub(crate) fn last(&self) -> Option<&AttemptLog> {
        match self {
            Self::Finish { last, .. } => last.as_ref(),
            Self::Reschedule { last, .. } => Some(last),
            Self::Park | Self::Move { .. } => None,
        }
    }
}

/// One row and what is written about it.
#[derive(Debug, Clone)]
pub struct Write {
    pub row: Row,
    pub change: Change,
    /// The command that this carries out; it is deleted in the same statement, so that it is carried out once.
    pub command: Option<i64>,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is committed.
    Done,
    /// The shard is ours but the row is not there: it was written before.
    Gone,
    /// The shard has another owner or epoch; nothing was written.
    Fenced,
}

/// Writes a batch, no two of the same row. The answers stand in the batch's order.
///
/// On PostgreSQL the commit does not wait for the disk: a crash of the database may undo it (rule B).
pub async fn write(db: &Database, owner: Uuid, batch: &[Write], now: i64) -> Result<Vec<Fate>, DbErr> {
    if db.is_sqlite() {
        sqlite::write(db, owner, batch, now).await
    } else {
        postgres::write(db, owner, batch, now).await
    }
}

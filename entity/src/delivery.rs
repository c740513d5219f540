//! One event on its way to one destination because of one subscription: unfinished ones are `pending` rows, finished
//! ones `delivery` rows; a row keeps its id when it moves.

use relay::id::DestinationId;

mod list;

pub use list::{Filter, Row, find, search, these};

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    Pending,
    Delivered,
    Failed,
    Filtered,
    Cancelled,
}

impl State {
    /// As finished rows store it.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16
    }

    /// As the API has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Filtered => "filtered",
            Self::Cancelled => "cancelled",
        }
    }

    /// What a stored number means; what a newer version wrote reads as failed.
    #[must_use]
    pub fn from_number(number: i16) -> Self {
        match number {
            0 => Self::Pending,
            1 => Self::Delivered,
            3 => Self::Filtered,
            4 => Self::Cancelled,
            _ => Self::Failed,
        }
    }
}

/// Why a delivery exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// Its event was accepted while the subscription matched.
    Event,
    /// Somebody asked for the event once more.
    Replay,
    /// Somebody asked for a finished delivery once more.
    Retry,
    /// A test of the destination.
    Test,
}

impl Trigger {
    /// As rows store it. 0 is what partial indexes leave out.
    #[must_use]
    pub const fn number(self) -> i16 {
        self as i16
    }

    /// What a stored number means.
    #[must_use]
    pub fn from_number(number: i16) -> Self {
        match number {
            1 => Self::Replay,
            2 => Self::Retry,
            3 => Self::Test,
            _ => Self::Event,
        }
    }
}

/// How many shards there are; a worker owns whole shards.
pub const SHARDS: i16 = 64;

/// The shard of a destination: six random bits of its id, so it never changes and all shards fill alike.
#[must_use]
pub fn shard_of(destination: DestinationId) -> i16 {
    i16::from(destination.uuid().as_bytes()[15] & 63)
}

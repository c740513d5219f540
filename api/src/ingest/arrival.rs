//! A request at the front door, from its first byte to what is counted of it.

use std::time::Instant;

use relay::id::{EventId, Id};

use super::refusal::Refusal;
use crate::request::Asked;

/// When a request came, and under which name it is known.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) id: Id<Asked>,
    pub(super) began: Instant,
}

/// What a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CameTo {
    Stored(Stored),
    Handshake,
    /// Somebody asked whether there is anything here.
    Nothing,
    Refused(Refusal),
}

/// An event that is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    /// The id that the request would have.
    pub(super) own: EventId,
    /// The id that it has: that of the first, where it is a repeat.
    pub(super) known_as: EventId,
}

impl Stored {
    pub(super) fn is_repeat(self) -> bool {
        self.own != self.known_as
    }
}

impl Arrival {
    pub(super) fn at(now: i64) -> Self {
        Self { id: Id::at(now), began: Instant::now() }
    }
}

//! What a process remembers of a statement until it is answered.

use crate::statement::{Lease, Write};
use crate::worker::tickets::Ticket;

#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// What is due was asked for, under these leases.
    Load(Ticket, Vec<Lease>),
    TakeBack(Reading),
    Head(usize, Ticket, Lease),
    Discover(Lease),
    /// With the connection for leases that was open at that time.
    Write(Vec<Write>, Option<usize>),
    Renew(Renewal),
    /// By the worker's clock.
    Acquire {
        asked_at: i64,
    },
    Release {
        lease: Lease,
        connection: usize,
    },
    Look {
        began: i64,
    },
    /// The last change that was known when the setting was asked for.
    Fill {
        key: usize,
        seen: usize,
    },
    Ingest(Ingest),
    /// Nobody of ours waits for it.
    People,
}

/// A read of parked rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) destination: usize,
    pub(crate) ticket: Ticket,
    pub(crate) lease: Lease,
    pub(crate) limit: usize,
    /// No park was queued or unanswered when it began.
    pub(crate) is_clean: bool,
    /// How many parks there were until then.
    pub(crate) parks: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct Renewal {
    pub(crate) leases: Vec<Lease>,
    /// By the worker's clock.
    pub(crate) asked_at: i64,
    pub(crate) connection: usize,
    /// Writes that were acknowledged until then.
    pub(crate) stamp: usize,
}

/// An event that is being committed.
#[derive(Debug, Clone)]
pub(crate) struct Ingest {
    pub(crate) event: usize,
    pub(crate) deliveries: Vec<(usize, usize)>,
    /// The ticket of the worker in the same process, and what that held.
    pub(crate) ticket: Ticket,
    pub(crate) leases: Vec<Lease>,
}

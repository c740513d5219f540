//! What is asked of the database and what it answers; the things that both speak of.

use std::collections::BTreeSet;

/// Few, so that they meet.
pub(crate) const HOSTS: usize = 3;
pub(crate) const SHARDS: usize = 4;
pub(crate) const DESTINATIONS: usize = 6;
/// The first of the destinations want an order.
const LINES: usize = 2;
/// What can be set up: the destinations, then the credentials of sources.
pub(crate) const SETTINGS: usize = DESTINATIONS + 2;

pub(crate) const NEVER: i64 = i64::MAX;

/// A life of a worker process: it has another name after each start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) host: usize,
    pub(crate) life: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lease {
    pub(crate) shard: usize,
    pub(crate) epoch: u64,
}

/// An unfinished delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: usize,
    pub(crate) seq: usize,
    pub(crate) destination: usize,
    pub(crate) due_at: i64,
    pub(crate) attempts: usize,
}

impl Row {
    pub(crate) fn shard(&self) -> usize {
        shard_of(self.destination)
    }
}

pub(crate) fn shard_of(destination: usize) -> usize {
    destination % SHARDS
}

pub(crate) fn wants_an_order(destination: usize) -> bool {
    destination < LINES
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Finish,
    Reschedule { due_at: i64, attempts: usize },
    Park,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) id: usize,
    pub(crate) lease: Lease,
    pub(crate) change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// The row is not there: it was written before.
    Gone,
    /// The shard is another's.
    Fenced,
}

/// How something that people set up is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    Active,
    Paused,
    /// Deleted, or revoked.
    Gone,
}

#[derive(Debug, Clone)]
pub(crate) enum Statement {
    /// Deliveries with their destinations.
    Ingest {
        event: usize,
        deliveries: Vec<(usize, usize)>,
    },
    Write(Vec<Write>),
    /// What is due in these shards, each from a due time on.
    Due(Vec<(usize, i64)>),
    Parked {
        destination: usize,
        except: BTreeSet<usize>,
        limit: usize,
    },
    Head(usize),
    /// Destinations of a shard that have parked rows.
    Discover(usize),
    Renew(Vec<Lease>),
    Acquire {
        except: Vec<usize>,
    },
    Release(Lease),
    Changes(usize),
    Setting(usize),
    Change(usize, Setting),
}

#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// What it inserted.
    Ingested(Vec<Row>),
    Written(Vec<Fate>),
    Rows(Vec<Row>),
    Destinations(Vec<usize>),
    /// What is still held, and the fair share.
    Renewed(Vec<Lease>, usize),
    Acquired(Vec<Lease>),
    Released,
    /// Numbers and what changed.
    Changes(Vec<(usize, usize)>),
    Setting(Setting),
    Changed,
    /// The connection was lost: whether the statement ran is not known.
    Lost,
}

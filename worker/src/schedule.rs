//! Deciding what to send: everything this worker knows of its deliveries, in memory, without I/O. Whatever is here can
//! be rebuilt from the rows.
//!
//! The letters are the rules of the protocol: T (tickets), B (buried until durable), E (epochs), P (parked).

use std::collections::{HashMap, HashSet, VecDeque};

use entity::finish::{AttemptLog, Change, Row, Write};
use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId};

mod commands;
pub(crate) mod line;
mod parking;
mod ring;
#[cfg(test)]
mod simulation;
pub(crate) mod tickets;
mod writing;

use entity::delivery::State;
use line::{Gate, Line};
use ring::Ring;
use tickets::{Ticket, Tickets};

/// Requests in flight in this process.
pub(crate) const SLOTS: usize = 2_000;
/// Bodies in flight in this process, in bytes.
const BODIES: usize = 64 << 20;
/// Deliveries known in this process; beyond it nothing more is read.
const KNOWN: usize = 100_000;

/// A delivery to start, under the epoch of its load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) due: Due,
    pub(crate) epoch: i64,
}

/// How an attempt ended, as far as scheduling is concerned.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is over.
    Finished { state: State, reason: Option<String>, last: Option<AttemptLog> },
    /// It failed and is tried again.
    Again { due_at: i64, last: AttemptLog, overloaded: bool },
    /// The destination is paused or disabled: nothing was sent.
    Held,
    /// Our own fault with this one destination: it is left alone for a while.
    Stuck,
    /// Our own fault, or fenced: nothing is known to have been sent, and nothing is counted.
    Aborted,
}

/// What a command met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A write was queued; the command is done with it.
    Written,
    /// It must wait: the delivery is in flight or being written.
    Later,
    /// There is nothing left to do.
    Nothing,
}

#[derive(Debug)]
enum Place {
    Waiting,
    InFlight {
        due: Due,
        epoch: i64,
        /// How many changes of destinations had been heard of when it began.
        news: u64,
        cancelled: Option<String>,
    },
    /// A change of it is queued or under way.
    Writing {
        seq: Option<i64>,
    },
    /// Written at the `stamp`th acknowledgement, and invisible to reads that began before `until`. `redo`: the finish,
    /// until it is known to be durable.
    Buried {
        until: Ticket,
        stamp: u64,
        redo: Option<Box<Write>>,
    },
}

#[derive(Debug)]
struct Known {
    shard: i16,
    destination: DestinationId,
    place: Place,
}

impl Known {
    fn is_writing(&self) -> bool {
        matches!(self.place, Place::Writing { .. })
    }
}

#[derive(Debug)]
pub(crate) struct Schedule {
    known: HashMap<DeliveryId, Known>,
    lines: HashMap<DestinationId, Line>,
    ring: Ring,
    pub(crate) tickets: Tickets,
    /// In the order of their acknowledgements.
    buried: VecDeque<DeliveryId>,
    in_flight: usize,
    bodies: usize,
    /// Changes that nobody has begun to write.
    writes: Vec<Write>,
    /// Acknowledgements so far, and up to which of them the database has them on disk.
    stamp: u64,
    durable: u64,
    /// Shards that are being handed over: nothing starts there.
    draining: HashSet<i16>,
    /// Destinations that may have parked rows and may have room for them.
    hungry: VecDeque<DestinationId>,
    /// Destinations that are closed for a fault of ours.
    stuck: HashSet<DestinationId>,
    /// Changes of destinations heard of so far: a verdict from before one of them may be out of date.
    news: u64,
    /// Finishes are durable as soon as they are acknowledged (SQLite: the process dies with the disk's owner).
    at_once: bool,
}

impl Schedule {
    pub(crate) fn new(durable_at_once: bool) -> Self {
        Self {
            known: HashMap::new(),
            lines: HashMap::new(),
            ring: Ring::default(),
            tickets: Tickets::default(),
            buried: VecDeque::new(),
            in_flight: 0,
            bodies: 0,
            writes: Vec::new(),
            stamp: 0,
            durable: 0,
            draining: HashSet::new(),
            hungry: VecDeque::new(),
            stuck: HashSet::new(),
            news: 0,
            at_once: durable_at_once,
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether more rows may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.known.len() < KNOWN
    }

    /// A read that began with `ticket` returned this row of a shard that we own under `epoch`.
    pub(crate) fn offer(&mut self, due: Due, epoch: i64, ticket: Ticket) {
        if self.draining.contains(&due.shard) {
            return;
        }
        match self.known.get(&due.id).map(|known| &known.place) {
            None => self.enlist(due, epoch),
            Some(Place::Buried { until, .. }) if ticket < *until => {}
            Some(Place::Buried { redo: Some(write), .. }) => {
                // Rule B: the database lost the finish. It is written again, never sent again.
                let write = Write::clone(write);
                self.settle(due.id, write.change, write.row);
            }
            Some(Place::Buried { redo: None, .. }) => {
                self.known.remove(&due.id);
                self.enlist(due, epoch);
            }
            Some(Place::Waiting | Place::InFlight { .. } | Place::Writing { .. }) => {}
        }
    }

    fn enlist(&mut self, due: Due, epoch: i64) {
        let line =
            self.lines.entry(due.destination_id).or_insert_with(|| Line::new(Some(due.tenant_id), due.shard, epoch));
        line.tenant = Some(due.tenant_id);
        let is_parked = due.due_at == NEVER;
        if is_parked && line.gate == Gate::Closed {
            return;
        }
        if !is_parked && !line.has_room() {
            line.parks();
            self.hunger(due.destination_id);
            self.writes.push(Write { row: row(&due, epoch), change: Change::Park, command: None });
            self.place(&due, Place::Writing { seq: Some(due.seq) });
            return;
        }
        line.waiting.push_back(due);
        self.place(&due, Place::Waiting);
        self.ring_up(due.destination_id);
    }

    fn place(&mut self, due: &Due, place: Place) {
        self.known.insert(due.id, Known { shard: due.shard, destination: due.destination_id, place });
    }

    fn ring_up(&mut self, destination: DestinationId) {
        if let Some(line) = self.lines.get_mut(&destination)
            && !line.ringed
            && let Some(tenant) = line.tenant
            && line.can_start()
            && !self.draining.contains(&line.shard)
        {
            line.ringed = true;
            self.ring.push(tenant, destination);
        }
    }

    /// Takes what may start now: tenants in turn, a tenant's destinations in turn, within the process's limits.
    pub(crate) fn start(&mut self) -> Vec<Start> {
        let mut starts = Vec::new();
        while self.in_flight < SLOTS && self.bodies < BODIES {
            let Some(destination) = self.ring.next(SLOTS / 2) else { break };
            let Some(line) = self.lines.get_mut(&destination) else { continue };
            line.ringed = false;
            if self.draining.contains(&line.shard) || !line.can_start() {
                continue;
            }
            let Some(due) = line.waiting.pop_front() else { continue };
            line.in_flight += 1;
            let epoch = line.epoch;
            self.in_flight += 1;
            self.bodies += bytes(&due);
            self.ring.started(due.tenant_id);
            self.place(&due, Place::InFlight { due, epoch, news: self.news, cancelled: None });
            starts.push(Start { due, epoch });
            self.ring_up(destination);
        }
        starts
    }

    /// An attempt ended. One that is not in flight any more belongs to a shard that was lost: nothing follows.
    pub(crate) fn ended(&mut self, id: DeliveryId, epoch: i64, ended: Ended) {
        let Some(Known { place: Place::InFlight { due, epoch: started, news, cancelled }, .. }) =
            self.known.get_mut(&id)
        else {
            return;
        };
        if *started != epoch {
            return;
        }
        let (due, news, cancelled) = (*due, *news, cancelled.take());
        self.free(&due, epoch);
        let change = match (ended, cancelled) {
            (Ended::Finished { state, reason, last }, _) => {
                if state == State::Delivered {
                    self.with_line(due.destination_id, Line::widen);
                }
                Change::Finish { state, reason, last }
            }
            (Ended::Again { last, .. }, Some(reason)) => {
                Change::Finish { state: State::Cancelled, reason: Some(reason), last: Some(last) }
            }
            (Ended::Held | Ended::Stuck | Ended::Aborted, Some(reason)) => {
                Change::Finish { state: State::Cancelled, reason: Some(reason), last: None }
            }
            (Ended::Again { due_at, last, overloaded }, None) => {
                if overloaded {
                    self.with_line(due.destination_id, Line::narrow);
                }
                Change::Reschedule { due_at, last }
            }
            // Something changed since the attempt began, perhaps this very destination: it is asked again.
            (Ended::Held, None) if news != self.news => return self.again(due, epoch),
            (Ended::Held, None) => return self.held(due, epoch),
            (Ended::Stuck, None) => {
                self.stuck.insert(due.destination_id);
                return self.held(due, epoch);
            }
            (Ended::Aborted, None) => return self.again(due, epoch),
        };
        self.settle(id, change, row(&due, epoch));
        self.ring_up(due.destination_id);
    }

    fn free(&mut self, due: &Due, epoch: i64) {
        self.in_flight -= 1;
        self.bodies -= bytes(due);
        self.ring.ended(due.tenant_id);
        if let Some(line) = self.lines.get_mut(&due.destination_id).filter(|line| line.epoch == epoch) {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
    }

    fn with_line(&mut self, destination: DestinationId, change: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&destination) {
            change(line);
        }
    }

    /// Puts back at the head of its line what was not sent.
    fn again(&mut self, due: Due, epoch: i64) {
        let line =
            self.lines.entry(due.destination_id).or_insert_with(|| Line::new(Some(due.tenant_id), due.shard, epoch));
        if line.gate == Gate::Closed {
            return self.held(due, epoch);
        }
        line.waiting.push_front(due);
        self.place(&due, Place::Waiting);
        self.ring_up(due.destination_id);
    }
}

fn row(due: &Due, epoch: i64) -> Row {
    Row { tenant_id: due.tenant_id, id: due.id, shard: due.shard, epoch }
}

fn bytes(due: &Due) -> usize {
    usize::try_from(due.size).unwrap_or(0)
}

//! Deciding what to send: everything this worker knows of its deliveries, in memory, without I/O. Whatever is here can
//! be rebuilt from the rows.
//!
//! The letters are the rules of the protocol: T (tickets), B (buried until durable), E (epochs), F (lines in order),
//! P (parked).

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use entity::delivery::{State, Trigger};
use entity::finish::{AttemptLog, Change, Row, Write};
use entity::pending::{Due, Head};
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId};

pub(crate) mod asking;
pub(crate) mod breaker;
mod class;
mod commands;
#[cfg(test)]
mod fairness;
pub(crate) mod lanes;
pub(crate) mod line;
mod pace;
pub(crate) mod parked;
mod parking;
pub(crate) mod policy;
mod ring;
mod round;
#[cfg(test)]
mod simulation;
mod starting;
mod survey;
pub(crate) mod tickets;
mod writing;

use breaker::{Sign, Turn};
use class::Class;
use line::{Gate, Line, ROOMY, SPARE};
use ring::{Ring, Tally};
use round::Round;
use tickets::{Ticket, Tickets};

/// Deliveries known in this process; beyond it nothing more is read.
const KNOWN: usize = 100_000;

/// A delivery to start, under the epoch of its load.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) due: Due,
    pub(crate) epoch: i64,
    /// It finds out whether a disabled destination is well again: if not, it was no attempt.
    pub(crate) is_probe: bool,
}

/// How an attempt ended, as far as scheduling is concerned.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It is over.
    Finished { state: State, reason: Option<String>, last: Option<AttemptLog>, sign: Sign },
    /// It failed and is tried again.
    Again { due_at: i64, last: AttemptLog, overloaded: bool, sign: Sign },
    /// The destination is gone for good, as it says: it is tried again when a person says so.
    Gone { last: AttemptLog },
    /// The destination is paused or disabled, or a probe failed: nothing is written.
    Held,
    /// Our own fault with this one destination: it is left alone for a while.
    Stuck,
    /// Our own fault with this one delivery, or it is another by now: it is tried again then, and nothing is counted.
    PutOff { due_at: i64 },
    /// Our own fault, or fenced: nothing is known to have been sent, and nothing is counted.
    Aborted,
}

impl Ended {
    pub(crate) fn sign(&self) -> Sign {
        match self {
            Self::Finished { sign, .. } | Self::Again { sign, .. } => *sign,
            Self::Gone { .. } => Sign::Refusal,
            Self::Held | Self::Stuck | Self::PutOff { .. } | Self::Aborted => Sign::None,
        }
    }
}

/// What a command met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A write was queued; the command is done with it.
    Written,
    /// It must wait for a moment: the delivery is being written.
    Later,
    /// It must wait: the delivery is in flight. What is wanted is known there.
    UnderWay,
    /// There is nothing left to do.
    Nothing,
}

#[derive(Debug)]
enum Place {
    Waiting,
    InFlight {
        due: Due,
        epoch: i64,
        class: Class,
        /// How many changes of destinations had been heard of when it began.
        news: u64,
        cancelled: Option<String>,
        /// See [`Start::is_probe`].
        is_probe: bool,
    },
    /// A change of it is queued or under way.
    Writing {
        /// It is only parked, and will be found so.
        park: Option<Park>,
    },
    /// Written at the `stamp`th acknowledgement, and invisible to reads that began before `until`. `redo`: the finish,
    /// until it is known to be durable.
    Buried {
        until: Ticket,
        stamp: u64,
        redo: Option<Box<Write>>,
    },
}

/// How a parked row is found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Park {
    /// Among those of its class, by its place in line.
    At(Class, i64),
    /// It stands behind others of its line, and comes after them.
    Behind,
    /// By a scan for lines that are not kept in mind.
    Unlined,
}

#[derive(Debug)]
struct Known {
    shard: i16,
    destination: DestinationId,
    order_key: Option<i32>,
    /// It stands in no line, whatever order is wanted.
    is_test: bool,
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
    /// The present by the boot-time clock, and in milliseconds since 1970.
    now: Duration,
    present: i64,
    /// In the order of their acknowledgements.
    buried: VecDeque<DeliveryId>,
    in_flight: usize,
    bodies: usize,
    /// Tests of destinations: they stand in no line.
    tests: Round<(Due, i64)>,
    tests_in_flight: Tally,
    /// Changes that nobody has begun to write.
    writes: VecDeque<Write>,
    /// Rows that are only parked: what came of others goes first.
    parks: VecDeque<Write>,
    /// One of them keeps a line waiting.
    waited_for: bool,
    /// Acknowledgements so far, and up to which of them the database has them on disk.
    stamp: u64,
    durable: u64,
    /// How often the database may have forgotten something, and after how many of these the last batch was sent.
    doubts: u64,
    sent_after: u64,
    /// Since when each shard is ours.
    held_since: HashMap<i16, Duration>,
    /// Shards that are being handed over: nothing starts there.
    draining: HashSet<i16>,
    /// Destinations whose policy is to be asked for, and how often anyone was asked.
    unasked: VecDeque<DestinationId>,
    asks: u64,
    /// Destinations that may have parked rows and may have room for them.
    hungry: VecDeque<DestinationId>,
    /// Rule F: lines whose head is to be read.
    dirty: VecDeque<Head>,
    /// Destinations that are looked at again at a time of their own.
    alarms: BTreeSet<(Duration, DestinationId)>,
    /// Disabled destinations, each with the time (milliseconds since 1970) of its next probe.
    probes: BTreeSet<(i64, DestinationId)>,
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
            ring: Ring::new(starting::SLOTS),
            tickets: Tickets::default(),
            now: Duration::ZERO,
            present: 0,
            buried: VecDeque::new(),
            in_flight: 0,
            bodies: 0,
            tests: Round::default(),
            tests_in_flight: Tally::default(),
            writes: VecDeque::new(),
            parks: VecDeque::new(),
            waited_for: false,
            stamp: 0,
            durable: 0,
            doubts: 0,
            sent_after: 0,
            held_since: HashMap::new(),
            draining: HashSet::new(),
            unasked: VecDeque::new(),
            asks: 0,
            hungry: VecDeque::new(),
            dirty: VecDeque::new(),
            alarms: BTreeSet::new(),
            probes: BTreeSet::new(),
            stuck: HashSet::new(),
            news: 0,
            at_once: durable_at_once,
        }
    }

    /// It is so late now.
    pub(crate) fn at(&mut self, now: Duration, present: i64) {
        (self.now, self.present) = (now, present);
    }

    /// The shard is ours from now on: what its former owner sent just before is not known here.
    pub(crate) fn hold(&mut self, shard: i16) {
        self.held_since.insert(shard, self.now);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Where a delivery goes that is being written, or known otherwise.
    pub(crate) fn destination_of(&self, id: DeliveryId) -> Option<DestinationId> {
        self.known.get(&id).map(|known| known.destination)
    }

    /// Whether more rows may be read.
    pub(crate) fn has_room(&self) -> bool {
        self.known.len() < KNOWN
    }

    /// How many rows of a destination may wait in memory beyond its window.
    fn spare(&self) -> usize {
        let unfinished = self.known.len().saturating_sub(self.buried.len());
        if unfinished < KNOWN / 2 { ROOMY } else { SPARE }
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
                self.redo(due.id, write);
            }
            Some(Place::Buried { redo: None, .. }) => {
                self.known.remove(&due.id);
                self.enlist(due, epoch);
            }
            Some(Place::Waiting | Place::InFlight { .. } | Place::Writing { .. }) => {}
        }
    }

    fn enlist(&mut self, due: Due, epoch: i64) {
        if due.trigger == Trigger::Test {
            self.tests.push(due.tenant_id, (due, epoch));
            return self.place(&due, Place::Waiting);
        }
        let spare = self.spare();
        let line = self.line(&due, epoch);
        let (lane, class) = (line.lane_of(due.order_key), line.class_of(&due));
        if line.gate == Gate::Closed {
            let park = lane.map_or(Park::At(class, due.seq), |_| Park::Unlined);
            return self.park(&due, epoch, park);
        }
        if let Some(lane) = lane {
            return self.stand_in(due, lane, epoch);
        }
        if due.due_at != NEVER && !line.has_room(class, spare) {
            return self.park(&due, epoch, Park::At(class, due.seq));
        }
        line.push(due);
        self.place(&due, Place::Waiting);
        self.ring_up(due.destination_id);
    }

    /// The line of a row's destination; a new one begins by asking for its policy.
    fn line(&mut self, due: &Due, epoch: i64) -> &mut Line {
        let since = self.held_since.get(&due.shard).copied().unwrap_or_default();
        let unasked = &mut self.unasked;
        self.lines.entry(due.destination_id).or_insert_with(|| {
            unasked.push_back(due.destination_id);
            Line::new(due.tenant_id, due.shard, epoch, since)
        })
    }

    fn place(&mut self, due: &Due, place: Place) {
        let (shard, destination, order_key) = (due.shard, due.destination_id, due.order_key);
        let is_test = due.trigger == Trigger::Test;
        self.known.insert(due.id, Known { shard, destination, order_key, is_test, place });
    }

    /// An attempt ended. One that is not in flight any more belongs to a shard that was lost: nothing follows.
    pub(crate) fn ended(&mut self, id: DeliveryId, epoch: i64, ended: Ended) {
        let Some(Place::InFlight { due, epoch: started, class, news, cancelled, is_probe }) =
            self.known.get_mut(&id).map(|known| &mut known.place)
        else {
            return;
        };
        if *started != epoch {
            return;
        }
        let (due, class, news, cancelled, is_probe) = (*due, *class, *news, cancelled.take(), *is_probe);
        self.free(&due, class, epoch);
        self.signed(&due, ended.sign());
        let change = match (ended, cancelled) {
            (Ended::Finished { state, reason, last, .. }, _) => Change::Finish { state, reason, last },
            (Ended::Again { last, .. } | Ended::Gone { last }, Some(reason)) => {
                Change::Finish { state: State::Cancelled, reason: Some(reason), last: Some(last) }
            }
            (Ended::Held | Ended::Stuck | Ended::PutOff { .. } | Ended::Aborted, Some(reason)) => {
                Change::Finish { state: State::Cancelled, reason: Some(reason), last: None }
            }
            (Ended::Again { due_at, last, overloaded, .. }, None) => {
                if overloaded {
                    self.with_line(due.destination_id, Line::narrow);
                }
                Change::Reschedule { due_at, last }
            }
            (Ended::PutOff { due_at }, None) => Change::Move { due_at },
            (Ended::Gone { last }, None) => {
                self.close(due.destination_id);
                Change::Reschedule { due_at: NEVER, last }
            }
            // It is parked as it was.
            (ended @ (Ended::Held | Ended::Stuck | Ended::Aborted), None) if is_probe => {
                return self.unproven(&due, !matches!(ended, Ended::Aborted));
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

    fn free(&mut self, due: &Due, class: Class, epoch: i64) {
        self.leave(due, class);
        if let Some(line) = self.lines.get_mut(&due.destination_id).filter(|line| line.epoch == epoch)
            && due.trigger != Trigger::Test
        {
            line.in_flight = line.in_flight.saturating_sub(1);
        }
    }

    /// One less is in flight.
    fn leave(&mut self, due: &Due, class: Class) {
        self.in_flight -= 1;
        self.bodies -= bytes(due);
        if due.trigger == Trigger::Test {
            self.tests_in_flight.subtract(due.tenant_id);
            self.tests.readmit(due.tenant_id);
        }
        self.ring.ended(due.tenant_id, class);
    }

    /// What the attempt says of its destination.
    fn signed(&mut self, due: &Due, sign: Sign) {
        let now = self.now;
        let Some(line) = self.lines.get_mut(&due.destination_id) else { return };
        if sign == Sign::Well {
            line.widen();
        }
        match line.breaker.ended(due.id, sign, now) {
            Turn::Opened => {
                breaker::count();
                tracing::info!(destination.id = %due.destination_id, "a destination is left alone for a while");
            }
            Turn::Closed => line.go_carefully(),
            Turn::Nothing => {}
        }
    }

    fn with_line(&mut self, destination: DestinationId, change: impl FnOnce(&mut Line)) {
        if let Some(line) = self.lines.get_mut(&destination) {
            change(line);
        }
    }

    /// Puts back at the head of its line what was not sent.
    fn again(&mut self, due: Due, epoch: i64) {
        if due.trigger == Trigger::Test {
            self.tests.push(due.tenant_id, (due, epoch));
            return self.place(&due, Place::Waiting);
        }
        let line = self.line(&due, epoch);
        if line.gate == Gate::Closed {
            return self.held(due, epoch);
        }
        line.push_front(due);
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

//! Deciding what to send: everything this worker knows of its deliveries, in memory, without I/O. Whatever is here can
//! be rebuilt from the rows.
//!
//! The letters are the rules of the protocol: T (tickets), B (buried until durable), E (epochs), P (parked).

use std::collections::{HashMap, HashSet, VecDeque};

use entity::finish::{AttemptLog, Change, Fate, Row, Write};
use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId};

pub(crate) mod line;
mod ring;
#[cfg(test)]
mod simulation;
pub(crate) mod tickets;

use entity::delivery::State;
use line::{Gate, Line, Reading};
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
    hungry: HashSet<DestinationId>,
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
            hungry: HashSet::new(),
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
            self.hungry.insert(due.destination_id);
            self.writes.push(Write { row: row(&due, epoch), change: Change::Park });
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
            self.place(&due, Place::InFlight { due, epoch, cancelled: None });
            starts.push(Start { due, epoch });
            self.ring_up(destination);
        }
        starts
    }

    /// An attempt ended. One that is not in flight any more belongs to a shard that was lost: nothing follows.
    pub(crate) fn ended(&mut self, id: DeliveryId, epoch: i64, ended: Ended) {
        let Some(Known { place: Place::InFlight { due, epoch: started, cancelled }, .. }) = self.known.get_mut(&id)
        else {
            return;
        };
        if *started != epoch {
            return;
        }
        let (due, cancelled) = (*due, cancelled.take());
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
            (Ended::Held | Ended::Aborted, Some(reason)) => {
                Change::Finish { state: State::Cancelled, reason: Some(reason), last: None }
            }
            (Ended::Again { due_at, last, overloaded }, None) => {
                if overloaded {
                    self.with_line(due.destination_id, Line::narrow);
                }
                Change::Reschedule { due_at, last }
            }
            (Ended::Held, None) => return self.held(due, epoch),
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

    /// Its destination takes nothing now: the line closes, and what waits in it is parked.
    fn held(&mut self, due: Due, epoch: i64) {
        self.known.remove(&due.id);
        self.close(due.destination_id);
        let parked = due.due_at == NEVER;
        if !parked {
            self.enlist(due, epoch);
        }
    }

    fn close(&mut self, destination: DestinationId) {
        let Some(line) = self.lines.get_mut(&destination) else { return };
        line.gate = Gate::Closed;
        line.parked.maybe = true;
        line.parked.after = 0;
        let (waiting, epoch) = (std::mem::take(&mut line.waiting), line.epoch);
        for due in waiting {
            self.known.remove(&due.id);
            self.enlist(due, epoch);
        }
    }

    /// Puts back at the head of its line what was not sent.
    fn again(&mut self, due: Due, epoch: i64) {
        let line =
            self.lines.entry(due.destination_id).or_insert_with(|| Line::new(Some(due.tenant_id), due.shard, epoch));
        line.waiting.push_front(due);
        self.place(&due, Place::Waiting);
        self.ring_up(due.destination_id);
    }

    fn settle(&mut self, id: DeliveryId, change: Change, row: Row) {
        if let Some(known) = self.known.get_mut(&id) {
            known.place = Place::Writing { seq: None };
        }
        self.writes.push(Write { row, change });
    }

    /// The destination's settings or state changed: it is asked anew.
    pub(crate) fn reopen(&mut self, destination: DestinationId) {
        if let Some(line) = self.lines.get_mut(&destination)
            && line.gate == Gate::Closed
        {
            line.gate = Gate::Open;
            line.parked.maybe = true;
            line.parked.after = 0;
            self.hungry.insert(destination);
            self.ring_up(destination);
        }
    }

    /// Everything may have changed.
    pub(crate) fn reopen_all(&mut self) {
        let closed: Vec<_> =
            self.lines.iter().filter(|(_, line)| line.gate == Gate::Closed).map(|(id, _)| *id).collect();
        closed.into_iter().for_each(|destination| self.reopen(destination));
    }

    /// Rule D: a destination of this shard has parked rows, whatever we knew of it.
    pub(crate) fn discovered(&mut self, destination: DestinationId, shard: i16, epoch: i64) {
        let line = self.lines.entry(destination).or_insert_with(|| Line::new(None, shard, epoch));
        line.parked.maybe = true;
        self.hungry.insert(destination);
    }

    /// The reads of parked rows that are worth starting, each with its ticket.
    pub(crate) fn take_back(&mut self, most: usize) -> Vec<(DestinationId, i16, Reading, Ticket)> {
        let mut reads = Vec::new();
        if !self.has_room() {
            return reads;
        }
        for destination in std::mem::take(&mut self.hungry) {
            let Some(line) = self.lines.get_mut(&destination) else { continue };
            if self.draining.contains(&line.shard) || line.gate == Gate::Closed || !line.parked.maybe {
                continue;
            }
            match if reads.len() < most { line.wants() } else { None } {
                Some(reading) => reads.push((destination, line.shard, reading, self.tickets.take())),
                None => drop(self.hungry.insert(destination)),
            }
        }
        reads
    }

    /// A read of parked rows returned; None: it failed.
    pub(crate) fn took_back(
        &mut self,
        destination: DestinationId,
        reading: Reading,
        ticket: Ticket,
        rows: Option<Vec<Due>>,
    ) {
        if let Some(rows) = &rows {
            let epoch = self.lines.get(&destination).map(|line| line.epoch);
            for due in rows {
                if let Some(epoch) = epoch {
                    self.offer(*due, epoch, ticket);
                }
            }
        }
        self.tickets.close(ticket);
        if let Some(line) = self.lines.get_mut(&destination) {
            match rows {
                Some(rows) => line.took_back(reading, rows.last().map(|due| due.seq), rows.len()),
                None => line.parked.reading = false,
            }
            self.hungry.insert(destination);
        }
        self.retire(destination);
    }

    /// Up to `most` changes that are to be written now.
    pub(crate) fn writes(&mut self, most: usize) -> Vec<Write> {
        let many = self.writes.len().min(most);
        self.writes.drain(..many).collect()
    }

    /// Whether changes wait to be written.
    pub(crate) fn has_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Changes that could not be written stand first in line again.
    pub(crate) fn unwritten(&mut self, mut batch: Vec<Write>) {
        batch.append(&mut self.writes);
        self.writes = batch;
    }

    /// A change that the database refuses for its own sake stands last in line.
    pub(crate) fn write_later(&mut self, mut batch: Vec<Write>) {
        self.writes.append(&mut batch);
    }

    /// A batch was acknowledged. What was fenced is returned: it is kept until a renewal says whose the shard is (rule R).
    pub(crate) fn written(&mut self, batch: Vec<Write>, fates: &[Fate]) -> Vec<Write> {
        self.stamp += 1;
        if self.at_once {
            self.durable = self.stamp;
        }
        let until = self.tickets.bound();
        let mut fenced = Vec::new();
        for (write, fate) in batch.into_iter().zip(fates) {
            if *fate == Fate::Fenced {
                fenced.push(write);
                continue;
            }
            let Some(known) = self.known.get_mut(&write.row.id) else { continue };
            if let Place::Writing { seq: Some(seq) } = known.place
                && let Some(line) = self.lines.get_mut(&known.destination)
            {
                line.parked_at(seq);
            }
            let id = write.row.id;
            let redo = (!self.at_once && matches!(write.change, Change::Finish { .. })).then(|| Box::new(write));
            known.place = Place::Buried { until, stamp: self.stamp, redo };
            self.buried.push_back(id);
        }
        self.dig_up();
        fenced
    }

    /// How many acknowledgements there were: what a renewal that starts now can vouch for.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// Rule B: a durable commit on an old connection came after the first `stamp` acknowledgements.
    pub(crate) fn durable(&mut self, stamp: u64) {
        self.durable = self.durable.max(stamp);
        self.dig_up();
    }

    /// Rule B: the database may have lost what was acknowledged and not yet durable; it is written again.
    pub(crate) fn rewrite(&mut self) {
        let durable = self.durable;
        let mut writes = Vec::new();
        for known in self.known.values_mut() {
            if let Place::Buried { stamp, redo: Some(write), .. } = &known.place
                && *stamp > durable
            {
                writes.push(Write::clone(write));
                known.place = Place::Writing { seq: None };
            }
        }
        self.writes.append(&mut writes);
    }

    /// Forgets what no read can return any more.
    pub(crate) fn dig_up(&mut self) {
        while let Some(id) = self.buried.front() {
            let Some(Known { place: Place::Buried { until, stamp, redo }, .. }) = self.known.get_mut(id) else {
                // Written anew, or its shard is gone.
                self.buried.pop_front();
                continue;
            };
            if redo.is_some() && *stamp > self.durable || !self.tickets.are_closed_before(*until) {
                break;
            }
            let id = *id;
            self.buried.pop_front();
            if let Some(known) = self.known.remove(&id) {
                self.retire(known.destination);
            }
        }
    }

    fn retire(&mut self, destination: DestinationId) {
        if self.lines.get(&destination).is_some_and(Line::is_idle) {
            self.lines.remove(&destination);
        }
    }

    /// Cancels a delivery of one of our shards; one in flight ends with its true outcome.
    pub(crate) fn cancel(&mut self, row: Row, reason: &str) -> Met {
        match self.known.get_mut(&row.id).map(|known| &mut known.place) {
            Some(Place::InFlight { cancelled, .. }) => {
                *cancelled = Some(reason.to_owned());
                return Met::Later;
            }
            Some(Place::Writing { .. }) => return Met::Later,
            Some(Place::Buried { redo: Some(_), .. }) => return Met::Nothing,
            Some(Place::Waiting) => self.unlist(row.id),
            Some(Place::Buried { redo: None, .. }) | None => {}
        }
        let change = Change::Finish { state: State::Cancelled, reason: Some(reason.to_owned()), last: None };
        self.command(row, change)
    }

    /// Makes a delivery due now, if it waits for its time.
    pub(crate) fn try_now(&mut self, row: Row, now: i64) -> Met {
        match self.known.get(&row.id).map(|known| &known.place) {
            Some(Place::Writing { .. }) => Met::Later,
            Some(Place::Buried { redo: None, .. }) | None => self.command(row, Change::BringForward { due_at: now }),
            Some(Place::Waiting | Place::InFlight { .. } | Place::Buried { redo: Some(_), .. }) => Met::Nothing,
        }
    }

    fn command(&mut self, row: Row, change: Change) -> Met {
        let destination = self.known.get(&row.id).map_or_else(|| uuid_of(row.id), |known| known.destination);
        self.known.insert(row.id, Known { shard: row.shard, destination, place: Place::Writing { seq: None } });
        self.writes.push(Write { row, change });
        Met::Written
    }

    fn unlist(&mut self, id: DeliveryId) {
        let Some(known) = self.known.get(&id) else { return };
        if let Some(line) = self.lines.get_mut(&known.destination) {
            line.waiting.retain(|due| due.id != id);
        }
    }

    /// Rule H: nothing more starts in this shard.
    pub(crate) fn drain(&mut self, shard: i16) {
        self.draining.insert(shard);
    }

    /// Whether nothing of this shard is in flight or unwritten.
    pub(crate) fn is_drained(&self, shard: i16) -> bool {
        !self
            .known
            .values()
            .any(|known| known.shard == shard && matches!(known.place, Place::InFlight { .. } | Place::Writing { .. }))
    }

    /// Rule R: the shard has another owner. All of its memory goes at once; its requests are aborted by their fence.
    pub(crate) fn forget(&mut self, shard: i16) {
        let lost: Vec<Due> = self
            .known
            .values()
            .filter(|known| known.shard == shard)
            .filter_map(|known| if let Place::InFlight { due, .. } = &known.place { Some(*due) } else { None })
            .collect();
        for due in lost {
            self.in_flight -= 1;
            self.bodies -= bytes(&due);
            self.ring.ended(due.tenant_id);
        }
        self.known.retain(|_, known| known.shard != shard);
        self.lines.retain(|_, line| line.shard != shard);
        self.writes.retain(|write| write.row.shard != shard);
        self.draining.remove(&shard);
    }
}

fn row(due: &Due, epoch: i64) -> Row {
    Row { tenant_id: due.tenant_id, id: due.id, shard: due.shard, epoch }
}

fn bytes(due: &Due) -> usize {
    usize::try_from(due.size).unwrap_or(0)
}

/// A place-holder where the destination is not known and does not matter: no line has a delivery's id.
fn uuid_of(id: DeliveryId) -> DestinationId {
    id.uuid().into()
}

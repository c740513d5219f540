//! Rule F: lines within a destination that wants an order. What comes due only marks its line; who is first is read from
//! the database, whatever its due time, by a statement that begins after the mark, and the next one only after the first
//! one's end or next try is committed.

use std::collections::HashMap;

use entity::finish::Write;
use entity::pending::{Due, Head};
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId};

use super::line::Gate;
use super::policy::Ordering;
use super::tickets::Ticket;
use super::{Known, Park, Place, Schedule};

/// Lines of one destination that are kept in mind; the rows of others are parked, and found by a scan. The simulation has
/// more lines than it keeps.
const MOST: usize = if cfg!(test) { 3 } else { 1_000 };

/// One line, for as long as something is known of it.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    /// Its rows that are about to be sent, in flight, or being written: one, unless the order was another before.
    busy: Vec<DeliveryId>,
    /// Its head is to be read, as soon as nothing of it is on its way.
    dirty: bool,
    /// It stands among those whose heads are read next.
    queued: bool,
    /// A read of its head is under way.
    reading: bool,
    /// Its head waits for its time, at this place in line: whoever stands behind it waits as well.
    resting: Option<i64>,
    /// The first place in line that came due since the last read began: whoever stands behind it is not the head.
    first: Option<i64>,
}

/// Heads that are being read, each with the epoch of its line (rule E).
pub(crate) type Wanted = Vec<(Head, i64)>;

impl Lane {
    /// Nothing is lost with it: whoever comes due asks anew who is first.
    pub(crate) fn is_forgettable(&self) -> bool {
        self.busy.is_empty() && !self.dirty && !self.reading
    }

    /// Nobody waits behind its head either: whoever does would be looked for in vain, were its destination to want another
    /// order by then.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_forgettable() && self.resting.is_none()
    }

    /// Whether somebody stands before this place.
    fn is_ahead_of(&self, seq: i64) -> bool {
        !self.busy.is_empty() || [self.resting, self.first].into_iter().flatten().any(|ahead| ahead < seq)
    }
}

impl Schedule {
    /// A row came due in a line: it marks the line if it may be the first, and is parked if it is not.
    pub(super) fn stand_in(&mut self, due: Due, line: i32, epoch: i64) {
        let Some(found) = self.lines.get_mut(&due.destination_id) else { return };
        if found.lanes.len() >= MOST && !found.lanes.contains_key(&line) {
            found.lanes.retain(|_, lane| !lane.is_forgettable());
        }
        if found.lanes.len() >= MOST && !found.lanes.contains_key(&line) {
            return self.park(&due, epoch, Park::Unlined);
        }
        let lane = found.lanes.entry(line).or_default();
        if lane.is_ahead_of(due.seq) {
            return self.park(&due, epoch, Park::Behind);
        }
        (lane.first, lane.resting) = (Some(due.seq), None);
        self.mark(due.destination_id, line);
    }

    /// The head of this line is to be read, by a statement that begins from now on.
    pub(super) fn mark(&mut self, destination: DestinationId, line: i32) {
        if let Some(lane) = self.lines.get_mut(&destination).and_then(|found| found.lanes.get_mut(&line)) {
            lane.dirty = true;
            self.queue(destination, line);
        }
    }

    /// A marked line whose time has come.
    fn queue(&mut self, destination: DestinationId, line: i32) {
        if let Some(lane) = self.lines.get_mut(&destination).and_then(|found| found.lanes.get_mut(&line))
            && lane.dirty
            && !lane.queued
            && !lane.reading
            && lane.busy.is_empty()
        {
            lane.queued = true;
            self.dirty.push_back(Head { destination, line });
        }
    }

    /// A line of a destination has rows, whatever was known of it.
    pub(super) fn open_lane(&mut self, destination: DestinationId, line: i32) {
        if let Some(found) = self.lines.get_mut(&destination) {
            found.lanes.entry(line).or_default();
            self.mark(destination, line);
        }
    }

    /// The heads that are to be read now, at most so many, with the ticket of their statement.
    pub(crate) fn wanted_heads(&mut self, most: usize) -> Option<(Wanted, Ticket)> {
        let mut wanted = Wanted::new();
        while wanted.len() < most
            && let Some(head) = self.dirty.pop_front()
        {
            let Some(line) = self.lines.get_mut(&head.destination) else { continue };
            let is_open = line.gate == Gate::Open && !self.draining.contains(&line.shard);
            let Some(lane) = line.lanes.get_mut(&head.line) else { continue };
            lane.queued = false;
            if !lane.dirty || lane.reading || !lane.busy.is_empty() {
                continue;
            }
            if !is_open {
                // When it opens, its lines are looked for anew.
                line.lanes.remove(&head.line);
                continue;
            }
            // What was known of who is first is told anew.
            (lane.dirty, lane.reading, lane.first, lane.resting) = (false, true, None, None);
            wanted.push((head, line.epoch));
        }
        (!wanted.is_empty()).then(|| (wanted, self.tickets.take()))
    }

    /// A read of heads returned; None: it failed.
    pub(crate) fn headed(&mut self, wanted: Wanted, ticket: Ticket, found: Option<Vec<(Head, Due)>>) {
        let mut firsts: Option<HashMap<Head, Due>> = found.map(|found| found.into_iter().collect());
        for (head, epoch) in wanted {
            let Some(line) = self.lines.get_mut(&head.destination).filter(|line| line.epoch == epoch) else { continue };
            let Some(lane) = line.lanes.get_mut(&head.line) else { continue };
            lane.reading = false;
            let Some(firsts) = &mut firsts else {
                self.mark(head.destination, head.line);
                continue;
            };
            match firsts.remove(&head) {
                Some(due) => self.first_in_line(due, head.line, epoch, ticket),
                None if lane.is_forgettable() => drop(line.lanes.remove(&head.line)),
                None => {}
            }
            self.queue(head.destination, head.line);
            self.retire(head.destination);
        }
        self.tickets.close(ticket);
    }

    /// This row is the first of its line, as a statement saw it that began with `ticket`.
    pub(super) fn first_in_line(&mut self, due: Due, line: i32, epoch: i64, ticket: Ticket) {
        match self.known.get(&due.id).map(|known| &known.place) {
            None => {}
            // What was read is older than what was written: it is read anew.
            Some(Place::Buried { until, .. }) if ticket < *until => return self.mark(due.destination_id, line),
            Some(Place::Buried { redo: Some(write), .. }) => {
                // Rule B: the database lost its end, which is written again.
                let write = Write::clone(write);
                return self.redo(due.id, write);
            }
            // It stays buried until it is placed anew: an older read may still return it as it was.
            Some(Place::Buried { redo: None, .. }) => {}
            // It goes already, or it is just being parked: then the line is marked when that is written.
            Some(Place::Waiting | Place::InFlight { .. } | Place::Writing { .. }) => return,
        }
        let Some(found) = self.lines.get_mut(&due.destination_id).filter(|found| found.gate == Gate::Open) else {
            return;
        };
        let Some(lane) = found.lanes.get_mut(&line).filter(|lane| lane.busy.is_empty()) else { return };
        if due.due_at != NEVER && due.due_at > self.present {
            lane.resting = Some(due.seq);
            return;
        }
        lane.resting = None;
        debug_assert_eq!(found.epoch, epoch);
        found.push(due);
        self.engage(due.id, due.destination_id, due.order_key);
        self.place(&due, Place::Waiting);
        self.ring_up(due.destination_id);
    }

    /// A row is on its way: its line, if it stands in one, waits until that is written.
    pub(super) fn engage(&mut self, id: DeliveryId, destination: DestinationId, order_key: Option<i32>) {
        if let Some(found) = self.lines.get_mut(&destination)
            && let Some(line) = found.lane_of(order_key)
        {
            found.lanes.entry(line).or_default().busy.push(id);
        }
    }

    /// A row is on its way no longer: the next head of its line is read from now on.
    pub(super) fn disengage(&mut self, id: DeliveryId, known: &Known) {
        let Some(found) = self.lines.get_mut(&known.destination) else { return };
        let Some(line) = found.lane_of(known.order_key) else { return };
        if let Some(lane) = found.lanes.get_mut(&line) {
            lane.busy.retain(|busy| *busy != id);
            lane.resting = None;
            self.mark(known.destination, line);
        }
    }

    /// A row that stands in a line was parked. If it was the head, nobody else says so.
    pub(super) fn parked_in_line(&mut self, destination: DestinationId, line: i32) {
        let Some(found) = self.lines.get_mut(&destination) else { return };
        match (found.lanes.get(&line), found.ordering()) {
            (Some(lane), _) if !lane.busy.is_empty() || lane.resting.is_some() => {}
            (Some(_), _) => self.mark(destination, line),
            (None, Ordering::Keyed) => found.scan.maybe = true,
            (None, _) => self.open_lane(destination, line),
        }
    }

    /// The rows of a destination stand in other lines from now on: what is on its way keeps its line busy.
    pub(super) fn line_up_anew(&mut self, destination: DestinationId) {
        let Some(found) = self.lines.get_mut(&destination) else { return };
        found.lanes.clear();
        for (id, known) in self.known.iter().filter(|(_, known)| known.destination == destination) {
            let is_on_its_way = matches!(known.place, Place::InFlight { .. } | Place::Writing { park: None });
            if is_on_its_way
                && !known.is_test
                && let Some(line) = found.lane_of(known.order_key)
            {
                found.lanes.entry(line).or_default().busy.push(*id);
            }
        }
    }
}

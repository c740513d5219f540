//! What is known of deliveries, from the read that brought them to a durable end (rules T and B).

use super::tickets::Ticket;
use super::{Worker, sending};
use crate::call::Call;
use crate::statement::{Answer, Change, Fate, Lease, NEVER, Row, Statement, Write, wants_an_order};

#[derive(Debug)]
pub(super) struct Known {
    pub(super) row: Row,
    /// Under which it is sent and written.
    pub(super) lease: Lease,
    /// Under which it was read: the same, by rule E.
    pub(super) read_under: Lease,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Place {
    Waiting,
    /// With the number of its request.
    InFlight(usize),
    /// A change of it is queued or under way.
    Writing(Change),
    /// Written at the `stamp`th acknowledgement, and invisible to reads that began before `until`. `redo`: its end, until
    /// a renewal on this connection has made it durable.
    Buried {
        until: Ticket,
        stamp: usize,
        connection: Option<usize>,
        redo: Option<Write>,
    },
}

/// Rows of a destination that wait in memory; more of them are parked.
pub(super) const ROOM: usize = 2;
const BATCH: usize = 8;

impl Known {
    pub(super) fn is_buried(&self) -> bool {
        matches!(self.place, Place::Buried { .. })
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.place, Place::Waiting)
    }

    pub(super) fn is_in_flight(&self) -> bool {
        matches!(self.place, Place::InFlight(_))
    }

    pub(super) fn is_ahead_of_the_database(&self) -> bool {
        match &self.place {
            Place::Waiting | Place::InFlight(_) => false,
            Place::Writing(change) => *change != Change::Park,
            Place::Buried { redo, .. } => redo.is_some(),
        }
    }

    /// Nothing of it would be lost with this memory.
    pub(super) fn is_over(&self, is_settled: impl Fn(Option<usize>) -> bool) -> bool {
        match &self.place {
            Place::Waiting => true,
            Place::InFlight(_) | Place::Writing(_) => false,
            Place::Buried { redo, connection, .. } => redo.is_none() || is_settled(*connection),
        }
    }
}

impl Worker {
    /// A read that began with `ticket`, under `read_under`, returned this row.
    pub(super) fn offer(&mut self, row: Row, lease: Lease, (ticket, read_under): (Ticket, Lease)) {
        if self.is_draining(row.shard()) {
            return;
        }
        match self.known.get(&row.id).map(|known| &known.place) {
            None => {}
            Some(Place::Buried { until, .. }) if self.rules.t && ticket < *until => {
                return self.meet("an old read returned what was written since");
            }
            Some(Place::Buried { redo: Some(write), .. }) => {
                let write = *write;
                return self.redo(write);
            }
            Some(Place::Buried { redo: None, .. }) => drop(self.known.remove(&row.id)),
            Some(Place::Waiting | Place::InFlight(_) | Place::Writing(_)) => return,
        }
        self.enlist(Known { row, lease, read_under, place: Place::Waiting });
    }

    /// This row is the first of its line.
    pub(super) fn first_in_line(&mut self, row: Row, lease: Lease) {
        match self.known.get(&row.id).map(|known| &known.place) {
            Some(Place::Buried { redo: Some(write), .. }) => {
                let write = *write;
                self.redo(write);
            }
            Some(Place::Buried { redo: None, .. }) | None => {
                self.known.insert(row.id, Known { row, lease, read_under: lease, place: Place::Waiting });
            }
            Some(Place::Waiting | Place::InFlight(_) | Place::Writing(_)) => {}
        }
    }

    fn enlist(&mut self, known: Known) {
        let row = known.row;
        let has_an_order = wants_an_order(row.destination);
        let has_room = row.due_at == NEVER || has_an_order || self.waiting(row.destination) < ROOM;
        let has_heads = self.rules.f;
        let line = self.line(row.destination, known.lease);
        if has_an_order && has_heads {
            // Rule F: it says only that somebody is due.
            line.is_dirty = true;
        } else if has_room {
            self.known.insert(row.id, known);
        } else {
            line.parked.parks();
            self.known.insert(row.id, known);
            self.settle(row.id, Change::Park);
        }
    }

    pub(super) fn waiting(&self, destination: usize) -> usize {
        self.known_of(destination).filter(|(_, known)| known.is_waiting()).count()
    }

    /// A change of it is to be written.
    pub(super) fn settle(&mut self, id: usize, change: Change) {
        if let Some(known) = self.known.get_mut(&id) {
            known.place = Place::Writing(change);
            self.writes.push_back(Write { id, lease: known.lease, change });
        }
    }

    /// Rule B: the end is written again, and the delivery never sent again.
    fn redo(&mut self, write: Write) {
        self.meet("written again");
        self.settle(write.id, write.change);
    }

    pub(super) fn write(&mut self) {
        if self.is_writing || self.writes.is_empty() {
            return;
        }
        self.is_writing = true;
        let most = self.writes.len().min(BATCH);
        let batch: Vec<Write> = self.writes.drain(..most).collect();
        self.ask(Call::Write(batch.clone(), self.keeper.connection), Statement::Write(batch));
    }

    pub(super) fn written(&mut self, batch: Vec<Write>, connection: Option<usize>, answer: &Answer) {
        self.is_writing = false;
        let Answer::Written(fates) = answer else {
            let kept = batch.into_iter().filter(|write| self.holds(write.lease)).rev().collect::<Vec<_>>();
            kept.into_iter().for_each(|write| self.writes.push_front(write));
            return;
        };
        self.stamp += 1;
        for (write, fate) in batch.into_iter().zip(fates) {
            match fate {
                Fate::Fenced if self.holds(write.lease) => self.aside.push(write),
                Fate::Fenced => {}
                Fate::Done | Fate::Gone => self.bury(write, connection),
            }
        }
        self.dig_up();
    }

    fn bury(&mut self, write: Write, connection: Option<usize>) {
        let Some(known) = self.known.get_mut(&write.id).filter(|known| known.lease == write.lease) else { return };
        if !matches!(known.place, Place::Writing(_)) {
            return;
        }
        let redo = Some(write).filter(|write| self.rules.b && write.change == Change::Finish);
        let until = self.tickets.bound();
        known.place = Place::Buried { until, stamp: self.stamp, connection, redo };
        let (destination, lease) = (known.row.destination, known.lease);
        let is_open = self.keeper.connection.is_none() || self.keeper.connection == connection;
        let line = self.line(destination, lease);
        if write.change == Change::Park {
            line.parked.parked();
        } else {
            // Rule F: who is next is read from now on.
            line.is_dirty |= wants_an_order(destination);
        }
        match redo {
            // Rule B: the connection was opened after the finish had been sent, which says nothing.
            Some(write) if !is_open => self.redo(write),
            _ => {}
        }
    }

    /// Rule B: a renewal succeeded on this connection, which was sent after the first `stamp` acknowledgements.
    pub(super) fn is_durable(&mut self, open: usize, until: usize) {
        let mut lost = Vec::new();
        for known in self.known.values_mut() {
            if let Place::Buried { stamp, connection, redo, .. } = &mut known.place {
                if *connection != Some(open) {
                    lost.extend(*redo);
                } else if *stamp <= until {
                    *redo = None;
                }
            }
        }
        lost.into_iter().for_each(|write| self.redo(write));
        self.dig_up();
    }

    /// Forgets what no read can return any more.
    pub(super) fn dig_up(&mut self) {
        let oldest = self.tickets.oldest();
        let has_tickets = self.rules.t;
        self.known.retain(|_, known| match &known.place {
            Place::Buried { until, redo, .. } => redo.is_some() || has_tickets && oldest < *until,
            Place::Waiting | Place::InFlight(_) | Place::Writing(_) => true,
        });
    }

    /// Without rule R, what cannot be written for the time being is given up.
    pub(super) fn drop_what_seems_lost(&mut self, now: i64) {
        let is_in_doubt = |write: &Write| !self.may_send(write.lease, now);
        if self.writes.iter().any(is_in_doubt) {
            let kept = self.writes.iter().filter(|write| self.rules.r || !is_in_doubt(write)).copied().collect();
            self.writes = kept;
            self.meet("kept what could not be written yet");
        }
    }

    /// An attempt came to something.
    pub(crate) fn ends(&mut self, request: usize, outcome: sending::Outcome, now: i64) {
        let Some((id, _)) = self.requests.remove(&request) else { return };
        let Some(known) = self.known.get_mut(&id) else { return };
        if !matches!(known.place, Place::InFlight(of) if of == request) {
            return;
        }
        match outcome.change(&known.row, now) {
            Some(change) => self.settle(id, change),
            None => known.place = Place::Waiting,
        }
    }
}

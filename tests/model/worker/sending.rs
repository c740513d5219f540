//! What a worker starts, and when it gives it up.

use std::collections::BTreeSet;

use super::memory::Place;
use super::{Effect, Worker};
use crate::statement::{Change, Lease, Row, Setting, wants_an_order};

/// An attempt, from its start to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) number: usize,
    pub(crate) row: Row,
    pub(crate) lease: Lease,
    /// Under which the row was read.
    pub(crate) read_under: Lease,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    /// It is tried again after so long.
    Failed(i64),
    /// Nothing is known of it, and nothing is counted.
    Aborted,
}

/// Attempts of a delivery.
const ATTEMPTS: usize = 3;
/// Requests of a destination at a time, if it wants no order.
const WINDOW: usize = 2;

impl Outcome {
    pub(super) fn change(self, row: &Row, now: i64) -> Option<Change> {
        let attempts = row.attempts + 1;
        match self {
            Self::Delivered => Some(Change::Finish),
            Self::Failed(_) if attempts == ATTEMPTS => Some(Change::Finish),
            Self::Failed(after) => Some(Change::Reschedule { due_at: now + after, attempts }),
            Self::Aborted => None,
        }
    }
}

impl Worker {
    pub(super) fn start(&mut self, now: i64) {
        let waiting = self.known.values().filter(|known| known.is_waiting());
        let destinations: BTreeSet<usize> = waiting.map(|known| known.row.destination).collect();
        destinations.into_iter().for_each(|destination| self.start_some(destination, now));
    }

    fn start_some(&mut self, destination: usize, now: i64) {
        let waiting = self.known_of(destination).filter(|(_, known)| known.is_waiting());
        let mut waiting: Vec<(usize, usize, Lease)> =
            waiting.map(|(id, known)| (known.row.seq, *id, known.lease)).collect();
        waiting.sort_unstable();
        // Rule A: nothing begins beyond the fence. Rule H: nothing begins while it is handed over.
        waiting.retain(|(_, _, lease)| {
            self.holds(*lease) && !self.is_draining(lease.shard) && (!self.rules.a || self.may_send(*lease, now))
        });
        if waiting.is_empty() {
            return;
        }
        let ids: Vec<usize> = waiting.into_iter().map(|(_, id, _)| id).collect();
        match self.configuration.setting(destination, now) {
            None => {}
            Some(Setting::Gone) => self.has_nowhere_to_go(&ids),
            Some(Setting::Paused) => ids.iter().for_each(|id| self.put_back(*id)),
            Some(Setting::Active) => {
                let most = if wants_an_order(destination) { 1 } else { WINDOW };
                let in_flight = self.known_of(destination).filter(|(_, known)| known.is_in_flight()).count();
                ids.iter().take(most.saturating_sub(in_flight)).for_each(|id| self.begin(*id));
            }
        }
    }

    /// Rule L.
    fn has_nowhere_to_go(&mut self, ids: &[usize]) {
        for id in ids {
            if self.rules.l {
                self.meet("ended for want of a destination");
                self.settle(*id, Change::Finish);
            } else {
                self.known.remove(id);
            }
        }
    }

    /// The destination takes nothing for the time being.
    fn put_back(&mut self, id: usize) {
        let Some(known) = self.known.get(&id) else { return };
        let (destination, lease) = (known.row.destination, known.lease);
        self.meet("put back for a paused destination");
        if wants_an_order(destination) {
            self.known.remove(&id);
            self.line(destination, lease).is_dirty = true;
        } else {
            self.line(destination, lease).parked.parks();
            self.settle(id, Change::Park);
        }
    }

    fn begin(&mut self, id: usize) {
        let Some(known) = self.known.get_mut(&id) else { return };
        self.requested += 1;
        known.place = Place::InFlight(self.requested);
        let (row, lease, read_under) = (known.row, known.lease, known.read_under);
        self.requests.insert(self.requested, (id, lease));
        self.effects.push(Effect::Start(Request { number: self.requested, row, lease, read_under }));
    }

    /// Rule A, immediately before the socket write.
    pub(crate) fn may_write(&self, request: usize, now: i64) -> bool {
        self.requests.get(&request).is_some_and(|(_, lease)| !self.rules.a || self.may_send(*lease, now))
    }

    /// Rule A: what is still on the wire at the fence is given up.
    pub(super) fn abort_at_the_fence(&mut self, now: i64) {
        if !self.rules.a {
            return;
        }
        let fenced = self.requests.iter().filter(|(_, (_, lease))| !self.may_send(*lease, now));
        // Without rule H nobody thinks of what is on the wire when a shard is handed over.
        let fenced = fenced.filter(|(_, (_, lease))| self.rules.h || self.holds(*lease));
        for number in fenced.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.ends(number, Outcome::Aborted, now);
            self.effects.push(Effect::Abort(number));
        }
    }
}

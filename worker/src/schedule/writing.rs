//! From an outcome to a durable row: what is queued to be written, what is under way, and what stays buried until no
//! read can return it any more (rules T and B).

use entity::finish::{Change, Fate, Row, Write};
use relay::id::{DeliveryId, DestinationId};

use super::policy::Ordering;
use super::tickets::Ticket;
use super::{Known, Place, Schedule};

/// Rows that wait to be parked, beyond which nothing is read: some batches.
const PARKS: usize = if cfg!(test) { 8 } else { 1_024 };

impl Schedule {
    pub(super) fn settle(&mut self, id: DeliveryId, change: Change, row: Row) {
        if let Some(known) = self.known.get_mut(&id) {
            known.place = Place::Writing { park: None };
            let line = self.lines.get(&known.destination);
            self.waited_for |= line.is_some_and(|line| line.ordering() != Ordering::Any);
        }
        self.writes.push_back(Write { row, change, command: None });
    }

    /// Up to `most` changes that are to be written now.
    pub(crate) fn writes(&mut self, most: usize) -> Vec<Write> {
        self.sent_after = self.doubts;
        // Parks get their part where they keep what is due from being read.
        let many = self.writes.len().min(if self.parks_enough() { most.div_ceil(2) } else { most });
        self.waited_for &= many < self.writes.len();
        let parks = self.parks.len().min(most - many);
        self.writes.drain(..many).chain(self.parks.drain(..parks)).collect()
    }

    /// Somebody stands in line until one of them is written (rule F).
    pub(crate) fn is_waited_for(&self) -> bool {
        self.waited_for
    }

    /// How many outcomes wait to be written.
    pub(crate) fn unwritten_count(&self) -> usize {
        self.writes.len()
    }

    /// Whether so many rows wait to be parked that no more should be read: what comes due faster than it can be parked stays
    /// where it is.
    pub(crate) fn parks_enough(&self) -> bool {
        self.parks.len() >= PARKS
    }

    /// Whether changes wait to be written.
    pub(crate) fn has_writes(&self) -> bool {
        !self.writes.is_empty() || !self.parks.is_empty()
    }

    /// Changes that could not be written stand first in line again.
    pub(crate) fn unwritten(&mut self, batch: Vec<Write>) {
        for write in batch.into_iter().rev() {
            let is_park = matches!(write.change, Change::Park) && write.command.is_none();
            if is_park { &mut self.parks } else { &mut self.writes }.push_front(write);
        }
    }

    /// A batch was acknowledged. What was fenced is returned: it is kept until a renewal says whose the shard is (rule R).
    pub(crate) fn written(&mut self, batch: Vec<Write>, fates: &[Fate]) -> Vec<Write> {
        self.stamp += 1;
        if self.at_once {
            self.durable = self.stamp;
        }
        let until = self.tickets.bound();
        let is_doubtful = self.sent_after != self.doubts;
        let mut fenced = Vec::new();
        for (write, fate) in batch.into_iter().zip(fates) {
            if *fate == Fate::Fenced {
                fenced.push(write);
                continue;
            }
            let id = write.row.id;
            self.bury(write, until);
            if is_doubtful {
                self.write_anew(id);
            }
        }
        self.dig_up();
        fenced
    }

    fn bury(&mut self, write: Write, until: Ticket) {
        let id = write.row.id;
        // What is not being written belongs to a newer epoch.
        let Some(mut known) = self.known.remove(&id).filter(Known::is_writing) else { return };
        match known.place {
            Place::Writing { park: Some(park) } => self.parked(known.destination, known.order_key, park),
            // Rule F: the next of its line is read from now on.
            _ => self.disengage(id, &known),
        }
        let was_unsent = matches!(write.change, Change::Finish { last: None, .. });
        let destination = known.destination;
        let redo = (!self.at_once && matches!(write.change, Change::Finish { .. })).then(|| Box::new(write));
        known.place = Place::Buried { until, stamp: self.stamp, redo };
        self.known.insert(id, known);
        self.buried.push_back(id);
        if was_unsent {
            // If it was to find out whether the destination is well again, it did not; the next one does.
            self.probe_soon(destination);
        }
    }

    /// How many acknowledgements there were: what a renewal that starts now can vouch for.
    pub(crate) fn stamp(&self) -> u64 {
        self.stamp
    }

    /// How many are remembered only because they may have to be written again (rule B), or because an old read may return
    /// them.
    pub(crate) fn buried_count(&self) -> usize {
        self.buried.len()
    }

    /// Rule B: a durable commit on an old connection came after the first `stamp` acknowledgements.
    pub(crate) fn durable(&mut self, stamp: u64) {
        self.durable = self.durable.max(stamp);
        self.dig_up();
    }

    /// Rule B: the database may have lost what was acknowledged and not yet durable; it is written again.
    pub(crate) fn rewrite(&mut self) {
        self.doubts += 1;
        let mut lost = Vec::new();
        for (id, known) in &self.known {
            if let Place::Buried { stamp, redo: Some(write), .. } = &known.place
                && *stamp > self.durable
            {
                lost.push((*id, Write::clone(write)));
            }
        }
        lost.into_iter().for_each(|(id, write)| self.redo(id, write));
    }

    /// Rule B: it was sent before the connection of the renewals was known to be a new one, so the next renewal says nothing
    /// about it, whenever it was acknowledged.
    fn write_anew(&mut self, id: DeliveryId) {
        if let Some(Place::Buried { redo: Some(write), .. }) = self.known.get(&id).map(|known| &known.place) {
            let write = Write::clone(write);
            self.redo(id, write);
        }
    }

    /// The end of a delivery is written again.
    pub(super) fn redo(&mut self, id: DeliveryId, write: Write) {
        if let Some(known) = self.known.get_mut(&id) {
            known.place = Place::Writing { park: None };
            let (destination, order_key) = (known.destination, known.order_key);
            self.engage(id, destination, order_key);
        }
        self.writes.push_back(write);
    }

    /// Forgets what no read can return any more.
    pub(crate) fn dig_up(&mut self) {
        let oldest = self.tickets.oldest();
        while let Some(id) = self.buried.front() {
            let Some(Known { place: Place::Buried { until, stamp, redo }, .. }) = self.known.get_mut(id) else {
                // Written anew, or its shard is gone.
                self.buried.pop_front();
                continue;
            };
            if redo.is_some() && *stamp > self.durable || oldest < *until {
                break;
            }
            let id = *id;
            self.buried.pop_front();
            if let Some(known) = self.known.remove(&id) {
                self.retire(known.destination);
            }
        }
    }

    pub(super) fn retire(&mut self, destination: DestinationId) {
        if let Some(line) = self.lines.get(&destination).filter(|line| line.is_idle(self.now)) {
            if let Some(at) = line.alarm {
                self.alarms.remove(&(at, destination));
            }
            self.lines.remove(&destination);
        }
    }

    /// Forgets lines that became idle by the passing of time.
    pub(crate) fn retire_all(&mut self) {
        let idle: Vec<_> = self.lines.iter().filter(|(_, line)| line.is_idle(self.now)).map(|(id, _)| *id).collect();
        idle.into_iter().for_each(|destination| self.retire(destination));
    }
}

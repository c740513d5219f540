//! Destinations that take nothing now, or less than comes due: their rows are parked in the database and taken back in
//! the order of the line (rules P and D).

use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::DestinationId;

use super::Schedule;
use super::line::{Gate, Line, Reading};
use super::tickets::Ticket;

/// Destinations that are looked at in one go: many may wait for room, and each look costs a little.
const LOOKS: usize = 64;

impl Schedule {
    /// Its destination takes nothing now: the line closes, and what waits in it is parked.
    pub(super) fn held(&mut self, due: Due, epoch: i64) {
        self.known.remove(&due.id);
        self.close(due.destination_id);
        let parked = due.due_at == NEVER;
        if !parked {
            self.enlist(due, epoch);
        }
    }

    pub(super) fn close(&mut self, destination: DestinationId) {
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

    /// The destination's settings or state changed: it is asked anew.
    pub(crate) fn reopen(&mut self, destination: DestinationId) {
        self.news += 1;
        if let Some(line) = self.lines.get_mut(&destination)
            && line.gate == Gate::Closed
        {
            line.gate = Gate::Open;
            line.parked.maybe = true;
            line.parked.after = 0;
            self.hunger(destination);
            self.ring_up(destination);
        }
    }

    /// Asks those again that were closed for a fault of ours.
    pub(crate) fn reopen_stuck(&mut self) {
        std::mem::take(&mut self.stuck).into_iter().for_each(|destination| self.reopen(destination));
    }

    /// Everything may have changed.
    pub(crate) fn reopen_all(&mut self) {
        self.news += 1;
        let closed: Vec<_> =
            self.lines.iter().filter(|(_, line)| line.gate == Gate::Closed).map(|(id, _)| *id).collect();
        closed.into_iter().for_each(|destination| self.reopen(destination));
    }

    /// Rule D: a destination of this shard has parked rows, whatever we knew of it.
    pub(crate) fn discovered(&mut self, destination: DestinationId, shard: i16, epoch: i64) {
        let line = self.lines.entry(destination).or_insert_with(|| Line::new(None, shard, epoch));
        line.parked.maybe = true;
        self.hunger(destination);
    }

    /// There may be parked rows, and room for them soon.
    pub(super) fn hunger(&mut self, destination: DestinationId) {
        if let Some(line) = self.lines.get_mut(&destination)
            && !line.hungry
        {
            line.hungry = true;
            self.hungry.push_back(destination);
        }
    }

    /// The reads of parked rows that are worth starting, each with its ticket.
    pub(crate) fn take_back(&mut self, most: usize) -> Vec<(DestinationId, i16, Reading, Ticket)> {
        let mut reads = Vec::new();
        if most == 0 || !self.has_room() {
            return reads;
        }
        for _ in 0..self.hungry.len().min(LOOKS) {
            if reads.len() == most {
                break;
            }
            let Some(destination) = self.hungry.pop_front() else { break };
            let Some(line) = self.lines.get_mut(&destination) else { continue };
            line.hungry = false;
            if self.draining.contains(&line.shard) || line.gate == Gate::Closed || !line.parked.maybe {
                continue;
            }
            match line.wants() {
                Some(reading) => reads.push((destination, line.shard, reading, self.tickets.take())),
                None => self.hunger(destination),
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
        // Rule E: what was read for a line of another epoch is nobody's.
        if self.lines.get(&destination).is_none_or(|line| line.epoch != reading.epoch) {
            self.tickets.close(ticket);
            return;
        }
        for due in rows.iter().flatten() {
            self.offer(*due, reading.epoch, ticket);
        }
        self.tickets.close(ticket);
        if let Some(line) = self.lines.get_mut(&destination) {
            match rows {
                Some(rows) => line.took_back(reading, rows.last().map(|due| due.seq), rows.len()),
                None => line.parked.reading = false,
            }
            self.hunger(destination);
        }
        self.retire(destination);
    }
}

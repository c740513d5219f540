//! Destinations that take nothing now, or less than comes due: their rows are parked in the database and taken back in
//! the order of the line (rules P and D).

use entity::finish::{Change, Write};
use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId, TenantId};
use relay::order::WHOLE;

use super::line::{Gate, Kind, Line, Reading};
use super::policy::Ordering;
use super::tickets::Ticket;
use super::{Park, Place, Schedule, row};

/// Destinations that are looked at in one go: many may wait for room, and each look costs a little.
const LOOKS: usize = 64;

impl Schedule {
    /// The row waits in the database, off the clock, and is found as `park` says.
    pub(super) fn park(&mut self, due: &Due, epoch: i64, park: Park) {
        if due.due_at == NEVER {
            return;
        }
        if let Some(line) = self.lines.get_mut(&due.destination_id) {
            match park {
                Park::At(_) => line.parked.parks(),
                Park::Unlined => line.scan.parks(),
                Park::Behind => line.behind += 1,
            }
        }
        self.hunger(due.destination_id);
        self.writes.push(Write { row: row(due, epoch), change: Change::Park, command: None });
        self.place(due, Place::Writing { park: Some(park) });
    }

    /// A park was written: its row can be found from now on.
    pub(super) fn parked(&mut self, destination: DestinationId, order_key: Option<i32>, park: Park) {
        let Some(line) = self.lines.get_mut(&destination) else { return };
        match park {
            Park::At(seq) => line.parked.parked_at(seq),
            Park::Unlined => line.scan.parked_at(order_key.unwrap_or_default().into()),
            Park::Behind => line.behind = line.behind.saturating_sub(1),
        }
        match line.lane_of(order_key) {
            Some(lane) => self.parked_in_line(destination, lane),
            // It stood in a line when it was parked.
            None if !matches!(park, Park::At(_)) => line.parked.restart(),
            None => {}
        }
        self.hunger(destination);
    }

    /// Its destination takes nothing now: the line closes, and what waits in it is parked.
    pub(super) fn held(&mut self, due: Due, epoch: i64) {
        self.let_go(due.id);
        self.close(due.destination_id);
        if due.due_at != NEVER {
            self.enlist(due, epoch);
        }
    }

    /// Nothing is known of a row any more but what the database says.
    pub(super) fn let_go(&mut self, id: DeliveryId) {
        if let Some(known) = self.known.remove(&id) {
            self.disengage(id, &known);
        }
    }

    pub(super) fn close(&mut self, destination: DestinationId) {
        let Some(line) = self.lines.get_mut(&destination) else { return };
        line.gate = Gate::Closed;
        let (waiting, epoch) = (std::mem::take(&mut line.waiting), line.epoch);
        for due in waiting {
            self.let_go(due.id);
            self.enlist(due, epoch);
        }
    }

    /// Rule D: a destination of this shard has parked rows, whatever we knew of it.
    pub(crate) fn discovered(&mut self, (tenant, destination): (TenantId, DestinationId), shard: i16, epoch: i64) {
        let since = self.held_since.get(&shard).copied().unwrap_or_default();
        if let std::collections::hash_map::Entry::Vacant(new) = self.lines.entry(destination) {
            new.insert(Line::new(tenant, shard, epoch, since));
            self.unasked.push_back(destination);
        }
        let Some(line) = self.lines.get_mut(&destination) else { return };
        match line.policy.map(|policy| policy.order) {
            None | Some(Ordering::Any) => line.parked.maybe = true,
            Some(Ordering::Keyed) => line.scan.maybe = true,
            Some(Ordering::Whole) => self.open_lane(destination, WHOLE),
        }
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
            let has_some = line.parked.maybe || line.scan.maybe;
            if self.draining.contains(&line.shard) || line.gate == Gate::Closed || !has_some {
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
            match reading.kind {
                Kind::Rows => self.offer(*due, reading.epoch, ticket),
                Kind::Lines => self.found_head(*due, reading.epoch, ticket),
            }
        }
        self.tickets.close(ticket);
        if let Some(line) = self.lines.get_mut(&destination) {
            let parked = line.parked_of(reading.kind);
            match rows {
                Some(rows) => {
                    let place = |due: &Due| match reading.kind {
                        Kind::Rows => due.seq,
                        Kind::Lines => due.order_key.unwrap_or_default().into(),
                    };
                    parked.took_back(reading, rows.last().map(place), rows.len());
                }
                None => parked.reading = false,
            }
            self.hunger(destination);
        }
        self.retire(destination);
    }

    /// A scan for lines found the first row of one.
    fn found_head(&mut self, due: Due, epoch: i64, ticket: Ticket) {
        if self.draining.contains(&due.shard) {
            return;
        }
        let Some(line) = self.lines.get_mut(&due.destination_id).filter(|line| line.ordering() == Ordering::Keyed)
        else {
            return;
        };
        if let Some(key) = line.lane_of(due.order_key)
            && line.lanes.entry(key).or_default().is_forgettable()
        {
            self.first_in_line(due, key, epoch, ticket);
        }
    }
}

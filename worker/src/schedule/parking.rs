//! Destinations that take nothing now, or less than comes due: their rows are parked in the database and taken back in
//! the order of the line (rules P and D).

use entity::finish::{Change, Write};
use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId, TenantId};
use relay::order::WHOLE;

use super::class::Class;
use super::line::{Gate, Line};
use super::parked::{Kind, Reading};
use super::policy::Ordering;
use super::tickets::Ticket;
use super::{Known, Park, Place, Schedule, row};

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
                Park::At(class, _) => line.parks(class),
                Park::Unlined => line.scan.parks(),
                Park::Behind => line.behind += 1,
            }
        }
        self.hunger(due.destination_id);
        self.parks.push_back(Write { row: row(due, epoch), change: Change::Park, command: None });
        self.place(due, Place::Writing { park: Some(park) });
    }

    /// Whether something is known of a row.
    pub(crate) fn knows(&self, id: DeliveryId) -> bool {
        self.known.contains_key(&id)
    }

    /// Whether a row is on its way to the parked: it comes back without what it carried.
    pub(crate) fn is_parking(&self, id: DeliveryId) -> bool {
        self.known.get(&id).is_some_and(|known| matches!(known.place, Place::Writing { park: Some(_) }))
    }

    /// A park was written: its row can be found from now on.
    pub(super) fn parked(&mut self, destination: DestinationId, order_key: Option<i32>, park: Park) {
        let Some(line) = self.lines.get_mut(&destination) else { return };
        match park {
            Park::At(class, seq) => line.queues[class].parked.parked_at(seq),
            Park::Unlined => line.scan.parked_at(order_key.unwrap_or_default().into()),
            Park::Behind => line.behind = line.behind.saturating_sub(1),
        }
        match (line.lane_of(order_key), park) {
            (Some(lane), _) => self.parked_in_line(destination, lane),
            // Its destination may have wanted another order meanwhile, and what is parked been looked for in vain.
            (None, Park::At(class, _)) => line.queues[class].parked.maybe = true,
            // It stood in a line when it was parked.
            (None, Park::Unlined | Park::Behind) => line.queues[Class::First].parked.restart(),
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
        let (waiting, epoch) = (line.take_waiting(), line.epoch);
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
            None | Some(Ordering::Any) => line.may_have_more_parked(),
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
            let has_some = line.may_have_parked() || line.scan.maybe;
            if self.draining.contains(&line.shard) || line.gate == Gate::Closed || !has_some {
                continue;
            }
            let before = reads.len();
            while reads.len() < most
                && let Some(reading) = line.wants()
            {
                reads.push((destination, line.shard, reading, self.tickets.take()));
            }
            if reads.len() == before {
                self.hunger(destination);
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
                Kind::Rows(class) => self.met(*due, class, reading.epoch, ticket),
                Kind::Lines => self.found_head(*due, reading.epoch, ticket),
            }
        }
        self.tickets.close(ticket);
        if let Some(line) = self.lines.get_mut(&destination) {
            let parked = line.parked_of(reading.kind);
            match rows {
                Some(rows) => {
                    let place = |due: &Due| match reading.kind {
                        Kind::Rows(_) => due.seq,
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

    /// A read of the parked rows of a class met this one. One of another class waits until its own are read: it may be one
    /// of a million.
    fn met(&mut self, due: Due, class: Class, epoch: i64, ticket: Ticket) {
        let Some(line) = self.lines.get_mut(&due.destination_id) else { return };
        let other = line.class_of(&due);
        let is_on_its_way = |known: &Known| !matches!(known.place, Place::Buried { .. });
        if other == class || line.lane_of(due.order_key).is_some() {
            self.offer(due, epoch, ticket);
        } else if !self.known.get(&due.id).is_some_and(is_on_its_way) {
            line.queues[other].parked.met_at(due.seq);
        }
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

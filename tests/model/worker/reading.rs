//! What a worker reads: what is due, what is parked, who is first in line.

use std::collections::BTreeMap;

use super::Worker;
use super::memory::{Place, ROOM};
use super::tickets::Ticket;
use crate::call::{Call, Ingest, Reading};
use crate::statement::{Answer, DESTINATIONS, Lease, NEVER, Row, Setting, Statement, wants_an_order};
use crate::times::{DISCOVER_EVERY, LOAD_EVERY, OVERLAP, SWEEP_EVERY};

/// Loads at a time: a slow one holds up nobody.
const LOADS: usize = 3;

#[derive(Debug, Default)]
pub(super) struct Reader {
    /// How far each shard was read; None: not at all yet.
    cursors: BTreeMap<usize, Option<i64>>,
    loads: usize,
    loaded_at: i64,
    swept_at: i64,
    discovered_at: i64,
    /// Somebody rang.
    is_rung: bool,
}

impl Reader {
    pub(super) fn restart(&mut self, shard: usize) {
        self.cursors.insert(shard, None);
    }

    pub(super) fn forget(&mut self, shard: usize) {
        self.cursors.remove(&shard);
    }

    fn is_new(&self, shard: usize) -> bool {
        self.cursors.get(&shard).copied().flatten().is_none()
    }
}

impl Worker {
    /// Something may be due.
    pub(crate) fn ring(&mut self) {
        self.reader.is_rung = true;
    }

    /// Rule E: a shard that comes back is read only after its old requests have ended.
    fn is_readable(&self, lease: Lease) -> bool {
        let is_running = self.requests.values().any(|(_, of)| of.shard == lease.shard && of.epoch != lease.epoch);
        !(self.is_draining(lease.shard) || self.rules.e && is_running)
    }

    pub(super) fn load(&mut self, now: i64) {
        let is_due = self.reader.is_rung || now - self.reader.loaded_at >= LOAD_EVERY;
        if self.reader.loads >= LOADS || !is_due {
            return;
        }
        let leases: Vec<Lease> = self.leases().into_iter().filter(|lease| self.is_readable(*lease)).collect();
        if leases.is_empty() {
            return;
        }
        let reader = &mut self.reader;
        let is_sweep = now - reader.swept_at >= SWEEP_EVERY;
        (reader.loaded_at, reader.is_rung) = (now, false);
        reader.loads += 1;
        if is_sweep {
            reader.swept_at = now;
        }
        let from = |lease: &Lease| match reader.cursors.get(&lease.shard).copied().flatten() {
            Some(cursor) if !is_sweep => cursor - OVERLAP,
            _ => 0,
        };
        let shards = leases.iter().map(|lease| (lease.shard, from(lease))).collect();
        let ticket = self.tickets.take();
        self.ask(Call::Load(ticket, leases), Statement::Due(shards));
    }

    pub(super) fn loaded(&mut self, ticket: Ticket, leases: &[Lease], answer: Answer) {
        self.reader.loads -= 1;
        if let Answer::Rows(rows) = answer {
            for read_under in leases {
                let of = rows.iter().filter(|row| row.shard() == read_under.shard);
                self.offer_all(of.copied().collect(), *read_under, ticket);
            }
        }
        self.tickets.close(ticket);
        self.dig_up();
    }

    /// Rule E: what was read under an epoch that has passed is nobody's.
    fn offer_all(&mut self, rows: Vec<Row>, read_under: Lease, ticket: Ticket) {
        let Some(lease) = self.lease_of(read_under.shard) else { return };
        if lease != read_under {
            self.meet("a read was answered under another epoch");
            if self.rules.e {
                return;
            }
        }
        if let Some(cursor) = self.reader.cursors.get_mut(&lease.shard) {
            let last = rows.iter().map(|row| row.due_at).max().unwrap_or_default();
            *cursor = Some(last.max(cursor.unwrap_or_default()));
        }
        rows.into_iter().for_each(|row| self.offer(row, lease, (ticket, read_under)));
    }

    /// What the api of the same process committed, of shards that were held when it began.
    pub(crate) fn handed(&mut self, ingest: &Ingest, rows: &[Row]) {
        for row in rows {
            let read_under = ingest.leases.iter().find(|lease| lease.shard == row.shard());
            let lease = self.lease_of(row.shard()).filter(|_| !self.reader.is_new(row.shard()));
            match (read_under, lease) {
                (Some(read_under), Some(lease)) if *read_under == lease || !self.rules.e => {
                    self.meet("handed over in the process");
                    self.offer(*row, lease, (ingest.ticket, *read_under));
                }
                _ => self.ring(),
            }
        }
        self.tickets.close(ingest.ticket);
        self.dig_up();
    }

    pub(super) fn discover_all(&mut self, now: i64) {
        if now - self.reader.discovered_at >= DISCOVER_EVERY {
            self.reader.discovered_at = now;
            self.leases().into_iter().for_each(|lease| self.discover(lease));
        }
    }

    pub(super) fn discover(&mut self, lease: Lease) {
        if self.rules.d {
            self.ask(Call::Discover(lease), Statement::Discover(lease.shard));
        }
    }

    pub(super) fn discovered(&mut self, lease: Lease, answer: Answer) {
        if let Answer::Destinations(destinations) = answer
            && self.holds(lease)
        {
            for destination in destinations {
                self.meet("discovered parked rows");
                self.line(destination, lease).parked.discovered();
            }
        }
    }

    fn is_active(&mut self, destination: usize, now: i64) -> bool {
        self.configuration.setting(destination, now).is_some_and(|setting| setting != Setting::Paused)
    }

    pub(super) fn take_back(&mut self, now: i64) {
        for destination in self.lines.keys().copied().collect::<Vec<_>>() {
            let line = &self.lines[&destination];
            let (lease, has_some) = (line.lease, line.parked.maybe && !line.parked.is_reading);
            let limit = ROOM.saturating_sub(self.waiting(destination));
            if !has_some || limit == 0 || !self.is_readable(lease) || !self.is_active(destination, now) {
                continue;
            }
            let (except, ticket) = (self.remembers(destination), self.tickets.take());
            let parked = &mut self.line(destination, lease).parked;
            parked.is_reading = true;
            let (is_clean, parks) = (parked.unanswered == 0, parked.count);
            let reading = Reading { destination, ticket, lease, limit, is_clean, parks };
            self.ask(Call::TakeBack(reading), Statement::Parked { destination, except, limit });
        }
    }

    pub(super) fn took_back(&mut self, reading: &Reading, answer: Answer) {
        let is_strict = self.rules.p;
        let line = self.lines.get_mut(&reading.destination).filter(|line| line.lease == reading.lease);
        if let (Some(line), Answer::Rows(rows)) = (line, answer) {
            line.parked.is_reading = false;
            let denies = line.parked.took_back(reading, rows.len(), is_strict);
            for row in rows {
                self.meet("taken back");
                self.offer(row, reading.lease, (reading.ticket, reading.lease));
            }
            if denies {
                self.meet("nothing is parked any more");
            }
        } else if let Some(line) = self.lines.get_mut(&reading.destination).filter(|line| line.lease == reading.lease) {
            line.parked.is_reading = false;
        }
        self.tickets.close(reading.ticket);
        self.dig_up();
    }

    /// Destinations of which it takes nothing for parked.
    pub(crate) fn denied(&self) -> impl Iterator<Item = (usize, Lease)> {
        let kept = self.lines.iter().filter(|(_, line)| !self.is_draining(line.lease.shard));
        let sure = kept.filter(|(_, line)| line.parked.is_denied());
        sure.map(|(destination, line)| (*destination, line.lease))
    }

    /// Rule F: by a statement that begins after the mark.
    pub(super) fn read_heads(&mut self, now: i64) {
        for destination in (0..DESTINATIONS).filter(|destination| wants_an_order(*destination)) {
            let Some(line) = self.lines.get(&destination) else { continue };
            let (lease, is_wanted) = (line.lease, line.is_dirty && !line.is_heading);
            let is_busy = self.known_of(destination).any(|(_, known)| !known.is_buried());
            if !is_wanted || is_busy || !self.is_readable(lease) || !self.is_active(destination, now) {
                continue;
            }
            let line = self.line(destination, lease);
            (line.is_dirty, line.is_heading) = (false, true);
            let ticket = self.tickets.take();
            self.ask(Call::Head(destination, ticket, lease), Statement::Head(destination));
        }
    }

    pub(super) fn headed(&mut self, destination: usize, (ticket, lease): (Ticket, Lease), answer: &Answer, now: i64) {
        self.tickets.close(ticket);
        let Some(line) = self.lines.get_mut(&destination).filter(|line| line.lease == lease) else { return };
        line.is_heading = false;
        let Answer::Rows(rows) = answer else {
            line.is_dirty = true;
            return;
        };
        let Some(head) = rows.first().copied() else { return };
        let place = self.known.get(&head.id).map(|known| &known.place);
        let is_old = matches!(place, Some(Place::Buried { until, .. }) if self.rules.t && ticket < *until);
        if is_old {
            // What was read is older than what was written: it is read anew.
            line.is_dirty = true;
        } else if head.due_at == NEVER || head.due_at <= now {
            self.first_in_line(head, lease);
        }
        self.dig_up();
    }
}

//! What the owner reads: what is due, what is parked, and where something is parked at all.

use std::collections::HashMap;

use entity::DbErr;
use entity::delivery::SHARDS;
use entity::pending::{self, Due, Head};
use entity::shard::Lease;
use relay::id::{DestinationId, EventId, TenantId};
use tokio::time::Instant;

use super::{BREATH, Message, Owner, fault};
use crate::handed::Handed;
use crate::reader::{Depth, Page};
use crate::schedule::lanes::Wanted;
use crate::schedule::parked::Kind;
use crate::schedule::tickets::Ticket;

/// Reads of parked rows at a time.
const TAKE_BACKS: usize = 4;
/// Reads of who is first in line at a time, and lines in one of them.
const HEAD_READS: usize = 2;
const HEADS: usize = 64;

impl Owner {
    pub(super) fn read(&mut self, now: Instant) {
        if self.state.reader.is_idle(now) {
            return;
        }
        if !self.state.schedule.has_room() || now < self.state.not_before {
            self.state.reader.postpone(now);
            return;
        }
        let draining = self.state.handing_over.map(|lease| lease.shard);
        let shards: Vec<i16> = (0..SHARDS)
            .filter(|shard| self.leases.epoch(*shard).is_some() && Some(*shard) != draining)
            .filter(|shard| self.state.health.is_recalled(*shard))
            .filter(|shard| !self.state.reader.is_new(*shard) || !self.state.is_running(*shard))
            .collect();
        let present = self.clock.now();
        let depth = if self.state.schedule.parks_enough() { Depth::Newest } else { Depth::All };
        let tickets = &self.state.schedule.tickets;
        let Some(mut page) = self.state.reader.next((now, present), &shards, depth, tickets) else { return };
        page.epochs = self.leases.held().iter().map(|lease| (lease.shard, lease.epoch)).collect();
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.spawn(async move {
            let rows = pending::load_due(&db, &page.cursors, present).await;
            let _ = outbox.send(Message::Loaded(page, rows));
        });
    }

    pub(super) fn loaded(&mut self, mut page: Page, rows: Result<Vec<Due>, DbErr>) {
        let now = Instant::now();
        match rows {
            Ok(mut rows) => {
                // Rule E: what was read under an epoch that has passed is nobody's.
                page.cursors.retain(|(shard, _)| {
                    let read_under = page.epochs.get(shard).copied();
                    read_under.is_some() && self.leases.epoch(*shard) == read_under
                });
                rows.retain(|due| page.cursors.iter().any(|(shard, _)| *shard == due.shard));
                for due in &rows {
                    if let Some(epoch) = page.epochs.get(&due.shard) {
                        self.state.schedule.offer(*due, *epoch, page.ticket);
                    }
                }
                self.state.schedule.tickets.close(page.ticket);
                self.state.reader.read(now, &page, &rows);
            }
            Err(error) => {
                fault(&error, "what is due was not read");
                self.state.schedule.tickets.close(page.ticket);
                self.state.reader.failed(now);
                self.state.not_before = now + BREATH;
            }
        }
        self.state.schedule.dig_up();
    }

    /// What the api committed just now, of shards that were held when it began and still are. The rest is read like
    /// everybody's: of a shard that was not read from the beginning yet, older rows are to come first.
    pub(super) fn handed(&mut self, handed: Handed) {
        let state = &mut self.state;
        handed.arrived(&state.on_the_way);
        let mut left_out = false;
        let mut taken: HashMap<EventId, usize> = HashMap::new();
        for due in &handed.due {
            let is_read = state.health.is_recalled(due.shard) && !state.reader.is_new(due.shard);
            match handed.epoch(due, &self.leases).filter(|_| is_read && state.schedule.has_room()) {
                Some(epoch) => {
                    let was_known = state.schedule.knows(due.id);
                    state.schedule.offer(*due, epoch, handed.ticket);
                    let is_new = !was_known && !state.schedule.is_parking(due.id);
                    *taken.entry(due.event_id).or_default() += usize::from(is_new);
                }
                None => left_out = true,
            }
        }
        for (event, work) in handed.works {
            state.works.keep(event, work, taken.get(&event).copied().unwrap_or_default());
        }
        state.schedule.tickets.close(handed.ticket);
        state.schedule.dig_up();
        if left_out {
            self.hurry();
        }
    }

    pub(super) fn take_back(&mut self) {
        let most = TAKE_BACKS - self.state.taking_back.min(TAKE_BACKS);
        for (destination, shard, reading, ticket) in self.state.schedule.take_back(most) {
            self.state.taking_back += 1;
            let (db, outbox) = (self.db.clone(), self.outbox.clone());
            self.spawn(async move {
                let rows = match reading.kind {
                    Kind::Rows(_) => pending::take_back(&db, shard, destination, reading.after, reading.limit).await,
                    Kind::Lines => pending::heads_of_lines(&db, destination, reading.after, reading.limit).await,
                };
                let _ = outbox.send(Message::TookBack(destination, reading, ticket, rows));
            });
        }
    }

    /// Rule F: who is first in the lines that were marked.
    pub(super) fn read_heads(&mut self) {
        while self.state.reading_heads < HEAD_READS
            && let Some((wanted, ticket)) = self.state.schedule.wanted_heads(HEADS)
        {
            self.state.reading_heads += 1;
            let (db, outbox) = (self.db.clone(), self.outbox.clone());
            self.spawn(async move {
                let lines: Vec<_> = wanted.iter().map(|(head, _)| *head).collect();
                let found = pending::heads(&db, &lines).await;
                let _ = outbox.send(Message::Headed(wanted, ticket, found));
            });
        }
    }

    pub(super) fn headed(&mut self, wanted: Wanted, ticket: Ticket, found: Result<Vec<(Head, Due)>, DbErr>) {
        self.state.reading_heads = self.state.reading_heads.saturating_sub(1);
        let found = found.map_err(|error| {
            fault(&error, "who is first in line was not read");
            self.state.not_before = self.state.not_before.max(Instant::now() + BREATH);
        });
        self.state.schedule.headed(wanted, ticket, found.ok());
    }

    /// Rule E: a shard that came back is looked into only when its old requests have ended.
    pub(super) fn discover_new(&mut self) {
        let is_ready = |shard: &i16| self.state.health.is_recalled(*shard) && !self.state.is_running(*shard);
        for shard in self.state.undiscovered.iter().copied().filter(is_ready).collect::<Vec<_>>() {
            self.state.undiscovered.remove(&shard);
            if let Some(epoch) = self.leases.epoch(shard) {
                self.discover(Lease { shard, epoch });
            }
        }
    }

    /// Rule D: what is parked and not known of is found again.
    pub(super) fn discover_all(&self) {
        let known = self.leases.held().into_iter().filter(|lease| !self.state.undiscovered.contains(&lease.shard));
        known.for_each(|lease| self.discover(lease));
    }

    fn discover(&self, lease: Lease) {
        let (db, outbox) = (self.db.clone(), self.outbox.clone());
        self.spawn(async move {
            match pending::parked_destinations(&db, lease.shard).await {
                Ok(found) if found.is_empty() => {}
                Ok(found) => {
                    let whose = found.into_iter().map(|(tenant, destination, _)| (tenant, destination)).collect();
                    let _ = outbox.send(Message::Discovered(lease, whose));
                }
                Err(error) => fault(&error, "parked destinations were not looked for"),
            }
        });
    }

    pub(super) fn discovered(&mut self, lease: Lease, destinations: Vec<(TenantId, DestinationId)>) {
        if self.leases.epoch(lease.shard) == Some(lease.epoch) {
            for destination in destinations {
                self.state.schedule.discovered(destination, lease.shard, lease.epoch);
            }
        }
    }
}

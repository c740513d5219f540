//! What people want: events come in, things are set up, workers are stopped and shards handed over.

use super::statements::PEOPLE;
use super::{Event, World};
use crate::call::{Call, Ingest};
use crate::statement::{Answer, DESTINATIONS, HOSTS, Owner, SETTINGS, Setting, Statement};

/// Processes that are also an api.
const APIS: usize = 2;

impl World {
    pub(super) fn something_happens(&mut self) {
        if self.is_calm {
            return;
        }
        let host = self.dice.roll(HOSTS);
        match self.dice.roll(20) {
            0..=11 => {
                let api = self.dice.roll(APIS);
                self.soon(Event::Accepts(api));
            }
            12 | 13 => self.changes_something(),
            14 => self.workers[host].hand_over(),
            15 if self.dice.is(4) => self.workers[host].stop(),
            16 if self.has_faults() => self.breaks(host),
            _ => {}
        }
        let delay = self.dice.between(5, 60);
        self.after(delay, Event::Happens);
    }

    fn changes_something(&mut self) {
        let key = self.dice.roll(SETTINGS);
        let to = match self.database.setting(key).0 {
            // The last of the destinations may be deleted, and a credential revoked.
            Setting::Active if key >= DESTINATIONS || key == DESTINATIONS - 1 && self.dice.is(4) => Setting::Gone,
            Setting::Active => Setting::Paused,
            Setting::Gone if key < DESTINATIONS => return,
            Setting::Paused | Setting::Gone => Setting::Active,
        };
        self.asks(PEOPLE, Call::People, Statement::Change(key, to));
    }

    /// Whatever is paused is taken up again.
    pub(super) fn resumes(&mut self) {
        for key in 0..SETTINGS {
            if self.database.setting(key).0 == Setting::Paused {
                self.asks(PEOPLE, Call::People, Statement::Change(key, Setting::Active));
            }
        }
    }

    /// An event comes to an api, with a credential.
    pub(super) fn accepts(&mut self, host: usize) {
        let owner = self.workers[host].owner;
        if !self.is_alive(owner) || self.is_asleep(owner) {
            return;
        }
        let credential = DESTINATIONS + self.dice.roll(SETTINGS - DESTINATIONS);
        match self.workers[host].configuration.setting(credential, self.now) {
            // It is not known yet: the caller waits.
            None if !self.is_calm => self.after(20, Event::Accepts(host)),
            Some(Setting::Active) => {
                self.uses(credential);
                self.commits_an_event(owner);
            }
            None | Some(_) => {}
        }
    }

    fn commits_an_event(&mut self, owner: Owner) {
        self.count += 1;
        let event = self.count;
        let first = self.dice.roll(DESTINATIONS);
        let destinations = (0..=self.dice.roll(2)).map(|next| (first + next) % DESTINATIONS);
        let deliveries: Vec<(usize, usize)> = destinations
            .map(|destination| {
                self.count += 1;
                (self.count, destination)
            })
            .collect();
        // Rule T: the ticket is taken before the statement begins.
        let worker = &mut self.workers[owner.host];
        let ingest = Ingest { event, deliveries, ticket: worker.tickets.take(), leases: worker.leases() };
        self.ingests(owner, ingest);
    }

    fn ingests(&mut self, owner: Owner, ingest: Ingest) {
        let statement = Statement::Ingest { event: ingest.event, deliveries: ingest.deliveries.clone() };
        self.asks(owner, Call::Ingest(ingest), statement);
    }

    /// The answer to whoever sent it, the rows to the worker of the process, a wake-up, which may be lost, to the others.
    pub(super) fn ingested(&mut self, owner: Owner, ingest: Ingest, answer: Answer) {
        let Answer::Ingested(rows) = answer else {
            // Whether it was committed is not known: it is repeated under the same ids.
            self.ledger.meet("an ingest was repeated");
            return self.ingests(owner, ingest);
        };
        self.acknowledged.insert(ingest.event);
        for host in (0..HOSTS).filter(|host| *host != owner.host) {
            if self.dice.is(3) {
                self.ledger.meet("a wake-up was lost");
            } else {
                self.soon(Event::Rings(self.workers[host].owner));
            }
        }
        self.soon(Event::Handed(ingest, rows, owner));
    }
}

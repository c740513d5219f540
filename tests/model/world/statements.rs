//! Statements on their way to the database and back.

use super::{Ask, Event, World};
use crate::call::Call;
use crate::database::Begun;
use crate::ledger::Violation;
use crate::statement::{Answer, HOSTS, Owner, Statement};
use crate::times::LEASE;

/// Who is not a worker.
pub(super) const PEOPLE: Owner = Owner { host: HOSTS, life: 0 };

impl World {
    pub(super) fn asks(&mut self, owner: Owner, call: Call, statement: Statement) {
        self.count += 1;
        let ask = self.count;
        let generation = self.database.generation;
        self.asks.insert(ask, Ask { owner, call, statement, generation, is_given_up: false });
        let is_cut = self.hosts.get(owner.host).is_some_and(|host| host.cut_until > self.now);
        if is_cut {
            return self.soon(Event::Answered(ask, Answer::Lost));
        }
        let mut delay = self.dice.latency();
        if self.has_faults() && self.dice.is(80) {
            self.loses(ask);
            delay += self.dice.between(0, 400);
        }
        self.after(delay, Event::Arrives(ask));
    }

    /// The connection of a statement is lost: whether it runs, nobody knows.
    pub(super) fn loses(&mut self, ask: usize) {
        if let Some(lost) = self.asks.get_mut(&ask).filter(|lost| !lost.is_given_up) {
            lost.is_given_up = true;
            let given_up = Event::GivenUp(lost.owner, lost.call.clone());
            self.ledger.meet("a connection was lost");
            self.soon(given_up);
        }
    }

    pub(super) fn arrives(&mut self, ask: usize) {
        let Some(Ask { owner, call, statement, generation, .. }) = self.asks.get(&ask) else { return };
        let owner = *owner;
        let connection = match call {
            Call::Renew(renewal) => Some(renewal.connection),
            Call::Release { connection, .. } => Some(*connection),
            _ => None,
        };
        let is_connected = self.database.is_up
            && *generation == self.database.generation
            && connection.is_none_or(|connection| self.database.connects(owner, connection));
        if !is_connected {
            return self.soon(Event::Answered(ask, Answer::Lost));
        }
        let owners = self.database.owners();
        match self.database.begin(ask, owner, statement, self.now) {
            Begun::Answered(answer) => {
                self.takes_over(owners);
                self.answers(ask, answer);
            }
            Begun::Running => {
                let mut delay = self.dice.latency();
                // It waits for a lock.
                if self.has_faults() && self.dice.is(60) {
                    delay += self.dice.between(LEASE, LEASE * 2);
                }
                self.after(delay, Event::Commits(ask));
            }
            Begun::Waiting => self.after(3, Event::Arrives(ask)),
        }
    }

    /// Now and then what was read is on its way for so long that shards change hands meanwhile.
    fn answers(&mut self, ask: usize, answer: Answer) {
        let mut delay = self.dice.latency();
        if matches!(answer, Answer::Rows(_)) && self.dice.is(40) {
            delay += self.dice.between(100, 1_500);
        }
        self.after(delay, Event::Answered(ask, answer));
    }

    pub(super) fn commits(&mut self, ask: usize) {
        let is_late = self.asks.get(&ask).is_none_or(|ask| ask.is_given_up);
        let Some(answer) = self.database.commit(ask, is_late, self.now, &mut self.ledger) else { return };
        self.soon(Event::Answered(ask, answer));
        if self.has_faults() && self.database.has_unsynced_finishes() && self.dice.is(60) {
            self.database_crashes();
        }
    }

    /// What a statement came to reaches whoever sent it, unless that has given it up.
    pub(super) fn answered(&mut self, ask: usize, answer: Answer) {
        let Some(Ask { owner, call, is_given_up, .. }) = self.asks.remove(&ask) else { return };
        if !is_given_up {
            self.hears(owner, call, answer);
        }
    }

    pub(super) fn hears(&mut self, owner: Owner, call: Call, answer: Answer) {
        match call {
            Call::People => {}
            Call::Ingest(ingest) => self.ingested(owner, ingest, answer),
            call => {
                self.workers[owner.host].hear(call, answer, self.now);
                for lease in self.workers[owner.host].leases() {
                    self.ledger.holds(owner, lease);
                }
                self.acts(owner);
            }
        }
    }

    /// Shards have new owners: what that explains, and what must not be.
    fn takes_over(&mut self, before: [Option<Owner>; crate::statement::SHARDS]) {
        for takeover in self.database.takeovers(&before) {
            if let Some(from) = takeover.from {
                self.ledger.meet("taken over");
                self.explain_unwritten(from, takeover.shard, "its owner was replaced");
            }
            let epoch = self.database.epoch(takeover.shard);
            let old = self.sending.iter().filter(|(_, sending)| {
                let lease = sending.request.lease;
                lease.shard == takeover.shard && lease.epoch < epoch && sending.is_on_the_wire
            });
            let old: Vec<(Owner, usize)> = old.map(|((owner, _), sending)| (*owner, sending.request.row.id)).collect();
            for (owner, id) in old {
                if self.is_asleep(owner) {
                    self.ledger.explains(id, "it was on the wire of somebody who is asleep");
                } else {
                    self.ledger.violates(Violation::SentAfterTakeover, || format!("{id} by {owner:?}"));
                }
            }
        }
    }
}

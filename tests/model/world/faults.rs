//! What breaks, and what that explains.

use super::{Event, Host, World};
use crate::statement::{HOSTS, Owner};
use crate::times::{LEASE, TICK};
use crate::worker::Worker;

impl World {
    pub(super) fn has_faults(&self) -> bool {
        self.ledger.has_faults && !self.is_calm
    }

    pub(super) fn breaks(&mut self, host: usize) {
        let owner = self.workers[host].owner;
        let long = if self.dice.is(2) { self.dice.between(20, 500) } else { self.dice.between(LEASE, LEASE * 2) };
        match self.dice.roll(4) {
            0 => self.crashes(owner),
            1 => {
                self.ledger.meet(if long < LEASE { "frozen" } else { "frozen beyond the lease" });
                let asleep_until = &mut self.hosts[host].asleep_until;
                *asleep_until = (*asleep_until).max(self.now + long);
            }
            2 => {
                self.ledger.meet(if long < LEASE { "cut off" } else { "cut off beyond the lease" });
                let cut_until = &mut self.hosts[host].cut_until;
                *cut_until = (*cut_until).max(self.now + long);
                let of = self.asks.iter().filter(|(_, ask)| ask.owner == owner);
                let lost: Vec<usize> = of.map(|(number, _)| *number).collect();
                lost.into_iter().for_each(|ask| self.loses(ask));
            }
            _ => self.database_crashes(),
        }
    }

    pub(super) fn is_asleep(&self, owner: Owner) -> bool {
        // Whoever wakes up needs a moment to see what time it is.
        self.is_alive(owner) && self.hosts[owner.host].asleep_until + TICK > self.now
    }

    fn crashes(&mut self, owner: Owner) {
        if !self.is_alive(owner) {
            return;
        }
        self.ledger.meet("a process crashed");
        for lease in self.workers[owner.host].leases() {
            if self.database.is_owned_by(owner, lease) {
                self.explain_unwritten(owner, lease.shard, "its owner crashed");
            }
        }
        let of = self.sending.iter().filter(|((other, _), _)| *other == owner);
        let requests: Vec<_> = of.map(|(key, sending)| (*key, sending.request, sending.is_on_the_wire)).collect();
        for (key, request, is_on_the_wire) in requests {
            self.sending.remove(&key);
            if is_on_the_wire && self.database.is_owned_by(owner, request.lease) {
                self.ledger.explains(request.row.id, "it was on the wire of somebody who crashed");
            }
        }
        self.is_gone(owner);
    }

    /// What a worker knew of a shard, and the database did not yet.
    pub(super) fn explain_unwritten(&mut self, owner: Owner, shard: usize, why: &'static str) {
        if !self.is_alive(owner) {
            return;
        }
        for known in self.workers[owner.host].unwritten(shard) {
            // A crash may have undone an earlier attempt as well.
            if self.database.rows.get(&known.id).is_some_and(|row| row.attempts <= known.attempts) {
                self.ledger.explains(known.id, why);
            }
        }
    }

    /// A worker has handed over all that it held, and ends.
    pub(super) fn ends(&mut self, owner: Owner) {
        if self.is_alive(owner) {
            self.ledger.meet("a process was stopped");
            self.sending.retain(|(other, _), _| *other != owner);
            self.is_gone(owner);
        }
    }

    fn is_gone(&mut self, owner: Owner) {
        self.hosts[owner.host].is_alive = false;
        let delay = self.dice.between(10, 1_000);
        self.after(delay, Event::Starts(owner.host));
    }

    pub(super) fn starts(&mut self, host: usize) {
        let Host { is_alive, life, .. } = self.hosts[host];
        if is_alive {
            return;
        }
        self.hosts[host] = Host { is_alive: true, life: life + 1, ..Host::default() };
        let offset = self.dice.between(0, 1_000_000);
        self.workers[host] = Worker::new(Owner { host, life: life + 1 }, self.rules, offset);
        self.soon(Event::Tick(self.workers[host].owner));
    }

    pub(super) fn database_crashes(&mut self) {
        if !self.database.is_up {
            return;
        }
        self.ledger.meet("the database crashed");
        let (undone, unanswered) = self.database.crash(&mut self.ledger);
        for finish in undone {
            self.ledger.meet("a crash undid a finish");
            // Whoever wrote it and is still there writes it again (rule B).
            if !self.is_alive(finish.owner) || !self.database.is_owned_by(finish.owner, finish.lease) {
                self.ledger.explains(finish.id, "a crash undid the finish of somebody who is gone");
            }
        }
        for ask in unanswered {
            self.soon(Event::Answered(ask, crate::statement::Answer::Lost));
        }
        let long = if self.dice.is(4) { self.dice.between(LEASE, LEASE * 2) } else { self.dice.between(10, 300) };
        self.after(long, Event::Recovers);
    }

    /// Nothing breaks any more, and everything that was broken is well; who is frozen thaws in time.
    pub(super) fn calms(&mut self) {
        self.is_calm = true;
        self.database.is_up = true;
        for host in 0..HOSTS {
            self.hosts[host].cut_until = 0;
            self.starts(host);
        }
        self.resumes();
        self.after(500, Event::Calms);
    }
}

//! Which shards a worker holds and until when it may send for them; what it takes and what it hands over.

use super::{Effect, Worker};
use crate::call::{Call, Renewal};
use crate::statement::{Answer, Lease, Statement};
use crate::times::{LEASE, LOOK_EVERY, MARGIN, RENEW_EVERY};

#[derive(Debug)]
pub(super) struct Held {
    pub(super) epoch: u64,
    /// Rule A, by the worker's own clock.
    pub(super) fence: i64,
    /// Rule H: it is being handed over.
    pub(super) is_draining: bool,
    is_releasing: bool,
}

#[derive(Debug, Default)]
pub(super) struct Keeper {
    /// The connection that answered the last renewal.
    pub(super) connection: Option<usize>,
    /// Connections that were opened.
    opened: usize,
    is_renewing: bool,
    renewed_at: Option<i64>,
    /// The last renewal was answered.
    is_sure: bool,
    is_looking: bool,
    looked_at: Option<i64>,
    share: usize,
}

impl Worker {
    pub(super) fn clock(&self, now: i64) -> i64 {
        now + self.offset
    }

    pub(super) fn holds(&self, lease: Lease) -> bool {
        self.held.get(&lease.shard).is_some_and(|held| held.epoch == lease.epoch)
    }

    /// What is held, drained or not.
    pub(crate) fn leases(&self) -> Vec<Lease> {
        self.held.iter().map(|(shard, held)| Lease { shard: *shard, epoch: held.epoch }).collect()
    }

    pub(super) fn lease_of(&self, shard: usize) -> Option<Lease> {
        self.held.get(&shard).map(|held| Lease { shard, epoch: held.epoch })
    }

    pub(super) fn is_draining(&self, shard: usize) -> bool {
        self.held.get(&shard).is_some_and(|held| held.is_draining)
    }

    /// Rule A: whether a request may be on the wire now.
    pub(super) fn may_send(&self, lease: Lease, now: i64) -> bool {
        self.holds(lease) && self.clock(now) < self.held[&lease.shard].fence
    }

    pub(super) fn renew(&mut self, now: i64) {
        let now = self.clock(now);
        let is_due = !self.keeper.is_sure || self.keeper.renewed_at.is_none_or(|at| now - at >= RENEW_EVERY);
        let is_due = is_due || !self.aside.is_empty();
        if self.keeper.is_renewing || !is_due || self.keeper.renewed_at.is_some_and(|at| now - at < LOOK_EVERY) {
            return;
        }
        let keeper = &mut self.keeper;
        let connection = keeper.connection.unwrap_or_else(|| {
            keeper.opened += 1;
            keeper.opened
        });
        (keeper.is_renewing, keeper.renewed_at) = (true, Some(now));
        let leases = self.leases();
        // Rule A: the clock is read before the renewal is sent.
        let renewal = Renewal { leases: leases.clone(), asked_at: now, connection, stamp: self.stamp };
        self.ask(Call::Renew(renewal), Statement::Renew(leases));
    }

    pub(super) fn renewed(&mut self, renewal: &Renewal, answer: &Answer) {
        self.keeper.is_renewing = false;
        let Answer::Renewed(ours, share) = answer else {
            (self.keeper.is_sure, self.keeper.connection) = (false, None);
            return;
        };
        (self.keeper.is_sure, self.keeper.share) = (true, *share);
        for lease in renewal.leases.iter().filter(|lease| self.holds(**lease)).copied().collect::<Vec<_>>() {
            if ours.contains(&lease) {
                self.extend(lease, renewal.asked_at);
            } else {
                self.meet("a renewal said: not yours");
                self.lose(lease.shard);
            }
        }
        self.keeper.connection = Some(renewal.connection);
        self.is_durable(renewal.connection, renewal.stamp);
        let aside = std::mem::take(&mut self.aside);
        self.writes.extend(aside);
    }

    fn extend(&mut self, lease: Lease, asked_at: i64) {
        if let Some(held) = self.held.get_mut(&lease.shard) {
            held.fence = asked_at + LEASE - MARGIN;
        }
    }

    /// Rule R: only "not yours" drops the memory of a shard, and all of it at once.
    fn lose(&mut self, shard: usize) {
        self.held.remove(&shard);
        self.forget(shard);
    }

    fn forget(&mut self, shard: usize) {
        self.known.retain(|_, known| known.lease.shard != shard);
        self.lines.retain(|_, line| line.lease.shard != shard);
        self.writes.retain(|write| write.lease.shard != shard);
        self.aside.retain(|write| write.lease.shard != shard);
        self.reader.forget(shard);
    }

    /// Takes what is free, once it is known what is still held: who takes over from itself forgets what it knew.
    pub(super) fn look_for_shards(&mut self, now: i64) {
        let now = self.clock(now);
        let keeper = &mut self.keeper;
        let is_due = keeper.looked_at.is_none_or(|at| now - at >= LOOK_EVERY);
        if !keeper.is_sure || keeper.is_looking || !is_due || self.is_stopping {
            return;
        }
        keeper.looked_at = Some(now);
        match self.held.len().cmp(&keeper.share) {
            std::cmp::Ordering::Less => {
                keeper.is_looking = true;
                let except = self.held.keys().copied().collect();
                self.ask(Call::Acquire { asked_at: now }, Statement::Acquire { except });
            }
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => self.hand_over(),
        }
    }

    pub(super) fn acquired(&mut self, asked_at: i64, answer: Answer) {
        self.keeper.is_looking = false;
        let Answer::Acquired(leases) = answer else { return };
        for lease in leases {
            self.forget(lease.shard);
            let held = Held { epoch: lease.epoch, fence: 0, is_draining: self.is_stopping, is_releasing: false };
            self.held.insert(lease.shard, held);
            self.extend(lease, asked_at);
            self.reader.restart(lease.shard);
            self.discover(lease);
        }
    }

    /// Rule H: stop starting, wait, write, then release; for one shard, if none is under way.
    pub(crate) fn hand_over(&mut self) {
        if self.held.values().any(|held| held.is_draining) {
            return;
        }
        if let Some(held) = self.held.values_mut().next_back() {
            held.is_draining = true;
        }
    }

    pub(crate) fn stop(&mut self) {
        self.is_stopping = true;
        self.held.values_mut().for_each(|held| held.is_draining = true);
    }

    pub(super) fn finish_hand_over(&mut self) {
        for lease in self.leases() {
            let held = &self.held[&lease.shard];
            if held.is_draining && !held.is_releasing && self.is_drained(lease) {
                self.release(lease);
            }
        }
        if self.is_stopping && self.held.is_empty() && !self.keeper.is_looking {
            self.effects.push(Effect::Ends);
        }
    }

    /// What was finished must be durable when nobody remembers it any more: the release sees to it, on a connection that
    /// was opened before (rule B).
    fn is_drained(&self, lease: Lease) -> bool {
        let is_settled = |connection| !self.rules.b || connection == self.keeper.connection;
        let is_over = self.known.values().filter(|known| known.lease == lease).all(|known| known.is_over(is_settled));
        let is_running = self.requests.values().any(|(_, of)| of.shard == lease.shard);
        !self.rules.h || is_over && !is_running
    }

    fn release(&mut self, lease: Lease) {
        let Some(connection) = self.keeper.connection else { return };
        self.meet("handed over");
        if self.rules.h {
            if let Some(held) = self.held.get_mut(&lease.shard) {
                held.is_releasing = true;
            }
        } else {
            self.lose(lease.shard);
        }
        self.ask(Call::Release { lease, connection }, Statement::Release(lease));
    }

    /// Without an answer it is still held, until a renewal says otherwise.
    pub(super) fn released(&mut self, lease: Lease, answer: &Answer) {
        if !self.holds(lease) {
            return;
        }
        if matches!(answer, Answer::Released) {
            self.lose(lease.shard);
        } else {
            (self.keeper.is_sure, self.keeper.connection) = (false, None);
            if let Some(held) = self.held.get_mut(&lease.shard) {
                held.is_releasing = false;
            }
        }
    }
}

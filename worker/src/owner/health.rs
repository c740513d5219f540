//! Which destinations fail, and since when: told by their attempts, kept in the database for whoever owns them next, and
//! what follows from it.

use std::collections::{HashMap, HashSet};

use entity::destination::{Cause, FAILING_MS, Transition};
use entity::health::{self, Turn};
use entity::shard::Lease;
use entity::{DbErr, delivery, destination};
use relay::id::DestinationId;
use tokio::time::{Instant, sleep};

use super::{BREATH, LONGEST_BREATH, Message, Owner, fault};
use crate::schedule::breaker::Sign;
use crate::schedule::{Ended, Start};

#[derive(Debug, Default)]
pub(super) struct Health {
    /// Shards of which it is known what the database knows: before that nothing of them is read, and so nothing is sent.
    recalled: HashSet<i16>,
    /// Milliseconds since 1970 of the first failure since the last success.
    failing: HashMap<DestinationId, i64>,
    /// What turned and is not written yet: the last turn of each.
    turns: HashMap<DestinationId, Turn>,
    writing: bool,
    /// How many were written, by shard: what was read before one of them may be older.
    turned: HashMap<i16, u64>,
    /// Gone while it was being disabled or healed for another reason.
    gone: HashMap<DestinationId, Start>,
    /// Destinations that are being disabled or healed.
    stepping: HashMap<DestinationId, Transition>,
}

impl Health {
    pub(super) fn is_recalled(&self, shard: i16) -> bool {
        self.recalled.contains(&shard)
    }

    /// What the database knows of a shard; what turned since is newer. Says whether it is the first time.
    fn recall(&mut self, shard: i16, failing: Vec<(DestinationId, i64)>) -> bool {
        self.failing.retain(|id, _| delivery::shard_of(*id) != shard || self.turns.contains_key(id));
        for (destination, since) in failing {
            if !self.turns.contains_key(&destination) {
                self.failing.insert(destination, since);
            }
        }
        self.recalled.insert(shard)
    }

    pub(super) fn forget(&mut self, shard: i16) {
        self.recalled.remove(&shard);
        self.failing.retain(|id, _| delivery::shard_of(*id) != shard);
        self.turns.retain(|_, turn| turn.lease.shard != shard);
        self.stepping.retain(|id, _| delivery::shard_of(*id) != shard);
        self.gone.retain(|id, _| delivery::shard_of(*id) != shard);
    }

    fn turned(&self, shard: i16) -> u64 {
        self.turned.get(&shard).copied().unwrap_or_default()
    }

    /// What is read of such a destination may be older than what is about to be written.
    pub(super) fn is_being_disabled(&self, destination: DestinationId) -> bool {
        matches!(self.stepping.get(&destination), Some(Transition::Disable(_)))
    }

    /// An attempt said this of its destination; what follows, if anything.
    fn heard(&mut self, start: &Start, sign: Sign, now: i64) -> Option<Transition> {
        let id = start.due.destination_id;
        let turn = |failing_since| Turn {
            tenant_id: start.due.tenant_id,
            destination_id: id,
            lease: super::sending::lease_of(start),
            failing_since,
        };
        if sign == Sign::Well {
            if self.failing.remove(&id).is_some() {
                self.turns.insert(id, turn(None));
            }
            return start.is_probe.then_some(Transition::Heal);
        }
        if !sign.is_failure() {
            return None;
        }
        let since = *self.failing.entry(id).or_insert_with(|| {
            self.turns.insert(id, turn(Some(now)));
            now
        });
        (now - since >= FAILING_MS && !start.is_probe).then_some(Transition::Disable(Cause::Failing))
    }
}

impl Owner {
    /// Reads what is known of a shard's destinations, until it is known or the shard has another owner.
    pub(super) fn recall(&self, lease: Lease) {
        let (db, leases, outbox) = (self.db.clone(), self.leases.clone(), self.outbox.clone());
        let turned = self.state.health.turned(lease.shard);
        self.spawn(async move {
            while leases.epoch(lease.shard) == Some(lease.epoch) {
                match health::of_shard(&db, lease.shard).await {
                    Ok(failing) => return drop(outbox.send(Message::Recalled(lease, turned, failing))),
                    Err(error) => fault(&error, "it was not read which destinations fail"),
                }
                sleep(LONGEST_BREATH).await;
            }
        });
    }

    pub(super) fn recalled(&mut self, lease: Lease, turned: u64, failing: Vec<(DestinationId, i64)>) {
        if turned != self.state.health.turned(lease.shard) {
            // Something was written since: that would be overwritten by what is older.
            return self.recall(lease);
        }
        if self.leases.epoch(lease.shard) == Some(lease.epoch) && self.state.health.recall(lease.shard, failing) {
            self.state.reader.restart(lease.shard);
        }
    }

    /// A person may have said that this destination is well.
    pub(super) fn recall_if_failing(&self, destination: DestinationId) {
        let shard = delivery::shard_of(destination);
        if self.state.health.failing.contains_key(&destination)
            && let Some(epoch) = self.leases.epoch(shard)
        {
            self.recall(Lease { shard, epoch });
        }
    }

    /// What the end of an attempt says of its destination.
    pub(super) fn diagnose(&mut self, start: &Start, ended: &Ended) {
        let lease = super::sending::lease_of(start);
        if self.leases.epoch(lease.shard) != Some(lease.epoch) {
            return;
        }
        let follows = self.state.health.heard(start, ended.sign(), self.clock.now());
        let is_gone = matches!(ended, Ended::Gone { .. });
        if let Some(transition) = if is_gone { Some(Transition::Disable(Cause::Gone)) } else { follows } {
            self.step(start, transition);
        }
    }

    /// Disables or heals, until that is done or the shard has another owner.
    fn step(&mut self, start: &Start, transition: Transition) {
        let (tenant, id, lease) = (start.due.tenant_id, start.due.destination_id, super::sending::lease_of(start));
        if self.state.health.stepping.contains_key(&id) {
            if transition == Transition::Disable(Cause::Gone) {
                self.state.health.gone.insert(id, *start);
            }
            return;
        }
        self.state.health.stepping.insert(id, transition);
        let (db, clock, leases, owner) = (self.db.clone(), self.clock.clone(), self.leases.clone(), self.id);
        let (configuration, wake, outbox) = (self.sender.configuration.clone(), self.wake.clone(), self.outbox.clone());
        self.spawn(async move {
            while leases.epoch(lease.shard) == Some(lease.epoch) {
                match destination::step(&db, (owner, lease), (tenant, id), transition, clock.now()).await {
                    Ok(false) => break,
                    Ok(true) => {
                        tracing::info!(destination.id = %id, ?transition, "the state of a destination has changed");
                        if let Err(error) = configuration.poll().await {
                            fault(&error, "a change of a destination's state is heard of later");
                        }
                        wake.ring();
                        break;
                    }
                    Err(error) => fault(&error, "the state of a destination was not changed; it is tried again"),
                }
                sleep(LONGEST_BREATH).await;
            }
            let _ = outbox.send(Message::Stepped(id));
        });
    }

    pub(super) fn stepped(&mut self, destination: DestinationId) {
        self.state.health.stepping.remove(&destination);
        if let Some(start) = self.state.health.gone.remove(&destination) {
            return self.step(&start, Transition::Disable(Cause::Gone));
        }
        // It may have been answered that nothing is sent there (see [`Health::is_being_disabled`]).
        self.state.schedule.ask_again(destination);
    }

    pub(super) fn write_turns(&mut self, now: Instant) {
        if self.state.health.writing || self.state.health.turns.is_empty() || now < self.state.not_before {
            return;
        }
        self.state.health.writing = true;
        // They stay where they are until they are written: what is recalled meanwhile is older.
        let turns: Vec<Turn> = self.state.health.turns.values().copied().collect();
        let (db, outbox, owner) = (self.db.clone(), self.outbox.clone(), self.id);
        self.spawn(async move {
            let result = health::turn(&db, owner, &turns).await;
            let _ = outbox.send(Message::Turned(turns, result));
        });
    }

    pub(super) fn turned(&mut self, turns: &[Turn], result: Result<(), DbErr>) {
        self.state.health.writing = false;
        match result {
            Ok(()) => {
                for turn in turns {
                    *self.state.health.turned.entry(turn.lease.shard).or_default() += 1;
                }
                let known = &mut self.state.health.turns;
                turns.iter().for_each(|turn| {
                    if known.get(&turn.destination_id) == Some(turn) {
                        known.remove(&turn.destination_id);
                    }
                });
            }
            Err(error) => {
                fault(&error, "it was not written which destinations fail; it is tried again");
                self.state.not_before = self.state.not_before.max(Instant::now() + BREATH);
            }
        }
    }
}

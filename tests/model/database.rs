//! The database: rows, leases and the log of changes; statements that take a while, and commits that a crash undoes.

use std::collections::{BTreeMap, BTreeSet};

use crate::ledger::{Ledger, Violation};
use crate::rules::Rules;
use crate::statement::{
    Answer, Change, Fate, HOSTS, Lease, NEVER, Owner, Row, SETTINGS, SHARDS, Setting, Statement, Write,
};
use crate::times::LEASE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shard {
    owner: Option<Owner>,
    epoch: u64,
    expires_at: i64,
}

/// A commit that is not on disk yet, and what it overwrote.
#[derive(Debug)]
enum Unsynced {
    Row(Row),
    Finish(Row, Owner, Lease),
    Shard(usize, Shard),
}

/// A statement that has begun. It has its snapshot, and what it locks is locked.
#[derive(Debug)]
struct Running {
    statement: Statement,
    owner: Owner,
    begun: i64,
    /// Of a write: which of its shards were the writer's.
    own: BTreeSet<Lease>,
    /// The first place in line, or the number of the change.
    number: usize,
}

/// What a statement came to at first.
pub(crate) enum Begun {
    Answered(Answer),
    /// It commits later.
    Running,
    /// It waits for another's lock.
    Waiting,
}

/// A shard that has a new owner, and whose it was until then.
pub(crate) struct Takeover {
    pub(crate) shard: usize,
    pub(crate) from: Option<Owner>,
}

/// A finish that a crash undid.
pub(crate) struct Undone {
    pub(crate) id: usize,
    pub(crate) owner: Owner,
    pub(crate) lease: Lease,
}

#[derive(Debug)]
pub(crate) struct Database {
    rules: Rules,
    pub(crate) rows: BTreeMap<usize, Row>,
    pub(crate) events: BTreeSet<usize>,
    pub(crate) is_up: bool,
    /// Counts its lives: a crash ends all connections.
    pub(crate) generation: usize,
    /// In which life each connection for leases was opened.
    connections: BTreeMap<(Owner, usize), usize>,
    shards: [Shard; SHARDS],
    /// When each worker's heartbeat expires.
    heartbeats: BTreeMap<Owner, i64>,
    /// How each thing is, and since when.
    settings: [(Setting, i64); SETTINGS],
    log: BTreeMap<usize, usize>,
    seq: usize,
    changes: usize,
    running: BTreeMap<usize, Running>,
    unsynced: Vec<Unsynced>,
    /// Rows that were moved by a crash or by a statement that nobody waits for any more: their owner cannot know.
    moved: BTreeSet<usize>,
}

impl Database {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            rows: BTreeMap::new(),
            events: BTreeSet::new(),
            is_up: true,
            generation: 0,
            connections: BTreeMap::new(),
            shards: [Shard { owner: None, epoch: 0, expires_at: -1 }; SHARDS],
            heartbeats: BTreeMap::new(),
            settings: [(Setting::Active, 0); SETTINGS],
            log: BTreeMap::new(),
            seq: 0,
            changes: 0,
            running: BTreeMap::new(),
            unsynced: Vec::new(),
            moved: BTreeSet::new(),
        }
    }

    pub(crate) fn is_owned_by(&self, owner: Owner, lease: Lease) -> bool {
        let shard = &self.shards[lease.shard];
        shard.owner == Some(owner) && shard.epoch == lease.epoch
    }

    pub(crate) fn epoch(&self, shard: usize) -> u64 {
        self.shards[shard].epoch
    }

    /// How it is, and since when.
    pub(crate) fn setting(&self, key: usize) -> (Setting, i64) {
        self.settings[key]
    }

    /// Rows of a destination that are parked, but for those that were moved behind their owner's back.
    pub(crate) fn parked(&self, destination: usize) -> Vec<usize> {
        let parked = self.rows.values().filter(|row| row.destination == destination && row.due_at == NEVER);
        parked.map(|row| row.id).filter(|id| !self.moved.contains(id)).collect()
    }

    /// A connection for leases is used: whether it is still open.
    pub(crate) fn connects(&mut self, owner: Owner, connection: usize) -> bool {
        *self.connections.entry((owner, connection)).or_insert(self.generation) == self.generation
    }

    /// A statement arrives.
    pub(crate) fn begin(&mut self, ask: usize, owner: Owner, statement: &Statement, now: i64) -> Begun {
        let number = match statement {
            Statement::Ingest { deliveries, .. } => {
                self.seq += deliveries.len();
                self.seq - deliveries.len()
            }
            Statement::Change(..) if self.rules.c && self.is_changing() => return Begun::Waiting,
            Statement::Change(..) => {
                self.changes += 1;
                self.changes
            }
            Statement::Write(_) => 0,
            _ => return Begun::Answered(self.answer(owner, statement, now)),
        };
        let own = match statement {
            Statement::Write(batch) => {
                batch.iter().map(|write| write.lease).filter(|lease| self.is_owned_by(owner, *lease)).collect()
            }
            _ => BTreeSet::new(),
        };
        self.running.insert(ask, Running { statement: statement.clone(), owner, begun: now, own, number });
        Begun::Running
    }

    /// Rule C: the number is taken under a lock that is held until the commit.
    fn is_changing(&self) -> bool {
        self.running.values().any(|running| matches!(running.statement, Statement::Change(..)))
    }

    /// Rule K: a write holds the rows of its shards until the commit.
    fn is_locked(&self, shard: usize) -> bool {
        self.rules.k && self.running.values().any(|running| running.own.iter().any(|lease| lease.shard == shard))
    }

    /// What takes no time, or commits at once.
    fn answer(&mut self, owner: Owner, statement: &Statement, now: i64) -> Answer {
        let rows = self.rows.values().copied();
        match statement {
            Statement::Due(shards) => {
                let is_wanted = |row: &Row| {
                    row.due_at <= now && shards.iter().any(|(shard, from)| *shard == row.shard() && row.due_at >= *from)
                };
                Answer::Rows(rows.filter(is_wanted).collect())
            }
            Statement::Parked { destination, except, limit } => {
                let parked = rows.filter(|row| row.destination == *destination && row.due_at == NEVER);
                Answer::Rows(parked.filter(|row| !except.contains(&row.id)).take(*limit).collect())
            }
            Statement::Head(destination) => {
                let line = rows.filter(|row| row.destination == *destination);
                Answer::Rows(line.min_by_key(|row| row.seq).into_iter().collect())
            }
            Statement::Discover(shard) => {
                let parked = rows.filter(|row| row.shard() == *shard && row.due_at == NEVER);
                Answer::Destinations(parked.map(|row| row.destination).collect::<BTreeSet<_>>().into_iter().collect())
            }
            Statement::Renew(leases) => self.renew(owner, leases, now),
            Statement::Acquire { except } => self.acquire(owner, except, now),
            Statement::Release(lease) => {
                if self.is_owned_by(owner, *lease) {
                    let released = Shard { owner: None, expires_at: -1, ..self.shards[lease.shard] };
                    self.lease(lease.shard, released);
                    self.commit_leases();
                }
                Answer::Released
            }
            Statement::Changes(after) => {
                Answer::Changes(self.log.range(after + 1..).map(|(number, key)| (*number, *key)).collect())
            }
            Statement::Setting(key) => Answer::Setting(self.settings[*key].0),
            Statement::Ingest { .. } | Statement::Write(_) | Statement::Change(..) => Answer::Lost,
        }
    }

    /// Whom nobody replaced still owns: there is no condition on the expiry.
    fn renew(&mut self, owner: Owner, leases: &[Lease], now: i64) -> Answer {
        self.heartbeats.insert(owner, now + LEASE);
        let held: Vec<Lease> = leases.iter().copied().filter(|lease| self.is_owned_by(owner, *lease)).collect();
        for lease in &held {
            self.lease(lease.shard, Shard { expires_at: now + LEASE, ..self.shards[lease.shard] });
        }
        self.commit_leases();
        Answer::Renewed(held, self.share(owner, now))
    }

    fn share(&self, owner: Owner, now: i64) -> usize {
        let others = self.heartbeats.iter().filter(|(other, at)| **other != owner && **at > now).count();
        SHARDS.div_ceil((others + 1).min(HOSTS))
    }

    fn acquire(&mut self, owner: Owner, except: &[usize], now: i64) -> Answer {
        let mine = self.shards.iter().filter(|shard| shard.owner == Some(owner) && shard.expires_at > now).count();
        let is_free =
            |shard: &usize| self.shards[*shard].expires_at < now && !except.contains(shard) && !self.is_locked(*shard);
        let most = self.share(owner, now).saturating_sub(mine);
        let free: Vec<usize> = (0..SHARDS).filter(is_free).take(most).collect();
        for shard in &free {
            let epoch = self.shards[*shard].epoch + 1;
            self.lease(*shard, Shard { owner: Some(owner), epoch, expires_at: now + LEASE });
        }
        self.commit_leases();
        Answer::Acquired(free.into_iter().map(|shard| Lease { shard, epoch: self.shards[shard].epoch }).collect())
    }

    /// Shards that have another owner than before.
    pub(crate) fn takeovers(&self, before: &[Option<Owner>; SHARDS]) -> Vec<Takeover> {
        let taken = self.shards.iter().zip(before).enumerate();
        let taken = taken.filter(|(_, (shard, old))| shard.owner.is_some() && shard.owner != **old);
        taken.map(|(shard, (_, from))| Takeover { shard, from: *from }).collect()
    }

    pub(crate) fn owners(&self) -> [Option<Owner>; SHARDS] {
        self.shards.map(|shard| shard.owner)
    }

    fn lease(&mut self, shard: usize, new: Shard) {
        let old = std::mem::replace(&mut self.shards[shard], new);
        self.unsynced.push(Unsynced::Shard(shard, old));
    }

    /// Rule S: a lease is on disk when it is acknowledged, and with it whatever was committed before.
    fn commit_leases(&mut self) {
        if self.rules.s {
            self.unsynced.clear();
        }
    }

    /// A statement that has begun commits. None: it was gone by then. `is_late`: nobody waits for it any more.
    pub(crate) fn commit(&mut self, ask: usize, is_late: bool, now: i64, ledger: &mut Ledger) -> Option<Answer> {
        let running = self.running.remove(&ask)?;
        Some(match &running.statement {
            Statement::Write(batch) => {
                let fates = batch.iter().map(|write| self.write(&running, write, is_late, ledger)).collect();
                Answer::Written(fates)
            }
            Statement::Ingest { event, deliveries } => {
                // It may be a repetition: then all of it is there, or was.
                let is_new = self.events.insert(*event);
                let row = |(seq, (id, destination)): (usize, &(usize, usize))| Row {
                    id: *id,
                    seq,
                    destination: *destination,
                    due_at: running.begun,
                    attempts: 0,
                };
                let rows: Vec<Row> = (running.number..).zip(deliveries).filter(|_| is_new).map(row).collect();
                for row in &rows {
                    ledger.ingested(row, running.begun, now);
                    self.rows.insert(row.id, *row);
                }
                self.unsynced.clear();
                Answer::Ingested(rows)
            }
            Statement::Change(key, to) => {
                if self.settings[*key].0 != *to {
                    self.settings[*key] = (*to, now);
                }
                self.log.insert(running.number, *key);
                self.unsynced.clear();
                Answer::Changed
            }
            _ => Answer::Lost,
        })
    }

    fn write(&mut self, by: &Running, write: &Write, is_late: bool, ledger: &mut Ledger) -> Fate {
        if !by.own.contains(&write.lease) {
            return Fate::Fenced;
        }
        let Some(row) = self.rows.get(&write.id).copied() else { return Fate::Gone };
        if self.shards[write.lease.shard].epoch != write.lease.epoch {
            ledger.violates(Violation::WrittenAfterTakeover, || format!("{write:?} by {:?}", by.owner));
        }
        if is_late {
            ledger.meet("a write came late");
            self.moved.insert(row.id);
        }
        if write.change == Change::Finish {
            self.rows.remove(&row.id);
            self.unsynced.push(Unsynced::Finish(row, by.owner, write.lease));
            ledger.ended(row.id);
            return Fate::Done;
        }
        let (due_at, attempts) = match write.change {
            Change::Reschedule { due_at, attempts } => (due_at, attempts),
            Change::Park | Change::Finish => (NEVER, row.attempts),
        };
        if attempts < row.attempts {
            ledger.explains(row.id, "a late reschedule forgot an attempt");
        }
        self.unsynced.push(Unsynced::Row(row));
        self.rows.insert(row.id, Row { due_at, attempts, ..row });
        Fate::Done
    }

    pub(crate) fn has_unsynced_finishes(&self) -> bool {
        self.unsynced.iter().any(|unsynced| matches!(unsynced, Unsynced::Finish(..)))
    }

    /// Whatever is not on disk is undone, what runs is gone. Returns whose end was undone, and whose answers never come.
    pub(crate) fn crash(&mut self, ledger: &mut Ledger) -> (Vec<Undone>, Vec<usize>) {
        self.is_up = false;
        self.generation += 1;
        let mut undone = Vec::new();
        for unsynced in std::mem::take(&mut self.unsynced).into_iter().rev() {
            match unsynced {
                Unsynced::Row(row) => {
                    if self.rows.insert(row.id, row).is_some_and(|newer| newer.attempts > row.attempts) {
                        ledger.explains(row.id, "a crash undid a reschedule");
                    }
                    self.moved.insert(row.id);
                }
                Unsynced::Finish(row, owner, lease) => {
                    self.rows.insert(row.id, row);
                    self.moved.insert(row.id);
                    undone.push(Undone { id: row.id, owner, lease });
                }
                Unsynced::Shard(shard, old) => self.shards[shard] = old,
            }
        }
        (undone, std::mem::take(&mut self.running).into_keys().collect())
    }
}

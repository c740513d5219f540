//! A seeded simulation of one worker against a database that answers late, forgets unsynced commits when it crashes, and
//! is read at any moment: nothing is sent twice, and everything ends. Each rule that is switched off shows its hole; the
//! tests below say which.

use std::collections::{BTreeMap, HashMap};

use entity::delivery::{State, Trigger};
use entity::finish::{AttemptLog, Change, Fate, Write};
use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId, EventId, TenantId};
use uuid::Uuid;

use super::line::Reading;
use super::tickets::Ticket;
use super::{Ended, Schedule, Start};

const EPOCH: i64 = 1;

/// Small and repeatable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// What is under way between the worker and the database.
enum Traffic {
    /// Due rows were asked for; the rows, once the statement ran.
    Due(Ticket, Option<Vec<Due>>),
    Parked(DestinationId, Reading, Ticket, Option<Vec<Due>>),
    Written(Vec<Write>, Option<Vec<Fate>>),
    /// The write's connection was lost: whether it ran is not known.
    Lost(Vec<Write>),
    Attempt(Start),
    /// The configuration was read: whether the destination was paused.
    Judged(Start, bool),
}

struct World {
    dice: Dice,
    schedule: Schedule,
    rows: BTreeMap<i64, Due>,
    /// Finished since the last sync: what a crash brings back.
    unsynced: Vec<Due>,
    traffic: Vec<Traffic>,
    paused: Vec<DestinationId>,
    sent: HashMap<DeliveryId, usize>,
    ended: HashMap<DeliveryId, State>,
    made: usize,
    /// Few destinations with long lines, or several with short ones.
    destinations: u64,
    burst: u64,
    now: i64,
    writing: bool,
}

fn id(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

/// Ids are made from the place in line.
fn seq_of(delivery: DeliveryId) -> i64 {
    i64::try_from(delivery.uuid().as_u128() - 1).unwrap()
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            schedule: Schedule::new(false),
            rows: BTreeMap::new(),
            unsynced: Vec::new(),
            traffic: Vec::new(),
            paused: Vec::new(),
            sent: HashMap::new(),
            ended: HashMap::new(),
            made: 0,
            destinations: if seed.is_multiple_of(2) { 1 } else { 4 },
            burst: if seed.is_multiple_of(2) { 3 } else { 1 },
            now: 0,
            writing: false,
        }
    }

    fn ingest(&mut self) {
        self.made += 1;
        let number = self.made as u64;
        let seq = i64::try_from(number).unwrap();
        let due = Due {
            tenant_id: TenantId::from(id(0)),
            id: DeliveryId::from(id(number)),
            shard: 0,
            due_at: self.now,
            seq,
            event_id: EventId::from(id(number)),
            subscription_id: None,
            destination_id: DestinationId::from(id(self.dice.roll(self.destinations))),
            attempts: 0,
            trigger: Trigger::Event,
            size: 1,
        };
        self.rows.insert(seq, due);
    }

    /// One thing happens.
    fn step(&mut self, quiet: bool) {
        self.now += 1;
        match self.dice.roll(if quiet { 6 } else { 10 }) {
            0 => self.read(),
            1 => self.write(),
            2 | 3 => (0..4).for_each(|_| self.progress()),
            4 => self.start(),
            5 => self.sync(),
            6 | 7 => (0..self.burst).for_each(|_| self.ingest()),
            8 => self.toggle(),
            _ if self.dice.roll(40) == 0 => self.crash(),
            _ => {}
        }
    }

    fn read(&mut self) {
        if self.traffic.iter().filter(|traffic| matches!(traffic, Traffic::Due(..))).count() < 2 {
            let ticket = self.schedule.tickets.take();
            self.traffic.push(Traffic::Due(ticket, None));
        }
        for (destination, _, reading, ticket) in self.schedule.take_back(4) {
            self.traffic.push(Traffic::Parked(destination, reading, ticket, None));
        }
    }

    fn write(&mut self) {
        if !self.writing && self.schedule.has_writes() {
            self.writing = true;
            let batch = self.schedule.writes(5);
            self.traffic.push(Traffic::Written(batch, None));
        }
    }

    fn start(&mut self) {
        for start in self.schedule.start() {
            self.traffic.push(Traffic::Attempt(start));
        }
    }

    /// Something that is under way goes one step on: a statement runs, or its answer arrives.
    fn progress(&mut self) {
        if self.traffic.is_empty() {
            return;
        }
        let at = usize::try_from(self.dice.roll(self.traffic.len() as u64)).unwrap();
        match self.traffic.swap_remove(at) {
            Traffic::Due(ticket, None) => {
                let due = self.rows.values().filter(|row| row.due_at <= self.now).take(300).copied().collect();
                self.traffic.push(Traffic::Due(ticket, Some(due)));
            }
            Traffic::Due(ticket, Some(rows)) => {
                rows.into_iter().for_each(|due| self.schedule.offer(due, EPOCH, ticket));
                self.schedule.tickets.close(ticket);
                self.schedule.dig_up();
            }
            Traffic::Parked(destination, reading, ticket, None) => {
                let parked =
                    |row: &&Due| row.due_at == NEVER && row.destination_id == destination && row.seq > reading.after;
                let rows = self.rows.values().filter(parked).take(reading.limit).copied().collect();
                self.traffic.push(Traffic::Parked(destination, reading, ticket, Some(rows)));
            }
            Traffic::Parked(destination, reading, ticket, rows) => {
                self.schedule.took_back(destination, reading, ticket, rows);
            }
            Traffic::Written(batch, None) => {
                let fates = batch.iter().map(|write| self.apply(write)).collect();
                self.traffic.push(Traffic::Written(batch, Some(fates)));
            }
            Traffic::Written(batch, Some(fates)) => {
                self.writing = false;
                let fenced = self.schedule.written(batch, &fates);
                assert!(fenced.is_empty());
            }
            Traffic::Lost(batch) => {
                self.writing = false;
                self.schedule.unwritten(batch);
            }
            Traffic::Attempt(start) => {
                let paused = self.paused.contains(&start.due.destination_id);
                self.traffic.push(Traffic::Judged(start, paused));
            }
            Traffic::Judged(start, paused) => self.attempted(start, paused),
        }
    }

    fn apply(&mut self, write: &Write) -> Fate {
        let seq = seq_of(write.row.id);
        if !self.rows.contains_key(&seq) {
            return Fate::Gone;
        }
        match &write.change {
            Change::Finish { state, .. } => {
                let row = self.rows.remove(&seq).unwrap();
                self.unsynced.push(row);
                self.ended.insert(row.id, *state);
            }
            Change::Reschedule { due_at, last } => {
                let row = self.rows.get_mut(&seq).unwrap();
                (row.due_at, row.attempts) = (*due_at, last.number);
            }
            Change::Park => self.rows.get_mut(&seq).unwrap().due_at = NEVER,
            Change::BringForward { due_at } => self.rows.get_mut(&seq).unwrap().due_at = *due_at,
        }
        Fate::Done
    }

    fn attempted(&mut self, start: Start, paused: bool) {
        let row = self.rows.get(&seq_of(start.due.id));
        assert!(row.is_none_or(|row| row.attempts <= start.due.attempts), "an attempt was made on a row of the past");
        let ended = if paused {
            Ended::Held
        } else {
            match self.dice.roll(8) {
                0 => Ended::Aborted,
                1 | 2 => Ended::Again { due_at: self.now + 20, last: log(&start), overloaded: self.dice.roll(2) == 0 },
                _ => {
                    *self.sent.entry(start.due.id).or_default() += 1;
                    Ended::Finished { state: State::Delivered, reason: None, last: Some(log(&start)) }
                }
            }
        };
        self.schedule.ended(start.due.id, start.epoch, ended);
    }

    /// A renewal committed durably, on a connection that had seen no crash.
    fn sync(&mut self) {
        self.unsynced.clear();
        let stamp = self.schedule.stamp();
        self.schedule.durable(stamp);
    }

    /// The database loses what was not on disk; statements under way fail, and renewals come on a new connection.
    fn crash(&mut self) {
        for row in std::mem::take(&mut self.unsynced) {
            self.ended.remove(&row.id);
            self.rows.insert(row.seq, row);
        }
        for traffic in std::mem::take(&mut self.traffic) {
            match traffic {
                Traffic::Due(ticket, _) => self.schedule.tickets.close(ticket),
                Traffic::Parked(destination, reading, ticket, _) => {
                    self.schedule.took_back(destination, reading, ticket, None);
                }
                Traffic::Written(batch, _) => self.traffic.push(Traffic::Lost(batch)),
                kept => self.traffic.push(kept),
            }
        }
        self.schedule.rewrite();
    }

    fn toggle(&mut self) {
        let destination = DestinationId::from(id(self.dice.roll(self.destinations)));
        if let Some(at) = self.paused.iter().position(|paused| *paused == destination) {
            self.paused.swap_remove(at);
            self.schedule.reopen(destination);
        } else {
            self.paused.push(destination);
        }
    }

    fn calm(&mut self) {
        for destination in std::mem::take(&mut self.paused) {
            self.schedule.reopen(destination);
        }
        for _ in 0..200_000 {
            if self.rows.is_empty() && self.traffic.is_empty() && !self.schedule.has_writes() {
                return;
            }
            self.step(true);
        }
    }
}

fn log(start: &Start) -> AttemptLog {
    AttemptLog {
        number: start.due.attempts + 1,
        at: 0,
        duration_ms: 0,
        outcome: entity::attempt::Outcome::Delivered,
        status: None,
        error: None,
        remote_address: None,
        response_headers: None,
        response_body: None,
        keep: false,
    }
}

#[test]
fn nothing_is_sent_twice_and_everything_ends() {
    for seed in 1..150 {
        let mut world = World::new(seed);
        for _ in 0..1_500 {
            world.step(false);
        }
        world.calm();
        assert!(world.rows.is_empty(), "seed {seed}: {} rows were forgotten", world.rows.len());
        assert_eq!(world.ended.len(), world.made, "seed {seed}");
        let twice: Vec<_> = world.sent.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: sent more than once: {twice:?}");
    }
}

#[test]
fn memory_ends_empty() {
    let mut world = World::new(7);
    for _ in 0..3_000 {
        world.step(false);
    }
    world.calm();
    world.sync();
    world.schedule.dig_up();
    assert_eq!((world.schedule.known.len(), world.schedule.lines.len(), world.schedule.in_flight), (0, 0, 0));
}

//! One tenant asks for everything once more, and others, or it itself, have news: what starts first.

use std::collections::BTreeMap;

use entity::delivery::Trigger;
use entity::finish::{Change, Fate};
use entity::pending::Due;
use relay::clock::NEVER;
use relay::id::{DestinationId, Id, TenantId};
use uuid::Uuid;

use super::breaker::Sign;
use super::parked::{Kind, Reading};
use super::policy::{Ordering, Policy};
use super::{Ended, Schedule, Start, State};

const EPOCH: i64 = 1;

/// A schedule and the rows that it parked, of one destination.
struct Desk {
    schedule: Schedule,
    policy: Policy,
    rows: BTreeMap<i64, Due>,
    read: Vec<Reading>,
    /// Which rows were started, by their places.
    started: Vec<i64>,
    in_flight: Vec<Start>,
}

fn tenant() -> TenantId {
    Uuid::from_u128(1).into()
}

fn destination() -> DestinationId {
    Uuid::from_u128(7).into()
}

fn due(seq: i64, trigger: Trigger, attempts: i16) -> Due {
    Due {
        tenant_id: tenant(),
        id: Id::at(seq),
        shard: 0,
        due_at: 0,
        seq,
        event_id: Id::at(seq),
        subscription_id: None,
        destination_id: destination(),
        order_key: None,
        attempts,
        trigger,
        size: 10,
    }
}

impl Desk {
    fn new() -> Self {
        let schedule = Schedule::new(true);
        let policy = Policy { most: 4, ..Policy::default() };
        Self { schedule, policy, rows: BTreeMap::new(), read: Vec::new(), started: Vec::new(), in_flight: Vec::new() }
    }

    fn offer(&mut self, rows: impl IntoIterator<Item = Due>) {
        for due in rows {
            let ticket = self.schedule.tickets.take();
            self.rows.insert(due.seq, due);
            self.schedule.offer(due, EPOCH, ticket);
            self.schedule.tickets.close(ticket);
        }
        self.settle();
    }

    /// Whatever is asked is answered, what is to be written is, and what is to be read as well; then what can start does.
    fn settle(&mut self) {
        while let Some(question) = self.schedule.question() {
            self.schedule.answered(question, Some(self.policy));
        }
        self.write();
        while self.read() {}
        for start in self.schedule.start(usize::MAX) {
            self.started.push(start.due.seq);
            self.in_flight.push(start);
        }
    }

    fn read(&mut self) -> bool {
        let reads = self.schedule.take_back(4);
        let any = !reads.is_empty();
        for (destination, _, reading, ticket) in reads {
            self.read.push(reading);
            let parked = self.rows.values().filter(|row| row.due_at == NEVER && row.seq > reading.after);
            let rows = parked.take(reading.limit).copied().collect();
            self.schedule.took_back(destination, reading, ticket, Some(rows));
        }
        any
    }

    fn write(&mut self) {
        let batch = self.schedule.writes(usize::MAX);
        for write in &batch {
            let row = self.rows.values_mut().find(|row| row.id == write.row.id).unwrap();
            match write.change {
                Change::Park => row.due_at = NEVER,
                _ => {
                    let seq = row.seq;
                    self.rows.remove(&seq);
                }
            }
        }
        let fates = vec![Fate::Done; batch.len()];
        self.schedule.written(batch, &fates);
    }

    /// The oldest attempt ends well, so many times.
    fn end(&mut self, times: usize) {
        for _ in 0..times {
            let start = self.in_flight.remove(0);
            let ended = Ended::Finished { state: State::Delivered, reason: None, last: None, sign: Sign::Well };
            self.schedule.ended(start.due.id, EPOCH, ended);
            self.settle();
        }
    }
}

fn replays(count: i64) -> impl Iterator<Item = Due> {
    (1..=count).map(|seq| due(seq, Trigger::Replay, 0))
}

fn events(after: i64, count: i64) -> impl Iterator<Item = Due> {
    (after + 1..=after + count).map(|seq| due(seq, Trigger::Event, 0))
}

fn retries(after: i64, count: i64) -> impl Iterator<Item = Due> {
    (after + 1..=after + count).map(|seq| due(seq, Trigger::Event, 1))
}

#[test]
fn what_is_new_does_not_wait_behind_what_is_replayed() {
    let mut desk = Desk::new();
    desk.offer(replays(1_000));
    assert_eq!(desk.started, [1, 2, 3, 4]);
    desk.schedule.discovered((tenant(), destination()), 0, EPOCH);
    desk.offer(events(1_000, 1));
    assert!(desk.rows[&1_001].due_at != NEVER, "it has room of its own");
    desk.end(2);
    assert_eq!(desk.started[4..], [1_001, 5]);
}

#[test]
fn what_is_new_and_does_not_fit_is_taken_back_before_what_is_replayed() {
    let mut desk = Desk::new();
    desk.offer(replays(1_000));
    desk.read.clear();
    desk.offer(events(1_000, 100));
    assert!(desk.rows[&1_100].due_at == NEVER, "it did not fit");
    desk.end(110);
    let (new, again): (Vec<i64>, Vec<i64>) = desk.started[4..].iter().partition(|seq| **seq > 1_000);
    assert_eq!(new, (1_001..=1_100).collect::<Vec<_>>(), "in their order");
    assert_eq!(again.len(), 10);
    let passes = |reading: &Reading| reading.kind == Kind::Rows(super::Class::First) && reading.after < 1_000;
    assert!(!desk.read.iter().any(passes), "nobody reads past a million replays");
    desk.end(990);
    assert!(desk.rows.is_empty() && desk.started.len() == 1_100);
}

#[test]
fn what_is_new_does_not_wait_behind_what_is_retried_but_one_in_four_of_that_goes() {
    let mut desk = Desk::new();
    desk.offer(retries(0, 200));
    desk.offer(events(200, 60));
    desk.end(80);
    let retried: Vec<_> = (1..).zip(&desk.started).filter(|(_, seq)| **seq <= 200).map(|(place, _)| place).collect();
    assert_eq!(retried[..8], [1, 2, 3, 4, 8, 12, 16, 20]);
    assert_eq!(desk.started.iter().filter(|seq| **seq > 200).count(), 60);
}

#[test]
fn what_is_parked_is_told_apart_by_whoever_finds_it() {
    let mut desk = Desk::new();
    let parked = replays(300).chain(events(300, 40)).chain(retries(340, 40));
    desk.rows = parked.map(|due| (due.seq, Due { due_at: NEVER, ..due })).collect();
    desk.schedule.discovered((tenant(), destination()), 0, EPOCH);
    desk.settle();
    desk.end(100);
    let new = desk.started.iter().filter(|seq| **seq > 300).count();
    assert_eq!(new, 80, "{:?}", desk.started);
    desk.end(280);
    assert!(desk.rows.is_empty());
    let once: std::collections::BTreeSet<_> = desk.started.iter().collect();
    assert_eq!((once.len(), desk.started.len()), (380, 380));
}

#[test]
fn what_a_former_owner_parked_is_found_though_others_are_parked_since() {
    let mut desk = Desk::new();
    desk.rows = events(0, 40).map(|due| (due.seq, Due { due_at: NEVER, ..due })).collect();
    desk.offer(replays(1_000).skip(40));
    desk.schedule.discovered((tenant(), destination()), 0, EPOCH);
    desk.end(60);
    assert_eq!(desk.started.iter().filter(|seq| **seq <= 40).count(), 40, "{:?}", desk.started);
}

#[test]
fn what_is_parked_and_not_known_of_is_found_again() {
    let mut desk = Desk::new();
    desk.offer(events(100, 40));
    desk.end(38);
    desk.rows.insert(7, Due { due_at: NEVER, ..due(7, Trigger::Event, 0) });
    desk.settle();
    assert!(!desk.started.contains(&7));
    desk.schedule.discovered((tenant(), destination()), 0, EPOCH);
    desk.settle();
    assert!(desk.started.contains(&7));
}

#[test]
fn an_order_is_kept_whatever_stands_in_it() {
    let mut desk = Desk::new();
    desk.policy.order = Ordering::Whole;
    desk.policy.most = 1;
    let in_line = |due: Due| Due { order_key: Some(relay::order::WHOLE), ..due };
    desk.offer(replays(5).chain(events(5, 5)).map(in_line));
    for seq in 1..=10 {
        let Some((wanted, ticket)) = desk.schedule.wanted_heads(4) else { panic!("nobody asks who is first") };
        let head = desk.rows.values().next().copied().unwrap();
        let found = wanted.iter().map(|(line, _)| (*line, head)).collect();
        desk.schedule.headed(wanted, ticket, Some(found));
        desk.settle();
        assert_eq!(desk.started.last(), Some(&seq));
        desk.end(1);
        desk.settle();
    }
}

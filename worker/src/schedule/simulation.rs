//! A seeded simulation of one worker against a database that answers late, forgets unsynced commits when it crashes, and
//! is read at any moment: nothing is sent twice, nothing overtakes where an order is wanted, nothing is sent faster or more
//! at a time than is allowed, and everything ends. `tests/faults/breaks` takes rules away and sees it fail; the whole protocol, with
//! several workers, is simulated in `tests/model`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;
use std::time::Duration;

use entity::delivery::{State, Trigger};
use entity::finish::{AttemptLog, Change, Fate, Write};
use entity::pending::{Due, Head};
use relay::clock::NEVER;
use relay::id::{DeliveryId, DestinationId, EventId, TenantId};
use relay::order::WHOLE;
use uuid::Uuid;

use super::asking::{Probe, Question};
use super::breaker::Sign;
use super::class::Class;
use super::lanes::Wanted;
use super::parked::{Kind, Reading};
use super::policy::{Ordering, Policy, Standing};
use super::tickets::Ticket;
use super::{Ended, Met, Schedule, Start};

mod world;

use world::World;

const EPOCH: i64 = 1;
const SEEDS: std::ops::Range<u64> = 1..400;
const STEPS: usize = 1_500;

/// Small and repeatable.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.roll(one_in) == 0
    }

    fn pick<T: Copy>(&mut self, among: &[T]) -> Option<T> {
        let sides = u64::try_from(among.len()).unwrap();
        (sides > 0).then(|| among[usize::try_from(self.roll(sides)).unwrap()])
    }
}

/// What must have happened, or nothing was shown.
const MET: [&str; 16] = [
    "could hand over",
    "heard of a write after a crash",
    "put off",
    "cancelled",
    "tried now",
    "crashed",
    "probed",
    "opened a breaker",
    "keyed by scan",
    "turned to another order",
    "waited for the pace",
    "waited for a slot",
    "sent from a line",
    "went before replays",
    "had its turn all the same",
    "handed over",
];

/// What came of all seeds.
#[derive(Default)]
struct Story {
    met: BTreeMap<&'static str, usize>,
    sent_twice: Vec<String>,
    faults: Vec<String>,
    forgotten: Vec<String>,
}

/// Told once, for all that look at it.
fn story() -> &'static Story {
    static STORY: LazyLock<Story> = LazyLock::new(|| {
        let mut story = Story::default();
        for seed in SEEDS {
            let mut world = World::new(seed);
            for step in 0..STEPS {
                // Now and then nothing comes, and everything that waits stands still.
                world.step(step % 250 > 150);
            }
            world.calm();
            let ends = (world.rows.len(), world.ended.len());
            if ends != (0, world.made) {
                story
                    .forgotten
                    .push(format!("seed {seed}: of {} rows {} ended and {} are left", world.made, ends.1, ends.0));
            }
            let twice: Vec<_> = world.sent.iter().filter(|(_, times)| **times > 1).collect();
            if !twice.is_empty() {
                story.sent_twice.push(format!("seed {seed}: {twice:?}"));
            }
            story.faults.extend(world.faults.iter().map(|fault| format!("seed {seed}: {fault}")));
            for (what, times) in world.met {
                *story.met.entry(what).or_default() += times;
            }
        }
        story
    });
    &STORY
}

#[test]
fn nothing_is_sent_twice() {
    assert_eq!(story().sent_twice, [""; 0]);
}

#[test]
fn nothing_overtakes_and_no_limit_is_passed() {
    assert_eq!(story().faults, [""; 0]);
}

#[test]
fn everything_ends() {
    assert_eq!(story().forgotten, [""; 0]);
}

#[test]
fn whatever_is_to_be_shown_was_met() {
    for what in MET {
        assert!(story().met.get(what).is_some_and(|times| *times > 20), "{what}: {:?}", story().met);
    }
}

#[test]
fn memory_ends_empty() {
    for seed in [7, 8, 9, 10] {
        let mut world = World::new(seed);
        for _ in 0..3_000 {
            world.step(false);
        }
        world.calm();
        world.sync();
        world.schedule.dig_up();
        // A minute on, what was remembered of their pace and health says nothing any more.
        world.now += 3_600_000;
        world.tell_the_time();
        world.answer_all();
        world.schedule.retire_all();
        let left = (world.schedule.known.len(), world.schedule.lines.len(), world.schedule.in_flight);
        assert_eq!(left, (0, 0, 0), "seed {seed}");
        assert!(world.schedule.probes.is_empty(), "seed {seed}");
    }
}

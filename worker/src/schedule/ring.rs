//! Whose turn it is, and how many slots each tenant and each class may hold.

use std::collections::HashMap;
use std::time::Duration;

use relay::id::{DestinationId, TenantId};

use super::class::{Class, Each, Passed};
use super::round::Round;

/// Whoever sent something so lately sends again before a slot that is taken now is given back: an attempt holds it for no
/// longer.
const LATELY: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Ring {
    /// Slots of this process.
    slots: usize,
    rounds: Each<Round<DestinationId>>,
    in_flight: Tally,
    held: Each<usize>,
    passed: Passed,
    /// When a delivery was last started for the first time.
    first_at: Option<Duration>,
}

/// Where something starts, and of which class.
pub(super) type Turn = (Class, DestinationId);

/// How many each tenant has in flight.
#[derive(Debug, Default)]
pub(super) struct Tally {
    all: usize,
    of: HashMap<TenantId, usize>,
}

impl Ring {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots,
            rounds: Each::default(),
            in_flight: Tally::default(),
            held: Each::default(),
            passed: Passed::default(),
            first_at: None,
        }
    }

    /// This destination can start something of this class.
    pub(super) fn push(&mut self, tenant: TenantId, class: Class, destination: DestinationId) {
        self.rounds[class].push(tenant, destination);
    }

    /// The next destination to start one delivery of, of this class, which costs as much as `cost` says: of a class that
    /// was passed by for long enough, else of the best that waits.
    pub(super) fn next(&mut self, now: Duration, cost: impl Fn(Class, DestinationId) -> u64) -> Option<Turn> {
        let passed_by = [Class::Replay, Class::Retry].into_iter().find_map(|class| {
            let has_its_turn = self.passed.is_due(class) && self.held[class] < self.slots / class.part();
            has_its_turn.then(|| self.turn(class, now, &cost)).flatten()
        });
        passed_by
            .or_else(|| self.best_of(&[Class::First, Class::Retry], now, &cost))
            .or_else(|| self.best_of(&[Class::Replay], now, &cost))
    }

    /// No tenant gets more than half of the slots while others wait for something of these classes. Replays do not hold
    /// back what is none.
    fn best_of(
        &mut self,
        classes: &[Class],
        now: Duration,
        cost: &impl Fn(Class, DestinationId) -> u64,
    ) -> Option<Turn> {
        let of_others = classes.iter().find_map(|class| self.turn(*class, now, cost));
        of_others.or_else(|| classes.iter().find_map(|class| self.turn_of_full(*class, now)))
    }

    fn turn(&mut self, class: Class, now: Duration, cost: &impl Fn(Class, DestinationId) -> u64) -> Option<Turn> {
        if self.held[class] >= self.most(class, now) {
            return None;
        }
        let (in_flight, most) = (&self.in_flight, self.slots / 2);
        let is_full = |tenant| in_flight.of(tenant) >= most;
        let found = self.rounds[class].next(is_full, |destination| cost(class, *destination));
        found.map(|destination| (class, destination))
    }

    fn turn_of_full(&mut self, class: Class, now: Duration) -> Option<Turn> {
        if self.held[class] >= self.most(class, now) {
            return None;
        }
        self.rounds[class].next_of_full().map(|destination| (class, destination))
    }

    /// How many slots a class may hold. A quarter is left to first attempts even if none wait: whoever comes next is not
    /// to wait for as long as an attempt to a dead destination may take.
    ///
    /// For the same reason the quarter of the retries is hard, free slots or not, unless no first attempt was about for
    /// that long. It costs little: destinations that answer are asked thousands of times a second in 500 slots, and those
    /// that do not gain nothing by more.
    fn most(&self, class: Class, now: Duration) -> usize {
        let (half, quarter) = (self.slots / 2, self.slots / 4);
        match class {
            Class::First => usize::MAX,
            Class::Retry if self.is_quiet(now) => (self.slots - quarter).saturating_sub(self.held[Class::Replay]),
            Class::Retry => quarter,
            Class::Replay => half.min((self.slots - quarter).saturating_sub(self.held[Class::Retry])),
        }
    }

    fn is_quiet(&self, now: Duration) -> bool {
        self.rounds[Class::First].is_empty() && self.first_at.is_none_or(|at| now >= at + LATELY)
    }

    /// No destination can start anything.
    pub(super) fn is_empty(&self) -> bool {
        self.rounds.iter().all(Round::is_empty)
    }

    pub(super) fn started(&mut self, tenant: TenantId, class: Class, now: Duration) {
        self.in_flight.add(tenant);
        self.held[class] += 1;
        self.passed.started(class);
        if class == Class::First {
            self.first_at = Some(now);
        }
    }

    pub(super) fn ended(&mut self, tenant: TenantId, class: Class) {
        self.in_flight.subtract(tenant);
        self.held[class] = self.held[class].saturating_sub(1);
        if self.in_flight.of(tenant) < self.slots / 2 {
            self.rounds.iter_mut().for_each(|round| round.readmit(tenant));
        }
    }
}

impl Tally {
    pub(super) fn all(&self) -> usize {
        self.all
    }

    pub(super) fn of(&self, tenant: TenantId) -> usize {
        self.of.get(&tenant).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, tenant: TenantId) {
        self.all += 1;
        *self.of.entry(tenant).or_default() += 1;
    }

    pub(super) fn subtract(&mut self, tenant: TenantId) {
        let Some(of) = self.of.get_mut(&tenant) else { return };
        self.all -= 1;
        *of -= 1;
        if *of == 0 {
            self.of.remove(&tenant);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::round;
    use super::*;

    fn tenant(number: u128) -> TenantId {
        Uuid::from_u128(number).into()
    }

    fn destination(number: u128) -> DestinationId {
        Uuid::from_u128(number).into()
    }

    /// A ring of so many slots, in which everything is small.
    struct Small(Ring);

    impl Small {
        fn new(slots: usize) -> Self {
            Self(Ring::new(slots))
        }

        fn push(&mut self, of: u128, class: Class, destinations: impl IntoIterator<Item = u128>) {
            destinations.into_iter().for_each(|number| self.0.push(tenant(of), class, destination(number)));
        }

        fn next(&mut self, second: u64) -> Option<(Class, u128)> {
            let found = self.0.next(Duration::from_secs(second), |_, _| round::cost(1));
            found.map(|(class, destination)| (class, destination.uuid().as_u128()))
        }

        /// Starts whatever may start. A destination is of the tenant of its hundreds.
        fn start(&mut self, second: u64) -> Vec<(Class, u128)> {
            let mut started = Vec::new();
            while started.len() < 1_000
                && let Some((class, number)) = self.next(second)
            {
                self.0.started(tenant(number / 100), class, Duration::from_secs(second));
                started.push((class, number));
            }
            started
        }

        fn end(&mut self, of: u128, class: Class) {
            self.0.ended(tenant(of), class);
        }
    }

    fn destinations(started: &[(Class, u128)]) -> Vec<u128> {
        started.iter().map(|(_, number)| *number).collect()
    }

    /// The places of a class in a row of starts, from one on.
    fn places(started: &[(Class, u128)], class: Class) -> Vec<usize> {
        (1..).zip(started).filter(|(_, (of, _))| *of == class).map(|(place, _)| place).collect()
    }

    #[test]
    fn tenants_take_turns_however_many_destinations_one_has() {
        let mut ring = Small::new(10);
        ring.push(1, Class::First, 101..=103);
        ring.push(2, Class::First, [201]);
        assert_eq!(destinations(&ring.start(0)), [101, 201, 102, 103]);
    }

    #[test]
    fn a_tenant_gets_no_more_than_half_while_another_waits() {
        let mut ring = Small::new(2);
        ring.0.started(tenant(1), Class::First, Duration::ZERO);
        ring.push(1, Class::First, 101..=102);
        ring.push(2, Class::First, [201]);
        assert_eq!(ring.next(0), Some((Class::First, 201)));
        assert_eq!(ring.next(0), Some((Class::First, 101)), "nobody else waits any more");
        ring.push(2, Class::First, 202..=203);
        ring.end(1, Class::First);
        assert_eq!([ring.next(0), ring.next(0)].map(|next| next.unwrap().1), [202, 102], "it has its turns again");
    }

    #[test]
    fn one_that_holds_half_lets_others_retry_but_not_replay_before_it() {
        let mut ring = Small::new(8);
        (0..4).for_each(|_| ring.0.started(tenant(1), Class::First, Duration::ZERO));
        ring.push(1, Class::First, 101..=102);
        ring.push(2, Class::Retry, [201]);
        ring.push(3, Class::Replay, [301]);
        assert_eq!(destinations(&ring.start(0)), [201, 101, 102, 301]);
    }

    #[test]
    fn retries_hold_a_quarter_until_no_first_attempt_was_about_for_long() {
        let mut ring = Small::new(32);
        ring.push(1, Class::First, [101]);
        (2..50).for_each(|of| ring.push(of, Class::Retry, [of * 100]));
        let started = ring.start(100);
        assert_eq!((started[0].0, started.len()), (Class::First, 1 + 8));
        ring.end(1, Class::First);
        assert_eq!(ring.next(129), None, "whoever sent something lately sends again");
        ring.end(2, Class::Retry);
        assert_eq!(ring.start(129).len(), 1);
        assert_eq!(ring.start(130).len(), 16, "a quarter is left for whoever comes next");
        ring.push(1, Class::First, [101]);
        assert_eq!(destinations(&ring.start(131)), [101]);
        (3..21).for_each(|of| ring.end(of, Class::Retry));
        assert_eq!(ring.start(132).len(), 2, "six of a quarter of eight are left");
    }

    #[test]
    fn a_first_attempt_that_waits_for_others_is_about_as_well() {
        let mut ring = Small::new(32);
        (0..16).for_each(|_| ring.0.started(tenant(1), Class::First, Duration::ZERO));
        ring.push(1, Class::First, [101]);
        (2..50).for_each(|of| ring.push(of, Class::Retry, [of * 100]));
        let started = ring.start(1_000);
        assert_eq!((places(&started, Class::First), started.len()), (vec![9], 9));
    }

    #[test]
    fn one_that_is_alone_gets_what_its_classes_may_hold() {
        for (class, most) in [(Class::First, 40), (Class::Retry, 24), (Class::Replay, 16)] {
            let mut ring = Small::new(32);
            ring.push(1, class, 100..140);
            assert_eq!(ring.start(0).len(), most, "{class:?}");
        }
    }

    #[test]
    fn replays_go_last_and_leave_a_quarter_to_first_attempts() {
        let mut ring = Small::new(32);
        (11..50).for_each(|of| ring.push(of, Class::Replay, [of * 100]));
        ring.push(1, Class::First, 101..=103);
        (2..4).for_each(|of| ring.push(of, Class::Retry, [of * 100]));
        let started = ring.start(0);
        assert_eq!(destinations(&started[..6]), [101, 102, 103, 200, 300, 1_100]);
        assert_eq!(places(&started, Class::Replay).len(), 16);

        let mut ring = Small::new(32);
        (2..50).for_each(|of| ring.push(of, Class::Retry, [of * 100]));
        (51..99).for_each(|of| ring.push(of, Class::Replay, [of * 100]));
        let started = ring.start(0);
        assert_eq!(places(&started, Class::Replay), [16], "nobody else was about");
        assert_eq!(started.len(), 24);
    }

    #[test]
    fn who_goes_last_goes_now_and_then_and_keeps_a_small_part() {
        let mut ring = Small::new(64);
        (1..20).for_each(|of| ring.push(of, Class::First, (0..10).map(|number| 100 * of + number)));
        (20..40).for_each(|of| ring.push(of, Class::Retry, [100 * of]));
        (40..60).for_each(|of| ring.push(of, Class::Replay, [100 * of]));
        let started: Vec<_> = ring.start(0).into_iter().take(100).collect();
        assert_eq!(places(&started, Class::Replay), [16, 32, 48, 64]);
        let retried = [4, 8, 12, 17, 21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61, 65];
        assert_eq!(places(&started, Class::Retry), retried);
    }
}

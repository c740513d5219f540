//! Tenants in turn, by what their deliveries cost and not by how many they are: deficit round robin, in constant time a
//! turn however many tenants wait.

use std::collections::{BTreeMap, HashMap, VecDeque};

use relay::id::TenantId;

/// What a turn gives, in bytes, and the least that anything costs: a small request holds a slot all the same. As the
/// two are one, whoever sends small requests sends one a turn, and none waits for a row of another's.
const QUANTUM: u64 = 4 << 10;

/// What a delivery costs with a body of so many bytes.
pub(super) fn cost(bytes: usize) -> u64 {
    QUANTUM.max(bytes as u64)
}

/// Whoever has something ready, and what.
#[derive(Debug)]
pub(super) struct Round<T> {
    turns: VecDeque<TenantId>,
    tenants: HashMap<TenantId, Tenant<T>>,
    /// Tenants that hold all they may, in the order in which they stood aside: nobody looks at them on every turn.
    aside: BTreeMap<u64, TenantId>,
    stood_aside: u64,
    /// How much is ready, of all tenants.
    ready: usize,
}

#[derive(Debug)]
struct Tenant<T> {
    ready: VecDeque<T>,
    /// What its turns gave and it did not spend. Gone as soon as nothing is ready: nobody saves up for a flood.
    credit: u64,
    /// Its place among those that stand aside.
    aside: Option<u64>,
}

impl<T> Default for Round<T> {
    fn default() -> Self {
        Self { turns: VecDeque::new(), tenants: HashMap::new(), aside: BTreeMap::new(), stood_aside: 0, ready: 0 }
    }
}

impl<T> Round<T> {
    pub(super) fn push(&mut self, tenant: TenantId, ready: T) {
        let turns = &mut self.turns;
        let found = self.tenants.entry(tenant).or_insert_with(|| {
            turns.push_back(tenant);
            Tenant { ready: VecDeque::new(), credit: QUANTUM, aside: None }
        });
        found.ready.push_back(ready);
        self.ready += 1;
    }

    /// What is next, of a tenant that is not full and whose turns have given as much as it costs. What costs nothing
    /// says that it is not ready any more.
    pub(super) fn next(&mut self, is_full: impl Fn(TenantId) -> bool, cost: impl Fn(&T) -> u64) -> Option<T> {
        let (mut passed, mut least_missing) = (0, u64::MAX);
        while let Some(&id) = self.turns.front() {
            let tenant = self.tenants.get_mut(&id)?;
            let Some(cost) = tenant.ready.front().map(&cost) else {
                self.turns.pop_front();
                self.tenants.remove(&id);
                continue;
            };
            if is_full(id) {
                self.turns.pop_front();
                self.stand_aside(id);
                continue;
            }
            if cost <= tenant.credit {
                tenant.credit -= cost;
                self.ready -= 1;
                return tenant.ready.pop_front();
            }
            tenant.credit += QUANTUM;
            least_missing = least_missing.min(cost.saturating_sub(tenant.credit));
            self.turns.rotate_left(1);
            passed += 1;
            if passed >= self.turns.len() {
                self.skip_rounds(least_missing.div_ceil(QUANTUM));
                (passed, least_missing) = (0, u64::MAX);
            }
        }
        None
    }

    /// What is next of those that are full, for when nobody else waits.
    pub(super) fn next_of_full(&mut self) -> Option<T> {
        while let Some((_, id)) = self.aside.pop_first() {
            let Some(ready) = self.tenants.get_mut(&id).and_then(|tenant| tenant.ready.pop_front()) else {
                self.tenants.remove(&id);
                continue;
            };
            self.ready -= 1;
            self.stand_aside(id);
            return Some(ready);
        }
        None
    }

    /// Nothing is ready, whoever is full.
    pub(super) fn is_empty(&self) -> bool {
        self.ready == 0
    }

    /// The tenant is not full any more.
    pub(super) fn readmit(&mut self, id: TenantId) {
        if let Some(place) = self.tenants.get_mut(&id).and_then(|tenant| tenant.aside.take()) {
            self.aside.remove(&place);
            self.turns.push_back(id);
        }
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&T) -> bool) {
        self.tenants.values_mut().for_each(|tenant| tenant.ready.retain(&keeps));
        self.ready = self.tenants.values().map(|tenant| tenant.ready.len()).sum();
    }

    fn stand_aside(&mut self, id: TenantId) {
        self.stood_aside += 1;
        if let Some(tenant) = self.tenants.get_mut(&id) {
            tenant.aside = Some(self.stood_aside);
            self.aside.insert(self.stood_aside, id);
        }
    }

    /// Everybody's turn has passed in vain, and would so many times more: those rounds are given at once, so that nobody
    /// waits for the counting either. So one that is alone waits for nothing.
    fn skip_rounds(&mut self, rounds: u64) {
        for id in &self.turns {
            if let Some(tenant) = self.tenants.get_mut(id) {
                tenant.credit += rounds * QUANTUM;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use uuid::Uuid;

    use super::*;

    /// A delivery: whose, and how many quanta it costs.
    type Sent = (u128, u64);
    /// Deliveries, and how many of each.
    type Waiting<'a> = &'a [(Sent, usize)];

    fn tenant(number: u128) -> TenantId {
        Uuid::from_u128(number).into()
    }

    fn round_of(waiting: Waiting) -> Round<Sent> {
        let mut round = Round::default();
        for (sent, times) in waiting {
            (0..*times).for_each(|_| round.push(tenant(sent.0), *sent));
        }
        round
    }

    fn quanta(sent: &Sent) -> u64 {
        sent.1 * QUANTUM
    }

    /// Whose are the next ones.
    fn order(round: &mut Round<Sent>, most: usize) -> Vec<u128> {
        std::iter::from_fn(|| round.next(|_| false, quanta)).take(most).map(|sent| sent.0).collect()
    }

    #[test]
    fn a_small_request_costs_as_much_as_a_turn_gives() {
        for (bytes, costs) in [(0, 4_096), (4_095, 4_096), (4_096, 4_096), (4_097, 4_097), (1 << 20, 1 << 20)] {
            assert_eq!(cost(bytes), costs, "{bytes}");
        }
    }

    #[test]
    fn turns_are_by_cost() {
        let cases: [(Waiting, &[u128]); 5] = [
            (&[((1, 1), 3), ((2, 1), 1)], &[1, 2, 1, 1]),
            (&[((1, 1), 4), ((2, 3), 2)], &[1, 1, 1, 2, 1, 2]),
            (&[((1, 3), 2), ((2, 1), 4)], &[2, 2, 1, 2, 2, 1]),
            (&[((1, 5), 2), ((2, 2), 3)], &[2, 2, 1, 2, 1]),
            (&[((1, 256), 3)], &[1, 1, 1]),
        ];
        for (waiting, expected) in cases {
            assert_eq!(order(&mut round_of(waiting), 100), expected, "{waiting:?}");
        }
    }

    #[test]
    fn what_was_not_spent_is_lost_when_nothing_is_ready() {
        let mut round = round_of(&[((1, 9), 1), ((2, 1), 9)]);
        assert_eq!(order(&mut round, 10), [2, 2, 2, 2, 2, 2, 2, 2, 1, 2]);
        // The turns of a tenant that had nothing are not made up for.
        let mut round = round_of(&[((1, 1), 1), ((2, 1), 9)]);
        assert_eq!(order(&mut round, 5), [1, 2, 2, 2, 2]);
        (0..4).for_each(|_| round.push(tenant(1), (1, 1)));
        assert_eq!(order(&mut round, 100), [1, 2, 1, 2, 1, 2, 1, 2, 2]);
    }

    #[test]
    fn one_that_is_served_and_ready_again_keeps_its_turn_and_what_is_left_of_it() {
        let mut round = round_of(&[((1, 1), 1), ((2, 4), 1)]);
        let mut order = Vec::new();
        for _ in 0..10 {
            let (of, costs) = round.next(|_| false, quanta).unwrap();
            order.push(of);
            round.push(tenant(of), (of, costs));
        }
        assert_eq!(order, [1, 1, 1, 1, 2, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn one_that_is_full_stands_aside_until_one_of_its_own_ends_or_nobody_else_waits() {
        let is_full = |id| id == tenant(1) || id == tenant(3);
        let mut round = round_of(&[((1, 1), 3), ((2, 1), 2), ((3, 1), 2)]);
        let next = |round: &mut Round<Sent>| round.next(is_full, quanta).map(|sent| sent.0);
        assert_eq!([next(&mut round), next(&mut round), next(&mut round)], [Some(2), Some(2), None]);
        assert_eq!(round.next_of_full(), Some((1, 1)), "nobody else waits");
        assert_eq!(round.next_of_full(), Some((3, 1)), "in turn");
        round.readmit(tenant(1));
        assert_eq!(order(&mut round, 100), [1, 1]);
        assert_eq!(round.next_of_full(), Some((3, 1)));
        assert_eq!(round.next_of_full(), None);
        assert!(round.is_empty() && round.tenants.is_empty() && round.aside.is_empty());
    }

    /// How often anything was looked at while all of it started.
    fn looks(tenants: u128, each: usize, costs: u64) -> usize {
        let waiting: Vec<_> = (0..tenants).map(|number| ((number, costs), each)).collect();
        let (mut round, looks) = (round_of(&waiting), Cell::new(0));
        let look = |sent: &Sent| {
            looks.set(looks.get() + 1);
            quanta(sent)
        };
        let started = std::iter::from_fn(|| round.next(|_| false, look)).count();
        assert_eq!(started, each * usize::try_from(tenants).unwrap());
        looks.get()
    }

    #[test]
    fn a_start_looks_at_few_however_many_wait_and_however_much_they_cost() {
        for (tenants, costs) in [(10, 1), (10_000, 1), (10_000, 256), (10_000, 6_400), (1, 6_400)] {
            let starts = 4 * usize::try_from(tenants).unwrap();
            let looks = looks(tenants, 4, costs);
            assert!(looks <= 3 * starts, "{tenants} tenants at {costs}: {looks} looks for {starts} starts");
        }
    }

    #[test]
    fn those_that_are_full_are_looked_at_once() {
        let waiting: Vec<_> = (0..10_000).map(|number| ((number, 1), 1)).collect();
        let (mut round, looks) = (round_of(&waiting), Cell::new(0));
        let is_full = |_| {
            looks.set(looks.get() + 1);
            true
        };
        for number in 0..10_000 {
            assert_eq!(round.next(is_full, quanta), None);
            round.readmit(tenant(number));
        }
        assert_eq!(looks.get(), 20_000 - 1);
    }
}

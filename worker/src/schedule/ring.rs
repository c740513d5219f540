//! Whose turn it is, and how many slots each tenant may hold.

use std::collections::HashMap;

use relay::id::{DestinationId, TenantId};

use super::round::Round;

#[derive(Debug)]
pub(super) struct Ring {
    /// Slots of this process.
    slots: usize,
    round: Round<DestinationId>,
    in_flight: Tally,
}

/// How many each tenant has in flight.
#[derive(Debug, Default)]
pub(super) struct Tally {
    all: usize,
    of: HashMap<TenantId, usize>,
}

impl Ring {
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, round: Round::default(), in_flight: Tally::default() }
    }

    /// This destination can start something.
    pub(super) fn push(&mut self, tenant: TenantId, destination: DestinationId) {
        self.round.push(tenant, destination);
    }

    /// The next destination to start one delivery of, which costs as much as `cost` says. While others wait no tenant gets
    /// more than half of the slots.
    pub(super) fn next(&mut self, cost: impl Fn(&DestinationId) -> u64) -> Option<DestinationId> {
        let (in_flight, most) = (&self.in_flight, self.slots / 2);
        self.round.next(|tenant| in_flight.of(tenant) >= most, cost).or_else(|| self.round.next_of_full())
    }

    pub(super) fn started(&mut self, tenant: TenantId) {
        self.in_flight.add(tenant);
    }

    pub(super) fn ended(&mut self, tenant: TenantId) {
        self.in_flight.subtract(tenant);
        if self.in_flight.of(tenant) < self.slots / 2 {
            self.round.readmit(tenant);
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

    fn small(_: &DestinationId) -> u64 {
        round::cost(1)
    }

    #[test]
    fn tenants_take_turns_however_many_destinations_one_has() {
        let mut ring = Ring::new(10);
        [11, 12, 13].iter().for_each(|number| ring.push(tenant(1), destination(*number)));
        ring.push(tenant(2), destination(21));
        let order: Vec<_> = std::iter::from_fn(|| ring.next(small)).collect();
        assert_eq!(order, [11, 21, 12, 13].map(destination));
    }

    #[test]
    fn a_tenant_gets_no_more_than_half_while_another_waits() {
        let mut ring = Ring::new(2);
        ring.started(tenant(1));
        [11, 12].iter().for_each(|number| ring.push(tenant(1), destination(*number)));
        ring.push(tenant(2), destination(21));
        assert_eq!(ring.next(small), Some(destination(21)));
        assert_eq!(ring.next(small), Some(destination(11)), "nobody else waits any more");
        [22, 23].iter().for_each(|number| ring.push(tenant(2), destination(*number)));
        ring.ended(tenant(1));
        let order: Vec<_> = std::iter::from_fn(|| ring.next(small)).collect();
        assert_eq!(order, [22, 12, 23].map(destination), "it has its turns again");
    }
}

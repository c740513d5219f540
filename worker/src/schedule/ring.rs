//! Whose turn it is: tenants one after another, and each tenant's destinations one after another.

use std::collections::{HashMap, VecDeque};

use relay::id::{DestinationId, TenantId};

#[derive(Debug, Default)]
pub(super) struct Ring {
    turns: VecDeque<TenantId>,
    tenants: HashMap<TenantId, Tenant>,
}

#[derive(Debug, Default)]
struct Tenant {
    ready: VecDeque<DestinationId>,
    in_flight: usize,
}

impl Ring {
    /// This destination can start something.
    pub(super) fn push(&mut self, tenant: TenantId, destination: DestinationId) {
        let lane = self.tenants.entry(tenant).or_default();
        if lane.ready.is_empty() {
            self.turns.push_back(tenant);
        }
        lane.ready.push_back(destination);
    }

    /// The next destination to start one delivery of. While others wait no tenant gets more than `most` slots.
    pub(super) fn next(&mut self, most: usize) -> Option<DestinationId> {
        for _ in 0..self.turns.len() {
            let tenant = self.turns.pop_front()?;
            let alone = self.turns.is_empty();
            let lane = self.tenants.get_mut(&tenant)?;
            if !alone && lane.in_flight >= most {
                self.turns.push_back(tenant);
                continue;
            }
            let destination = lane.ready.pop_front();
            if !lane.ready.is_empty() {
                self.turns.push_back(tenant);
            } else if lane.in_flight == 0 {
                self.tenants.remove(&tenant);
            }
            return destination;
        }
        None
    }

    pub(super) fn started(&mut self, tenant: TenantId) {
        self.tenants.entry(tenant).or_default().in_flight += 1;
    }

    pub(super) fn ended(&mut self, tenant: TenantId) {
        if let Some(lane) = self.tenants.get_mut(&tenant) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            if lane.in_flight == 0 && lane.ready.is_empty() {
                self.tenants.remove(&tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tenant(number: u128) -> TenantId {
        Uuid::from_u128(number).into()
    }

    fn destination(number: u128) -> DestinationId {
        Uuid::from_u128(number).into()
    }

    #[test]
    fn tenants_take_turns_however_many_destinations_one_has() {
        let mut ring = Ring::default();
        [11, 12, 13].iter().for_each(|number| ring.push(tenant(1), destination(*number)));
        ring.push(tenant(2), destination(21));
        let order: Vec<_> = std::iter::from_fn(|| ring.next(10)).collect();
        assert_eq!(order, [11, 21, 12, 13].map(destination));
    }

    #[test]
    fn a_tenant_gets_no_more_than_its_part_while_another_waits() {
        let mut ring = Ring::default();
        ring.started(tenant(1));
        ring.push(tenant(1), destination(11));
        ring.push(tenant(2), destination(21));
        assert_eq!(ring.next(1), Some(destination(21)));
        assert_eq!(ring.next(1), Some(destination(11)), "nobody else waits any more");
    }
}

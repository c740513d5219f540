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

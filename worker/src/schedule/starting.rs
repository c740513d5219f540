//! What starts now: tenants in turn, a tenant's destinations in turn, each at its own pace, within the process's limits.

use std::time::Duration;

use entity::delivery::Trigger;
use entity::pending::Due;
use relay::id::DestinationId;

use super::class::Class;
use super::ring::Turn;
use super::{Place, Schedule, Start, bytes, round};

/// Requests in flight in this process.
pub(super) const SLOTS: usize = 2_000;
/// Of them tests, which wait for no line: a flood of them must not take the place of deliveries.
const TESTS: usize = 64;
/// And of one tenant: nobody's tests wait for another's receivers.
const TESTS_OF_ONE: usize = 8;
/// Bodies in flight in this process, in bytes.
const BODIES: usize = 64 << 20;

impl Schedule {
    /// The destination may be able to start something: now, or at a time that is known.
    pub(super) fn ring_up(&mut self, destination: DestinationId) {
        let now = self.now;
        let Some(line) = self.lines.get_mut(&destination) else { return };
        if self.draining.contains(&line.shard) {
            return;
        }
        let mut can_start = false;
        for class in Class::ALL {
            if line.can_start(class, now) {
                can_start = true;
                if !std::mem::replace(&mut line.queues[class].ringed, true) {
                    self.ring.push(line.tenant, class, destination);
                }
            }
        }
        if !can_start
            && let Some(at) = line.starts_at().filter(|at| *at > now && line.alarm.is_none_or(|alarm| *at < alarm))
        {
            if let Some(earlier) = line.alarm.replace(at) {
                self.alarms.remove(&(earlier, destination));
            }
            self.alarms.insert((at, destination));
        }
    }

    /// Looks again at those whose time has come.
    pub(crate) fn wake(&mut self) {
        while let Some(&(at, destination)) = self.alarms.first()
            && at <= self.now
        {
            self.alarms.pop_first();
            if let Some(line) = self.lines.get_mut(&destination).filter(|line| line.alarm == Some(at)) {
                line.alarm = None;
                self.ring_up(destination);
            }
        }
    }

    /// When to call [`Schedule::start`] again, if nothing else happens.
    pub(crate) fn next_start(&self) -> Option<Duration> {
        self.alarms.first().map(|(at, _)| *at)
    }

    /// Takes what may start now, so many at most.
    pub(crate) fn start(&mut self, most: usize) -> Vec<Start> {
        self.wake();
        let mut starts = Vec::new();
        while starts.len() < most && self.in_flight < SLOTS && self.bodies < BODIES {
            if let Some((due, epoch)) = self.next_test() {
                starts.push(self.begin(due, Class::of(&due, false), epoch, false));
                continue;
            }
            let Some((class, destination)) = self.next_turn() else { break };
            if let Some((due, epoch)) = self.take(class, destination) {
                starts.push(self.begin(due, class, epoch, false));
            }
            self.ring_up(destination);
        }
        starts
    }

    fn next_turn(&mut self) -> Option<Turn> {
        let (lines, now) = (&self.lines, self.now);
        self.ring.next(now, |class, destination| lines.get(&destination).map_or(0, |line| line.cost(class, now)))
    }

    /// The next of this class from a line whose turn it is, if something may start there still.
    fn take(&mut self, class: Class, destination: DestinationId) -> Option<(Due, i64)> {
        let now = self.now;
        let line = self.lines.get_mut(&destination)?;
        line.queues[class].ringed = false;
        if self.draining.contains(&line.shard) || !line.can_start(class, now) {
            return None;
        }
        let due = line.queues[class].waiting.pop_front()?;
        line.starts(due.id, class, now);
        Some((due, line.epoch))
    }

    fn next_test(&mut self) -> Option<(Due, i64)> {
        if self.tests_in_flight.all() >= TESTS {
            return None;
        }
        let in_flight = &self.tests_in_flight;
        let is_full = |tenant| in_flight.of(tenant) >= TESTS_OF_ONE;
        let cost = |(due, _): &(Due, i64)| round::cost(bytes(due));
        // Of a shard that is handed over its next owner makes them.
        std::iter::from_fn(|| self.tests.next(is_full, cost)).find(|(due, _)| !self.draining.contains(&due.shard))
    }

    /// Probes that were read: each starts whatever its destination's gate says.
    pub(super) fn begin(&mut self, due: Due, class: Class, epoch: i64, is_probe: bool) -> Start {
        self.in_flight += 1;
        self.bodies += bytes(&due);
        if due.trigger == Trigger::Test {
            self.tests_in_flight.add(due.tenant_id);
        }
        self.ring.started(due.tenant_id, class, self.now);
        self.place(&due, Place::InFlight { due, epoch, class, news: self.news, cancelled: None, is_probe });
        Start { due, epoch, is_probe }
    }
}

#[cfg(test)]
mod tests {
    use relay::id::{DeliveryId, Id, TenantId};
    use uuid::Uuid;

    use super::super::Ended;
    use super::*;

    fn tenant(number: i64) -> TenantId {
        Uuid::from_u128(number.unsigned_abs().into()).into()
    }

    fn test_of(number: i64, tenants: i64, shard: i16) -> Due {
        Due {
            tenant_id: tenant(number % tenants),
            id: DeliveryId::at(number),
            shard,
            due_at: 0,
            seq: number,
            event_id: Id::at(number),
            subscription_id: None,
            destination_id: Id::at(1),
            order_key: None,
            attempts: 0,
            trigger: Trigger::Test,
            size: 10,
        }
    }

    fn offered(count: usize, tenants: i64) -> Schedule {
        let mut schedule = Schedule::new(false);
        for number in (1..).take(count) {
            let ticket = schedule.tickets.take();
            schedule.offer(test_of(number, tenants, i16::from(number % 2 == 0)), 1, ticket);
        }
        schedule
    }

    #[test]
    fn a_flood_of_tests_takes_a_small_part_of_the_slots() {
        let mut schedule = offered(TESTS + 10, 30);
        let starts = schedule.start(SLOTS);
        assert_eq!((starts.len(), schedule.start(SLOTS).len()), (TESTS, 0));
        schedule.ended(starts[0].due.id, 1, Ended::Aborted);
        assert_eq!(schedule.start(SLOTS).len(), 1);
        // What is in flight in a shard that is lost is so no more.
        schedule.forget(0);
        assert!(schedule.start(SLOTS).len() > 1);
    }

    #[test]
    fn no_test_starts_in_a_shard_that_is_handed_over() {
        let mut schedule = offered(10, 30);
        schedule.drain(1);
        assert!(schedule.start(SLOTS).iter().all(|start| start.due.shard == 0));
        assert_eq!(schedule.in_flight(), 5);
    }

    #[test]
    fn a_tenants_tests_keep_no_others_waiting() {
        let mut schedule = offered(TESTS, 1);
        let ticket = schedule.tickets.take();
        schedule.offer(Due { tenant_id: tenant(7), ..test_of(100, 1, 0) }, 1, ticket);
        let starts = schedule.start(SLOTS);
        assert_eq!(starts.len(), TESTS_OF_ONE + 1);
        assert_eq!(starts[1].due.tenant_id, tenant(7), "it has the next turn");
        schedule.ended(starts[0].due.id, 1, Ended::Aborted);
        assert_eq!(schedule.start(SLOTS).len(), 1);
    }
}

//! What stands in memory and why, for the operators' numbers.

use std::time::Duration;

use relay::clock::NEVER;

use super::Schedule;
use super::class::Class;
use super::line::{Gate, Line};

/// How the lines are.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// When the oldest delivery was due that waits for this worker, in milliseconds since 1970.
    pub(crate) oldest_due: Option<i64>,
    /// Destinations with rows that are parked, as far as is known.
    pub(crate) parked: usize,
    /// Destinations that take nothing, and for which something waits.
    pub(crate) held: usize,
    /// Destinations that are left alone for a while.
    pub(crate) breakers_open: usize,
}

impl Schedule {
    /// Looks at every line.
    pub(crate) fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        for line in self.lines.values() {
            survey.parked += usize::from(line.has_parked());
            survey.held += usize::from(line.gate == Gate::Closed);
            survey.breakers_open += usize::from(line.breaker.is_open());
            let oldest = line.oldest_for_us(self.now);
            survey.oldest_due = survey.oldest_due.into_iter().chain(oldest).min();
        }
        survey
    }

    /// Whether anything could start, or would be known to, if only we were at it.
    pub(crate) fn waits_for_us(&self) -> bool {
        !(self.ring.is_empty() && self.tests.is_empty() && self.unasked.is_empty() && self.dirty.is_empty())
    }

    /// How many deliveries are known.
    pub(crate) fn known_count(&self) -> usize {
        self.known.len()
    }
}

impl Line {
    fn has_parked(&self) -> bool {
        self.may_have_parked() || self.scan.maybe || self.behind > 0
    }

    /// The due time of the oldest that its destination would take now; what was parked has none. As long as nobody has
    /// asked what the destination wants, all of it waits for us.
    fn oldest_for_us(&self, now: Duration) -> Option<i64> {
        let waits_for_us = |class: &Class| self.policy.is_none() || self.can_start(*class, now);
        let first = |class: Class| self.queues[class].waiting.front().map(|due| due.due_at);
        let open = Class::ALL.into_iter().filter(|_| self.gate == Gate::Open);
        open.filter(waits_for_us).filter_map(first).filter(|due_at| *due_at != NEVER).min()
    }
}

#[cfg(test)]
mod tests {
    use entity::delivery::Trigger;
    use entity::pending::Due;
    use relay::id::{DeliveryId, Id};

    use super::super::policy::Policy;
    use super::*;

    fn due(number: i64, due_at: i64) -> Due {
        Due {
            tenant_id: Id::at(1),
            id: DeliveryId::at(number),
            shard: 0,
            due_at,
            seq: number,
            event_id: Id::at(number),
            subscription_id: None,
            destination_id: Id::at(1),
            order_key: None,
            attempts: 0,
            trigger: Trigger::Event,
            size: 1,
        }
    }

    fn line(policy: Option<Policy>, rows: &[Due]) -> Line {
        let mut line = Line::new(Id::at(1), 0, 1, Duration::ZERO);
        line.policy = policy;
        rows.iter().for_each(|due| line.push(*due));
        line
    }

    #[test]
    fn what_its_destination_would_not_take_does_not_wait_for_us() {
        let (now, rows) = (Duration::from_secs(100), [due(1, 50), due(2, 60)]);
        assert_eq!(line(None, &rows).oldest_for_us(now), Some(50), "nobody asked what it wants");
        assert_eq!(line(Some(Policy::default()), &rows).oldest_for_us(now), Some(50));
        assert_eq!(line(Some(Policy::default()), &[due(1, NEVER)]).oldest_for_us(now), None, "it was parked");
        assert_eq!(line(Some(Policy { most: 0, ..Policy::default() }), &rows).oldest_for_us(now), None);
        let mut closed = line(Some(Policy::default()), &rows);
        closed.gate = Gate::Closed;
        assert_eq!(closed.oldest_for_us(now), None);
        let mut slow = line(Some(Policy::default()), &rows);
        slow.pace.set(Some(Duration::from_secs(1_000)), Duration::ZERO);
        slow.pace.start(now);
        assert_eq!(slow.oldest_for_us(now), None);
    }

    #[test]
    fn nothing_waits_for_us_where_there_is_nothing_and_a_new_line_does() {
        let mut schedule = Schedule::new(true);
        assert!(!schedule.waits_for_us());
        let ticket = schedule.tickets.take();
        schedule.offer(due(1, 50), 1, ticket);
        assert!(schedule.waits_for_us());
        assert_eq!(schedule.survey(), Survey { oldest_due: Some(50), ..Survey::default() });
        assert_eq!(schedule.known_count(), 1);
    }
}

//! What the owner counts.

use entity::delivery::State;
use metrics::{Counter, Gauge, Histogram, Unit};
use relay::numbers;

#[derive(Debug)]
pub(crate) struct Numbers {
    pub(super) oldest_due: Gauge,
    pub(super) in_flight: Gauge,
    pub(super) in_memory: Gauge,
    pub(super) unwritten: Gauge,
    pub(super) parked: Gauge,
    pub(super) held: Gauge,
    pub(super) breakers_open: Gauge,
    pub(super) batch_rows: Histogram,
    pub(super) batch_seconds: Histogram,
    pub(super) batch_failures: Counter,
    ended: [Counter; 4],
}

impl Numbers {
    pub(crate) fn begin() -> Self {
        let gauge = |name, help| numbers::gauge(name, Unit::Count, help);
        Self {
            oldest_due: numbers::gauge(
                "hookyard_oldest_due_seconds",
                Unit::Seconds,
                "For how long the oldest due delivery waits for this worker, and not for its destination",
            ),
            in_flight: gauge("hookyard_attempts_in_flight", "Attempts under way, of 2000 at most"),
            in_memory: gauge(
                "hookyard_deliveries_in_memory",
                "Deliveries that this worker knows of, of 100000 at most",
            ),
            unwritten: gauge("hookyard_outcomes_unwritten", "Outcomes of deliveries that wait to be written"),
            parked: gauge("hookyard_destinations_parked", "Destinations for which deliveries wait off the clock"),
            held: gauge("hookyard_destinations_held", "Destinations that are paused or disabled while something waits"),
            breakers_open: gauge("hookyard_breakers_open", "Destinations that are left alone for a while"),
            batch_rows: numbers::histogram(
                "hookyard_finish_batch_rows",
                Unit::Count,
                "Outcomes that were written in one commit",
            ),
            batch_seconds: numbers::histogram(
                "hookyard_finish_batch_seconds",
                Unit::Seconds,
                "How long a commit of outcomes took",
            ),
            batch_failures: numbers::counter("hookyard_finish_failures_total", "Commits of outcomes that failed"),
            ended: numbers::counters(
                "hookyard_deliveries_total",
                "Deliveries that ended, by their state",
                "state",
                ["delivered", "failed", "filtered", "cancelled"],
            ),
        }
    }

    pub(super) fn ended(&self, state: State) {
        let [delivered, failed, filtered, cancelled] = &self.ended;
        match state {
            State::Delivered => delivered.increment(1),
            State::Failed => failed.increment(1),
            State::Filtered => filtered.increment(1),
            State::Cancelled => cancelled.increment(1),
            State::Pending => {}
        }
    }
}

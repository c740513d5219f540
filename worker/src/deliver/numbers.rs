//! What attempts are counted by.

use std::time::Duration;

use entity::attempt::Outcome;
use entity::pending::Due;
use metrics::{Counter, Histogram, Unit};
use relay::clock::NEVER;
use relay::numbers;

/// Looked up once: an attempt counts in three places.
#[derive(Debug)]
pub(crate) struct Numbers {
    attempts: [Counter; Outcome::ALL.len()],
    seconds: Histogram,
    delivered_at_first: Histogram,
    delivered_later: Histogram,
    put_off: [Counter; PutOff::NAMES.len()],
}

/// Why an attempt was not made, or nothing is known of it: a fault of ours, which costs the destination nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PutOff {
    /// The lease ended meanwhile.
    Fenced,
    /// The process is out of file descriptors.
    Descriptors,
    /// The operator's proxy does not work.
    Proxy,
    /// The database did not say what is to be sent.
    Database,
    /// The destination's secrets or settings cannot be opened.
    Unusable,
    /// A panic of ours.
    Panic,
}

impl PutOff {
    const NAMES: [&'static str; 6] = ["fenced", "descriptors", "proxy", "database", "unusable", "panic"];
}

impl Numbers {
    pub(crate) fn begin() -> Self {
        let [delivered_at_first, delivered_later] = numbers::histograms(
            "hookyard_delivery_seconds",
            Unit::Seconds,
            "From when a delivery was due for the first time until its destination had it, by whether the first attempt did it",
            ("attempt", ["first", "later"]),
        );
        Self {
            attempts: numbers::counters(
                "hookyard_attempts_total",
                "Requests to destinations, by what they came to",
                "outcome",
                Outcome::ALL.map(name),
            ),
            seconds: numbers::histogram(
                "hookyard_attempt_seconds",
                Unit::Seconds,
                "How long requests to destinations took, whatever they came to",
            ),
            delivered_at_first,
            delivered_later,
            put_off: numbers::counters(
                "hookyard_attempts_put_off_total",
                "Attempts that faults of our own put off, by the fault; they cost the destination nothing",
                "reason",
                PutOff::NAMES,
            ),
        }
    }

    pub(super) fn attempted(&self, outcome: Outcome, took: Duration) {
        self.attempts[outcome as usize].increment(1);
        self.seconds.record(took);
    }

    /// A destination has it, at `now` (milliseconds since 1970).
    pub(super) fn delivered(&self, due: &Due, now: i64) {
        let waited = Duration::from_millis(u64::try_from(now - first_due(due)).unwrap_or(0));
        if due.attempts == 0 { &self.delivered_at_first } else { &self.delivered_later }.record(waited);
    }

    pub(crate) fn put_off(&self, why: PutOff) {
        self.put_off[why as usize].increment(1);
    }
}

/// A delivery is made when its event is received, or somebody asks for it; some wait a little by design before they are due.
fn first_due(due: &Due) -> i64 {
    let made = due.id.millis();
    if due.attempts == 0 && due.due_at != NEVER { made.max(due.due_at) } else { made }
}

/// As metrics and spans have it.
pub(super) fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Rejected => "rejected",
        Outcome::TimedOut => "timed_out",
        Outcome::Unreachable => "unreachable",
        Outcome::Refused => "refused",
        Outcome::Unauthorized => "unauthorized",
    }
}

#[cfg(test)]
mod tests {
    use entity::delivery::Trigger;
    use relay::id::Id;

    use super::*;

    #[test]
    fn every_outcome_counts_under_its_own_name() {
        for (place, outcome) in Outcome::ALL.into_iter().enumerate() {
            assert_eq!(place, outcome as usize, "{outcome:?}");
        }
        assert_eq!(PutOff::NAMES[PutOff::Panic as usize], "panic");
    }

    #[test]
    fn time_counts_from_when_it_was_first_due() {
        for (attempts, due_at, expected) in
            [(0, 1_000, 1_000), (0, 1_500, 1_500), (0, NEVER, 1_000), (0, 900, 1_000), (1, 9_000, 1_000)]
        {
            let due = Due {
                tenant_id: Id::at(1),
                id: Id::at(1_000),
                shard: 0,
                due_at,
                seq: 1,
                event_id: Id::at(1_000),
                subscription_id: None,
                destination_id: Id::at(1),
                order_key: None,
                attempts,
                trigger: Trigger::Event,
                size: 1,
            };
            assert_eq!(first_due(&due), expected, "{attempts} {due_at}");
        }
    }
}

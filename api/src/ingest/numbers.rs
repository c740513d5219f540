//! What webhooks are counted by. Looked up once: some thousand come a second.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Histogram, Unit};
use relay::numbers;

use super::arrival::CameTo;
use super::refusal::Refusal;

/// Cheap to clone; all clones count together.
#[derive(Debug, Clone)]
pub struct Numbers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    accepted: Counter,
    duplicate: Counter,
    handshake: Counter,
    refused: [Counter; Refusal::NAMES.len()],
    seconds: Histogram,
}

/// What commits of events are counted by.
#[derive(Debug, Clone)]
pub(super) struct Commits {
    rows: Histogram,
    seconds: Histogram,
    failures: Counter,
}

impl Numbers {
    /// Begins all of them at nought, so that a scraper sees them before the first webhook.
    #[must_use]
    pub fn begin() -> Self {
        let (name, help) = ("hookyard_webhooks_total", "Requests of providers, by what they came to");
        let outcomes = ["accepted", "duplicate", "handshake"];
        let [accepted, duplicate, handshake] = numbers::counters(name, help, "outcome", outcomes);
        Self(Arc::new(Inner {
            accepted,
            duplicate,
            handshake,
            refused: numbers::counters(name, help, "outcome", Refusal::NAMES),
            seconds: numbers::histogram(
                "hookyard_webhook_seconds",
                Unit::Seconds,
                "From the head of a request until its event was committed, or found to be a repeat",
            ),
        }))
    }

    pub(super) fn count(&self, came_to: CameTo, took: Duration) {
        let numbers = &*self.0;
        match came_to {
            CameTo::Stored(stored) => {
                if stored.is_repeat() { &numbers.duplicate } else { &numbers.accepted }.increment(1);
                numbers.seconds.record(took);
            }
            CameTo::Handshake => numbers.handshake.increment(1),
            CameTo::Nothing => {}
            CameTo::Refused(refusal) => {
                let named = Refusal::NAMES.iter().zip(&numbers.refused).find(|(name, _)| **name == refusal.name());
                named.into_iter().for_each(|(_, counter)| counter.increment(1));
            }
        }
    }
}

impl Commits {
    pub(super) fn begin() -> Self {
        Self {
            rows: numbers::histogram(
                "hookyard_ingest_batch_rows",
                Unit::Count,
                "Events that were stored in one commit",
            ),
            seconds: numbers::histogram(
                "hookyard_ingest_batch_seconds",
                Unit::Seconds,
                "How long a commit of events took, with what had to be tried again",
            ),
            failures: numbers::counter("hookyard_ingest_failures_total", "Commits of events that failed"),
        }
    }

    pub(super) fn ended(&self, rows: usize, took: Duration, is_committed: bool) {
        self.rows.record(u32::try_from(rows).unwrap_or(u32::MAX));
        self.seconds.record(took);
        self.failures.increment(u64::from(!is_committed));
    }
}

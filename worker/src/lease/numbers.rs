//! What the keeper of the leases counts.

use metrics::{Counter, Gauge, Unit};
use relay::numbers;

#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) renewed: Counter,
    pub(super) failed: Counter,
    pub(super) lost: Counter,
    pub(super) held: Gauge,
}

impl Numbers {
    pub(super) fn begin() -> Self {
        let [renewed, failed] = numbers::counters(
            "hookyard_lease_renewals_total",
            "Renewals of this worker's leases, by what they came to",
            "outcome",
            ["renewed", "failed"],
        );
        Self {
            renewed,
            failed,
            lost: numbers::counter("hookyard_leases_lost_total", "Shards that were found to have another owner"),
            held: numbers::gauge("hookyard_shards_owned", Unit::Count, "Shards that this worker holds, of 64"),
        }
    }
}

//! How long things are kept, beside how long deliveries take.

use relay::retention::Retention;

use super::finding::Finding;
use crate::serve::Settings;

const CHECK: &str = "retention";
const DAY_MS: i64 = 86_400_000;
/// A destination that is down is tried for so long before it is disabled, and what is held for it should outlive that.
const TRIED_MS: i64 = 5 * DAY_MS;

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let finding = match settings.retention.checked() {
        Ok(retention) => of(&retention),
        Err(error) => Finding::problem(
            CHECK,
            error.to_string(),
            "set HOOKYARD_RETENTION_METADATA to no fewer days than HOOKYARD_RETENTION_PAYLOAD",
        ),
    };
    vec![finding]
}

fn of(retention: &Retention) -> Finding {
    let (payload, metadata) = (retention.payload_ms / DAY_MS, retention.metadata_ms / DAY_MS);
    if retention.payload_ms <= TRIED_MS {
        return Finding::warning(
            CHECK,
            format!(
                "bodies are kept for {payload} days, and a destination that is down is tried for 5 before it is disabled"
            ),
            "set HOOKYARD_RETENTION_PAYLOAD to more days, such as 30d, or what waits ends as expired before anybody looks",
        );
    }
    Finding::ok(CHECK, format!("bodies for {payload} days, all else for {metadata}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_to_outlive_the_retries() {
        for (days, verdict) in [(1, "warning"), (5, "warning"), (6, "ok"), (30, "ok")] {
            let finding = of(&Retention { payload_ms: days * DAY_MS, metadata_ms: 90 * DAY_MS });
            assert_eq!(finding.told(), (CHECK, verdict), "{days}");
        }
    }
}

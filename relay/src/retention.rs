//! How long what came is kept, and how.

use std::str::FromStr;

/// Set by the operator, the same for every process of a deployment.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct RetentionSettings {
    /// Headers and bodies are kept so many days after they came, such as `30d`, and as long what destinations answered;
    /// what is not delivered by then fails
    #[arg(long = "retention-payload", env = "HOOKYARD_RETENTION_PAYLOAD", value_name = "DAYS", default_value = "30d")]
    payload: Days,

    /// Events, deliveries and attempts are kept so many days, no fewer than their bodies
    #[arg(
        long = "retention-metadata",
        env = "HOOKYARD_RETENTION_METADATA",
        value_name = "DAYS",
        default_value = "90d"
    )]
    metadata: Days,

    /// Headers and bodies are stored sealed, each tenant's with a key of its own that goes when the tenant is deleted. What was
    /// stored before stays as it is
    #[arg(
        long,
        env = "HOOKYARD_SEAL_PAYLOADS",
        value_name = "BOOL",
        value_parser = clap::builder::BoolishValueParser::new(),
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true"
    )]
    pub seal_payloads: bool,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { payload: Days(30), metadata: Days(90), seal_payloads: false }
    }
}

/// Whole days: PostgreSQL forgets by the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Days(u16);

/// A value that clap shows together with the flag.
#[derive(Debug, thiserror::Error)]
#[error("takes a number of days from 1d to 36500d, such as 30d")]
struct NoDays;

impl FromStr for Days {
    type Err = NoDays;

    fn from_str(text: &str) -> Result<Self, NoDays> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        days.filter(|days| (1..=36_500).contains(days)).map(Self).ok_or(NoDays)
    }
}

/// Events would be forgotten before their bodies.
#[derive(Debug, thiserror::Error)]
#[error(
    "{metadata} days are fewer than the {payload} of HOOKYARD_RETENTION_PAYLOAD; an event is kept for as long as its body"
)]
pub struct Contradiction {
    payload: u16,
    metadata: u16,
}

/// How long what came is kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Headers and bodies, what destinations answered, and whatever waits for its delivery.
    pub payload_ms: i64,
    /// Events, deliveries and attempts.
    pub metadata_ms: i64,
}

const DAY_MS: i64 = 86_400_000;

impl Retention {
    /// The same, but no longer than so many days.
    #[must_use]
    pub fn at_most(&self, payload_d: i64, metadata_d: i64) -> Self {
        Self {
            payload_ms: self.payload_ms.min(payload_d.saturating_mul(DAY_MS)),
            metadata_ms: self.metadata_ms.min(metadata_d.saturating_mul(DAY_MS)),
        }
    }

    /// Days of bodies, and of all else.
    #[must_use]
    pub fn days(&self) -> (i64, i64) {
        (self.payload_ms / DAY_MS, self.metadata_ms / DAY_MS)
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { payload_ms: 30 * DAY_MS, metadata_ms: 90 * DAY_MS }
    }
}

impl RetentionSettings {
    /// # Errors
    /// When events would be forgotten before their bodies.
    pub fn checked(&self) -> Result<Retention, Contradiction> {
        let Self { payload: Days(payload), metadata: Days(metadata), .. } = *self;
        if metadata < payload {
            return Err(Contradiction { payload, metadata });
        }
        Ok(Retention { payload_ms: i64::from(payload) * DAY_MS, metadata_ms: i64::from(metadata) * DAY_MS })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Settings {
        #[command(flatten)]
        retention: RetentionSettings,
    }

    fn read(payload: &str, metadata: &str) -> Result<Retention, String> {
        let given =
            [("payload", payload), ("metadata", metadata)].map(|(what, days)| format!("--retention-{what}={days}"));
        let arguments = ["hookyard"].into_iter().chain(given.iter().map(String::as_str));
        let settings = Settings::try_parse_from(arguments).map_err(|error| error.to_string())?;
        settings.retention.checked().map_err(|error| error.to_string())
    }

    #[test]
    fn who_says_nothing_keeps_bodies_for_30_days_and_all_else_for_90() {
        let said = Settings::try_parse_from(["hookyard"]).unwrap().retention.checked().unwrap();
        assert_eq!(said, Retention { payload_ms: 30 * DAY_MS, metadata_ms: 90 * DAY_MS });
        assert_eq!(RetentionSettings::default().checked().unwrap(), said);
    }

    #[test]
    fn days_are_days() {
        for (payload, metadata) in [("1d", "1d"), ("30d", "90d"), ("36500d", "36500d")] {
            let days = |text: &str| text.strip_suffix('d').unwrap().parse::<i64>().unwrap() * DAY_MS;
            let kept = Retention { payload_ms: days(payload), metadata_ms: days(metadata) };
            assert_eq!(read(payload, metadata), Ok(kept));
        }
    }

    #[test]
    fn what_is_no_number_of_days_is_refused_by_its_name() {
        for bad in ["", "d", "0d", "30", "30h", "-1d", "1.5d", "36501d", "99999999d", " 30d"] {
            let error = read(bad, "90d").unwrap_err();
            assert!(error.contains("--retention-payload") && error.contains("such as 30d"), "{bad:?}: {error}");
        }
    }

    #[test]
    fn an_event_is_kept_for_as_long_as_its_body() {
        let error = read("30d", "29d").unwrap_err();
        assert!(error.starts_with("29 days are fewer than the 30 of HOOKYARD_RETENTION_PAYLOAD"), "{error}");
    }
}

//! When a failed delivery is tried again. Time and luck are arguments.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

mod statuses;

pub use statuses::{NotAStatus, Statuses};

/// The waits of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text")]
pub struct RetryPolicy {
    /// `schedule_s[i]` is the wait in seconds before attempt i + 1, counted from the end of the one before.
    schedule_s: Vec<u32>,
    /// The answers after which it is tried again; None: all that are no success.
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<Statuses>,
}

/// Why a schedule is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RetryError {
    /// No attempt at all.
    #[error("a retry schedule needs at least one attempt: `[0]` tries once")]
    Empty,
    /// More than [`MAX_ATTEMPTS`].
    #[error("a retry schedule may have at most {MAX_ATTEMPTS} attempts")]
    TooMany,
    /// The first attempt is not made at once.
    #[error("the first wait of a retry schedule must be 0: the first attempt is made at once")]
    FirstWait,
    /// A wait beyond [`MAX_WAIT_S`], at this place, counted from 0.
    #[error("wait {0} of the retry schedule is longer than 7 days ({MAX_WAIT_S} s)")]
    TooLong(usize),
}

/// What an attempt failed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// An answer with a status that is not a success.
    Status(u16),
    /// No complete answer in time.
    TimedOut,
    /// No connection.
    Unreachable,
    /// Our own guard did not let it out.
    Refused,
    /// The token endpoint gave no token.
    Unauthorized,
}

/// Why a delivery is not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// All attempts of the schedule were made.
    Exhausted,
    /// The policy does not try again after this status.
    NotRetried(u16),
}

/// The longest schedule; the longest of known senders has 30 attempts (Ondato).
pub const MAX_ATTEMPTS: usize = 50;

/// The longest single wait: the dedupe window of receivers that follow our own default (7 days).
pub const MAX_WAIT_S: u32 = 7 * 24 * 3600;

/// Standard Webhooks' schedule, <https://github.com/standard-webhooks/standard-webhooks>: about 75 hours in all.
const DEFAULT_S: [u32; 10] = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// How far a wait is spread to either side, so that what failed together does not come back together.
const JITTER: f64 = 0.2;

/// The most that a `Retry-After` can ask for: the middle of the default schedule, so that no receiver stalls its queue
/// for longer than its own failures would.
const MAX_HINT: Duration = Duration::from_hours(10);

/// After a timeout or a 429, unless the schedule is custom: time for an overloaded receiver to recover.
const BREATHER: Duration = Duration::from_mins(1);

impl RetryPolicy {
    /// A custom schedule, in whole seconds.
    ///
    /// # Errors
    /// The schedule is empty or too long, does not begin with 0, or a wait is too long.
    pub fn new(schedule_s: Vec<u32>) -> Result<Self, RetryError> {
        match schedule_s.first() {
            None => return Err(RetryError::Empty),
            Some(0) => {}
            Some(_) => return Err(RetryError::FirstWait),
        }
        if schedule_s.len() > MAX_ATTEMPTS {
            return Err(RetryError::TooMany);
        }
        match schedule_s.iter().position(|wait| *wait > MAX_WAIT_S) {
            Some(place) => Err(RetryError::TooLong(place)),
            None => Ok(Self { schedule_s, statuses: None }),
        }
    }

    /// Tries again after these statuses only; None: after all that are no success. What got no answer is tried again
    /// anyway.
    #[must_use]
    pub fn with_statuses(self, statuses: Option<Statuses>) -> Self {
        Self { statuses, ..self }
    }

    /// The statuses after which it is tried again; None: all that are no success.
    #[must_use]
    pub fn statuses(&self) -> Option<&Statuses> {
        self.statuses.as_ref()
    }

    /// The waits in seconds; as many as there are attempts.
    #[must_use]
    pub fn schedule_s(&self) -> &[u32] {
        &self.schedule_s
    }

    /// Whether this is the schedule that everyone gets who asks for none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.schedule_s == DEFAULT_S
    }

    /// How long to wait after an attempt that just failed, `attempts` having been made in all. `jitter` is 0 (shortest)
    /// to 1 (longest).
    ///
    /// # Errors
    /// Why nothing is waited for.
    pub fn wait_after(
        &self,
        attempts: u32,
        failure: &Failure,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Result<Duration, GivenUp> {
        if let (Failure::Status(status), Some(statuses)) = (failure, &self.statuses)
            && !statuses.hold(*status)
        {
            return Err(GivenUp::NotRetried(*status));
        }
        let scheduled = usize::try_from(attempts).ok().and_then(|made| self.schedule_s.get(made));
        let scheduled = *scheduled.ok_or(GivenUp::Exhausted)?;
        let spread = 1.0 - JITTER + 2.0 * JITTER * jitter.clamp(0.0, 1.0);
        let jittered = Duration::from_secs(scheduled.into()).mul_f64(spread);
        let hint = retry_after.filter(|_| matches!(failure, Failure::Status(429 | 503))).unwrap_or_default();
        let overloaded = matches!(failure, Failure::TimedOut | Failure::Status(429));
        let breather = if overloaded && self.is_default() { BREATHER } else { Duration::ZERO };
        Ok(jittered.max(hint.min(MAX_HINT)).max(breather))
    }
}

/// The wait that a `Retry-After` asks for: seconds, or an HTTP date judged against `now_ms` (milliseconds since 1970).
/// Nothing if it is neither.
#[must_use]
pub fn parse_retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Too many digits for a number ask for more than the longest wait anyway.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let now = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(now_ms).ok()?))?;
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// The text form, before it is proven to be a schedule.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    schedule_s: Vec<u32>,
    #[serde(default)]
    statuses: Option<Statuses>,
}

impl TryFrom<Text> for RetryPolicy {
    type Error = RetryError;

    fn try_from(text: Text) -> Result<Self, RetryError> {
        Ok(Self::new(text.schedule_s)?.with_statuses(text.statuses))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { schedule_s: DEFAULT_S.to_vec(), statuses: None }
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: f64 = 0.5;

    fn seconds<E>(wait: Result<Duration, E>) -> Option<f64> {
        wait.ok().map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn the_default_is_walked_to_its_end() {
        let policy = RetryPolicy::default();
        for (attempts, wait) in (1..).zip([5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0]) {
            assert_eq!(
                seconds(policy.wait_after(attempts, &Failure::Status(500), None, EVEN)),
                Some(wait),
                "{attempts}"
            );
        }
        for attempts in [10, 11, u32::MAX] {
            assert_eq!(policy.wait_after(attempts, &Failure::Status(500), None, EVEN), Err(GivenUp::Exhausted));
        }
        let once = RetryPolicy::new(vec![0]).unwrap();
        assert_eq!(once.wait_after(1, &Failure::Unreachable, None, EVEN), Err(GivenUp::Exhausted));
    }

    #[test]
    fn waits_are_spread_but_never_below_what_was_asked_for() {
        let hour = Some(Duration::from_hours(1));
        let minutes = |minutes| Some(Duration::from_mins(minutes));
        // Attempt 4 of the default comes 1,800 s after the third: 1,440 to 2,160 with jitter.
        for (failure, retry_after, jitter, wait) in [
            (Failure::Status(500), None, 0.0, 1440.0),
            (Failure::Status(500), None, 1.0, 2160.0),
            (Failure::Status(500), None, -1.0, 1440.0),
            (Failure::Status(500), None, 2.0, 2160.0),
            (Failure::Status(429), hour, 0.0, 3600.0),
            (Failure::Status(503), hour, 1.0, 3600.0),
            (Failure::Status(503), minutes(30), 0.0, 1800.0),
            (Failure::Status(503), minutes(30), 1.0, 2160.0),
            (Failure::Status(503), minutes(1), 0.0, 1440.0),
            (Failure::Status(503), minutes(600), 0.0, 36000.0),
            (Failure::Status(503), minutes(601), 0.0, 36000.0),
            (Failure::Status(429), Some(Duration::MAX), 0.0, 36000.0),
            (Failure::Status(500), hour, EVEN, 1800.0),
            (Failure::Status(502), hour, EVEN, 1800.0),
            (Failure::TimedOut, hour, EVEN, 1800.0),
        ] {
            let waited = RetryPolicy::default().wait_after(3, &failure, retry_after, jitter);
            assert_eq!(seconds(waited), Some(wait), "{failure:?} {retry_after:?} {jitter}");
        }
    }

    #[test]
    fn an_overloaded_receiver_gets_a_minute_unless_the_schedule_is_custom() {
        let custom = RetryPolicy::new(vec![0, 5]).unwrap();
        for (failure, default, own) in [
            (Failure::TimedOut, 60.0, 5.0),
            (Failure::Status(429), 60.0, 5.0),
            (Failure::Status(428), 5.0, 5.0),
            (Failure::Status(503), 5.0, 5.0),
            (Failure::Unreachable, 5.0, 5.0),
            (Failure::Refused, 5.0, 5.0),
            (Failure::Unauthorized, 5.0, 5.0),
        ] {
            let wait = |policy: &RetryPolicy| seconds(policy.wait_after(1, &failure, None, EVEN));
            assert_eq!((wait(&RetryPolicy::default()), wait(&custom)), (Some(default), Some(own)), "{failure:?}");
        }
        let asked = Duration::from_secs(61);
        assert_eq!(RetryPolicy::default().wait_after(1, &Failure::Status(429), Some(asked), EVEN), Ok(asked));
    }

    #[test]
    fn only_the_statuses_that_are_named_are_tried_again() {
        let named =
            RetryPolicy::default().with_statuses(Some(["429", "5xx"].map(str::to_owned).to_vec().try_into().unwrap()));
        for (failure, waits) in [
            (Failure::Status(429), Ok(())),
            (Failure::Status(500), Ok(())),
            (Failure::Status(599), Ok(())),
            (Failure::Status(428), Err(GivenUp::NotRetried(428))),
            (Failure::Status(499), Err(GivenUp::NotRetried(499))),
            (Failure::Status(302), Err(GivenUp::NotRetried(302))),
            (Failure::TimedOut, Ok(())),
            (Failure::Unreachable, Ok(())),
            (Failure::Refused, Ok(())),
            (Failure::Unauthorized, Ok(())),
        ] {
            assert_eq!(named.wait_after(1, &failure, None, EVEN).map(drop), waits, "{failure:?}");
        }
        assert_eq!(named.wait_after(10, &Failure::Status(500), None, EVEN), Err(GivenUp::Exhausted));
        assert!(named.is_default(), "the schedule is");
        let text = serde_json::to_string(&named).unwrap();
        assert_eq!(serde_json::from_str::<RetryPolicy>(&text).unwrap(), named);
    }

    #[test]
    fn a_schedule_is_checked_where_it_comes_in() {
        let with = |length: usize| vec![0; length];
        for (schedule, checked) in [
            (vec![], Err(RetryError::Empty)),
            (vec![0], Ok(())),
            (vec![1], Err(RetryError::FirstWait)),
            (with(50), Ok(())),
            (with(51), Err(RetryError::TooMany)),
            (vec![0, 604_800], Ok(())),
            (vec![0, 5, 604_801], Err(RetryError::TooLong(2))),
        ] {
            let json = serde_json::json!({ "schedule_s": schedule });
            assert_eq!(RetryPolicy::new(schedule.clone()).map(|_| ()), checked);
            assert_eq!(serde_json::from_value::<RetryPolicy>(json).is_ok(), checked.is_ok(), "{schedule:?}");
        }
        for text in
            [r#"{"schedule_s": [0, 1.5]}"#, r#"{"schedule_s": [0, -1]}"#, r#"{"schedule_s": [0], "x": 1}"#, "{}"]
        {
            assert!(serde_json::from_str::<RetryPolicy>(text).is_err(), "{text}");
        }
        let default = serde_json::to_string(&RetryPolicy::default()).unwrap();
        assert!(serde_json::from_str::<RetryPolicy>(&default).unwrap().is_default());
        assert!(!RetryPolicy::new(vec![0, 5]).unwrap().is_default());
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777_000; // Sun, 06 Nov 1994 08:49:37 GMT
        for (value, wait) in [
            ("0", Some(0.0)),
            ("120", Some(120.0)),
            (" 7 ", Some(7.0)),
            ("99999999999999999999999", Some(u64::MAX as f64)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0.0)),
            ("Sun, 06 Nov 1994 08:49:38 GMT", Some(1.0)),
            ("Sun, 06 Nov 1994 08:49:36 GMT", Some(0.0)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60.0)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1 s", None),
            ("soon", None),
        ] {
            assert_eq!(seconds(parse_retry_after(value, now).ok_or(())), wait, "{value}");
        }
    }
}

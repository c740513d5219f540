//! What one attempt came to, and what follows. Pure: the answer, the policy and the dice are arguments.

use std::time::Duration;

use entity::attempt::Outcome;
use relay::egress::{Response, SendError};
use relay::retry::{Failure, GivenUp, RetryPolicy, parse_retry_after};

use crate::schedule::breaker::Sign;
use crate::token::NoToken;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error(transparent)]
    Send(#[from] SendError),
    /// Nothing was sent, since nothing proves who sends it.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// Nothing was sent, since what was to be sent, or where, is another by now.
    #[error("the destination or the subscription was changed meanwhile")]
    Changed,
    /// Nothing was sent, since the database did not say in time whether that is so.
    #[error("whether anything was changed meanwhile is not known")]
    NotLookedUp,
}

/// One attempt, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) outcome: Outcome,
    pub(crate) status: Option<u16>,
    /// What went wrong, for people.
    pub(crate) error: Option<String>,
    /// How long the receiver wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// What follows an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Next {
    Delivered,
    /// Tried again after this long.
    Wait(Duration),
    /// It is not tried again.
    GiveUp(GivenUp),
}

/// Judges an answer, or the lack of one. None: fenced, changed meanwhile, or a fault of ours, so nothing is known and nothing
/// counts.
#[must_use]
pub(crate) fn judge(result: &Result<Response, Unanswered>, now: i64) -> Option<Judged> {
    let failed = |outcome, error: String| Some(Judged { outcome, status: None, error: Some(error), retry_after: None });
    match result {
        Ok(response) => Some(answered(response, now)),
        Err(Unanswered::NoToken(why @ NoToken::Denied(_))) => failed(Outcome::Unauthorized, why.to_string()),
        Err(Unanswered::NoToken(why @ NoToken::Refused(_))) => failed(Outcome::Refused, why.to_string()),
        Err(Unanswered::Send(error)) => match error {
            SendError::TimedOut => failed(Outcome::TimedOut, "no whole answer within the destination's time".into()),
            SendError::Refused(refusal) => failed(Outcome::Refused, refusal.to_string()),
            SendError::NotSent(why) | SendError::Unreachable(why) => failed(Outcome::Unreachable, why.clone()),
            SendError::Fenced | SendError::Exhausted | SendError::NoWayOut(_) => None,
        },
        Err(Unanswered::Changed | Unanswered::NotLookedUp) => None,
    }
}

fn answered(response: &Response, now: i64) -> Judged {
    let status = response.status;
    if (200..300).contains(&status) {
        return Judged { outcome: Outcome::Delivered, status: Some(status), error: None, retry_after: None };
    }
    let retry_after = response.retry_after.as_deref().and_then(|hint| parse_retry_after(hint, now));
    Judged { outcome: Outcome::Rejected, status: Some(status), error: Some(format!("answered {status}")), retry_after }
}

/// What follows attempt number `attempts`; `jitter` is between 0 and 1.
#[must_use]
pub(crate) fn next(judged: &Judged, policy: &RetryPolicy, attempts: u32, jitter: f64) -> Next {
    let failure = match judged.outcome {
        Outcome::Delivered => return Next::Delivered,
        Outcome::Rejected => Failure::Status(judged.status.unwrap_or(0)),
        Outcome::TimedOut => Failure::TimedOut,
        Outcome::Unreachable => Failure::Unreachable,
        Outcome::Refused => Failure::Refused,
        Outcome::Unauthorized => Failure::Unauthorized,
    };
    policy.wait_after(attempts, &failure, judged.retry_after, jitter).map_or_else(Next::GiveUp, Next::Wait)
}

/// The receiver says that it is gone for good (RFC 9110, 15.5.11).
pub(crate) const GONE: u16 = 410;

/// What it says of the destination.
#[must_use]
pub(crate) fn sign(judged: &Judged) -> Sign {
    let ill = |timed_out| Sign::Ill { timed_out, quiet: None };
    match (judged.outcome, judged.status) {
        (Outcome::Delivered, _) => Sign::Well,
        (Outcome::TimedOut, _) => ill(true),
        (Outcome::Unreachable | Outcome::Unauthorized, _) => ill(false),
        (Outcome::Rejected, Some(429 | 503)) => Sign::Ill { timed_out: false, quiet: judged.retry_after },
        (Outcome::Rejected, Some(408 | 425 | 500..)) => ill(false),
        (Outcome::Rejected | Outcome::Refused, _) => Sign::Refusal,
    }
}

/// Whether the receiver asks for less at a time.
#[must_use]
pub(crate) fn is_overload(judged: &Judged) -> bool {
    judged.outcome == Outcome::TimedOut || judged.status == Some(429)
}

#[cfg(test)]
mod tests {
    use relay::egress::Refusal;

    use super::*;

    fn response(status: u16, retry_after: Option<&str>) -> Result<Response, Unanswered> {
        Ok(Response {
            status,
            headers: Vec::new(),
            body: bytes::Bytes::new(),
            truncated: false,
            remote_address: None,
            retry_after: retry_after.map(str::to_owned),
        })
    }

    #[test]
    fn only_2xx_is_delivered() {
        for (status, outcome) in [
            (199, Outcome::Rejected),
            (200, Outcome::Delivered),
            (202, Outcome::Delivered),
            (299, Outcome::Delivered),
            (300, Outcome::Rejected),
            (301, Outcome::Rejected),
            (404, Outcome::Rejected),
            (410, Outcome::Rejected),
            (500, Outcome::Rejected),
        ] {
            assert_eq!(judge(&response(status, None), 0).unwrap().outcome, outcome, "{status}");
        }
    }

    #[test]
    fn what_got_no_answer_is_the_destinations_or_counts_as_nothing() {
        let send = |error: SendError| Unanswered::Send(error);
        for (error, outcome) in [
            (send(SendError::Fenced), None),
            (send(SendError::Exhausted), None),
            (send(SendError::NoWayOut("w".into())), None),
            (send(SendError::TimedOut), Some(Outcome::TimedOut)),
            (send(SendError::NotSent("w".into())), Some(Outcome::Unreachable)),
            (send(SendError::Unreachable("w".into())), Some(Outcome::Unreachable)),
            (send(SendError::Refused(Refusal::LeadsInside)), Some(Outcome::Refused)),
            (NoToken::Denied("w".into()).into(), Some(Outcome::Unauthorized)),
            (NoToken::Refused("w".into()).into(), Some(Outcome::Refused)),
        ] {
            let told = error.to_string();
            assert_eq!(judge(&Err(error), 0).map(|judged| judged.outcome), outcome, "{told}");
        }
    }

    #[test]
    fn the_last_of_the_schedule_is_followed_by_nothing() {
        let policy = RetryPolicy::new(vec![0, 10]).unwrap();
        let judged = judge(&response(500, None), 0).unwrap();
        assert_eq!(next(&judged, &policy, 1, 0.5), Next::Wait(Duration::from_secs(10)));
        assert_eq!(next(&judged, &policy, 2, 0.5), Next::GiveUp(GivenUp::Exhausted));
        let judged = judge(&response(204, None), 0).unwrap();
        assert_eq!(next(&judged, &policy, 2, 0.5), Next::Delivered);
    }

    #[test]
    fn an_answer_says_how_the_destination_is() {
        let ill = |timed_out, quiet: Option<u64>| Sign::Ill { timed_out, quiet: quiet.map(Duration::from_secs) };
        for (status, retry_after, expected) in [
            (200, None, Sign::Well),
            (302, None, Sign::Refusal),
            (400, Some("7"), Sign::Refusal),
            (401, None, Sign::Refusal),
            (407, None, Sign::Refusal),
            (408, None, ill(false, None)),
            (410, None, Sign::Refusal),
            (425, None, ill(false, None)),
            (429, None, ill(false, None)),
            (429, Some("7"), ill(false, Some(7))),
            (430, None, Sign::Refusal),
            (499, None, Sign::Refusal),
            (500, Some("7"), ill(false, None)),
            (503, Some("7"), ill(false, Some(7))),
            (599, None, ill(false, None)),
        ] {
            assert_eq!(sign(&judge(&response(status, retry_after), 0).unwrap()), expected, "{status} {retry_after:?}");
        }
        for (error, expected) in [
            (Unanswered::Send(SendError::TimedOut), ill(true, None)),
            (Unanswered::Send(SendError::Unreachable("w".into())), ill(false, None)),
            (Unanswered::Send(SendError::Refused(Refusal::LeadsInside)), Sign::Refusal),
            (NoToken::Denied("w".into()).into(), ill(false, None)),
        ] {
            let told = error.to_string();
            assert_eq!(sign(&judge(&Err(error), 0).unwrap()), expected, "{told}");
        }
    }

    #[test]
    fn a_hint_to_wait_is_heard() {
        let policy = RetryPolicy::new(vec![0, 10]).unwrap();
        let judged = judge(&response(503, Some("120")), 0).unwrap();
        assert_eq!(next(&judged, &policy, 1, 0.0), Next::Wait(Duration::from_secs(120)));
    }
}

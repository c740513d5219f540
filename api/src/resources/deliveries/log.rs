//! The attempts of a delivery. Failed ones have rows of their own; the one that succeeded is told by the delivery.

use entity::attempt;
use entity::delivery::{Row, State};
use poem_openapi::{Enum, Object};

use super::super::headers;
use crate::auth::Access;
use crate::error::Error;
use crate::wire::{Time, time};

/// One HTTP request of a delivery, and its outcome.
#[derive(Debug, Clone, Object)]
pub struct Attempt {
    /// Counts from 1.
    pub number: i16,
    pub at: Time,
    pub duration_ms: i32,
    pub outcome: AttemptOutcome,
    /// What the destination answered.
    #[oai(nullable)]
    pub status: Option<i16>,
    /// What went wrong.
    #[oai(nullable)]
    pub error: Option<String>,
    /// Where it went.
    #[oai(nullable)]
    pub remote_address: Option<String>,
    /// Pairs of name and value; null without the scope `payloads`, and once the answer is forgotten: as bodies of its age
    /// are, or with its event's, if that is erased.
    #[oai(nullable)]
    pub response_headers: Option<Vec<Vec<String>>>,
    /// The first 16 KiB, as text; null as the headers are, since a receiver may repeat what it was sent.
    #[oai(nullable)]
    pub response_body: Option<String>,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AttemptOutcome {
    /// A 2xx.
    Delivered,
    /// Any other status.
    Rejected,
    /// No whole answer within the destination's time.
    TimedOut,
    /// No connection, or it broke.
    Unreachable,
    /// This relay does not let anything go there.
    Refused,
    /// The destination's token endpoint gave no token.
    Unauthorized,
}

impl From<attempt::Outcome> for AttemptOutcome {
    fn from(outcome: attempt::Outcome) -> Self {
        match outcome {
            attempt::Outcome::Delivered => Self::Delivered,
            attempt::Outcome::Rejected => Self::Rejected,
            attempt::Outcome::TimedOut => Self::TimedOut,
            attempt::Outcome::Unreachable => Self::Unreachable,
            attempt::Outcome::Refused => Self::Refused,
            attempt::Outcome::Unauthorized => Self::Unauthorized,
        }
    }
}

impl From<AttemptOutcome> for attempt::Outcome {
    fn from(outcome: AttemptOutcome) -> Self {
        match outcome {
            AttemptOutcome::Delivered => Self::Delivered,
            AttemptOutcome::Rejected => Self::Rejected,
            AttemptOutcome::TimedOut => Self::TimedOut,
            AttemptOutcome::Unreachable => Self::Unreachable,
            AttemptOutcome::Refused => Self::Refused,
            AttemptOutcome::Unauthorized => Self::Unauthorized,
        }
    }
}

impl Attempt {
    fn show(row: &attempt::Model) -> Result<Self, Error> {
        Ok(Self {
            number: row.number,
            at: time(row.at),
            duration_ms: row.duration_ms,
            outcome: attempt::Outcome::from_number(row.outcome).into(),
            status: row.status,
            error: row.error.clone(),
            remote_address: row.remote_address.clone(),
            response_headers: row.response_headers.as_deref().map(headers).transpose()?,
            response_body: row.response_body.as_deref().map(|body| String::from_utf8_lossy(body).into_owned()),
        })
    }

    /// What a receiver answers may repeat what was sent to it.
    pub(super) fn hide_answer(&mut self) {
        (self.response_headers, self.response_body) = (None, None);
    }

    /// The attempt that delivered it.
    fn success(delivery: &Row) -> Option<Self> {
        Some(Self {
            number: delivery.attempts,
            at: time(delivery.attempted_at?),
            duration_ms: delivery.duration_ms?,
            outcome: AttemptOutcome::Delivered,
            status: delivery.last_status,
            error: None,
            remote_address: delivery.remote_address.clone(),
            response_headers: None,
            response_body: None,
        })
    }
}

/// The attempts of a delivery, oldest first. One that was written after the delivery was read is not told: the two would
/// contradict each other.
pub(super) async fn read(access: &Access, delivery: &Row) -> Result<Vec<Attempt>, Error> {
    let rows = attempt::of(&access.app().db.read, &access.app().payload_keys, access.id(), delivery.id).await?;
    let told = rows.iter().filter(|row| row.number <= delivery.attempts);
    let mut log = told.map(Attempt::show).collect::<Result<Vec<_>, _>>()?;
    let is_told = log.iter().any(|attempt| attempt.number == delivery.attempts);
    if delivery.state == State::Delivered && !is_told {
        log.extend(Attempt::success(delivery));
    }
    Ok(log)
}

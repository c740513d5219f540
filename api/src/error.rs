//! What the admin API says instead of an answer. Three kinds of bad news: a refusal is the caller's fault, a fault is
//! ours, and an answer that was already given is no bad news at all, only an early return.

use std::time::Duration;

use entity::DbErr;
use entity::database::is_away;
use entity::payload_key::KeyError;
use poem::error::ResponseError;
use poem::http::StatusCode;
use relay::keyring::OpenError;
use relay::password::Overloaded;

mod problem;
mod respond;

pub use problem::{Place, Problem, Trouble};
pub(crate) use respond::respond;

use crate::answer::Parts;
use crate::auth::Scope;
use crate::precondition::Unmet;
use crate::schema::Fault;

/// Why a handler gives no answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not there, or not the caller's: never say which.
    #[error("not found")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed(Vec<String>),
    /// No key, or none that is good.
    #[error("unauthenticated")]
    Unauthenticated,
    #[error("the key lacks the scope {0}")]
    MissingScope(Scope),
    /// For operators only.
    #[error("not an operator's key")]
    OperatorOnly,
    /// A key may not make one that may do more. Says what would be wider.
    #[error("wider than the key that asks: {0}")]
    WiderKey(String),
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("not a JSON media type")]
    MediaType,
    #[error("body larger than {0} bytes")]
    TooLarge(usize),
    #[error("invalid")]
    Invalid(Vec<Trouble>),
    /// The thing is not in a state for this. Says what to do.
    #[error("conflict: {0}")]
    Conflict(String),
    /// The event's payload is no longer kept.
    #[error("payload expired")]
    Expired,
    /// What `If-Match` or `If-None-Match` demands is not so.
    #[error("precondition failed: {0}")]
    PreconditionFailed(Unmet),
    /// The tenant has as many as it may have. Says of what, and what to do.
    #[error("limit reached: {0}")]
    Full(String),
    /// The `Idempotency-Key` was used for something else.
    #[error("idempotency key reused")]
    KeyReused,
    /// The same request is being answered at this moment.
    #[error("idempotency key in use")]
    KeyInUse,
    /// Asked for more often than is allowed. Says how often that is, and how long to wait.
    #[error("too many: {why}")]
    TooMany { why: String, wait: Duration },
    /// The framework refused it.
    #[error("refused with {0}")]
    Other(StatusCode),
    /// This very request was answered before; here is the answer.
    #[error("already answered")]
    Answered(Box<Parts>),
    /// Not now: the database is away, or too many wait.
    #[error("unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Our own fault, and trying again will not help.
    #[error("a fault of ours")]
    Fault(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// A parameter of the query is wrong.
    #[must_use]
    pub fn query(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Trouble::at(Place::Query, name, detail)])
    }

    /// A field of the body is wrong.
    #[must_use]
    pub fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![Trouble::field(pointer, detail)])
    }

    /// Fields of the body are wrong.
    #[must_use]
    pub fn fields(faults: Vec<Fault>) -> Self {
        Self::Invalid(faults.into_iter().map(|fault| Trouble::field(fault.pointer, fault.detail)).collect())
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if is_away(&error) { Self::Unavailable(error.into()) } else { Self::Fault(error.into()) }
    }
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Database(error) => error.into(),
            // Another process may have what opens it.
            KeyError::Key(_) | KeyError::Gone => Self::Unavailable(error.into()),
            KeyError::Payload(..) => Self::Fault(error.into()),
        }
    }
}

impl From<OpenError> for Error {
    fn from(error: OpenError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<Overloaded> for Error {
    fn from(error: Overloaded) -> Self {
        Self::Unavailable(error.into())
    }
}

impl ResponseError for Error {
    fn status(&self) -> StatusCode {
        StatusCode::from_u16(problem::of(self).status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

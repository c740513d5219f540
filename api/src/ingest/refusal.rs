//! Why a webhook is not accepted. A provider hears as little as helps it; the tenant sees the cause among the rejections.

use std::time::Duration;

use entity::database::is_away;
use entity::payload_key::KeyError;
use poem::Response;
use poem::http::{HeaderValue, StatusCode};
use relay::id::Id;

use super::answer::{ALLOWED, METHODS};
use super::credentials::Unproven;
use crate::request::Asked;

/// A fast and honest error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such tenant, key or source; or it is disabled. Never says which.
    Unknown,
    Method,
    /// Not from an address that the source enforces.
    Address,
    /// Nothing proves who sent it.
    Unauthorized(Unproven),
    /// Too many requests: when the next may come.
    Quota(Duration),
    /// Of more than so many bytes.
    TooLarge(usize),
    /// The body did not arrive in time.
    Slow,
    /// The body broke off.
    Broken,
    /// Too many wait already.
    Busy,
    /// The database does not answer.
    Away,
    /// The keys to check the signature with could not be fetched.
    KeysAway,
    /// A fault of our own with this very event.
    Fault,
}

impl Refusal {
    /// What metrics count by.
    pub(super) const NAMES: [&'static str; 12] = [
        "unknown",
        "method",
        "address_not_listed",
        "unauthorized",
        "quota",
        "too_large",
        "slow",
        "broken",
        "busy",
        "away",
        "keys_away",
        "fault",
    ];

    /// A database error that says nothing about the request.
    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(super) fn away(error: entity::DbErr) -> Self {
        // Said once by housekeeping, which polls; here it would be said for every request of an outage.
        tracing::debug!(error = &error as &dyn std::error::Error, "the configuration was not read");
        Self::Away
    }

    /// It is to be stored sealed, and the key cannot be had.
    pub(super) fn unsealed(error: KeyError) -> Self {
        match error {
            KeyError::Database(error) if is_away(&error) => Self::away(error),
            // The tenant is being deleted.
            KeyError::Gone => Self::Away,
            error => {
                tracing::error!(error = &error as &dyn std::error::Error, "a webhook could not be sealed");
                Self::Fault
            }
        }
    }

    /// One of [`Self::NAMES`].
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Method => "method",
            Self::Address => "address_not_listed",
            Self::Unauthorized(_) => "unauthorized",
            Self::Quota(_) => "quota",
            Self::TooLarge(_) => "too_large",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::KeysAway => "keys_away",
            Self::Fault => "fault",
        }
    }

    /// The same, and what exactly was not proved.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Self::Unauthorized(unproven) => unproven.cause(),
            other => other.name(),
        }
    }

    /// Whether it is about the request, and so for the source's tenant to see.
    pub(super) fn concerns_the_tenant(self) -> bool {
        !matches!(self, Self::Unknown | Self::Busy | Self::Away | Self::Fault)
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Address => StatusCode::FORBIDDEN,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Quota(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Away | Self::KeysAway => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(self) -> String {
        let text = match self {
            Self::Unknown => "There is nothing here. Check the URL that was given to you.",
            Self::Method => return format!("Webhooks are sent with {METHODS}."),
            Self::Address => "Requests from this address are not taken here.",
            Self::Unauthorized(_) => "The credential or signature is missing or wrong.",
            Self::Quota(_) => "Too many requests. Send it again later.",
            Self::TooLarge(cap) => return format!("The body is larger than {cap} bytes."),
            Self::Slow => "The body did not arrive in time.",
            Self::Broken => "The body broke off.",
            Self::Busy => "Too many requests wait to be stored. Send it again.",
            Self::Away => "The event could not be stored now. Send it again.",
            Self::KeysAway => "The signature could not be checked now. Send it again.",
            Self::Fault => "The event could not be stored. Send it again.",
        };
        text.to_owned()
    }

    fn headers(self) -> Vec<(&'static str, String)> {
        match self {
            Self::Unauthorized(unproven) => {
                unproven.challenges().iter().map(|value| ("www-authenticate", (*value).to_owned())).collect()
            }
            Self::Quota(wait) => vec![("retry-after", wait.as_secs_f64().ceil().max(1.0).to_string())],
            Self::Busy | Self::Away | Self::KeysAway => vec![("retry-after", "5".to_owned())],
            Self::Method => vec![("allow", ALLOWED.to_owned())],
            _ => Vec::new(),
        }
    }

    /// The answer to the request of this id.
    pub(super) fn response(self, request: Id<Asked>) -> Response {
        let status = self.status();
        let problem = serde_json::json!({
            "type": format!("urn:hookyard:problem:webhook-{}", self.name().replace('_', "-")),
            "title": status.canonical_reason().unwrap_or("Refused"),
            "status": status.as_u16(),
            "detail": self.detail(),
            "request_id": request,
        });
        let response = Response::builder().status(status).content_type("application/problem+json");
        let mut response = response.body(problem.to_string());
        for (name, value) in self.headers() {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

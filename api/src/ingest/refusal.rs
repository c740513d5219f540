//! Why a webhook is not accepted. A provider hears as little as helps it; what only the tenant may know is not here.

use poem::Response;
use poem::http::StatusCode;
use relay::id::Id;

use crate::request::Asked;

/// A fast and honest error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No such tenant, key or source; or it is disabled. Never says which.
    Unknown,
    Method,
    /// No credential, or a wrong one.
    Unauthorized,
    TooLarge,
    /// The body did not arrive in time.
    Slow,
    /// The body broke off.
    Broken,
    /// Too many wait already.
    Busy,
    /// The database does not answer.
    Away,
    /// A fault of our own with this very event.
    Fault,
}

impl Refusal {
    pub(super) const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Method,
        Self::Unauthorized,
        Self::TooLarge,
        Self::Slow,
        Self::Broken,
        Self::Busy,
        Self::Away,
        Self::Fault,
    ];

    /// A database error that says nothing about the request.
    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(super) fn away(error: entity::DbErr) -> Self {
        // Said once by housekeeping, which polls; here it would be said for every request of an outage.
        tracing::debug!(error = &error as &dyn std::error::Error, "the configuration was not read");
        Self::Away
    }

    /// For logs and metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Method => "method",
            Self::Unauthorized => "unauthorized",
            Self::TooLarge => "too_large",
            Self::Slow => "slow",
            Self::Broken => "broken",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Fault => "fault",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Unknown => "There is nothing here. Check the URL that was given to you.",
            Self::Method => "Webhooks are sent with POST.",
            Self::Unauthorized => "The credential is missing or wrong.",
            Self::TooLarge => "The body is larger than 1 MiB.",
            Self::Slow => "The body did not arrive within 10 seconds.",
            Self::Broken => "The body broke off.",
            Self::Busy => "Too many requests wait to be stored. Send it again.",
            Self::Away => "The event could not be stored now. Send it again.",
            Self::Fault => "The event could not be stored. Send it again.",
        }
    }
}

impl Refusal {
    /// The answer to the request of this id.
    pub(super) fn response(self, request: Id<Asked>) -> Response {
        let extra = match self {
            Refusal::Unauthorized => Some(("www-authenticate", r#"Basic realm="webhooks", charset="UTF-8""#)),
            Refusal::Busy | Refusal::Away => Some(("retry-after", "5")),
            Refusal::Method => Some(("allow", "POST")),
            _ => None,
        };
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
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, poem::http::HeaderValue::from_static(value));
        }
        response
    }
}

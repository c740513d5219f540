//! Why no token is issued, as RFC 6749, 5.2 has it.

use poem::Response;
use poem::http::{HeaderValue, StatusCode};

/// An error of the token server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not a POST.
    Method,
    /// Not `application/x-www-form-urlencoded`.
    NotAForm,
    TooLarge,
    /// The body did not arrive in time.
    Slow,
    /// The body broke off.
    Broken,
    /// A parameter stands there twice.
    Repeated,
    /// The URL holds what it must not.
    InQuery,
    /// The client authenticates in two ways, or twice.
    TwoWays,
    NoGrantType,
    /// Any but `client_credentials`.
    GrantType,
    /// No such client, or not its secret; its source is gone or disabled, or the credential has ended. Never says which.
    Client,
    /// It does not say who it is.
    NoClient,
    /// Too many tokens, or too many wrong secrets from one address.
    Quota,
    /// Too many wait already.
    Busy,
    /// The database does not answer.
    Away,
}

impl Refusal {
    pub(super) const ALL: [Self; 15] = [
        Self::Method,
        Self::NotAForm,
        Self::TooLarge,
        Self::Slow,
        Self::Broken,
        Self::Repeated,
        Self::InQuery,
        Self::TwoWays,
        Self::NoGrantType,
        Self::GrantType,
        Self::Client,
        Self::NoClient,
        Self::Quota,
        Self::Busy,
        Self::Away,
    ];

    /// A database error that says nothing about the client.
    #[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
    pub(super) fn away(error: entity::DbErr) -> Self {
        tracing::debug!(error = &error as &dyn std::error::Error, "the configuration was not read");
        Self::Away
    }

    /// The value of `error`. The last is OAuth2's own word for it, though 5.2 foresees no fault of the server.
    pub(super) fn error(self) -> &'static str {
        match self {
            Self::GrantType => "unsupported_grant_type",
            Self::Client | Self::NoClient => "invalid_client",
            Self::Quota | Self::Busy | Self::Away => "temporarily_unavailable",
            _ => "invalid_request",
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Client | Self::NoClient => StatusCode::UNAUTHORIZED,
            Self::Quota => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::Away => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// In ASCII, without quotes and backslashes: RFC 6749, 5.2.
    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Method => "Tokens are asked for with POST.",
            Self::NotAForm => "The body must be application/x-www-form-urlencoded.",
            Self::TooLarge => "The body is longer than 8 KiB.",
            Self::Slow => "The body did not arrive within 10 seconds.",
            Self::Broken => "The body broke off.",
            Self::Repeated => "A parameter stands there twice.",
            Self::InQuery => "Credentials must not stand in the URL.",
            Self::TwoWays => "The client must authenticate once: in the header or in the body.",
            Self::NoGrantType => "The parameter grant_type is missing.",
            Self::GrantType => "The only grant type is client_credentials.",
            Self::Client => "The client is unknown, or this is not its secret.",
            Self::NoClient => "No client authentication: use the header, or client_id and client_secret in the body.",
            Self::Quota => "Too many requests for tokens. Ask again later.",
            Self::Busy => "Too many tokens are being asked for. Ask again.",
            Self::Away => "No token could be issued now. Ask again.",
        }
    }

    pub(super) fn response(self) -> Response {
        let extra = match self {
            // Also for a client that used the body: HTTP wants a challenge with every 401.
            Self::Client | Self::NoClient => Some(("www-authenticate", r#"Basic realm="token", charset="UTF-8""#)),
            Self::Quota => Some(("retry-after", "1")),
            Self::Busy | Self::Away => Some(("retry-after", "5")),
            Self::Method => Some(("allow", "POST")),
            _ => None,
        };
        let error = serde_json::json!({ "error": self.error(), "error_description": self.description() });
        let response = Response::builder().status(self.status()).content_type("application/json");
        let mut response = response.body(error.to_string());
        if let Some((name, value)) = extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_what_the_rfc_allows() {
        for refusal in Refusal::ALL {
            let allowed = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            assert!(refusal.description().bytes().all(allowed), "{refusal:?}");
        }
    }
}

//! What a refused sender is told of how to authenticate (RFC 9110, 11.6.1).

use entity::credential::Kind;
use entity::source::Configured;

/// The values of `WWW-Authenticate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenge {
    /// Also where nothing fits: HTTP wants a challenge with every 401.
    Basic,
    Bearer,
    Either,
    /// A token that is none, or no longer (RFC 6750, 3): its sender fetches another.
    InvalidToken,
    /// A key in a header, for which HTTP has no scheme.
    Key,
    /// Requests are signed: there is nothing to present.
    Signature,
}

const BASIC: &str = r#"Basic realm="webhooks", charset="UTF-8""#;
const BEARER: &str = r#"Bearer realm="webhooks""#;
const INVALID_TOKEN: &str = r#"Bearer realm="webhooks", error="invalid_token""#;
const KEY: &str = r#"Key realm="webhooks""#;
const SIGNATURE: &str = r#"Signature realm="webhooks""#;

impl Challenge {
    /// By what the source's live credentials are.
    pub(super) fn of(source: &Configured, now: i64) -> Self {
        let takes = |kinds: &[Kind]| {
            source
                .credentials
                .iter()
                .any(|row| row.is_live(now) && row.kind().is_some_and(|kind| kinds.contains(&kind)))
        };
        match (takes(&[Kind::Basic]), takes(&[Kind::Bearer, Kind::Oauth2Client])) {
            (true, true) => Self::Either,
            (false, true) => Self::Bearer,
            (false, false) if takes(&[Kind::ApiKey]) => Self::Key,
            _ => Self::Basic,
        }
    }

    /// Each is a header of its own.
    pub(super) fn values(self) -> &'static [&'static str] {
        match self {
            Self::Basic => &[BASIC],
            Self::Bearer => &[BEARER],
            Self::Either => &[BASIC, BEARER],
            Self::InvalidToken => &[INVALID_TOKEN],
            Self::Key => &[KEY],
            Self::Signature => &[SIGNATURE],
        }
    }
}

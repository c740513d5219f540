//! What a request that proved nothing comes to.

use entity::source::Configured;
use relay::verification::Failure;

use super::challenge::Challenge;

/// Why a request is not let in. Its sender hears only how to do better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unproven {
    cause: Cause,
    challenge: Challenge,
}

/// For the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The source has nothing live that could be presented.
    NoCredential,
    Missing,
    Wrong,
    /// It was right once.
    Expired,
    /// A bearer that is neither a live key nor a live token.
    TokenInvalid,
    Signature(Failure),
}

impl Unproven {
    /// By what was presented at `now`.
    pub(super) fn credential(cause: Cause, source: &Configured, now: i64) -> Self {
        let challenge = match cause {
            Cause::TokenInvalid => Challenge::InvalidToken,
            _ => Challenge::of(source, now),
        };
        Self { cause, challenge }
    }

    /// By a signature.
    pub(in super::super) fn signature(failure: Failure) -> Self {
        Self { cause: Cause::Signature(failure), challenge: Challenge::Signature }
    }

    /// The cause as the API and the log name it.
    pub(in super::super) fn cause(self) -> &'static str {
        match self.cause {
            Cause::NoCredential => "no_credential",
            Cause::Missing => "credential_missing",
            Cause::Wrong => "credential_wrong",
            Cause::Expired => "credential_expired",
            Cause::TokenInvalid => "token_invalid",
            Cause::Signature(failure) => failure.name(),
        }
    }

    /// The values of `WWW-Authenticate`, each a header of its own.
    pub(in super::super) fn challenges(self) -> &'static [&'static str] {
        self.challenge.values()
    }
}

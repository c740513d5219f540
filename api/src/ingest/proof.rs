//! Whether a request proves that it comes from the source's provider: by a credential that it carries, or by a signature
//! over all of it.

use entity::source::{Configured, Verification};
use poem::http::HeaderMap;
use relay::handshake::{Answer, Reply};
use relay::id::CredentialId;
use relay::inbound::Inbound;
use relay::verification::{Failure, Keys, Presented, Remote};

use super::credentials::{self, Unproven};
use super::refusal::Refusal;
use crate::app::App;
use crate::last_used::{LastUsed, Used};

/// How far a request has proved itself before its body is read.
pub(super) enum Proof {
    /// Nothing more is asked; a credential did it, if any was asked for.
    Given(Option<CredentialId>),
    /// A signature is asked for; this is what was wrong with the credential that would have done as well.
    Asked(Option<Unproven>),
}

/// What the headers alone prove.
pub(super) async fn by_headers(app: &App, source: &Configured, headers: &HeaderMap) -> Result<Proof, Refusal> {
    let may_be_signed = match &source.verification {
        Some(Verification::None {}) => return Ok(Proof::Given(None)),
        Some(Verification::Credentials {}) => false,
        Some(Verification::Provider {}) => {
            if !schemes(source).any(|scheme| *scheme == Verification::Credentials {}) {
                return Ok(Proof::Asked(None));
            }
            schemes(source).any(|scheme| *scheme != Verification::Credentials {})
        }
        Some(_) => return Ok(Proof::Asked(None)),
        // A newer version's demand, which this one cannot check: no fault of the sender.
        None => return Err(Refusal::KeysAway),
    };
    match credentials::check(app, source, headers).await {
        Ok(by) => Ok(Proof::Given(Some(by))),
        Err(Refusal::Unauthorized(unproven)) if may_be_signed => Ok(Proof::Asked(Some(unproven))),
        Err(refusal) => Err(refusal),
    }
}

/// What a signature over the whole request proves; says whose key it was, where it is a credential's.
pub(super) async fn by_signature(
    source: &Configured,
    presented: &Presented<'_>,
    keys: &Keys,
    remote: &Remote,
    unproven: Option<Unproven>,
) -> Result<Option<CredentialId>, Refusal> {
    let mut failure = Failure::NoCredential;
    for scheme in schemes(source) {
        match scheme.verify(presented, keys, remote).await {
            Ok(by) => return Ok(by),
            Err(other) => failure = telling(failure, other),
        }
    }
    match (failure, unproven) {
        (Failure::KeysAway, _) => Err(Refusal::KeysAway),
        // Where nothing can be signed, the credential was meant.
        (Failure::NoCredential, Some(unproven)) => Err(Refusal::Unauthorized(unproven)),
        (failure, _) => Err(Refusal::Unauthorized(Unproven::signature(failure))),
    }
}

/// Notes that a credential was used.
pub(super) fn note(app: &App, uses: &LastUsed, source: &Configured, by: Option<CredentialId>) {
    let used = source.credentials.iter().find(|row| Some(row.id()) == by);
    if let Some(row) = used {
        let place = Used::Credential(source.source.tenant(), source.source.id(), row.id());
        uses.note(place, row.last_used_at, app.clock.now());
    }
}

/// The answer to a handshake that is looked for before anything is proved.
pub(super) fn unsigned_handshake(
    source: &Configured,
    inbound: &Inbound<'_>,
    keys: &Keys,
) -> Option<Result<Reply, Refusal>> {
    let answers = source.preset().handshakes.iter().filter_map(|handshake| handshake.unsigned(inbound, keys));
    first(answers)
}

/// The answer to a handshake that was proved to be the provider's.
pub(super) fn signed_handshake(
    source: &Configured,
    inbound: &Inbound<'_>,
    keys: &Keys,
    by: Option<CredentialId>,
) -> Option<Result<Reply, Refusal>> {
    let answers = source.preset().handshakes.iter().filter_map(|handshake| handshake.signed(inbound, keys, by));
    first(answers)
}

fn first(mut answers: impl Iterator<Item = Answer>) -> Option<Result<Reply, Refusal>> {
    let answer = answers.next()?;
    Some(answer.map_err(|failure| Refusal::Unauthorized(Unproven::signature(failure))))
}

/// The demands of which one must be met.
pub(super) fn schemes<'a>(source: &'a Configured) -> impl Iterator<Item = &'a Verification> {
    let by_preset = matches!(source.verification, Some(Verification::Provider {}));
    let own = source.verification.as_ref().filter(|_| !by_preset);
    let presets = by_preset.then(|| source.preset().default_schemes()).into_iter().flatten();
    own.into_iter().chain(presets.map(|scheme| -> &'a Verification { scheme }))
}

/// Which of two failures says more about the request: one that came further.
fn telling(one: Failure, other: Failure) -> Failure {
    let how_far = |failure| match failure {
        Failure::NoCredential => 0,
        Failure::Missing => 1,
        Failure::Repeated => 2,
        Failure::Malformed => 3,
        Failure::NotEqual => 4,
        Failure::Mismatch => 5,
        Failure::Stale => 6,
        Failure::KeysAway => 7,
    };
    if how_far(other) > how_far(one) { other } else { one }
}

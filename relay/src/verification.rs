//! How a source's requests are verified: what the API calls `verification`, and what each kind of it does.
//!
//! A kind is data: presets hold it as constants, tenants write it as JSON, and the database keeps that JSON. Secrets are
//! not in it: they are the source's credentials ([`Keys`]).

use std::borrow::Cow;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::id::CredentialId;
use crate::inbound::Inbound;
use crate::place::Place;

mod claim;
mod hmac;
mod jwt;
mod parse;
mod paypal;
#[cfg(test)]
mod properties;
mod public_key;
mod remote;
mod rules;
mod template;
#[cfg(test)]
mod tests;
mod timestamp;
mod token;
mod twilio;

pub use parse::{Encoding, Parse};
pub use public_key::is_public_key;
pub use remote::Remote;
pub use template::{NotATemplate, Template};
pub use timestamp::{NotATime, TimeFrom, Timestamp, Unit};

/// What a source demands of a request; written `{"kind": "none"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verification {
    /// Nothing beyond the URL's key.
    None {},
    /// Any live basic, `oauth2_client`, `api_key` or bearer credential.
    Credentials {},
    /// Whatever the provider's preset does by default.
    Provider {},
    /// A shared secret that stands somewhere in the request: any live `verify_token` credential.
    Token(Token),
    /// A MAC over what the template says, under any live hmac credential.
    Hmac(Hmac),
    /// An Ed25519 signature by any live `public_key` credential.
    Ed25519(PublicKey),
    /// An ECDSA signature (P-256, SHA-256, DER) by any live `public_key` credential.
    Ecdsa(PublicKey),
    /// Twilio's own scheme, under any live hmac credential (the account's auth token).
    Twilio(Twilio),
    /// PayPal's own scheme; the webhook's id is an external credential.
    Paypal {},
    /// A signed token of an issuer whose keys are published.
    Jwt(Jwt),
}

/// See [`Verification::Token`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Where it stands. A pointer with `*` means every item of a list, all of which must be right.
    pub from: Place,
}

/// See [`Verification::Hmac`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hmac {
    pub signature: Signature,
    pub algorithm: Algorithm,
    /// How a secret's text becomes the key.
    #[serde(default, skip_serializing_if = "is_default")]
    pub secret: SecretForm,
    pub signed: Template,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub also_equal: Cow<'static, [Equal]>,
    /// See [`Twilio::public_url`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Cow<'static, str>>,
}

/// See [`Verification::Ed25519`] and [`Verification::Ecdsa`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    pub signature: Signature,
    pub signed: Template,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Timestamp>,
}

/// See [`Verification::Twilio`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Twilio {
    /// What the provider was given instead of the source's own URL, without a query, where a proxy that rewrites it stands
    /// before the relay. What follows the source's key follows this, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<Cow<'static, str>>,
}

/// See [`Verification::Jwt`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// Where the issuer publishes its keys, an https URL.
    pub jwks_url: Cow<'static, str>,
    /// What `iss` must say.
    pub issuer: Cow<'static, str>,
    /// What `aud` must say, or contain.
    pub audience: Cow<'static, str>,
    /// The header that holds the token; `authorization` (with `Bearer`) unless said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Cow<'static, str>>,
    /// A claim that must be the base64url SHA-256 of the body, such as `request_body_sha256`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_claim: Option<Cow<'static, str>>,
}

/// Where the signature stands and how it is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub from: From,
    /// The header's or query item's name, or a JSON pointer.
    pub name: Cow<'static, str>,
    pub parse: Parse,
    pub encoding: Encoding,
}

/// What a signature is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum From {
    Header,
    Json,
    Query,
}

/// The hash of a MAC. SHA-1 only because some providers have nothing better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    #[serde(rename = "hmac-sha1")]
    HmacSha1,
    #[serde(rename = "hmac-sha256")]
    HmacSha256,
    #[serde(rename = "hmac-sha384")]
    HmacSha384,
    #[serde(rename = "hmac-sha512")]
    HmacSha512,
}

/// How a secret's text becomes a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretForm {
    /// Its bytes as they are.
    #[default]
    Utf8,
    /// Base64, with or without `whsec_` before it.
    Base64,
    Hex,
}

/// A header that must say something besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Equal {
    pub header: Cow<'static, str>,
    /// What it must say; without it, the id of any live external credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Cow<'static, str>>,
}

/// What is live of a source's credentials, opened.
#[derive(Debug, Default)]
pub struct Keys {
    /// Kind hmac: shared secrets.
    pub hmac: Vec<Key>,
    /// Kind `public_key`.
    pub public: Vec<Key>,
    /// Kind `verify_token`.
    pub tokens: Vec<Key>,
    /// Kind external: ids that the provider gave, no secrets.
    pub external: Vec<Key>,
}

/// One of them.
#[derive(Debug)]
pub struct Key {
    pub id: CredentialId,
    pub value: SecretString,
}

/// A request with what else is signed.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    pub inbound: Inbound<'a>,
    /// The source's URL as it was handed out, with what followed its key, without the query.
    pub url: &'a str,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// Why a request is not verified. Its sender hears none of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The source has no live credential of the kind that is needed.
    NoCredential,
    /// There is no signature, or what has to be with it is missing.
    Missing,
    /// What must stand there once stands there twice.
    Repeated,
    /// The signature, its time or its key cannot be read.
    Malformed,
    /// The time that was signed is too far from now.
    Stale,
    /// A header that must say something says something else.
    NotEqual,
    /// The signature is not one of ours.
    Mismatch,
    /// The keys to check it with could not be fetched: no fault of the sender.
    KeysAway,
}

/// A fault in a tenant's own configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer inside the verification.
    pub pointer: &'static str,
    pub detail: String,
}

impl Failure {
    /// The cause as the API and metrics name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::Missing => "signature_missing",
            Self::Repeated => "signature_repeated",
            Self::Malformed => "signature_malformed",
            Self::Stale => "signature_stale",
            Self::NotEqual => "header_not_equal",
            Self::Mismatch => "signature_mismatch",
            Self::KeysAway => "keys_away",
        }
    }
}

impl Verification {
    /// Verifies a request by a signature or token, and says which credential did it, where one did. Kinds that are not
    /// about signatures ([`None`](Self::None), [`Credentials`](Self::Credentials), [`Provider`](Self::Provider)) are the
    /// caller's to decide and fail here, so that what nobody decided never passes.
    pub async fn verify(
        &self,
        request: &Presented<'_>,
        keys: &Keys,
        remote: &Remote,
    ) -> Result<Option<CredentialId>, Failure> {
        match self {
            Self::None {} | Self::Credentials {} | Self::Provider {} => Err(Failure::NoCredential),
            Self::Token(token) => token.verify(request, keys).map(Some),
            Self::Hmac(hmac) => hmac.verify(request, keys).map(Some),
            Self::Ed25519(key) => key.verify_ed25519(request, keys).map(Some),
            Self::Ecdsa(key) => key.verify_ecdsa(request, keys).map(Some),
            Self::Twilio(twilio) => twilio.verify(request, keys).map(Some),
            Self::Paypal {} => paypal::verify(request, keys, remote).await.map(Some),
            Self::Jwt(jwt) => jwt.verify(request, remote).await.map(|()| None),
        }
    }

    /// Whether a tenant may ask for it: names that can be headers, templates that cannot be read in two ways, bounded
    /// tolerances.
    pub fn check(&self) -> Result<(), Fault> {
        match self {
            Self::None {} | Self::Credentials {} | Self::Provider {} | Self::Token(_) | Self::Paypal {} => Ok(()),
            Self::Hmac(hmac) => hmac.check(),
            Self::Ed25519(key) | Self::Ecdsa(key) => key.check(),
            Self::Twilio(twilio) => twilio.check(),
            Self::Jwt(jwt) => jwt.check(),
        }
    }
}

/// The value of a header that has to be there once.
fn header<'a>(inbound: &Inbound<'a>, name: &str) -> Result<&'a [u8], Failure> {
    inbound.header(name).ok_or(if inbound.headers.contains_key(name) { Failure::Repeated } else { Failure::Missing })
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn is_empty(list: &[Equal]) -> bool {
    list.is_empty()
}

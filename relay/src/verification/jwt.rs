//! Tokens that an issuer signs (RFC 7519) and whose keys it publishes.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::{Failure, Fault, Jwt, Presented, Remote, rules};
use crate::secret;

use jwks::{Algorithm, NotSigned, Signed};

pub(super) mod jwks;

/// The longest token, in bytes.
const LONGEST: usize = 16 * 1024;

/// The longest of the texts that a tenant sets, in bytes.
const LONGEST_SETTING: usize = 2_048;

/// Claims whose meaning is fixed, and which we read.
const CLAIMS: [&str; 5] = ["iss", "aud", "exp", "nbf", "iat"];

/// How long an expired token is taken, in seconds: clocks differ.
const LEEWAY: f64 = 60.0;

/// How far in the future a token may begin, in seconds.
const AHEAD: f64 = 300.0;

/// A token that can be read. Nothing in it is true before its signature is.
struct Token {
    header: Header,
    claims: Claims,
    /// What is signed: header and claims as they were sent.
    message: String,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    kid: Option<String>,
    /// What has to be understood; we know of nothing that may stand here.
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    aud: Option<Audience>,
    /// Seconds since 1970, as all three.
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Jwt {
    /// Whether the request carries a token of the issuer for this audience that is valid now.
    pub(super) async fn verify(&self, request: &Presented<'_>, remote: &Remote) -> Result<(), Failure> {
        let token = Token::read(self.presented(request)?)?;
        self.check_signature(&token, remote).await?;
        token.claims.check_times(request.now)?;
        self.check_claims(&token.claims, request.inbound.body)
    }

    /// Whether a tenant may ask for it. Whether `http` is allowed in the URL and where it may lead is the way out's to
    /// judge, at each fetch.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if !is_url(&self.jwks_url) {
            return Err(rules::fault("/jwks_url", "must be a URL of at most 2048 bytes, such as https://issuer/keys"));
        }
        for (pointer, text) in [("/issuer", &self.issuer), ("/audience", &self.audience)] {
            if !matches!(text.len(), 1..=LONGEST_SETTING) {
                return Err(rules::fault(pointer, format!("must be 1 to {LONGEST_SETTING} bytes")));
            }
        }
        self.header.as_deref().map_or(Ok(()), |name| rules::header("/header", name))?;
        match self.body_claim.as_deref() {
            Some(name) if CLAIMS.contains(&name) => Err(rules::fault("/body_claim", "is a claim with another meaning")),
            Some(name) => rules::text("/body_claim", name),
            None => Ok(()),
        }
    }

    /// The token's text.
    fn presented<'a>(&self, request: &Presented<'a>) -> Result<&'a str, Failure> {
        let name = self.header.as_deref().unwrap_or("authorization");
        let mut values = request.inbound.headers.get_all(name).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().map_err(|_| Failure::Malformed)?,
            (None, _) => return Err(Failure::Missing),
            (Some(_), Some(_)) => return Err(Failure::Repeated),
        };
        match (after_bearer(value), name.eq_ignore_ascii_case("authorization")) {
            (Some(token), _) => Ok(token),
            (None, false) => Ok(value.trim()),
            (None, true) => Err(Failure::Missing),
        }
    }

    async fn check_signature(&self, token: &Token, remote: &Remote) -> Result<(), Failure> {
        let signed = Signed {
            algorithm: token.header.alg,
            key: token.header.kid.as_deref(),
            message: token.message.as_bytes(),
            signature: &token.signature,
        };
        let known = remote.key_set(&self.jwks_url).await.ok_or(Failure::KeysAway)?;
        match known.verify(&signed) {
            Ok(()) => Ok(()),
            Err(NotSigned::Wrong) => Err(Failure::Mismatch),
            Err(NotSigned::Stranger) => {
                // Nobody can tell a made-up key from one that is newer than the last look.
                let newer = remote.newer_key_set(&self.jwks_url, &known).await.ok_or(Failure::KeysAway)?;
                newer.verify(&signed).map_err(|_| Failure::Mismatch)
            }
        }
    }

    fn check_claims(&self, claims: &Claims, body: &[u8]) -> Result<(), Failure> {
        let is_for_us = match &claims.aud {
            Some(Audience::One(audience)) => *audience == self.audience,
            Some(Audience::Several(audiences)) => audiences.iter().any(|audience| *audience == self.audience),
            None => false,
        };
        let is_right = is_for_us
            && claims.iss.as_deref() == Some(&*self.issuer)
            && self.body_claim.as_deref().is_none_or(|name| is_hash_of(claims.other.get(name), body));
        if is_right { Ok(()) } else { Err(Failure::NotEqual) }
    }
}

impl Token {
    fn read(text: &str) -> Result<Self, Failure> {
        let parts: Vec<_> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else { return Err(Failure::Malformed) };
        if text.len() > LONGEST {
            return Err(Failure::Malformed);
        }
        let token = Self {
            header: part(header)?,
            claims: part(claims)?,
            message: format!("{header}.{claims}"),
            signature: URL_SAFE_NO_PAD.decode(signature).map_err(|_| Failure::Malformed)?,
        };
        if token.header.crit.is_some() { Err(Failure::Malformed) } else { Ok(token) }
    }
}

impl Claims {
    /// `now` is in milliseconds since 1970.
    fn check_times(&self, now: i64) -> Result<(), Failure> {
        let now = now as f64 / 1000.0;
        let expires = self.exp.ok_or(Failure::Missing)?;
        let begins = self.nbf.into_iter().chain(self.iat);
        let is_stale = now >= expires + LEEWAY || begins.into_iter().any(|begins| begins > now + AHEAD);
        if is_stale { Err(Failure::Stale) } else { Ok(()) }
    }
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| Failure::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Failure::Malformed)
}

fn after_bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Base64url as it should be, or base64, which `FusionAuth` writes.
fn is_hash_of(claim: Option<&Value>, body: &[u8]) -> bool {
    let Some(text) = claim.and_then(Value::as_str) else { return false };
    let hash = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD.decode(text));
    hash.is_ok_and(|hash| secret::equal(&hash, &Sha256::digest(body)))
}

fn is_url(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    text.len() <= LONGEST_SETTING
        && matches!(url.scheme(), "https" | "http")
        && url.host().is_some_and(|host| host != Host::Domain(""))
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests;

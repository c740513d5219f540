//! What requests must present, as the API has it. The fields are those of [`relay::verification`], which reads and
//! writes the same JSON.

use poem_openapi::types::{ParseFromJSON, ToJSON};
use poem_openapi::{Enum, Object, Union};
use relay::place::Place;
use relay::verification::{self, Template, TimeFrom};

use crate::error::Error;
use crate::wire::Text;

/// What requests must present.
#[derive(Debug, Clone, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum Verification {
    None(NoVerification),
    Credentials(AnyCredential),
    Provider(ProviderVerification),
    Token(TokenVerification),
    Hmac(HmacVerification),
    Ed25519(Ed25519Verification),
    Ecdsa(EcdsaVerification),
    Twilio(TwilioVerification),
    Paypal(PaypalVerification),
    Jwt(JwtVerification),
}

/// Nothing beyond the URL itself.
#[derive(Debug, Clone, Object)]
pub struct NoVerification {}

/// Any live `basic`, `oauth2_client`, `api_key` or `bearer` credential of the source; if it has none, every request is
/// refused.
#[derive(Debug, Clone, Object)]
pub struct AnyCredential {}

/// What the provider does: any of the default `schemes` that `/v1/providers` shows.
#[derive(Debug, Clone, Object)]
pub struct ProviderVerification {}

/// A shared secret that stands somewhere in the request: any live `verify_token` credential.
#[derive(Debug, Clone, Object)]
pub struct TokenVerification {
    /// Where it stands. `*` in a pointer means every item of a list, all of which must be right.
    pub from: Text<Place>,
}

/// A MAC under any live `hmac` credential.
#[derive(Debug, Clone, Object)]
pub struct HmacVerification {
    pub signature: Signature,
    pub algorithm: Algorithm,
    /// How a secret's text becomes the key; `utf8` unless said otherwise.
    #[oai(nullable, skip_serializing_if_is_none)]
    pub secret: Option<SecretForm>,
    /// What the signature is over: a text in which `{body}`, `{body_escaped}` (the body with every character beyond ASCII
    /// as `\uXXXX`), `{ts}` (the time as it is written), `{public_url}` (with what follows the source's key, and the
    /// query), `{header:NAME}` and `{json:/pointer}` stand for parts of the request, and `{{` and `}}` for braces. The
    /// body must be in it, and a text between any two other parts. Such as `{ts}.{body}`.
    pub signed: Text<Template>,
    /// Without it the signature holds at any time.
    #[oai(nullable, skip_serializing_if_is_none)]
    pub timestamp: Option<Timestamp>,
    /// Headers that must say something besides.
    #[oai(nullable, skip_serializing_if_is_none, validator(max_items = 10))]
    pub also_equal: Option<Vec<Equal>>,
    /// What `{public_url}` begins with, if the provider was given another URL than the source's; without a query.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 2048))]
    pub public_url: Option<String>,
}

/// An Ed25519 signature by any live `public_key` credential.
#[derive(Debug, Clone, Object)]
pub struct Ed25519Verification {
    pub signature: Signature,
    /// What the signature is over: a text in which `{body}`, `{body_escaped}` (the body with every character beyond ASCII
    /// as `\uXXXX`), `{ts}` (the time as it is written), `{public_url}` (with what follows the source's key, and the
    /// query), `{header:NAME}` and `{json:/pointer}` stand for parts of the request, and `{{` and `}}` for braces. The
    /// body must be in it, and a text between any two other parts. Such as `{ts}.{body}`.
    pub signed: Text<Template>,
    /// Without it the signature holds at any time.
    #[oai(nullable, skip_serializing_if_is_none)]
    pub timestamp: Option<Timestamp>,
}

/// An ECDSA signature (P-256, SHA-256, DER) by any live `public_key` credential.
#[derive(Debug, Clone, Object)]
pub struct EcdsaVerification {
    pub signature: Signature,
    /// What the signature is over: a text in which `{body}`, `{body_escaped}` (the body with every character beyond ASCII
    /// as `\uXXXX`), `{ts}` (the time as it is written), `{public_url}` (with what follows the source's key, and the
    /// query), `{header:NAME}` and `{json:/pointer}` stand for parts of the request, and `{{` and `}}` for braces. The
    /// body must be in it, and a text between any two other parts. Such as `{ts}.{body}`.
    pub signed: Text<Template>,
    /// Without it the signature holds at any time.
    #[oai(nullable, skip_serializing_if_is_none)]
    pub timestamp: Option<Timestamp>,
}

/// Twilio's scheme, under any live `hmac` credential: the account's auth token.
#[derive(Debug, Clone, Object)]
pub struct TwilioVerification {
    /// The URL that Twilio was given, without its query, if it is another than the source's.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 2048))]
    pub public_url: Option<String>,
}

/// PayPal's scheme; the webhook's id is an `external` credential.
#[derive(Debug, Clone, Object)]
pub struct PaypalVerification {}

/// A signed token of an issuer that publishes its keys.
#[derive(Debug, Clone, Object)]
pub struct JwtVerification {
    /// Where the keys are published.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub jwks_url: String,
    /// What `iss` must say.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub issuer: String,
    /// What `aud` must say or contain.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub audience: String,
    /// The header that holds the token; `authorization` unless said otherwise.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub header: Option<String>,
    /// A claim that must be the base64url SHA-256 of the body.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub body_claim: Option<String>,
}

/// Where the signature stands and how it is written.
#[derive(Debug, Clone, Object)]
pub struct Signature {
    pub from: SignatureFrom,
    /// A header's or query item's name, or a JSON pointer.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    pub parse: Parse,
    pub encoding: Encoding,
}

/// What a signature is taken from.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum SignatureFrom {
    Header,
    Json,
    Query,
}

/// How signatures are found in a text.
#[derive(Debug, Clone, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum Parse {
    Raw(ParseRaw),
    Prefix(ParsePrefix),
    Kv(ParseKv),
    List(ParseList),
}

/// The text is the signature.
#[derive(Debug, Clone, Object)]
pub struct ParseRaw {}

/// The signature follows a prefix, such as `sha256=`.
#[derive(Debug, Clone, Object)]
pub struct ParsePrefix {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub prefix: String,
}

/// Names with values, such as `t=1,v1=ab`.
#[derive(Debug, Clone, Object)]
pub struct ParseKv {
    /// What stands between pairs.
    #[oai(validator(min_length = 1, max_length = 8))]
    pub pair: String,
    /// What stands between a name and its value.
    #[oai(validator(min_length = 1, max_length = 8))]
    pub kv: String,
    /// The names of signatures.
    #[oai(validator(min_items = 1, max_items = 10))]
    pub sig: Vec<String>,
    /// The name of the time, for a `timestamp` that is taken `from` the `signature`.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub ts: Option<String>,
    /// What stands between whole sets of pairs, where there can be several.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 8))]
    pub sets: Option<String>,
}

/// Items with a version, such as `v1,ab v1,cd`.
#[derive(Debug, Clone, Object)]
pub struct ParseList {
    /// What stands between items.
    #[oai(validator(min_length = 1, max_length = 8))]
    pub item: String,
    /// What an item that counts begins with.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub version: String,
}

/// How the bytes of a signature are written: `hex` in either case, `base64` and `base64url` with padding or without.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Encoding {
    Hex,
    Base64,
    Base64url,
}

/// The hash of a MAC.
#[derive(Debug, Clone, Copy, Enum)]
pub enum Algorithm {
    #[oai(rename = "hmac-sha1")]
    HmacSha1,
    #[oai(rename = "hmac-sha256")]
    HmacSha256,
    #[oai(rename = "hmac-sha384")]
    HmacSha384,
    #[oai(rename = "hmac-sha512")]
    HmacSha512,
}

/// How a secret's text becomes a key: `utf8`, its bytes as they are; `base64`, decoded, with or without `whsec_` before
/// it; `hex`, decoded.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum SecretForm {
    Utf8,
    Base64,
    Hex,
}

/// The time that is signed.
#[derive(Debug, Clone, Object)]
pub struct Timestamp {
    /// Where it stands: `header:NAME`, `json:/pointer`, or `signature`, where `signature.parse` names it as `ts`.
    pub from: Text<TimeFrom>,
    pub unit: TimeUnit,
    /// How far it may be from now, either way.
    #[oai(validator(minimum(value = "1"), maximum(value = "86400")))]
    pub tolerance_s: u32,
    /// Whether a request without it is refused; it is unless said otherwise.
    #[oai(nullable, skip_serializing_if_is_none)]
    pub required: Option<bool>,
}

/// How a time is written: `s`, seconds since 1970; `ms`, milliseconds since 1970; `rfc3339`, as in
/// `2026-11-22T10:00:00Z`.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum TimeUnit {
    S,
    Ms,
    Rfc3339,
}

/// A header that must say something.
#[derive(Debug, Clone, Object)]
pub struct Equal {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub header: String,
    /// Without it, the id of any live `external` credential.
    #[oai(nullable, skip_serializing_if_is_none, validator(min_length = 1, max_length = 200))]
    pub value: Option<String>,
}

impl Verification {
    pub(crate) fn show(verification: &verification::Verification) -> Result<Self, Error> {
        let json = serde_json::to_value(verification).map_err(|error| Error::Fault(error.into()))?;
        Self::parse_from_json(Some(json)).map_err(|error| Error::Fault(error.into_message().into()))
    }

    /// What it means, if a source can demand it.
    pub(crate) fn meant(&self) -> Result<verification::Verification, Error> {
        let json = self.to_json().unwrap_or_default();
        let meant: verification::Verification = serde_json::from_value(json)
            .map_err(|error| Error::field("/verification", format!("cannot be read: {error}")))?;
        match meant.check() {
            Ok(()) => Ok(meant),
            Err(fault) => Err(Error::field(format!("/verification{}", fault.pointer), fault.detail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use relay::preset;

    use super::*;

    #[test]
    fn every_scheme_of_every_preset_is_shown_as_it_is() {
        for preset in preset::all() {
            for scheme in preset.schemes {
                let shown =
                    Verification::show(&scheme.verification).unwrap_or_else(|error| panic!("{}: {error}", scheme.name));
                let json = shown.to_json().unwrap();
                let again: verification::Verification = serde_json::from_value(json.clone()).unwrap();
                assert_eq!(again, scheme.verification, "{} {} {json}", preset.name, scheme.name);
            }
        }
    }

    /// What these sign can be read in two ways, which only their providers' own forms rule out.
    const ONLY_AS_PROVIDER: [&str; 4] = ["discord", "mailgun", "sendgrid", "twitch"];

    #[test]
    fn every_scheme_but_four_can_be_asked_for_by_hand() {
        let refused = preset::all().filter(|preset| {
            let mut schemes = preset.schemes.iter().map(|scheme| Verification::show(&scheme.verification).unwrap());
            schemes.any(|shown| shown.meant().is_err())
        });
        assert_eq!(refused.map(|preset| preset.name).collect::<Vec<_>>(), ONLY_AS_PROVIDER);
    }
}

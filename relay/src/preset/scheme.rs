//! The shapes of signatures that many providers share, to be put into presets.

use std::borrow::Cow;

use crate::place::Place;
use crate::verification::{
    Algorithm, Encoding, From, Hmac, Parse, PublicKey, SecretForm, Signature, Template, TimeFrom, Timestamp, Unit,
    Verification,
};

/// Nothing but a signature.
pub(super) const RAW: Parse = Parse::Raw {};

/// A signature after a text.
pub(super) const fn prefix(text: &'static str) -> Parse {
    Parse::Prefix { prefix: Cow::Borrowed(text) }
}

/// Signatures that stand in a header, its name in lower case.
pub(super) const fn header(name: &'static str, parse: Parse, encoding: Encoding) -> Signature {
    Signature { from: From::Header, name: Cow::Borrowed(name), parse, encoding }
}

/// A time in a header.
pub(super) const fn time(header: &'static str, unit: Unit, tolerance_s: u32) -> Timestamp {
    Timestamp { from: TimeFrom::Place(Place::header(header)), unit, tolerance_s, required: true }
}

/// A time in seconds beside the signatures.
pub(super) const fn time_beside(tolerance_s: u32) -> Timestamp {
    Timestamp { from: TimeFrom::Signature, unit: Unit::S, tolerance_s, required: true }
}

/// A MAC of the body and nothing else.
pub(super) const fn mac_of_body(algorithm: Algorithm, signature: Signature) -> Verification {
    Verification::Hmac(mac(algorithm, signature, "{body}", None))
}

/// A MAC with SHA-256 of what the template says.
pub(super) const fn mac_of(signature: Signature, signed: &'static str, timestamp: Option<Timestamp>) -> Verification {
    Verification::Hmac(mac(Algorithm::HmacSha256, signature, signed, timestamp))
}

/// A signature by a provider's private key.
pub(super) const fn signed(signature: Signature, signed: &'static str, timestamp: Timestamp) -> PublicKey {
    PublicKey { signature, signed: Template::new(signed), timestamp: Some(timestamp) }
}

const fn mac(algorithm: Algorithm, signature: Signature, signed: &'static str, timestamp: Option<Timestamp>) -> Hmac {
    Hmac {
        signature,
        algorithm,
        secret: SecretForm::Utf8,
        signed: Template::new(signed),
        timestamp,
        also_equal: Cow::Borrowed(&[]),
        public_url: None,
    }
}

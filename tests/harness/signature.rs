//! Standard Webhooks, written down a second time: what the relay signs is checked by code that is not the relay's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{ED25519, UnparsedPublicKey};
use sha2::Sha256;

use crate::receiver::Request;

/// Whether one of the request's `v1` signatures is the one that `secret` (`whsec_…`) makes.
#[must_use]
pub fn is_signed(request: &Request, secret: &str) -> bool {
    has_signature(request.one("webhook-signature"), &signed(request), secret)
}

/// Whether one of the `v1` signatures in this header's value is what `secret` makes of `signed`: id, timestamp and body,
/// with a full stop between.
#[must_use]
pub fn has_signature(header: &str, signed: &[u8], secret: &str) -> bool {
    let expected = format!("v1,{}", STANDARD.encode(mac(signed, secret)));
    header.split(' ').any(|signature| signature == expected)
}

/// Whether one of the request's `v1a` signatures is one of the key whose public half this is (`whpk_…`).
#[must_use]
pub fn is_signed_with_key(request: &Request, public_key: &str) -> bool {
    let key = STANDARD.decode(public_key.strip_prefix("whpk_").unwrap_or(public_key)).expect("a key is base64");
    let signatures = request.one("webhook-signature").split(' ');
    let mut signatures = signatures.filter_map(|item| STANDARD.decode(item.strip_prefix("v1a,")?).ok());
    signatures.any(|signature| UnparsedPublicKey::new(&ED25519, &key).verify(&signed(request), &signature).is_ok())
}

/// HMAC-SHA256 in hex, as GitHub and Stripe write it.
#[must_use]
pub fn hex_hmac(key: &[u8], parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn mac(signed: &[u8], secret: &str) -> Vec<u8> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).expect("a signing secret is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(signed);
    mac.finalize().into_bytes().to_vec()
}

fn signed(request: &Request) -> Vec<u8> {
    let head = format!("{}.{}.", request.one("webhook-id"), request.one("webhook-timestamp"));
    [head.as_bytes(), &request.body].concat()
}

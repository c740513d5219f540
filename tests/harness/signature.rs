//! Standard Webhooks, written down a second time: what the relay signs is checked by code that is not the relay's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::receiver::Request;

/// Whether one of the request's `v1` signatures is the one that `secret` (`whsec_…`) makes.
#[must_use]
pub fn is_signed(request: &Request, secret: &str) -> bool {
    let expected = format!("v1,{}", STANDARD.encode(mac(request, secret)));
    request.one("webhook-signature").split(' ').any(|signature| signature == expected)
}

fn mac(request: &Request, secret: &str) -> Vec<u8> {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).expect("a signing secret is base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{}.", request.one("webhook-id"), request.one("webhook-timestamp")).as_bytes());
    mac.update(&request.body);
    mac.finalize().into_bytes().to_vec()
}

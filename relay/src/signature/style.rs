//! Signatures in the style of others, for receivers that verify those already. The key is the whole text of the signing
//! secret, `whsec_` and all: that is what their verifiers take.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use super::SigningSecret;

/// The value of GitHub's `X-Hub-Signature-256`: `sha256=` and the HMAC of the body. It holds one signature.
#[must_use]
pub fn github(secret: &SigningSecret, body: &[u8]) -> String {
    format!("sha256={}", hex(secret, &[body]))
}

/// The value of Stripe's `Stripe-Signature`: the time in seconds since 1970, and for each secret the HMAC of time and
/// body.
#[must_use]
pub fn stripe(secrets: &[SigningSecret], timestamp_s: i64, body: &[u8]) -> String {
    let timestamp = timestamp_s.to_string();
    let signatures = secrets.iter().map(|secret| format!(",v1={}", hex(secret, &[timestamp.as_bytes(), b".", body])));
    format!("t={timestamp}{}", signatures.collect::<String>())
}

fn hex(secret: &SigningSecret, parts: &[&[u8]]) -> String {
    let key = secret.expose();
    let mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes());
    let mut mac = mac.expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    HEXLOWER.encode(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with `openssl dgst -sha256 -hmac KEY`.
    #[test]
    fn the_key_is_the_secrets_text() {
        let secret: SigningSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let other: SigningSecret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD".parse().unwrap();
        assert_eq!(github(&secret, b"{}"), GITHUB);
        let first = format!("t=1614265330,v1={STRIPE}");
        assert_eq!(stripe(std::slice::from_ref(&secret), 1_614_265_330, b"{}"), first);
        let both = stripe(&[secret, other], 1_614_265_330, b"{}");
        assert!(both.starts_with(&format!("{first},v1=")) && both.matches("v1=").count() == 2, "{both}");
    }

    const GITHUB: &str = "sha256=6cbbcdf2c8016ca85b50543b19e8e121ef16137967bdfa3ce660972922bafaeb";
    const STRIPE: &str = "f0350121c22e0191dba7cbf90fa37bdb0dcf44bb6e9a1e1ef2e47d6191282643";
}

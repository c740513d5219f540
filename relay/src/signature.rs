//! Standard Webhooks: how deliveries are signed, and how a receiver checks that.
//!
//! Signed is `id.timestamp.body`, the body as raw bytes, with HMAC-SHA256 (`v1`) and, where a destination wants it, with
//! Ed25519 besides (`v1a`). A header holds one signature for each live secret and key, so that they can be changed without
//! a gap: <https://www.standardwebhooks.com>.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

use crate::secret::random_bytes;

mod key;
mod style;

pub use key::{NotAKey, SigningKey};
pub use style::{github, stripe};

/// What deliveries to one destination are signed with: 24 to 64 bytes, as the standard asks.
#[derive(Clone)]
pub struct SigningSecret(SecretSlice<u8>);

/// Not a signing secret. The text is not repeated: it may be nearly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is `whsec_` and 24 to 64 bytes in base64")]
pub struct NotASecret;

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1,";

/// The value of `webhook-signature`: one `v1,base64` for each secret and one `v1a,base64` for each key, separated by
/// spaces. `timestamp_s` is in seconds since 1970 and must be what `webhook-timestamp` says.
#[must_use]
pub fn sign(secrets: &[SigningSecret], keys: &[SigningKey], id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let timestamp = timestamp_s.to_string();
    let by_secret = secrets.iter().map(|secret| {
        let signature = secret.mac(id, &timestamp, body).finalize().into_bytes();
        format!("{VERSION}{}", STANDARD.encode(signature))
    });
    let signatures = by_secret.chain(keys.iter().map(|key| key.sign(id, &timestamp, body)));
    signatures.collect::<Vec<_>>().join(" ")
}

/// Whether any signature in `header` is one of `secret`. `timestamp` is the header's text as it was received; whether
/// it is recent is the caller's to judge.
#[must_use]
pub fn verify(secret: &SigningSecret, id: &str, timestamp: &str, body: &[u8], header: &str) -> bool {
    let signatures = header.split(' ').filter_map(|item| STANDARD.decode(item.strip_prefix(VERSION)?).ok());
    signatures.into_iter().any(|signature| secret.mac(id, timestamp, body).verify_slice(&signature).is_ok())
}

impl SigningSecret {
    /// A new secret of 32 bytes.
    #[must_use]
    pub fn generate() -> Self {
        Self(SecretSlice::from(random_bytes::<32>().to_vec()))
    }

    /// The text form, `whsec_…`: to be sealed, or shown once.
    #[must_use]
    pub fn expose(&self) -> SecretString {
        SecretString::from(format!("{PREFIX}{}", STANDARD.encode(self.0.expose_secret())))
    }

    fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes keys of any length");
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

impl FromStr for SigningSecret {
    type Err = NotASecret;

    fn from_str(text: &str) -> Result<Self, NotASecret> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| STANDARD.decode(base64).ok());
        let bytes = bytes.filter(|bytes| matches!(bytes.len(), 24..=64)).ok_or(NotASecret)?;
        Ok(Self(SecretSlice::from(bytes)))
    }
}

impl fmt::Display for SigningSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}[redacted]")
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn secret(text: &str) -> SigningSecret {
        text.parse().unwrap()
    }

    #[test]
    fn the_published_vectors_hold() {
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let other = secret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
        let signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        assert_eq!(
            sign(std::slice::from_ref(&other), &[], "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            signature
        );
        assert!(verify(&other, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", "1649367553", body, signature));
        assert_eq!(sign(&[secret(SECRET)], &[], ID, 1_614_265_330, BODY), SIGNATURE);
    }

    #[test]
    fn any_right_signature_in_the_header_will_do() {
        let wrong = "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=";
        for (header, good) in [
            (SIGNATURE.to_owned(), true),
            (format!("{wrong} v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= {SIGNATURE}"), true),
            (format!("{SIGNATURE} {wrong}"), true),
            (wrong.to_owned(), false),
            (SIGNATURE.replace("v1,", "v2,"), false),
            (SIGNATURE.replace("1OE=", "1OA="), false),
            ("v1,".to_owned(), false),
            ("v1,%".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(verify(&secret(SECRET), ID, "1614265330", BODY, &header), good, "{header}");
        }
    }

    #[test]
    fn every_part_is_signed() {
        let secret = secret(SECRET);
        assert!(verify(&secret, ID, "1614265330", BODY, SIGNATURE));
        assert!(!verify(&secret, "msg_other", "1614265330", BODY, SIGNATURE));
        assert!(!verify(&secret, ID, "1614265331", BODY, SIGNATURE));
        assert!(!verify(&secret, ID, "1614265330", b"{}", SIGNATURE));
        assert!(!verify(&SigningSecret::generate(), ID, "1614265330", BODY, SIGNATURE));
    }

    #[test]
    fn each_live_secret_signs_and_bytes_need_not_be_text() {
        let secrets = [SigningSecret::generate(), SigningSecret::generate()];
        let header = sign(&secrets, &[], "evt_1", -1, &[0xff, 0x00]);
        assert_eq!(header.split(' ').count(), 2);
        assert!(secrets.iter().all(|secret| verify(secret, "evt_1", "-1", &[0xff, 0x00], &header)));
        assert_eq!(sign(&[], &[], "evt_1", 0, b""), "");
    }

    #[test]
    fn a_secret_reads_back_as_itself_and_is_never_printed() {
        let made = SigningSecret::generate();
        assert_eq!(secret(made.expose().expose_secret()).expose().expose_secret(), made.expose().expose_secret());
        assert_eq!(format!("{made} {made:?}"), "whsec_[redacted] whsec_[redacted]");
        for (bytes, good) in [(0, false), (23, false), (24, true), (64, true), (65, false)] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert_eq!(text.parse::<SigningSecret>().is_ok(), good, "{bytes}");
        }
        for text in
            ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_%"]
        {
            assert_eq!(text.parse::<SigningSecret>().unwrap_err(), NotASecret, "{text}");
        }
    }
}

//! Secrets that we make ourselves: long enough that a plain SHA-256 may be kept of them.

use data_encoding::BASE32_NOPAD;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Who an API key speaks for; told by its prefix, so that a key found somewhere can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `hky_op_…`: reaches every tenant.
    Operator,
    /// `hky_tk_…`: reaches the tenant it belongs to.
    Tenant,
}

/// A new API key: the prefix of its kind and 52 lower-case base32 digits (256 bits).
#[must_use]
pub fn api_key(kind: KeyKind) -> SecretString {
    let prefix = match kind {
        KeyKind::Operator => "hky_op_",
        KeyKind::Tenant => "hky_tk_",
    };
    SecretString::from(prefix.to_owned() + &base32(&random_bytes::<32>()))
}

/// A new source key, the secret part of an inbound URL: 32 lower-case base32 digits (160 bits).
#[must_use]
pub fn source_key() -> SecretString {
    SecretString::from(base32(&random_bytes::<20>()))
}

/// A new password or client secret: 32 lower-case base32 digits (160 bits).
#[must_use]
pub fn password() -> SecretString {
    SecretString::from(base32(&random_bytes::<20>()))
}

/// A new access token of our token server: `hky_at_` and 52 lower-case base32 digits (256 bits).
#[must_use]
pub fn access_token() -> SecretString {
    SecretString::from(ACCESS_TOKEN.to_owned() + &base32(&random_bytes::<32>()))
}

const ACCESS_TOKEN: &str = "hky_at_";

/// Whether a text could be an [`access_token`]: what could not is not worth a look-up.
#[must_use]
pub fn is_access_token(text: &[u8]) -> bool {
    let is_digit = |byte: &u8| matches!(byte, b'a'..=b'z' | b'2'..=b'7');
    text.strip_prefix(ACCESS_TOKEN.as_bytes()).is_some_and(|rest| rest.len() == 52 && rest.iter().all(is_digit))
}

/// What a generated secret is stored and looked up as: its SHA-256. Never for a secret that a person chose.
#[must_use]
pub fn fingerprint(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Whether two secrets are the same, in a time that depends on their lengths only.
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Bytes from the system's randomness.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes
}

fn base32(bytes: &[u8]) -> String {
    let mut text = BASE32_NOPAD.encode(bytes);
    text.make_ascii_lowercase();
    text
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn each_secret_has_its_shape_and_is_made_once() {
        for (make, prefix, digits) in [
            ((|| api_key(KeyKind::Operator)) as fn() -> SecretString, "hky_op_", 52),
            (|| api_key(KeyKind::Tenant), "hky_tk_", 52),
            (source_key, "", 32),
            (password, "", 32),
            (access_token, "hky_at_", 52),
        ] {
            let secret = make();
            let text = secret.expose_secret();
            let random = text.strip_prefix(prefix).unwrap();
            assert_eq!(random.len(), digits);
            assert!(random.bytes().all(|digit| matches!(digit, b'a'..=b'z' | b'2'..=b'7')), "{prefix}");
            assert_ne!(text, make().expose_secret());
        }
    }

    #[test]
    fn an_access_token_is_told_by_its_shape() {
        let token = access_token();
        let token = token.expose_secret();
        for (text, could_be) in [
            (token.to_owned(), true),
            (format!("{token}a"), false),
            (token[..58].to_owned(), false),
            (token.to_uppercase(), false),
            (token.replacen("hky_at_", "hky_tk_", 1), false),
            (format!("{}1", &token[..58]), false),
            (String::new(), false),
        ] {
            assert_eq!(is_access_token(text.as_bytes()), could_be, "{text}");
        }
    }

    #[test]
    fn a_fingerprint_is_the_sha_256() {
        let hex = data_encoding::HEXLOWER.encode(&fingerprint(b"abc"));
        assert_eq!(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn equal_means_every_byte() {
        for (a, b, same) in
            [("", "", true), ("abc", "abc", true), ("abc", "abd", false), ("abc", "ab", false), ("", "a", false)]
        {
            assert_eq!(equal(a.as_bytes(), b.as_bytes()), same, "{a} {b}");
        }
    }
}

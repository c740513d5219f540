//! Sealing of the secrets that must be read again (signing secrets, what destinations ask for): XChaCha20-Poly1305
//! under keys that the operator keeps outside the database.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{Key, KeyInit, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::secret::random_bytes;

mod data_key;

pub use data_key::DataKey;

/// The operator's sealing keys. The first seals; all open, so that a new key can be put in front of the old one.
pub struct Keyring(Vec<(String, XChaCha20Poly1305)>);

/// Why a text is no keyring. Entries are counted from 1; what they hold is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is no entry.
    #[error("no sealing key: give at least one `id:key`, the key made with `openssl rand -base64 32`")]
    Empty,
    /// An entry without an id.
    #[error(
        "sealing key {0} must read `id:key`, the id 1 to 32 of a-z, A-Z, 0-9, - and _, the key made with `openssl rand -base64 32`"
    )]
    NoId(usize),
    /// An entry whose key is not 32 bytes in base64.
    #[error("the key of sealing key {0} is not 32 bytes in base64: make one with `openssl rand -base64 32`")]
    NotAKey(usize),
    /// An id that stood before.
    #[error(
        "sealing key {0} has the id of an earlier one: give it an id that was never used, and make its key with `openssl rand -base64 32`"
    )]
    Twice(usize),
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the text of a sealed value.
    #[error("not a sealed value")]
    Malformed,
    /// Sealed with a key that the keyring does not have.
    #[error("sealed with the key `{0}`, which is not among the sealing keys")]
    UnknownKey(String),
    /// Changed since, or sealed for another owner, or with another key of the same id.
    #[error("the sealed value does not belong here, was changed, or its key is not the one it was sealed with")]
    Tampered,
}

const VERSION: &str = "v1";
const NONCE: usize = 24;

impl Keyring {
    /// Reads `id:base64(32 bytes)`, comma-separated.
    ///
    /// # Errors
    /// Which entry is wrong and how to make a right one.
    pub fn parse(text: &str) -> Result<Self, KeyringError> {
        let mut keys: Vec<(String, XChaCha20Poly1305)> = Vec::new();
        for (number, entry) in (1..).zip(text.split(',').map(str::trim).filter(|entry| !entry.is_empty())) {
            let (id, key) = entry.split_once(':').filter(|(id, _)| is_id(id)).ok_or(KeyringError::NoId(number))?;
            if keys.iter().any(|(earlier, _)| earlier == id) {
                return Err(KeyringError::Twice(number));
            }
            keys.push((id.to_owned(), cipher(key).ok_or(KeyringError::NotAKey(number))?));
        }
        if keys.is_empty() { Err(KeyringError::Empty) } else { Ok(Self(keys)) }
    }

    /// The text of a new keyring with one key.
    #[must_use]
    pub fn generate_text() -> SecretString {
        SecretString::from(format!("k1:{}", STANDARD.encode(random_bytes::<32>())))
    }

    /// Seals with the first key. `owner` (tenant and row id) is bound to it: opened for another, the value is refused.
    #[must_use]
    pub fn seal(&self, plain: &[u8], owner: &str) -> String {
        let (id, cipher) = self.0.first().expect("parse leaves no keyring empty");
        let nonce = random_bytes::<NONCE>();
        let sealed = cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: owner.as_bytes() })
            .expect("only a text beyond 256 GiB fails");
        format!("{VERSION}|{id}|{}|{}", STANDARD.encode(nonce), STANDARD.encode(sealed))
    }

    /// What was sealed for `owner`.
    ///
    /// # Errors
    /// The value is malformed, of a key that is not here, or not what was sealed for this owner.
    pub fn open(&self, sealed: &str, owner: &str) -> Result<SecretSlice<u8>, OpenError> {
        let (id, nonce, text) = parts(sealed).ok_or(OpenError::Malformed)?;
        let nonce = STANDARD.decode(nonce).ok().and_then(|nonce| XNonce::try_from(&nonce[..]).ok());
        let nonce = nonce.ok_or(OpenError::Malformed)?;
        let text = STANDARD.decode(text).map_err(|_| OpenError::Malformed)?;
        let (_, cipher) =
            self.0.iter().find(|(known, _)| known == id).ok_or_else(|| OpenError::UnknownKey(id.to_owned()))?;
        let plain = cipher.decrypt(&nonce, Payload { msg: &text, aad: owner.as_bytes() });
        Ok(SecretSlice::from(plain.map_err(|_| OpenError::Tampered)?))
    }

    /// [`Keyring::open`] for what was sealed as text.
    ///
    /// # Errors
    /// As [`Keyring::open`]; malformed, too, if it is no UTF-8.
    pub fn open_text(&self, sealed: &str, owner: &str) -> Result<SecretString, OpenError> {
        let plain = self.open(sealed, owner)?;
        let text = std::str::from_utf8(plain.expose_secret()).map_err(|_| OpenError::Malformed)?;
        Ok(SecretString::from(text))
    }

    /// The ids of the keys; the first is the one that seals.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|(id, _)| id.as_str()).collect()
    }
}

/// The id of the key that a value was sealed with; nothing if it is no sealed value.
#[must_use]
pub fn key_of(sealed: &str) -> Option<&str> {
    parts(sealed).map(|(id, ..)| id)
}

fn parts(sealed: &str) -> Option<(&str, &str, &str)> {
    let (id, rest) = sealed.strip_prefix(VERSION)?.strip_prefix('|')?.split_once('|')?;
    let (nonce, text) = rest.split_once('|')?;
    is_id(id).then_some((id, nonce, text))
}

fn is_id(text: &str) -> bool {
    matches!(text.len(), 1..=32) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn cipher(base64: &str) -> Option<XChaCha20Poly1305> {
    let mut bytes = STANDARD.decode(base64).ok()?;
    let mut key = Key::try_from(&bytes[..]).ok()?;
    let cipher = XChaCha20Poly1305::new(&key);
    bytes.zeroize();
    key.as_mut_slice().zeroize();
    Some(cipher)
}

impl fmt::Debug for Keyring {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Keyring").field(&self.ids()).finish()
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn keyring(text: &str) -> Keyring {
        Keyring::parse(text).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_its_owner_only() {
        let keyring = keyring(OLD);
        let sealed = keyring.seal(b"secret", "ten_1/dst_1");
        assert_eq!(keyring.open(&sealed, "ten_1/dst_1").unwrap().expose_secret(), b"secret");
        assert_eq!(keyring.open_text(&sealed, "ten_1/dst_1").unwrap().expose_secret(), "secret");
        for stranger in ["ten_1/dst_2", "ten_2/dst_1", ""] {
            assert_eq!(keyring.open(&sealed, stranger).unwrap_err(), OpenError::Tampered, "{stranger}");
        }
        assert_ne!(keyring.seal(b"secret", "ten_1/dst_1"), sealed);
    }

    #[test]
    fn a_flipped_byte_is_noticed_wherever_it_is() {
        let keyring = keyring(OLD);
        let sealed = keyring.seal(b"secret", "owner");
        let [_, _, nonce, text] = sealed.split('|').collect::<Vec<_>>()[..] else { panic!("{sealed}") };
        let flip = |base64: &str, at: usize| {
            let mut bytes = STANDARD.decode(base64).unwrap();
            bytes[at] ^= 1;
            STANDARD.encode(bytes)
        };
        for at in 0..24 {
            let changed = format!("v1|old|{}|{text}", flip(nonce, at));
            assert_eq!(keyring.open(&changed, "owner").unwrap_err(), OpenError::Tampered);
        }
        for at in 0..6 + 16 {
            let changed = format!("v1|old|{nonce}|{}", flip(text, at));
            assert_eq!(keyring.open(&changed, "owner").unwrap_err(), OpenError::Tampered);
        }
    }

    #[test]
    fn a_new_first_key_seals_and_the_old_one_still_opens() {
        let before = keyring(OLD).seal(b"secret", "owner");
        let rotated = keyring(&format!("{NEW},{OLD}"));
        assert_eq!(rotated.open(&before, "owner").unwrap().expose_secret(), b"secret");
        let after = rotated.seal(b"secret", "owner");
        assert_eq!((key_of(&before), key_of(&after)), (Some("old"), Some("new")));
        assert_eq!(rotated.ids(), ["new", "old"]);
        assert_eq!(keyring(OLD).open(&after, "owner").unwrap_err(), OpenError::UnknownKey("new".into()));
        let namesake = keyring("old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        assert_eq!(namesake.open(&before, "owner").unwrap_err(), OpenError::Tampered);
    }

    #[test]
    fn what_is_no_sealed_value_is_malformed() {
        let nonce = STANDARD.encode([0; 24]);
        for text in
            ["", "v1", "v1|old", "v1|old|", "v1|old||", "v2|old|x|y", "v1||x|y", "v1|old|AAAA|AAAA", "v1|old|%|AAAA"]
        {
            assert_eq!(keyring(OLD).open(text, "").unwrap_err(), OpenError::Malformed, "{text}");
        }
        assert_eq!(keyring(OLD).open(&format!("v1|old|{nonce}|%"), "").unwrap_err(), OpenError::Malformed);
        assert_eq!(keyring(OLD).open(&format!("v1|old|{nonce}|"), "").unwrap_err(), OpenError::Tampered);
        let bytes = keyring(OLD).seal(&[0xff], "");
        assert_eq!(keyring(OLD).open_text(&bytes, "").unwrap_err(), OpenError::Malformed);
    }

    #[test]
    fn an_error_names_the_entry_and_never_its_key() {
        for (text, error) in [
            ("", KeyringError::Empty),
            (" , ", KeyringError::Empty),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", KeyringError::NoId(1)),
            (":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", KeyringError::NoId(1)),
            ("a|b:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", KeyringError::NoId(1)),
            (&format!("{OLD},k:AAAA"), KeyringError::NotAKey(2)),
            (&format!("{OLD},k:"), KeyringError::NotAKey(2)),
            (&format!("{OLD}, {NEW} ,{OLD}"), KeyringError::Twice(3)),
        ] {
            assert_eq!(Keyring::parse(text).unwrap_err(), error, "{text}");
            assert!(error.to_string().contains("openssl rand -base64 32"), "{error}");
        }
        assert_eq!(format!("{:?}", keyring(OLD)), r#"Keyring(["old"])"#);
    }

    #[test]
    fn a_generated_keyring_is_one() {
        let text = Keyring::generate_text();
        assert_eq!(keyring(text.expose_secret()).ids(), ["k1"]);
    }
}

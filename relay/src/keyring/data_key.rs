//! A key that the relay makes itself and keeps sealed, for what is too much and too large to be sealed as texts.

use std::fmt;

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{Key, KeyInit, Tag, XChaCha20Poly1305, XNonce};
use secrecy::zeroize::Zeroize;
use secrecy::{ExposeSecret, SecretSlice};

use super::{NONCE, OpenError};
use crate::secret::random_bytes;

/// XChaCha20-Poly1305 under a key of its own.
pub struct DataKey(XChaCha20Poly1305);

/// What a sealed value begins with.
const VERSION: u8 = 1;
/// Bytes before the text, and behind it.
const BEFORE: usize = 1 + NONCE;
const TAG: usize = 16;

impl DataKey {
    /// The bytes of a new key: to be sealed by a [`Keyring`](super::Keyring), and read again.
    #[must_use]
    pub fn generate() -> SecretSlice<u8> {
        let mut bytes = random_bytes::<32>();
        let key = SecretSlice::from(bytes.to_vec());
        bytes.zeroize();
        key
    }

    /// The key of these bytes; nothing if they are not 32.
    #[must_use]
    pub fn read(bytes: &SecretSlice<u8>) -> Option<Self> {
        let mut key = Key::try_from(bytes.expose_secret()).ok()?;
        let cipher = XChaCha20Poly1305::new(&key);
        key.as_mut_slice().zeroize();
        Some(Self(cipher))
    }

    /// Seals these one after another, as one text. Bound to `owner`: opened for another, the value is refused.
    #[must_use]
    pub fn seal(&self, parts: &[&[u8]], owner: &str) -> Vec<u8> {
        let nonce = random_bytes::<NONCE>();
        // Bodies are large: they are copied once, and sealed where they are.
        let mut sealed = Vec::with_capacity(BEFORE + parts.iter().map(|part| part.len()).sum::<usize>() + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        parts.iter().for_each(|part| sealed.extend_from_slice(part));
        let tag = self.0.encrypt_inout_detached(&XNonce::from(nonce), owner.as_bytes(), (&mut sealed[BEFORE..]).into());
        sealed.extend_from_slice(&tag.expect("only a text beyond 256 GiB fails"));
        sealed
    }

    /// What was sealed for `owner`.
    ///
    /// # Errors
    /// The value is no sealed one, or not what was sealed with this key for this owner.
    pub fn open(&self, sealed: &[u8], owner: &str) -> Result<Vec<u8>, OpenError> {
        let [VERSION, rest @ ..] = sealed else { return Err(OpenError::Malformed) };
        let (nonce, text) = rest.split_first_chunk::<NONCE>().ok_or(OpenError::Malformed)?;
        let (text, tag) = text.split_last_chunk::<TAG>().ok_or(OpenError::Malformed)?;
        let mut plain = text.to_vec();
        self.0
            .decrypt_inout_detached(
                &XNonce::from(*nonce),
                owner.as_bytes(),
                plain.as_mut_slice().into(),
                &Tag::from(*tag),
            )
            .map_err(|_| OpenError::Tampered)?;
        Ok(plain)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("DataKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> DataKey {
        DataKey::read(&DataKey::generate()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_for_its_owner_only() {
        let key = key();
        for plain in [&b""[..], b"\0", b"a body", &[0xff; 70_000]] {
            let sealed = key.seal(&[&plain[..plain.len() / 2], &plain[plain.len() / 2..]], "ten_1/evt_1");
            assert_eq!(key.open(&sealed, "ten_1/evt_1").unwrap(), plain);
            assert_eq!(key.open(&sealed, "ten_1/evt_2").unwrap_err(), OpenError::Tampered);
            assert_eq!(self::key().open(&sealed, "ten_1/evt_1").unwrap_err(), OpenError::Tampered);
            assert_eq!(sealed.capacity(), sealed.len(), "it was never copied again");
            assert_ne!(key.seal(&[plain], "ten_1/evt_1"), sealed);
        }
    }

    #[test]
    fn a_flipped_byte_is_noticed_wherever_it_is() {
        let key = key();
        let sealed = key.seal(&[b"a body"], "owner");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(&changed, "owner").is_err(), "{at}");
            assert!(key.open(&sealed[..at], "owner").is_err(), "{at}");
        }
    }

    #[test]
    fn a_key_is_32_bytes() {
        for length in [0, 31, 33] {
            assert!(DataKey::read(&SecretSlice::from(vec![0; length])).is_none());
        }
        assert_ne!(DataKey::generate().expose_secret(), DataKey::generate().expose_secret());
    }
}

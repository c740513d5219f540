//! The asymmetric half of the standard (`v1a`): whoever checks needs no secret, and so can prove to others who sent.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair};
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use crate::secret::random_bytes;

/// What deliveries to one destination are signed with besides: an Ed25519 seed of 32 bytes, and the public key that
/// follows from it.
#[derive(Clone)]
pub struct SigningKey {
    seed: SecretSlice<u8>,
    public: [u8; 32],
}

/// Not a signing key. The text is not repeated: it may be nearly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing key is `whsk_` and 64 bytes in base64: an Ed25519 seed, and its public key")]
pub struct NotAKey;

const PREFIX: &str = "whsk_";
const PUBLIC_PREFIX: &str = "whpk_";
const VERSION: &str = "v1a,";

impl SigningKey {
    /// A new key.
    #[must_use]
    pub fn generate() -> Self {
        Self::of(random_bytes::<32>().to_vec()).expect("any 32 bytes are a seed")
    }

    fn of(seed: Vec<u8>) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).ok()?;
        let public = pair.public_key().as_ref().try_into().ok()?;
        Some(Self { seed: SecretSlice::from(seed), public })
    }

    /// The text form, `whsk_…`: to be sealed.
    #[must_use]
    pub fn expose(&self) -> SecretString {
        let both = [self.seed.expose_secret(), &self.public[..]].concat();
        SecretString::from(format!("{PREFIX}{}", STANDARD.encode(both)))
    }

    /// The text form of the public key, `whpk_…`: what receivers check with.
    #[must_use]
    pub fn public(&self) -> String {
        format!("{PUBLIC_PREFIX}{}", STANDARD.encode(self.public))
    }

    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let pair = Ed25519KeyPair::from_seed_unchecked(self.seed.expose_secret()).expect("it was one before");
        let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
        format!("{VERSION}{}", STANDARD.encode(pair.sign(&signed)))
    }
}

impl FromStr for SigningKey {
    type Err = NotAKey;

    fn from_str(text: &str) -> Result<Self, NotAKey> {
        let bytes = text.strip_prefix(PREFIX).and_then(|base64| STANDARD.decode(base64).ok()).ok_or(NotAKey)?;
        let (seed, public) = bytes.split_at_checked(32).filter(|(_, public)| public.len() == 32).ok_or(NotAKey)?;
        let key = Self::of(seed.to_vec()).ok_or(NotAKey)?;
        if key.public == public { Ok(key) } else { Err(NotAKey) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{PREFIX}[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use ring::signature::{ED25519, UnparsedPublicKey};

    use super::*;
    use crate::signature::{SigningSecret, sign};

    #[test]
    fn a_key_reads_back_and_its_public_half_checks_what_it_signs() {
        let key = SigningKey::generate();
        let text = key.expose();
        let read: SigningKey = text.expose_secret().parse().unwrap();
        assert_eq!(read.public(), key.public());
        let header = sign(&[SigningSecret::generate()], &[key.clone(), read], "evt_1", 7, b"\xff{}");
        let [v1, first, second] = header.split(' ').collect::<Vec<_>>()[..] else { panic!("{header}") };
        assert!(v1.starts_with("v1,") && first == second, "{header}");
        let public = STANDARD.decode(key.public().strip_prefix("whpk_").unwrap()).unwrap();
        let signature = STANDARD.decode(first.strip_prefix("v1a,").unwrap()).unwrap();
        let check = |signed: &[u8]| UnparsedPublicKey::new(&ED25519, &public).verify(signed, &signature).is_ok();
        assert!(check(b"evt_1.7.\xff{}") && !check(b"evt_1.8.\xff{}") && !check(b"evt_1.7.\xfe{}"));
    }

    #[test]
    fn what_is_no_key_is_not_taken_for_one() {
        let key = SigningKey::generate();
        let text = key.expose().expose_secret().to_owned();
        let other = SigningKey::generate();
        let mixed = [key.seed.expose_secret(), &other.public[..]].concat();
        for wrong in [
            String::new(),
            "whsk_".to_owned(),
            text.replace("whsk_", "whsec_"),
            key.public(),
            format!("whsk_{}", STANDARD.encode(key.seed.expose_secret())),
            format!("whsk_{}", STANDARD.encode(mixed)),
            format!("{text}AAAA"),
        ] {
            assert!(wrong.parse::<SigningKey>().is_err(), "{wrong}");
        }
        assert_eq!(format!("{key:?}"), "whsk_[redacted]");
    }

    /// Of svix-server's own tests.
    #[test]
    fn the_published_vector_holds() {
        let key = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
        let key: SigningKey = key.parse().unwrap();
        assert_eq!(key.public(), "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=");
        let header = sign(&[], &[key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        let published = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
        assert_eq!(header, published);
    }
}

//! Secrets that providers and people present, and what is stored to recognise them by.

use std::fmt;
use std::str::FromStr;

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use data_encoding::HEXLOWER;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::secret;

mod line;
mod verifier;

pub use line::Overloaded;
pub use verifier::Verifier;

/// What is stored of a secret. Its text form is the column's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// A PHC string `$argon2id$…`: of a secret that a person chose, so slow on purpose.
    Argon2id(String),
    /// `sha256$<hex>`: of a secret that we made, too long to be guessed.
    Sha256([u8; 32]),
}

/// Not the text form of a stored secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a stored secret: neither `$argon2id$…` nor `sha256$<64 hex digits>`")]
pub struct NotStored;

const SHA256: &str = "sha256$";
const ARGON2ID: &str = "$argon2id$";

impl Stored {
    /// What is stored of a secret that a person chose. Takes about 60 ms of one core, off the async threads. `party` is
    /// whose few places in the line are used: the tenant's that chose it.
    ///
    /// # Errors
    /// Too many others wait for the same.
    pub async fn chosen(party: Uuid, secret: &SecretString) -> Result<Self, Overloaded> {
        let secret = secret.clone();
        let hash = move || argon2id().hash_password(secret.expose_secret().as_bytes());
        let hash = line::shared().work(party, hash).await?;
        Ok(Self::Argon2id(hash.expect("only a secret beyond 4 GiB fails").to_string()))
    }

    /// What is stored of a secret that we made ([`secret::password`], [`secret::api_key`]).
    #[must_use]
    pub fn generated(secret: &SecretString) -> Self {
        Self::Sha256(secret::fingerprint(secret.expose_secret().as_bytes()))
    }
}

/// OWASP's minimum, <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>: 19 MiB, two
/// passes, one lane.
fn argon2id() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are in argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Whether `presented` is what the PHC string was made of, by the parameters that the string names.
fn argon2id_matches(phc: &str, presented: &[u8]) -> bool {
    PasswordVerifier::<str>::verify_password(&argon2id(), presented, phc).is_ok()
}

impl FromStr for Stored {
    type Err = NotStored;

    fn from_str(text: &str) -> Result<Self, NotStored> {
        if let Some(hex) = text.strip_prefix(SHA256) {
            let digest = HEXLOWER.decode(hex.as_bytes()).ok().and_then(|digest| digest.try_into().ok());
            return digest.map(Self::Sha256).ok_or(NotStored);
        }
        let is_phc = text.starts_with(ARGON2ID) && argon2::PasswordHash::new(text).is_ok_and(|phc| phc.hash.is_some());
        if is_phc { Ok(Self::Argon2id(text.to_owned())) } else { Err(NotStored) }
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argon2id(phc) => out.write_str(phc),
            Self::Sha256(digest) => write!(out, "{SHA256}{}", HEXLOWER.encode(digest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_chosen_secret_is_stored_as_owasp_asks_and_each_time_otherwise() {
        let secret = SecretString::from("correct horse");
        let stored = Stored::chosen(Uuid::nil(), &secret).await.unwrap();
        assert!(stored.to_string().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert_eq!(stored.to_string().parse(), Ok(stored.clone()));
        assert_ne!(Stored::chosen(Uuid::nil(), &secret).await.unwrap(), stored);
    }

    #[test]
    fn a_generated_secret_is_stored_as_its_sha_256() {
        let stored = Stored::generated(&SecretString::from("abc"));
        let text = "sha256$ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(stored.to_string(), text);
        assert_eq!(text.parse(), Ok(stored));
    }

    #[test]
    fn what_was_never_stored_is_refused() {
        let argon2i = "$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for text in [
            "",
            "secret",
            "sha256$",
            "sha256$ba7816",
            "sha256$BA",
            "$argon2id$",
            "$argon2id$v=19",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0",
            argon2i,
            "$2b$12$x",
        ] {
            assert_eq!(text.parse::<Stored>(), Err(NotStored), "{text}");
        }
    }
}

//! What deliveries to a destination are signed with: secrets, and keys where it wants them, several while a rotation
//! overlaps.

use relay::id::{DestinationId, TenantId};
use relay::keyring::{Keyring, OpenError};
use relay::signature::{SigningKey, SigningSecret};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use super::Model;

/// The newest first. At least one: the newest, which never expires.
#[derive(Debug, Clone)]
pub struct Signers(Vec<Signer>);

/// One secret, and the key that was made with it.
#[derive(Debug, Clone)]
pub struct Signer {
    pub secret: SigningSecret,
    /// Where the destination wants `v1a`.
    pub key: Option<SigningKey>,
    /// When it signs no more; None for the newest.
    pub expires_at: Option<i64>,
}

/// A rotation would leave more live secrets than receivers should try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{MOST_OLD} old secrets are live already: wait until one has ended, or let the old ones end at once (overlap_s: 0)"
)]
pub struct TooManySecrets;

/// Each live secret is one more signature in a header; nobody rotates so often within the longest overlap.
const MOST_OLD: usize = 9;

impl Signers {
    /// One new secret.
    #[must_use]
    pub fn generate(v1a: bool) -> Self {
        Self(vec![Signer::generate(v1a)])
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> &Signer {
        self.0.first().expect("there is always one")
    }

    /// Those that sign at `now`, the newest first.
    pub fn live(&self, now: i64) -> impl Iterator<Item = &Signer> {
        self.0.iter().filter(move |signer| signer.is_live(now))
    }

    /// Puts a new one before the others, which end at `ends` unless they end earlier.
    ///
    /// # Errors
    /// Too many would be live.
    pub fn rotate(&mut self, now: i64, ends: i64, v1a: bool) -> Result<(), TooManySecrets> {
        self.0.retain(|signer| signer.is_live(now));
        for signer in &mut self.0 {
            signer.expires_at = Some(signer.expires_at.map_or(ends, |earlier| earlier.min(ends)));
        }
        self.0.retain(|signer| signer.is_live(now));
        if self.0.len() > MOST_OLD {
            return Err(TooManySecrets);
        }
        self.0.insert(0, Signer::generate(v1a));
        Ok(())
    }

    /// Signs with a key besides, or no longer. What was forgotten does not come back.
    pub fn set_v1a(&mut self, wanted: bool) {
        if !wanted {
            self.0.iter_mut().for_each(|signer| signer.key = None);
        } else if let Some(newest) = self.0.first_mut() {
            newest.key.get_or_insert_with(SigningKey::generate);
        }
    }

    /// The column `signing_secrets`.
    #[must_use]
    pub fn sealed(&self, keyring: &Keyring, (tenant, id): (TenantId, DestinationId)) -> String {
        let plain: Vec<_> = self.0.iter().map(Plain::of).collect();
        keyring.seal(&serde_json::to_vec(&plain).expect("texts are JSON"), &owner(tenant, id))
    }

    /// Reads the column.
    pub fn open(keyring: &Keyring, row: &Model) -> Result<Self, OpenError> {
        let plain = keyring.open(&row.signing_secrets, &owner(row.tenant(), row.id()))?;
        let plain: Vec<Plain> = serde_json::from_slice(plain.expose_secret()).map_err(|_| OpenError::Malformed)?;
        let signers = plain.iter().map(Plain::read).collect::<Option<Vec<_>>>();
        signers.filter(|signers| !signers.is_empty()).map(Self).ok_or(OpenError::Malformed)
    }
}

impl Signer {
    fn generate(v1a: bool) -> Self {
        Self { secret: SigningSecret::generate(), key: v1a.then(SigningKey::generate), expires_at: None }
    }

    fn is_live(&self, now: i64) -> bool {
        self.expires_at.is_none_or(|at| at > now)
    }
}

/// The sealed form of one.
#[derive(Serialize, Deserialize)]
struct Plain {
    secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    expires_at: Option<i64>,
}

impl Plain {
    fn of(signer: &Signer) -> Self {
        Self {
            secret: signer.secret.expose().expose_secret().to_owned(),
            key: signer.key.as_ref().map(|key| key.expose().expose_secret().to_owned()),
            expires_at: signer.expires_at,
        }
    }

    fn read(&self) -> Option<Signer> {
        let key = self.key.as_deref().map(|key| key.parse().ok());
        Some(Signer {
            secret: self.secret.parse().ok()?,
            key: match key {
                Some(key) => Some(key?),
                None => None,
            },
            expires_at: self.expires_at,
        })
    }
}

pub(super) fn owner(tenant: TenantId, id: DestinationId) -> String {
    format!("{tenant}/{id}/signing")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::tests::row;

    fn secrets(signers: &Signers, now: i64) -> Vec<String> {
        signers.live(now).map(|signer| signer.secret.expose().expose_secret().to_owned()).collect()
    }

    #[test]
    fn old_secrets_sign_until_their_end_and_a_second_rotation_does_not_prolong_them() {
        let mut signers = Signers::generate(false);
        let first = secrets(&signers, 0);
        signers.rotate(100, 200, true).unwrap();
        let second = secrets(&signers, 100);
        assert_eq!((second.len(), &second[1]), (2, &first[0]));
        assert!(signers.newest().key.is_some());
        signers.rotate(150, 900, false).unwrap();
        for (now, live) in [(199, 3), (200, 2), (899, 2), (900, 1), (i64::MAX, 1)] {
            assert_eq!(signers.live(now).count(), live, "{now}");
        }
        assert_eq!(secrets(&signers, 900).len(), 1);
        signers.rotate(160, 160, false).unwrap();
        assert_eq!(signers.live(160).count(), 1, "no overlap ends the old ones at once");
    }

    #[test]
    fn more_than_ten_live_secrets_are_refused() {
        let mut signers = Signers::generate(false);
        for _ in 0..9 {
            signers.rotate(0, 100, false).unwrap();
        }
        assert_eq!(signers.clone().rotate(0, 100, false), Err(TooManySecrets));
        signers.rotate(100, 200, false).unwrap();
        assert_eq!(signers.live(100).count(), 2);
    }

    #[test]
    fn a_key_comes_with_v1a_and_goes_with_it() {
        let mut signers = Signers::generate(false);
        signers.set_v1a(true);
        let public = signers.newest().key.as_ref().unwrap().public();
        signers.set_v1a(true);
        assert_eq!(signers.newest().key.as_ref().unwrap().public(), public, "it was there");
        signers.set_v1a(false);
        assert!(signers.newest().key.is_none());
    }

    #[test]
    fn what_is_sealed_opens_for_its_own_destination_only() {
        let keyring = Keyring::parse(Keyring::generate_text().expose_secret()).unwrap();
        let owner = (TenantId::at(1), DestinationId::at(1));
        let mut signers = Signers::generate(true);
        signers.rotate(0, 10, true).unwrap();
        let row = Model { signing_secrets: signers.sealed(&keyring, owner), ..row(owner.0, owner.1) };
        let read = Signers::open(&keyring, &row).unwrap();
        assert_eq!(secrets(&read, 0), secrets(&signers, 0));
        let publics = |signers: &Signers| -> Vec<_> {
            signers.live(0).map(|signer| signer.key.as_ref().map(SigningKey::public)).collect()
        };
        assert_eq!(publics(&read), publics(&signers));
        assert!(!format!("{read:?}").contains(&secrets(&read, 0)[0]));
        let strange = Model { id: DestinationId::at(2).uuid(), ..row.clone() };
        assert_eq!(Signers::open(&keyring, &strange).unwrap_err(), OpenError::Tampered);
        let of = super::owner(owner.0, owner.1);
        for plain in ["[]", "{}", r#"[{"secret": "x", "expires_at": null}]"#] {
            let row = Model { signing_secrets: keyring.seal(plain.as_bytes(), &of), ..row.clone() };
            assert_eq!(Signers::open(&keyring, &row).unwrap_err(), OpenError::Malformed, "{plain}");
        }
        let before_keys = format!(r#"[{{"secret": "{}", "expires_at": null}}]"#, secrets(&read, 0)[0]);
        let row = Model { signing_secrets: keyring.seal(before_keys.as_bytes(), &of), ..row };
        assert!(Signers::open(&keyring, &row).unwrap().newest().key.is_none());
    }
}

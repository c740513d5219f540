//! What deliveries are signed with: how it is shown, and how it is replaced with an overlap.

use entity::change::Changed;
use entity::destination::{self, Signers, Styles};
use poem_openapi::Object;
use relay::id::DestinationId;
use relay::keyring::OpenError;
use relay::signature::SigningKey;
use secrecy::ExposeSecret;

use crate::answer::Found;
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Done;
use crate::wire::{Time, time};

/// How deliveries are signed besides `v1` of Standard Webhooks.
#[derive(Debug, Clone, Copy, Object)]
pub struct Signing {
    /// With Ed25519 as well (`v1a`), so that receivers need only the public key. Not unless said otherwise.
    #[oai(default)]
    pub v1a: bool,
    /// With `X-Hub-Signature-256` as well, as GitHub does; the key is the whole signing secret. Not unless said otherwise.
    #[oai(default)]
    pub github_header: bool,
    /// With `Stripe-Signature` as well, as Stripe does; the key is the whole signing secret. Not unless said otherwise.
    #[oai(default)]
    pub stripe_header: bool,
}

/// What `v1a` signatures are checked with.
#[derive(Debug, Clone, Object)]
pub struct PublicKey {
    /// `whpk_…`
    pub public_key: String,
    /// When it signs no more; null for the newest.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
}

/// How signing secrets are replaced.
#[derive(Debug, Object)]
pub struct SecretRotation {
    /// For how many seconds the old ones sign as well; 86,400 (a day) unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2592000")))]
    pub overlap_s: Option<u32>,
}

/// A secret that takes the place of another.
#[derive(Debug, Object)]
pub struct NewSecret {
    /// What deliveries are signed with from now on: shown only here.
    pub signing_secret: String,
    /// What `v1a` signatures are checked with from now on; null without `v1a`.
    #[oai(nullable)]
    pub public_key: Option<String>,
    /// When the old ones sign no more: now, if they cannot be read any more.
    pub old_secrets_expire_at: Time,
}

/// Receivers are set up by hand, and often by somebody else: a day to do it.
const OVERLAP_S: u32 = 24 * 3600;

impl From<Styles> for Signing {
    fn from(styles: Styles) -> Self {
        let Styles { v1a, github_header, stripe_header } = styles;
        Self { v1a, github_header, stripe_header }
    }
}

impl From<Signing> for Styles {
    fn from(signing: Signing) -> Self {
        let Signing { v1a, github_header, stripe_header } = signing;
        Self { v1a, github_header, stripe_header }
    }
}

/// The public keys of those that sign at `now`, the newest first.
pub(super) fn public_keys(signers: &Signers, now: i64) -> Vec<PublicKey> {
    let keys = signers.live(now).filter_map(|signer| Some((signer.key.as_ref()?, signer.expires_at)));
    keys.map(|(key, expires_at)| PublicKey { public_key: key.public(), expires_at: expires_at.map(time) }).collect()
}

/// Replaces the secret, and the key with it.
pub(super) async fn rotate(
    access: &Access,
    id: DestinationId,
    asked: &SecretRotation,
) -> Result<Found<NewSecret>, Error> {
    let keyring = &access.app().keyring;
    let change = access.begin().await?;
    let mut row = destination::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    change.expect(row.version)?;
    let v1a = row.settings()?.signing.v1a;
    let (signers, ends) = match Signers::open(keyring, &row) {
        Ok(mut signers) => {
            let ends = change.now + 1000 * i64::from(asked.overlap_s.unwrap_or(OVERLAP_S));
            signers.rotate(change.now, ends, v1a).map_err(|error| Error::Conflict(error.to_string()))?;
            (signers, ends)
        }
        // Another process may have the key: nothing is damaged.
        Err(error @ OpenError::UnknownKey(_)) => return Err(error.into()),
        // What is damaged signs nothing any more. To replace it is how such a destination is mended.
        Err(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, destination.id = %id, "damaged secrets are replaced");
            (Signers::generate(v1a), change.now)
        }
    };
    row.signing_secrets = signers.sealed(keyring, (access.id(), id));
    row.version += 1;
    let row = destination::save(&change.txn, row).await?;
    let newest = signers.newest();
    let answer = NewSecret {
        signing_secret: newest.secret.expose().expose_secret().to_owned(),
        public_key: newest.key.as_ref().map(SigningKey::public),
        old_secrets_expire_at: time(ends),
    };
    let done = Done::new("rotate-secret", id, Some(access.id())).changes([Changed::Destination(id)]);
    change.commit(done, Found::of(answer).version(row.version)).await
}

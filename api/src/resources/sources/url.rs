//! The URL of a source: its secret part is made here, shown where it may be, and replaced with an overlap.

use entity::change::Changed;
use entity::{source, source_key};
use poem_openapi::Object;
use relay::id::SourceId;
use relay::secret;
use secrecy::{ExposeSecret, SecretString};

use crate::answer::Found;
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::{Done, Mutation};
use crate::wire::{Time, time};

/// How a URL is replaced.
#[derive(Debug, Object)]
pub struct Rotation {
    /// For how many seconds the old one stays good.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "2592000")))]
    pub overlap_s: Option<u32>,
}

/// A URL that takes the place of another.
#[derive(Debug, Object)]
pub struct NewUrl {
    /// Where the provider sends its requests from now on. A secret.
    pub url: String,
    /// When the old one ends.
    pub old_url_expires_at: Time,
}

/// Providers are set up by hand, and often by somebody else: a day to do it.
const OVERLAP_S: u32 = 24 * 3600;

/// A new key, as a row and as the URL that holds it.
pub(super) fn make(access: &Access, source: SourceId) -> (source_key::Model, String) {
    let key = secret::source_key();
    (source_key::Model::sealing(&access.app().keyring, access.id(), source, &key), url(access, &key))
}

/// The URL that a source is shown with.
pub(super) async fn current(access: &Access, source: SourceId) -> Result<Option<String>, Error> {
    let Some(row) = source_key::current(&access.app().db.read, access.id(), source).await? else { return Ok(None) };
    Ok(Some(url(access, &row.open(&access.app().keyring)?)))
}

/// Replaces the URL. What was replaced before keeps its own, earlier end.
pub(super) async fn rotate(access: &Access, id: SourceId, asked: &Rotation) -> Result<Found<NewUrl>, Error> {
    let change = access.begin().await?;
    let row = source::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    change.expect(row.version)?;
    let ends = change.now + 1000 * i64::from(asked.overlap_s.unwrap_or(OVERLAP_S));
    let stale = retire(&change, access, id, ends).await?;
    let (key, url) = make(access, id);
    let key = source_key::insert(&change.txn, key).await?;
    let done = Done::new("rotate-url", id, Some(access.id()));
    let done = done.changes(stale).changes([Changed::SourceKey(key.fingerprint())]);
    change.commit(done, Found::of(NewUrl { url, old_url_expires_at: time(ends) })).await
}

/// Lets every key end by then, and forgets those that have ended.
async fn retire(change: &Mutation<'_>, access: &Access, id: SourceId, ends: i64) -> Result<Vec<Changed>, Error> {
    let mut stale = Vec::new();
    for key in source_key::all(&change.txn, access.id(), id).await? {
        stale.push(Changed::SourceKey(key.fingerprint()));
        match key.expires_at {
            Some(ended) if ended <= change.now => source_key::delete(&change.txn, key).await?,
            Some(earlier) if earlier <= ends => {}
            _ => source_key::expire(&change.txn, key, ends).await?,
        }
    }
    Ok(stale)
}

fn url(access: &Access, key: &SecretString) -> String {
    format!("{}/in/{}/{}", access.app().public_url, access.tenant.slug, key.expose_secret())
}

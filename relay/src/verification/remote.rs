//! What publishers of keys publish: fetched when it is needed, and kept.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::jwt::jwks::JwkSet;
use super::paypal::certificate::{Certificates, Trust};
use crate::clock::Clock;
use crate::egress::{Egress, FetchError, Fetched};

use cache::{Cache, Party};

mod cache;

pub(super) use cache::Published;

/// The keys that others publish; one a process, and cheap to clone.
#[derive(Clone)]
pub struct Remote(Arc<Inner>);

struct Inner {
    key_sets: Cache<JwkSet>,
    certificates: Cache<Certificates>,
    paypal: Trust,
}

/// Where documents come from: the way out, or what a test says.
pub(super) trait Fetch: Send + Sync {
    /// The document at a URL; `accept` is what it may be, as the header has it.
    fn fetch<'a>(&'a self, url: &'a str, accept: &'static str) -> Fetching<'a>;
}

/// A document on its way.
pub(super) type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'a>>;

/// The longest document, in bytes.
const CAP: usize = 64 * 1024;

/// For a whole fetch. Providers wait a few seconds for their answer, and it comes on top.
const TIMEOUT: Duration = Duration::from_secs(5);

impl Remote {
    /// Reads the system's root certificates (or `SSL_CERT_FILE`), by which PayPal's are checked.
    #[must_use]
    pub fn new(egress: Arc<Egress>, clock: Clock) -> Self {
        Self::with(egress, clock, Trust::of_this_system())
    }

    /// With documents from anywhere, and a PayPal of the caller's choice.
    pub(super) fn with(source: Arc<dyn Fetch>, clock: Clock, paypal: Trust) -> Self {
        let key_sets = Cache::new(Arc::clone(&source), clock.clone());
        Self(Arc::new(Inner { key_sets, certificates: Cache::new(source, clock), paypal }))
    }

    /// The key set at a URL; nothing if it could not be had.
    pub(super) async fn key_set(&self, url: &str) -> Option<Arc<JwkSet>> {
        if let Some(fresh) = self.0.key_sets.fresh(url) {
            return Some(fresh);
        }
        let (inner, url) = (Arc::clone(&self.0), url.to_owned());
        whoever_waits(async move { inner.key_sets.get(&url, Party::Ours).await }).await
    }

    /// What is at a URL by now instead of `known`, be it the same keys. It is looked at once a minute at most: nothing if
    /// the last look was less than a minute ago, or failed, so that nobody can tell.
    pub(super) async fn newer_key_set(&self, url: &str, known: &Arc<JwkSet>) -> Option<Arc<JwkSet>> {
        let (inner, url, known) = (Arc::clone(&self.0), url.to_owned(), Arc::clone(known));
        whoever_waits(async move { inner.key_sets.newer(&url, &known).await }).await
    }

    /// The certificates at a URL; nothing if they could not be had. The URL came from whoever sends to `party`, which bears
    /// the failures.
    pub(super) async fn certificates(&self, url: &str, party: u128) -> Option<Arc<Certificates>> {
        if let Some(fresh) = self.0.certificates.fresh(url) {
            return Some(fresh);
        }
        let (inner, url) = (Arc::clone(&self.0), url.to_owned());
        whoever_waits(async move { inner.certificates.get(&url, Party::Strangers(party)).await }).await
    }

    /// Which certificates are PayPal's.
    pub(super) fn paypal(&self) -> &Trust {
        &self.0.paypal
    }
}

/// Goes on although nobody waits any more: an answer to a provider is due sooner than a slow publisher may take, and the
/// provider's next try finds what this one fetched.
async fn whoever_waits<T: Send + 'static>(fetch: impl Future<Output = Option<T>> + Send + 'static) -> Option<T> {
    tokio::spawn(fetch).await.ok().flatten()
}

impl fmt::Debug for Remote {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Remote")
    }
}

impl Fetch for Egress {
    fn fetch<'a>(&'a self, url: &'a str, accept: &'static str) -> Fetching<'a> {
        Box::pin(Egress::fetch(self, url, accept, CAP, TIMEOUT))
    }
}

#[cfg(test)]
pub(super) mod tests;

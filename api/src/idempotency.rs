//! `Idempotency-Key`: the same request under the same key is answered once, and the answer given again for a day. The
//! answer is kept, sealed, in the transaction of what was done; refusals are not kept.

use std::collections::HashSet;
use std::sync::{LazyLock, Mutex, PoisonError};

use entity::idempotency;
use poem::http::Method;
use relay::id::TenantId;
use relay::keyring::Keyring;
use relay::secret::fingerprint;
use secrecy::ExposeSecret;

use crate::answer::Parts;
use crate::auth::Caller;
use crate::error::{Error, Place, Trouble};

/// How long an answer is kept.
pub const KEPT_HOURS: i64 = 24;
const KEPT_MS: i64 = KEPT_HOURS * 3_600_000;
/// The longest key: a UUID has 36 characters, and some put two of them together.
pub(crate) const MAX_KEY: usize = 255;

/// A request that is to be answered once. While this lives, no other request of this process has the same key.
#[derive(Debug)]
pub struct Once {
    id: [u8; 32],
    /// SHA-256 of the body.
    request: [u8; 32],
    tenant: Option<TenantId>,
}

/// What requests of this process are being answered. Other processes are kept out by the database.
static IN_USE: LazyLock<Mutex<HashSet<[u8; 32]>>> = LazyLock::new(Mutex::default);

impl Once {
    /// None if the request asks for no such thing: only a POST can.
    pub fn of(caller: &Caller) -> Result<Option<Self>, Error> {
        let facts = &caller.facts;
        let Some(key) = facts.idempotency_key.as_deref().filter(|_| facts.method == Method::POST) else {
            return Ok(None);
        };
        if !is_key(key) {
            let detail = format!("must be 1 to {MAX_KEY} visible characters");
            return Err(Error::Invalid(vec![Trouble::at(Place::Header, "Idempotency-Key", detail)]));
        }
        let who = caller.key.map_or_else(|| "operator".to_owned(), |key| key.to_string());
        let id = id(&[who.as_bytes(), facts.method.as_str().as_bytes(), facts.path.as_bytes(), key]);
        let request = facts.body.get().copied().unwrap_or_else(|| fingerprint(b""));
        let is_first = IN_USE.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        if is_first { Ok(Some(Self { id, request, tenant: tenant_in(&facts.path) })) } else { Err(Error::KeyInUse) }
    }

    /// Goes on if the request was never answered; else leaves with the kept answer.
    pub async fn or_kept(&self, txn: &entity::Transaction, keyring: &Keyring, now: i64) -> Result<(), Error> {
        if !idempotency::try_lock(txn, &self.id).await? {
            return Err(Error::KeyInUse);
        }
        let Some(kept) = idempotency::find(txn, &self.id, now).await? else { return Ok(()) };
        if kept.request != self.request {
            return Err(Error::KeyReused);
        }
        let answer = keyring.open(&kept.answer, &self.owner())?;
        let parts = serde_json::from_slice(answer.expose_secret()).map_err(|error| Error::Fault(error.into()))?;
        Err(Error::Answered(Box::new(parts)))
    }

    /// Keeps the answer.
    pub async fn keep(
        &self,
        txn: &entity::Transaction,
        keyring: &Keyring,
        parts: &Parts,
        now: i64,
    ) -> Result<(), Error> {
        let plain = serde_json::to_vec(parts).map_err(|error| Error::Fault(error.into()))?;
        let row = idempotency::Model {
            id: self.id.to_vec(),
            request: self.request.to_vec(),
            status: i16::try_from(parts.status().as_u16()).unwrap_or_default(),
            answer: keyring.seal(&plain, &self.owner()),
            expires_at: now + KEPT_MS,
            tenant_id: self.tenant.map(TenantId::uuid),
        };
        Ok(idempotency::keep(txn, row).await?)
    }

    fn owner(&self) -> String {
        idempotency::owner(&self.id)
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        IN_USE.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Whom a path of the API is about.
fn tenant_in(path: &str) -> Option<TenantId> {
    path.strip_prefix("/v1/tenants/")?.split('/').next()?.parse().ok()
}

fn is_key(key: &[u8]) -> bool {
    matches!(key.len(), 1..=MAX_KEY) && key.iter().all(u8::is_ascii_graphic)
}

/// Each part by its own hash, so that no two lists of parts run together into the same bytes.
fn id(parts: &[&[u8]]) -> [u8; 32] {
    fingerprint(&parts.iter().flat_map(|part| fingerprint(part)).collect::<Vec<_>>())
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_together() {
        assert_eq!(id(&[b"a", b"b"]), id(&[b"a", b"b"]));
        assert_ne!(id(&[b"ab", b""]), id(&[b"a", b"b"]));
        assert_ne!(id(&[b"key_1", b"POST", b"/v1", b"k"]), id(&[b"key_2", b"POST", b"/v1", b"k"]));
    }

    #[test]
    fn a_key_is_visible_and_not_too_long() {
        for (key, good) in [
            ("k", true),
            (&"k".repeat(255), true),
            (&"k".repeat(256), false),
            ("", false),
            ("a b", false),
            ("ä", false),
        ] {
            assert_eq!(is_key(key.as_bytes()), good, "{key}");
        }
    }
}

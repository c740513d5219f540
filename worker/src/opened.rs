//! Opened destinations, kept for as long as the row stays as it is, since opening costs more than sending.

use std::sync::Arc;
use std::time::Duration;

use entity::destination::{Model, Opened, Unopened};
use moka::sync::Cache;
use relay::id::{DestinationId, TenantId};
use relay::keyring::Keyring;

/// Opened destinations by their version: a change makes another entry.
#[derive(Debug, Clone)]
pub(crate) struct OpenedCache(Cache<(TenantId, DestinationId, i64), Arc<Opened>>);

/// Those that are busy at a time; each is some kilobytes.
const KEPT: u64 = 10_000;
/// Secrets do not lie around for longer than they are used.
const IDLE: Duration = Duration::from_secs(60);

impl Default for OpenedCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEPT).time_to_idle(IDLE).build())
    }
}

impl OpenedCache {
    pub(crate) fn of(&self, keyring: &Keyring, row: &Model) -> Result<Arc<Opened>, Unopened> {
        let key = (row.tenant(), row.id(), row.version);
        if let Some(opened) = self.0.get(&key) {
            return Ok(opened);
        }
        let opened = Arc::new(Opened::of(keyring, row)?);
        self.0.insert(key, Arc::clone(&opened));
        Ok(opened)
    }
}

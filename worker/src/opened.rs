//! What a destination asks of a request, its secrets opened: kept for as long as the row stays as it is, since opening
//! costs more than sending.

use std::sync::Arc;
use std::time::Duration;

use entity::DbErr;
use entity::destination::{self, Auth, Model, Settings, Signers, TlsUnusable};
use moka::sync::Cache;
use relay::egress::ClientTls;
use relay::id::{DestinationId, TenantId};
use relay::keyring::{Keyring, OpenError};

/// A destination as a request needs it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    pub(crate) auth: Auth,
    pub(crate) signers: Signers,
    pub(crate) tls: Option<ClientTls>,
}

/// Our own fault: this destination is left alone for a while.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unopened {
    #[error("its settings cannot be read")]
    Settings(#[source] DbErr),
    #[error("a secret could not be opened")]
    Sealed(#[source] OpenError),
    #[error("its TLS cannot be used")]
    Tls(#[source] TlsUnusable),
}

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

impl Opened {
    fn of(keyring: &Keyring, row: &Model) -> Result<Self, Unopened> {
        let settings = row.settings().map_err(Unopened::Settings)?;
        Ok(Self {
            auth: destination::open_auth(keyring, row).map_err(Unopened::Sealed)?,
            signers: Signers::open(keyring, row).map_err(Unopened::Sealed)?,
            tls: destination::open_tls(keyring, row).map_err(Unopened::Tls)?,
            settings,
        })
    }
}

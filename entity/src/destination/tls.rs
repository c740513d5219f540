//! The TLS that a destination asks for, as its columns hold it.

use relay::egress::{ClientTls, TlsError};
use relay::id::{DestinationId, TenantId};
use relay::keyring::{Keyring, OpenError};
use secrecy::{ExposeSecret, SecretString};

use super::{Model, Settings};

/// Why its TLS cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum TlsUnusable {
    #[error("the client key was not opened")]
    Sealed(#[from] OpenError),
    /// It was checked when it was set, by another version perhaps.
    #[error("what was set cannot be used")]
    Unusable(#[from] TlsError),
}

/// The column `tls_key`.
#[must_use]
pub fn sealed_tls_key(keyring: &Keyring, (tenant, id): (TenantId, DestinationId), key: &SecretString) -> String {
    keyring.seal(key.expose_secret().as_bytes(), &owner(tenant, id))
}

/// What a destination asks of TLS; None if nothing.
pub fn open_tls(keyring: &Keyring, row: &Model, settings: &Settings) -> Result<Option<ClientTls>, TlsUnusable> {
    let key = match &row.tls_key {
        Some(sealed) => Some(keyring.open_text(sealed, &owner(row.tenant(), row.id()))?),
        None => None,
    };
    let identity = settings.client_certificate.as_deref().zip(key.as_ref());
    if settings.ca.is_none() && identity.is_none() {
        return Ok(None);
    }
    Ok(Some(ClientTls::parse(settings.ca.as_deref(), identity)?))
}

pub(super) fn owner(tenant: TenantId, id: DestinationId) -> String {
    format!("{tenant}/{id}/tls")
}

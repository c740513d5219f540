//! The TLS that a destination asks for, as its columns hold it.

use relay::egress::{ClientTls, TlsError};
use relay::id::{DestinationId, TenantId};
use relay::keyring::{Keyring, OpenError};
use sea_orm::DbErr;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::Model;

/// What TLS needs besides the world's certificate authorities; the column's form. Nothing of it is a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate authorities that alone are trusted, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What is shown to a server that asks, PEM; its key is sealed in a column of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
}

/// Why its TLS cannot be used now.
#[derive(Debug, thiserror::Error)]
pub enum TlsUnusable {
    #[error("it cannot be read")]
    Column(#[from] DbErr),
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

/// The column `tls`; None for nothing.
#[must_use]
pub fn tls_column(tls: &Tls) -> Option<String> {
    (*tls != Tls::default()).then(|| serde_json::to_string(tls).expect("texts are JSON"))
}

impl Model {
    /// What TLS needs besides.
    pub fn tls(&self) -> Result<Tls, DbErr> {
        let Some(column) = &self.tls else { return Ok(Tls::default()) };
        serde_json::from_str(column).map_err(|error| DbErr::Json(error.to_string()))
    }
}

/// The client certificate's private key, if there is one.
pub fn open_tls_key(keyring: &Keyring, row: &Model) -> Result<Option<SecretString>, OpenError> {
    let open = |sealed| keyring.open_text(sealed, &owner(row.tenant(), row.id()));
    row.tls_key.as_deref().map(open).transpose()
}

/// What a destination asks of TLS; None if nothing.
pub fn open_tls(keyring: &Keyring, row: &Model) -> Result<Option<ClientTls>, TlsUnusable> {
    let Tls { ca, client_certificate } = row.tls()?;
    let key = open_tls_key(keyring, row)?;
    let identity = client_certificate.as_deref().zip(key.as_ref());
    if ca.is_none() && identity.is_none() {
        return Ok(None);
    }
    Ok(Some(ClientTls::parse(ca.as_deref(), identity)?))
}

pub(super) fn owner(tenant: TenantId, id: DestinationId) -> String {
    format!("{tenant}/{id}/tls")
}

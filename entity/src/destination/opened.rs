//! What a destination asks of a request, its secrets opened.

use relay::egress::ClientTls;
use relay::keyring::{Keyring, OpenError};
use sea_orm::DbErr;

use super::{Auth, Model, Settings, Signers, TlsUnusable, open_auth, open_tls};

/// A destination as a request needs it.
#[derive(Debug)]
pub struct Opened {
    pub settings: Settings,
    pub auth: Auth,
    pub signers: Signers,
    pub tls: Option<ClientTls>,
}

/// Our own fault: nothing can be sent to this destination.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    #[error("its settings cannot be read")]
    Settings(#[source] DbErr),
    #[error("a secret could not be opened")]
    Sealed(#[source] OpenError),
    #[error("its TLS cannot be used")]
    Tls(#[source] TlsUnusable),
}

impl Opened {
    /// Opens all that the row holds.
    pub fn of(keyring: &Keyring, row: &Model) -> Result<Self, Unopened> {
        let settings = row.settings().map_err(Unopened::Settings)?;
        Ok(Self {
            auth: open_auth(keyring, row).map_err(Unopened::Sealed)?,
            signers: Signers::open(keyring, row).map_err(Unopened::Sealed)?,
            tls: open_tls(keyring, row).map_err(Unopened::Tls)?,
            settings,
        })
    }
}

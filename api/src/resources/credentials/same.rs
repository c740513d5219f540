//! Whether a credential is the one that a set-up describes. Only when it ends ever changes of one.

use entity::credential;
use relay::password::Stored;
use relay::secret::equal;
use secrecy::ExposeSecret;

use super::super::keyed::fixed;
use super::{NewCredential, header};
use crate::auth::Access;
use crate::error::Error;
use crate::wire::Secret;

impl NewCredential {
    /// Refuses what is said of `row` and is not so. A secret that is not said is the one that was made. Slow where a
    /// person chose the secret, and so for nobody who waits.
    pub(super) async fn describes(&self, access: &Access, row: &credential::Model) -> Result<(), Error> {
        if !row.is(self.kind()) {
            return Err(fixed("/kind", &row.kind));
        }
        match self {
            Self::Basic(new) => {
                named("/username", &new.username, row)?;
                hashed(access, "/password", new.password.as_ref(), row).await
            }
            Self::Oauth2Client(_) => Ok(()),
            Self::ApiKey(new) => {
                named("/header", &header::checked(&new.header)?, row)?;
                hashed(access, "/key", new.key.as_ref(), row).await
            }
            Self::Bearer(new) => hashed(access, "/token", new.token.as_ref(), row).await,
            Self::Hmac(new) => sealed(access, "/secret", Some(&new.secret), row),
            Self::VerifyToken(new) => sealed(access, "/token", new.token.as_ref(), row),
            Self::PublicKey(new) if new.key != row.stored => Err(fixed("/key", &row.stored)),
            Self::External(new) if new.id != row.stored => Err(fixed("/id", &row.stored)),
            Self::PublicKey(_) | Self::External(_) => Ok(()),
        }
    }
}

fn named(pointer: &str, said: &str, row: &credential::Model) -> Result<(), Error> {
    let present = row.name.as_deref().unwrap_or_default();
    if said == present { Ok(()) } else { Err(fixed(pointer, present)) }
}

async fn hashed(access: &Access, pointer: &str, said: Option<&Secret>, row: &credential::Model) -> Result<(), Error> {
    let Some(said) = said else { return Ok(()) };
    let stored: Stored = row.stored.parse().map_err(|error| Error::Fault(Box::new(error)))?;
    let (passwords, now) = (&access.app().passwords, access.app().clock.now());
    let is_same = passwords.verify(row.tenant_id, &stored, said.0.expose_secret().as_bytes(), now).await?;
    if is_same { Ok(()) } else { Err(another(pointer)) }
}

fn sealed(access: &Access, pointer: &str, said: Option<&Secret>, row: &credential::Model) -> Result<(), Error> {
    let (Some(said), Some(present)) = (said, row.key(&access.app().keyring)?) else { return Ok(()) };
    let is_same = equal(present.value.expose_secret().as_bytes(), said.0.expose_secret().as_bytes());
    if is_same { Ok(()) } else { Err(another(pointer)) }
}

/// Providers change over at another moment than their tenants do.
fn another(pointer: &str) -> Error {
    let told = "is another than this credential has, whose secret never changes: give the new one a key of its own, and let \
        this one end when the provider has changed over";
    Error::field(pointer, told)
}

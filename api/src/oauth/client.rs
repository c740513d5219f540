//! Whether whoever asks for a token is a client.

use std::sync::Arc;

use entity::credential::{self, Kind};
use entity::source::Configured;
use moka::sync::Cache;
use relay::id::{CredentialId, SourceId, TenantId};
use relay::password::Stored;
use relay::secret::{equal, fingerprint};
use secrecy::{ExposeSecret, SecretString};

use super::form::Presented;
use super::refusal::Refusal;
use crate::app::App;

/// Finds clients by their ids. Whose an id is never changes; all else is asked of the configuration each time.
#[derive(Debug)]
pub(super) struct Clients(Cache<CredentialId, (TenantId, SourceId)>);

/// About 10 MiB.
const MAX_REMEMBERED: u64 = 100_000;
/// What nobody's secret is compared with, so that an unknown client costs what a wrong secret does.
const NOBODYS: [u8; 32] = [0; 32];

impl Default for Clients {
    fn default() -> Self {
        Self(Cache::new(MAX_REMEMBERED))
    }
}

impl Clients {
    /// The live credential of the client that presents its own secret.
    pub(super) async fn authenticate(&self, app: &App, presented: &Presented) -> Result<credential::Model, Refusal> {
        for (id, secret) in presented {
            if let Some(client) = self.proven(app, id, secret).await? {
                return Ok(client);
            }
        }
        Err(Refusal::Client)
    }

    async fn proven(&self, app: &App, id: &str, secret: &SecretString) -> Result<Option<credential::Model>, Refusal> {
        let Ok(id) = id.parse::<CredentialId>() else { return Ok(None) };
        let remembered = self.0.get(&id);
        let place = match remembered {
            Some(place) => Some(place),
            None => self.look_up(app, id).await?,
        };
        let found = match place {
            Some(place) => live(app, place, id).await?,
            None => None,
        };
        let stored = found.as_ref().and_then(|client| client.stored.parse().ok());
        let expected = if let Some(Stored::Sha256(digest)) = stored { digest } else { NOBODYS };
        if equal(&expected, &fingerprint(secret.expose_secret().as_bytes())) {
            return Ok(found);
        }
        if remembered.is_some() {
            // An unknown client is looked for; so is one with a wrong secret.
            self.look_up(app, id).await?;
        }
        Ok(None)
    }

    async fn look_up(&self, app: &App, id: CredentialId) -> Result<Option<(TenantId, SourceId)>, Refusal> {
        let row = credential::find_anywhere(&app.db.steady, id).await.map_err(Refusal::away)?;
        let place =
            row.filter(|row| row.is(Kind::Oauth2Client)).map(|row| (row.tenant_id.into(), row.source_id.into()));
        if let Some(place) = place {
            self.0.insert(id, place);
        }
        Ok(place)
    }
}

/// The credential, if its source and itself are live at this moment.
async fn live(
    app: &App,
    (tenant, source): (TenantId, SourceId),
    id: CredentialId,
) -> Result<Option<credential::Model>, Refusal> {
    let source: Option<Arc<Configured>> = app.configuration.source(tenant, source).await.map_err(Refusal::away)?;
    let Some(source) = source.filter(|found| found.source.enabled) else { return Ok(None) };
    let now = app.clock.now();
    let is_it = |row: &&credential::Model| row.id() == id && row.is(Kind::Oauth2Client) && row.is_live(now);
    Ok(source.credentials.iter().find(is_it).cloned())
}

//! A key that is being made.

use api::auth::Scopes;
use api::resources::api_keys::ApiKey;
use entity::change::{self, Changed};
use entity::{Database, api_key, audit};
use relay::id::{ApiKeyId, Id, TenantId};
use relay::secret::{self, KeyKind};
use secrecy::{ExposeSecret, SecretString};

use crate::audit::row;
use crate::serve::Error;
use crate::shown::json;

/// A key to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewKey {
    /// None: an operator's, which reaches every tenant.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) name: String,
    /// Mean nothing on an operator's key.
    pub(crate) scopes: Scopes,
    /// When it ends, in milliseconds since 1970.
    pub(crate) expires_at: Option<i64>,
}

impl NewKey {
    /// An operator's, without an end.
    pub(crate) fn of_operator(name: &str) -> Self {
        Self { tenant: None, name: name.to_owned(), scopes: Scopes::all(), expires_at: None }
    }

    /// Makes it, with its audit row; returns what is shown once, and what is kept.
    pub(crate) async fn make(self, db: &Database, now: i64) -> Result<(SecretString, api_key::Model), Error> {
        let kind = if self.tenant.is_some() { KeyKind::Tenant } else { KeyKind::Operator };
        let (key, id) = (secret::api_key(kind), ApiKeyId::at(now));
        let hash = secret::fingerprint(key.expose_secret().as_bytes());
        let kept = api_key::Model {
            id: id.uuid(),
            tenant_id: self.tenant.map(Id::uuid),
            name: self.name,
            hash: hash.to_vec(),
            scopes: self.scopes.column(),
            expires_at: self.expires_at,
            last_used_at: None,
            version: 1,
            created_at: now,
        };
        let txn = db.begin().await?;
        let kept = api_key::insert(&txn, kept).await?;
        let shown = json(&ApiKey::show(&kept)?);
        audit::insert(&txn, row(("create", id, self.tenant), (None, Some(shown)), now)).await?;
        change::record(&txn, &[Changed::ApiKey(hash)], now).await?;
        txn.commit().await?;
        Ok((key, kept))
    }
}

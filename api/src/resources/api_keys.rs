//! A tenant's API keys: shown once, kept as a hash, never wider than the key that makes them.

use entity::api_key;
use entity::change::Changed;
use entity::tenant::Counted;
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use relay::id::{ApiKeyId, kind};
use relay::secret::{KeyKind, api_key as new_key, fingerprint};
use secrecy::ExposeSecret;

use super::Tag;
use super::allowance::Held;
use crate::answer::{Created, Found, Gone};
use crate::auth::{Caller, Scope, Scopes};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::{Listing, Page};
use crate::wire::{Id, Time, time};

/// What proves a caller to this API.
#[derive(Debug, Clone, Object)]
pub struct ApiKey {
    pub id: Id<kind::ApiKey>,
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    #[oai(nullable)]
    pub expires_at: Option<Time>,
    /// To the minute; null if it was never used.
    #[oai(nullable)]
    pub last_used_at: Option<Time>,
    pub created_at: Time,
    /// The key itself: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub key: Option<String>,
}

/// A key to be made.
#[derive(Debug, Object)]
pub struct NewApiKey {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// What it may do: nothing that the key that asks may not do. Without it: read, write, payloads and replay, as far as
    /// the key that asks has them.
    #[oai(nullable, validator(min_items = 1, max_items = 7, unique_items))]
    pub scopes: Option<Vec<Scope>>,
    /// When it ends: not later than the key that asks. Without it: when that one ends.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
}

impl ApiKey {
    /// As it is shown, without any secret.
    pub fn show(row: &api_key::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id().into(),
            name: row.name.clone(),
            scopes: Scopes::read(&row.scopes).iter().collect(),
            expires_at: row.expires_at.map(time),
            last_used_at: row.last_used_at.map(time),
            created_at: time(row.created_at),
            key: None,
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::ApiKeys")]
impl Api {
    /// Create an API key
    ///
    /// The answer is the only one that shows the key.
    #[oai(path = "/tenants/:tenant_id/api-keys", method = "post", operation_id = "create_api_key")]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewApiKey>,
    ) -> Result<Created<ApiKey>, Error> {
        let access = caller.may(Scope::Keys, **tenant_id).await?;
        let scopes = scopes(&access.caller, body.0.scopes.as_deref())?;
        let expires_at = expiry(&access.caller, body.0.expires_at.map(|at| at.0.0))?;
        let change = access.begin().await?;
        let held = Held::of(&change, &access).await?;
        held.admits(&change, Counted::ApiKeys, api_key::count(&change.txn, access.id()).await?).await?;
        let key = new_key(KeyKind::Tenant);
        let hash = fingerprint(key.expose_secret().as_bytes());
        let id = ApiKeyId::at(change.now);
        let row = api_key::Model {
            id: id.uuid(),
            tenant_id: Some(access.id().uuid()),
            name: body.0.name,
            hash: hash.to_vec(),
            scopes: scopes.column(),
            expires_at,
            last_used_at: None,
            version: 1,
            created_at: change.now,
        };
        let shown = ApiKey::show(&api_key::insert(&change.txn, row).await?)?;
        let done = Done::new("create", id, Some(access.id())).after(&shown).changes([Changed::ApiKey(hash)]);
        let answer = ApiKey { key: Some(key.expose_secret().to_owned()), ..shown };
        change.commit(done, Created::of(answer).at(format!("/v1/tenants/{}/api-keys/{id}", access.id()))).await
    }

    /// List API keys
    #[oai(path = "/tenants/:tenant_id/api-keys", method = "get", operation_id = "list_api_keys")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<Listing>,
    ) -> Result<Found<Page<ApiKey>>, Error> {
        let access = caller.may(Scope::Keys, **tenant_id).await?;
        let reading = query.0.paging.read(&access.app().keyring, format!("{}/api-keys", access.id()))?;
        let rows = api_key::page(&access.app().db.read, access.id(), reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, api_key::Model::id, ApiKey::show)?))
    }

    /// Get an API key
    #[oai(path = "/tenants/:tenant_id/api-keys/:api_key_id", method = "get", operation_id = "get_api_key")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        api_key_id: Path<Id<kind::ApiKey>>,
    ) -> Result<Found<ApiKey>, Error> {
        let access = caller.may(Scope::Keys, **tenant_id).await?;
        let row = api_key::find(&access.app().db.read, access.id(), **api_key_id).await?.ok_or(Error::NotFound)?;
        Ok(Found::of(ApiKey::show(&row)?))
    }

    /// Delete an API key
    ///
    /// It opens nothing any more, in any process, within a second.
    #[oai(path = "/tenants/:tenant_id/api-keys/:api_key_id", method = "delete", operation_id = "delete_api_key")]
    async fn delete(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        api_key_id: Path<Id<kind::ApiKey>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Keys, **tenant_id).await?;
        let change = access.begin().await?;
        let row = api_key::find(&change.txn, access.id(), **api_key_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        if !api_key::delete(&change.txn, access.id(), row.id()).await? {
            return Err(Error::NotFound);
        }
        let hash = row.hash.as_slice().try_into().unwrap_or_default();
        let done = Done::new("delete", row.id(), Some(access.id())).before(&ApiKey::show(&row)?);
        change.commit(done.changes([Changed::ApiKey(hash)]), Gone::gone()).await
    }
}

/// The scopes of the new key: those that were asked for, or the usual ones as far as the caller has them.
fn scopes(caller: &Caller, asked: Option<&[Scope]>) -> Result<Scopes, Error> {
    let own = caller.scopes();
    let Some(asked) = asked else { return Ok(Scopes::usual().and(own)) };
    match asked.iter().find(|scope| !own.has(**scope)) {
        Some(scope) => Err(Error::WiderKey(format!("yours lacks the scope `{scope}`"))),
        None => Ok(asked.iter().copied().collect()),
    }
}

/// When the new key ends: never after the one that makes it, or a key could outlive its own end.
fn expiry(caller: &Caller, asked: Option<i64>) -> Result<Option<i64>, Error> {
    match (asked, caller.expires_at) {
        (Some(asked), Some(own)) if asked > own => Err(Error::WiderKey(format!("yours ends at {}", *time(own)))),
        (Some(asked), _) if asked <= caller.app.clock.now() => Err(Error::field("/expires_at", "is in the past")),
        (asked, own) => Ok(asked.or(own)),
    }
}

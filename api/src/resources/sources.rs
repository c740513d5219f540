//! Sources: the inbound URLs of a tenant.

use entity::change::Changed;
use entity::{credential, notice, rejection, source, source_key};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::id::{SourceId, kind};
use relay::preset::{self, Authentication, Preset};

use super::allowance::Held;
use super::keyed::{self, KeyedListing, agreed};
use super::{KEY, Tag};
use crate::answer::{Accepted, Created, Found, Gone, Put};
use crate::auth::{Access, Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::{Listing, Page};
use crate::wire::{Id, Key, KeyInPath, Text, Time, time};

mod addresses;
mod extract;
mod rejections;
mod row;
mod settings;
mod simulate;
mod url;
mod verification;
mod write;

pub use extract::Extract;
pub use rejections::{Rejection, RejectionTotal, Rejections};
pub use settings::{Allowlist, CustomResponse, Dedupe, RateLimit, SourceSettings};
pub use simulate::{Simulated, Simulation};
pub use url::{NewUrl, Rotation};
pub use verification::Verification;

/// An inbound URL, for one account at one provider.
#[derive(Debug, Clone, Object)]
pub struct Source {
    pub id: Id<kind::Source>,
    /// What the tenant calls it in `…/by-key/{key}`; never changes.
    #[oai(nullable)]
    pub key: Option<Text<Key>>,
    pub name: String,
    /// A provider's name; never changes.
    pub provider: String,
    pub verification: Verification,
    pub extract: Extract,
    /// The addresses that requests should come from; null if from anywhere.
    #[oai(nullable)]
    pub ip_allowlist: Option<Allowlist>,
    pub dedupe: Dedupe,
    /// How large a body may be.
    pub max_body_bytes: u32,
    /// What the provider hears when its request was accepted; null for 202 with the event's id in JSON.
    #[oai(nullable)]
    pub response: Option<CustomResponse>,
    /// Null if only the tenant's limits hold.
    #[oai(nullable)]
    pub rate_limit: Option<RateLimit>,
    /// The provider's headers that deliveries take along.
    pub forward_headers: Vec<String>,
    /// Whether requests are accepted.
    pub enabled: bool,
    pub created_at: Time,
    /// Where the provider gets access tokens, for a credential of the kind `oauth2_client`; null if it knows no tokens.
    #[oai(nullable)]
    pub token_url: Option<String>,
    /// Where the provider sends its requests. A secret: shown when it is made, and later to keys with the scope `secrets`.
    #[oai(skip_serializing_if_is_none)]
    pub url: Option<String>,
}

/// A source to be made.
#[derive(Debug, Object)]
pub struct NewSource {
    /// What the tenant calls it, unlike any other of its sources; never changes.
    #[oai(nullable)]
    pub key: Option<Text<Key>>,
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// The name of one of `/v1/providers`.
    #[oai(validator(max_length = 100))]
    pub provider: String,
    /// Without it, what the provider offers; where that is nothing, it must be said.
    #[oai(nullable)]
    pub verification: Option<Verification>,
    #[oai(flatten)]
    pub settings: SourceSettings,
    /// Whether requests are accepted; they are unless said otherwise.
    #[oai(nullable)]
    pub enabled: Option<bool>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct SourcePatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// Null: what the provider offers.
    #[oai(nullable)]
    pub verification: MaybeUndefined<Verification>,
    #[oai(flatten)]
    pub settings: SourceSettings,
    /// Null: they are accepted.
    #[oai(nullable)]
    pub enabled: MaybeUndefined<bool>,
}

impl Source {
    fn show(public_url: &str, row: &source::Model) -> Result<Self, Error> {
        let unknown = || Error::Fault("the source has a verification of a newer version".into());
        let preset = preset::find(&row.provider).unwrap_or(preset::GENERIC);
        let settings = row.settings()?;
        let forwarded = || preset.forward_headers.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self {
            id: row.id().into(),
            key: keyed::shown(row.key.as_deref())?,
            name: row.name.clone(),
            provider: row.provider.clone(),
            verification: Verification::show(&row.verification().ok_or_else(unknown)?)?,
            extract: Extract::show(preset, &settings.extract),
            ip_allowlist: settings.ip_allowlist.as_ref().map(Allowlist::show),
            dedupe: Dedupe::show(settings.dedupe.unwrap_or(preset.dedupe)),
            max_body_bytes: settings.max_body_bytes.unwrap_or_else(settings::usual_cap),
            response: settings.response.as_ref().map(CustomResponse::show),
            rate_limit: settings.rate_limit.map(RateLimit::show),
            forward_headers: settings.forward_headers.clone().unwrap_or_else(forwarded),
            enabled: row.enabled,
            created_at: time(row.created_at),
            token_url: token_url(public_url, preset),
            url: None,
        })
    }
}

fn token_url(public_url: &str, preset: &Preset) -> Option<String> {
    preset.authentication.contains(&Authentication::Oauth2Client).then(|| format!("{public_url}/oauth/token"))
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Sources")]
impl Api {
    /// Create a source
    ///
    /// The answer shows its URL.
    #[oai(path = "/tenants/:tenant_id/sources", method = "post", operation_id = "create_source")]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewSource>,
    ) -> Result<Created<Source>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let held = Held::of(&change, &access).await?;
        write::create(&access, change, &held, body.0).await
    }

    /// Create or update a source by its key
    ///
    /// Afterwards the source is as the body says, and what that does not say is as in a new one. If it was so before,
    /// nothing is changed. The provider never changes, and the URL stays; it is shown only in the answer that made it.
    #[oai(path = "/tenants/:tenant_id/sources/by-key/:key", method = "put", operation_id = "put_source")]
    async fn put(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        key: Path<Text<KeyInPath>>,
        body: Input<NewSource>,
    ) -> Result<Put<Source>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let key = agreed(key.0, KEY, body.0.key.as_ref())?;
        write::put(&access, key, body.0).await
    }

    /// List sources
    #[oai(path = "/tenants/:tenant_id/sources", method = "get", operation_id = "list_sources")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<KeyedListing>,
    ) -> Result<Found<Page<Source>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let reading = query.0.paging.read(&access.app().keyring, format!("{}/sources", access.id()))?;
        let (db, key) = (&access.app().db.read, query.0.key.as_ref().map(|key| key.as_str()));
        let rows = source::page(db, access.id(), key, reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, source::Model::id, |row| Source::show(&access.app().public_url, row))?))
    }

    /// Get a source
    ///
    /// With its URL, if the key has the scope `secrets`.
    #[oai(path = "/tenants/:tenant_id/sources/:source_id", method = "get", operation_id = "get_source")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
    ) -> Result<Found<Source>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let row = source::find(&access.app().db.read, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        let url =
            if access.caller.scopes().has(Scope::Secrets) { url::current(&access, row.id()).await? } else { None };
        Ok(Found::of(Source { url, ..Source::show(&access.app().public_url, &row)? }).version(row.version))
    }

    /// Change a source
    #[oai(path = "/tenants/:tenant_id/sources/:source_id", method = "patch", operation_id = "update_source")]
    async fn update(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        body: Input<SourcePatch>,
    ) -> Result<Found<Source>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        let change = access.begin().await?;
        let before = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        change.expect(before.version)?;
        let mut row = before.clone();
        row::patch(&access, &mut row, body.0)?;
        write::update(&access, change, &before, row).await
    }

    /// Delete a source
    ///
    /// Its URL answers 404 within a second. Its events and their deliveries stay.
    #[oai(path = "/tenants/:tenant_id/sources/:source_id", method = "delete", operation_id = "delete_source")]
    async fn delete(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        let change = access.begin().await?;
        let row = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let keys = source_key::all(&change.txn, access.id(), row.id()).await?;
        source_key::delete_all(&change.txn, access.id(), row.id()).await?;
        credential::delete_all(&change.txn, access.id(), row.id()).await?;
        rejection::delete_all(&change.txn, access.id(), row.id()).await?;
        notice::forget(&change.txn, access.id(), row.id).await?;
        source::delete(&change.txn, access.id(), row.id()).await?;
        let stale = keys.iter().map(|key| Changed::SourceKey(key.fingerprint())).chain([Changed::Source(row.id())]);
        let done = Done::new("delete", row.id(), Some(access.id()))
            .before(&Source::show(&access.app().public_url, &row)?)
            .changes(stale);
        change.commit(done, Gone::gone()).await
    }

    /// Replace a source's URL
    ///
    /// The old one is good for `overlap_s` more seconds: 24 hours unless said otherwise, 0 to 30 days.
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/rotate-url",
        method = "post",
        operation_id = "rotate_source_url"
    )]
    async fn rotate(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        body: Input<Rotation>,
    ) -> Result<Found<NewUrl>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        url::rotate(&access, **source_id, &body.0).await
    }

    /// Simulate an event
    ///
    /// The provider's sample of this type, with an id and a time of its own, goes the way of every event but for the
    /// source's verification and limits: subscriptions match it, and its deliveries carry `hookyard-test: true`.
    #[oai(path = "/tenants/:tenant_id/sources/:source_id/simulate", method = "post", operation_id = "simulate_event")]
    async fn simulate(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        body: Input<Simulation>,
    ) -> Result<Accepted<Simulated>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        simulate::simulate(&access, **source_id, &body.0).await
    }

    /// List what a source refused
    ///
    /// The last requests, and how many by cause.
    #[oai(path = "/tenants/:tenant_id/sources/:source_id/rejections", method = "get", operation_id = "list_rejections")]
    async fn rejections(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        query: Search<Listing>,
    ) -> Result<Found<Rejections>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let source = source::find(&access.app().db.read, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        rejections::list(&access, source.id(), query.0).await
    }
}

/// Refuses to change the source that every tenant has built in.
pub(super) fn may_change(access: &Access, id: SourceId) -> Result<(), Error> {
    if !source::built_in::is(access.id(), id) {
        return Ok(());
    }
    let told = "This source is built in: it tells what happens to the tenant's destinations, and nobody changes it or posts to it.";
    Err(Error::Conflict(told.to_owned()))
}

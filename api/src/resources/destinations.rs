//! Destinations: where a tenant wants its events.

use std::collections::BTreeMap;

use entity::change::Changed;
use entity::command::{self, Kind};
use entity::destination::Signers;
use entity::{Transaction, destination, health, notice, subscription};
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::id::kind;

use super::allowance::Held;
use super::keyed::{self, KeyedListing, agreed};
use super::{KEY, Tag};
use crate::answer::{Accepted, Created, Found, Gone, Put};
use crate::app::App;
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::Page;
use crate::wire::{Id, Key, KeyInPath, Text, Time, time};

mod auth;
mod policy;
mod settings;
mod signing;
mod state;
mod testing;
mod write;

pub use auth::{
    Auth, BasicAuth, BearerAuth, ClientAuth, HeaderAuth, NewAuth, NewBasicAuth, NewBearerAuth, NewHeaderAuth,
    NewOAuth2Auth, NoAuth, OAuth2Auth, UnreadableAuth,
};
pub use policy::{DestinationRate, Order, OrderMode, Retry};
pub use settings::{DestinationPatch, DestinationSettings, NewDestination, NewTls};
pub use signing::{NewSecret, PublicKey, SecretRotation, Signing};
pub use testing::{Test, Tested};

/// Where a tenant wants its events.
#[derive(Debug, Clone, Object)]
pub struct Destination {
    pub id: Id<kind::Destination>,
    /// What the tenant calls it in `…/by-key/{key}`; never changes.
    #[oai(nullable)]
    pub key: Option<Text<Key>>,
    pub name: String,
    pub url: String,
    /// How deliveries authenticate.
    pub auth: Auth,
    pub signing: Signing,
    /// What `v1a` signatures are checked with; null without `v1a`.
    #[oai(nullable)]
    pub public_key: Option<String>,
    /// All keys that sign at present: several while a rotation overlaps.
    pub public_keys: Vec<PublicKey>,
    /// Headers that deliveries have besides.
    pub headers: BTreeMap<String, String>,
    /// How many seconds an attempt may take in all.
    pub timeout_s: u16,
    pub retry: Retry,
    /// Null if it is asked as often as it answers.
    #[oai(nullable)]
    pub rate_limit: Option<DestinationRate>,
    /// How many requests may be in flight at a time; null for what it takes, 64 at most.
    #[oai(nullable)]
    pub max_in_flight: Option<u16>,
    pub order: Order,
    /// Null if the world's certificate authorities are trusted and no certificate is shown.
    #[oai(nullable)]
    pub tls: Option<Tls>,
    /// Whether the answers to successful attempts are kept as well.
    pub keep_responses: bool,
    /// Whether subscriptions that listen to all sources send here what happens to the tenant's other destinations, too.
    pub operational: bool,
    pub state: DestinationState,
    /// Why it is disabled: `gone: …` if it answered 410, `failing: …` if nothing was delivered to it for 120 hours.
    #[oai(nullable)]
    pub state_reason: Option<String>,
    pub state_since: Time,
    /// Since when no attempt has succeeded; null while it is well. After 120 hours it is disabled.
    #[oai(nullable)]
    pub failing_since: Option<Time>,
    pub created_at: Time,
    /// What deliveries are signed with: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub signing_secret: Option<String>,
}

/// What TLS has besides the world's certificate authorities; the client certificate's key is never shown.
#[derive(Debug, Clone, Object)]
pub struct Tls {
    #[oai(nullable)]
    pub ca: Option<String>,
    #[oai(nullable)]
    pub client_certificate: Option<String>,
}

/// Whether deliveries go there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DestinationState {
    Active,
    /// A person held it; its deliveries wait.
    Paused,
    /// It failed for too long, or said that it is gone; its deliveries wait.
    Disabled,
}

impl From<destination::State> for DestinationState {
    fn from(state: destination::State) -> Self {
        match state {
            destination::State::Active => Self::Active,
            destination::State::Paused => Self::Paused,
            destination::State::Disabled => Self::Disabled,
        }
    }
}

impl Destination {
    /// As a transaction sees it, with what is known of its health.
    async fn of(app: &App, txn: &Transaction, row: &destination::Model) -> Result<Self, Error> {
        Self::show(app, row, health::failing_since(txn, row.tenant(), row.id()).await?)
    }

    fn show(app: &App, row: &destination::Model, failing_since: Option<i64>) -> Result<Self, Error> {
        // Secrets that are damaged keep nobody from seeing all the rest.
        let (settings, signers) = (row.settings()?, Signers::open(&app.keyring, row).ok());
        let auth = destination::open_auth(&app.keyring, row).map_or(Auth::Unreadable(UnreadableAuth {}), Into::into);
        let headers = settings.headers.iter().map(|(name, value)| (name.clone(), value.to_string()));
        let destination::Tls { ca, client_certificate } = row.tls()?;
        Ok(Self {
            id: row.id().into(),
            key: keyed::shown(row.key.as_deref())?,
            name: row.name.clone(),
            url: row.url.clone(),
            auth,
            signing: settings.signing.into(),
            public_key: signers.as_ref().and_then(|signers| Some(signers.newest().key.as_ref()?.public())),
            public_keys: signers.map(|signers| signing::public_keys(&signers, app.clock.now())).unwrap_or_default(),
            headers: headers.collect(),
            timeout_s: row.timeout_s.unsigned_abs(),
            retry: Retry::show(&row.retry_policy()),
            rate_limit: settings.rate_per_second.map(|per_second| DestinationRate { per_second }),
            max_in_flight: settings.max_in_flight,
            order: Order::show(&settings.order),
            tls: row.tls.is_some().then_some(Tls { ca, client_certificate }),
            keep_responses: settings.keep_responses,
            operational: settings.operational,
            state: row.state().into(),
            state_reason: state::reason(row),
            state_since: time(row.state_since),
            failing_since: failing_since.map(time),
            created_at: time(row.created_at),
            signing_secret: None,
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Destinations")]
impl Api {
    /// Create a destination
    ///
    /// The answer is the only one that shows the signing secret.
    #[oai(path = "/tenants/:tenant_id/destinations", method = "post", operation_id = "create_destination")]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewDestination>,
    ) -> Result<Created<Destination>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let held = Held::of(&change, &access).await?;
        write::create(&access, change, &held, body.0).await
    }

    /// Create or update a destination by its key
    ///
    /// Afterwards the destination is as the body says, and what that does not say is as in a new one. If it was so before,
    /// nothing is changed. Its signing secrets, and whether it is paused or disabled, stay as they are; a secret is shown
    /// only in the answer that made it.
    #[oai(path = "/tenants/:tenant_id/destinations/by-key/:key", method = "put", operation_id = "put_destination")]
    async fn put(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        key: Path<Text<KeyInPath>>,
        body: Input<NewDestination>,
    ) -> Result<Put<Destination>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let key = agreed(key.0, KEY, body.0.key.as_ref())?;
        write::put(&access, key, body.0).await
    }

    /// List destinations
    #[oai(path = "/tenants/:tenant_id/destinations", method = "get", operation_id = "list_destinations")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<KeyedListing>,
    ) -> Result<Found<Page<Destination>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let app = access.app();
        let reading = query.0.paging.read(&app.keyring, format!("{}/destinations", access.id()))?;
        let key = query.0.key.as_ref().map(|key| key.as_str());
        let rows = destination::page(&app.db.read, access.id(), key, reading.before, reading.rows()).await?;
        let ids: Vec<_> = rows.iter().map(destination::Model::id).collect();
        let failing = health::failing(&app.db.read, access.id(), &ids).await?;
        let show = |row: &destination::Model| Destination::show(app, row, failing.get(&row.id()).copied());
        Ok(Found::of(reading.page(rows, destination::Model::id, show)?))
    }

    /// Get a destination
    #[oai(path = "/tenants/:tenant_id/destinations/:destination_id", method = "get", operation_id = "get_destination")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
    ) -> Result<Found<Destination>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let row = destination::find(&access.app().db.read, access.id(), **destination_id).await?;
        let row = row.ok_or(Error::NotFound)?;
        let failing_since = health::failing_since(&access.app().db.read, access.id(), row.id()).await?;
        Ok(Found::of(Destination::show(access.app(), &row, failing_since)?).version(row.version))
    }

    /// Change a destination
    ///
    /// What is in flight may still arrive as it was set up before; everything else goes by the change within a second.
    #[oai(
        path = "/tenants/:tenant_id/destinations/:destination_id",
        method = "patch",
        operation_id = "update_destination"
    )]
    async fn update(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
        body: Input<DestinationPatch>,
    ) -> Result<Found<Destination>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let before = destination::lock(&change.txn, access.id(), **destination_id).await?.ok_or(Error::NotFound)?;
        change.expect(before.version)?;
        let mut row = before.clone();
        settings::patch(access.app(), &mut row, body.0)?;
        write::update(&access, change, &before, row).await
    }

    /// Delete a destination
    ///
    /// Its subscriptions are deleted with it, and its unfinished deliveries end `cancelled`.
    #[oai(
        path = "/tenants/:tenant_id/destinations/:destination_id",
        method = "delete",
        operation_id = "delete_destination"
    )]
    async fn delete(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let row = destination::lock(&change.txn, access.id(), **destination_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let before = Destination::of(access.app(), &change.txn, &row).await?;
        subscription::delete_of(&change.txn, access.id(), row.id()).await?;
        health::forget(&change.txn, access.id(), row.id()).await?;
        notice::forget(&change.txn, access.id(), row.id).await?;
        destination::delete(&change.txn, access.id(), row.id()).await?;
        command::leave(&change.txn, (access.id(), row.id()), Kind::EndDestination, row.id).await?;
        let stale = [Changed::Destination(row.id()), Changed::Subscriptions(access.id())];
        let done = Done::new("delete", row.id(), Some(access.id())).before(&before).changes(stale).rings();
        change.commit(done, Gone::gone()).await
    }

    /// Replace the signing secret
    ///
    /// The new one is shown only in this answer. Until the old ones end, deliveries are signed with all of them, so that a
    /// receiver may change at any moment; only a signature in GitHub's style is one, of the oldest that still signs.
    #[oai(
        path = "/tenants/:tenant_id/destinations/:destination_id/secrets",
        method = "post",
        operation_id = "rotate_destination_secret"
    )]
    async fn rotate_secret(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
        body: Input<SecretRotation>,
    ) -> Result<Found<NewSecret>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        signing::rotate(&access, **destination_id, &body.0).await
    }

    /// Pause a destination
    ///
    /// Its deliveries wait, and keep, until it is resumed.
    #[oai(
        path = "/tenants/:tenant_id/destinations/:destination_id/pause",
        method = "post",
        operation_id = "pause_destination"
    )]
    async fn pause(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
        _body: Input<crate::answer::Nothing>,
    ) -> Result<Found<Destination>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        state::put(&access, **destination_id, destination::State::Paused).await
    }

    /// Test a destination
    ///
    /// Sends an event that is marked as a test to this destination alone, once, also while it is paused or disabled. What
    /// comes of it counts for nothing else: the delivery shows it.
    #[oai(
        path = "/tenants/:tenant_id/destinations/:destination_id/test",
        method = "post",
        operation_id = "test_destination"
    )]
    async fn test(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
        body: Input<Test>,
    ) -> Result<Accepted<Tested>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        testing::test(&access, **destination_id, body.0).await
    }

    /// Resume a destination
    ///
    /// What waited is delivered, oldest first, slowly at first. One that was disabled begins anew: it is disabled again after
    /// 120 hours without a success.
    #[oai(
        path = "/tenants/:tenant_id/destinations/:destination_id/resume",
        method = "post",
        operation_id = "resume_destination"
    )]
    async fn resume(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        destination_id: Path<Id<kind::Destination>>,
        _body: Input<crate::answer::Nothing>,
    ) -> Result<Found<Destination>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        state::put(&access, **destination_id, destination::State::Active).await
    }
}

//! Destinations: where a tenant wants its events.

use entity::change::Changed;
use entity::command::{self, Kind};
use entity::{destination, subscription};
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::id::kind;
use relay::keyring::Keyring;
use relay::signature::SigningSecret;
use secrecy::ExposeSecret;

use super::Tag;
use crate::answer::{Created, Found, Gone};
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::{Listing, Page};
use crate::wire::{Id, Time, time};

mod settings;
mod state;

pub use settings::{Auth, BasicAuth, DestinationPatch, NewAuth, NewBasicAuth, NewDestination, NoAuth, Retry};

/// Where a tenant wants its events.
#[derive(Debug, Clone, Object)]
pub struct Destination {
    pub id: Id<kind::Destination>,
    pub name: String,
    pub url: String,
    /// How deliveries authenticate.
    pub auth: Auth,
    /// How many seconds an attempt may take in all.
    pub timeout_s: u16,
    pub retry: Retry,
    pub state: DestinationState,
    /// Why it is not active.
    #[oai(nullable)]
    pub state_reason: Option<String>,
    pub state_since: Time,
    pub created_at: Time,
    /// What deliveries are signed with: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub signing_secret: Option<String>,
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
    fn show(keyring: &Keyring, row: &destination::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id().into(),
            name: row.name.clone(),
            url: row.url.clone(),
            auth: destination::open_auth(keyring, row)?.into(),
            timeout_s: row.timeout_s.unsigned_abs(),
            retry: Retry { schedule_s: row.retry_policy().schedule_s().to_vec() },
            state: row.state().into(),
            state_reason: row.state_reason.clone(),
            state_since: time(row.state_since),
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
        let secret = SigningSecret::generate();
        let row = settings::new(&access, change.now, body.0, &secret)?;
        let row = destination::insert(&change.txn, row).await?;
        let shown = Destination::show(&access.app().keyring, &row)?;
        let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
        let location = format!("/v1/tenants/{}/destinations/{}", access.id(), row.id());
        let answer = Destination { signing_secret: Some(secret.expose().expose_secret().to_owned()), ..shown };
        let answer = Created::of(answer).version(row.version).at(location);
        change.commit(done.changes([Changed::Destination(row.id())]), answer).await
    }

    /// List destinations
    #[oai(path = "/tenants/:tenant_id/destinations", method = "get", operation_id = "list_destinations")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<Listing>,
    ) -> Result<Found<Page<Destination>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let keyring = &access.app().keyring;
        let reading = query.0.paging.read(keyring, format!("{}/destinations", access.id()))?;
        let rows = destination::page(&access.app().db.read, access.id(), reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, destination::Model::id, |row| Destination::show(keyring, row))?))
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
        Ok(Found::of(Destination::show(&access.app().keyring, &row)?).version(row.version))
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
        let keyring = &access.app().keyring;
        let change = access.begin().await?;
        let mut row = destination::lock(&change.txn, access.id(), **destination_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let before = Destination::show(keyring, &row)?;
        settings::patch(access.app(), &mut row, body.0)?;
        let row = destination::save(&change.txn, row).await?;
        let shown = Destination::show(keyring, &row)?;
        let done = Done::new("update", row.id(), Some(access.id())).before(&before).after(&shown);
        change.commit(done.changes([Changed::Destination(row.id())]), Found::of(shown).version(row.version)).await
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
        subscription::delete_of(&change.txn, access.id(), row.id()).await?;
        destination::delete(&change.txn, access.id(), row.id()).await?;
        command::leave(&change.txn, (access.id(), row.id()), Kind::EndDestination, row.id).await?;
        let stale = [Changed::Destination(row.id()), Changed::Subscriptions(access.id())];
        let before = Destination::show(&access.app().keyring, &row)?;
        let done = Done::new("delete", row.id(), Some(access.id())).before(&before).changes(stale).rings();
        change.commit(done, Gone::gone()).await
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

    /// Resume a destination
    ///
    /// What waited is delivered, oldest first.
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

//! Subscriptions: which events of which sources go to which destination.

use entity::change::Changed;
use entity::command::{self, Kind};
use entity::subscription;
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::event_type::Pattern;
use relay::id::kind;

mod explain;
mod origin;
mod row;
mod write;

pub use explain::{Explanation, Obstacle, Outgoing, Question, Reading, Verdict};
pub use origin::Origin;

use super::allowance::Held;
use super::keyed::{self, KeyedListing, agreed};
use super::{KEY, Tag};
use crate::answer::{Created, Found, Gone, Put};
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::Page;
use crate::wire::{Filter, Id, Key, KeyInPath, Text, Time, time};

/// Which events go where.
#[derive(Debug, Clone, Object)]
pub struct Subscription {
    pub id: Id<kind::Subscription>,
    /// What the tenant calls it in `…/by-key/{key}`; never changes.
    #[oai(nullable)]
    pub key: Option<Text<Key>>,
    /// Where they go; never changes.
    pub destination_id: Id<kind::Destination>,
    /// The sources it listens to; null for all.
    #[oai(nullable)]
    pub source_ids: Option<Vec<Id<kind::Source>>>,
    /// The types it wants: `*`, `X.*` for all that begin with `X.`, or exactly one.
    pub event_types: Vec<Text<Pattern>>,
    /// Who must have begun what an event tells of.
    pub origin: Origin,
    /// How many seconds a delivery waits until it is judged whether its event answers to a registered request; null
    /// unless `origin` is `not_mine`.
    #[oai(nullable)]
    pub origin_wait_s: Option<u8>,
    /// What must hold of an event's `body`, `headers`, `query` and `attributes` for it to be delivered; null for nothing. A
    /// delivery that it holds back ends as `filtered`, and its `reason` is the clause that did not hold.
    #[oai(nullable)]
    pub filter: Option<Filter>,
    /// Whether events are delivered because of it.
    pub enabled: bool,
    pub created_at: Time,
}

/// A subscription to be made.
#[derive(Debug, Object)]
pub struct NewSubscription {
    /// What the tenant calls it, unlike any other of its subscriptions; never changes.
    #[oai(nullable)]
    pub key: Option<Text<Key>>,
    /// Where they go; never changes.
    pub destination_id: Id<kind::Destination>,
    /// The sources it listens to; without it, all.
    #[oai(nullable, validator(min_items = 1, max_items = 100))]
    pub source_ids: Option<Vec<Id<kind::Source>>>,
    /// The types it wants: `*`, `X.*` for all that begin with `X.`, or exactly one.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub event_types: Vec<Text<Pattern>>,
    /// Who must have begun what an event tells of; without it, `any`.
    #[oai(nullable)]
    pub origin: Option<Origin>,
    /// Only with the origin `not_mine`: how many seconds a delivery of an event that carries a request id waits until it
    /// is judged whether the request was registered, since an event can overtake its registration; without it, 5.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "60")))]
    pub origin_wait_s: Option<u8>,
    /// What must hold of an event's `body`, `headers`, `query` and `attributes` for it to be delivered. In `body`, names are
    /// JSON pointers. Operators: `$eq`, `$ne`, `$gt`, `$gte`, `$lt`, `$lte`, `$in`, `$nin`, `$startsWith`, `$endsWith`,
    /// `$contains`, `$exists`, `$and`, `$or`, `$not`; a plain value stands for `$eq`. Without it, nothing needs to.
    #[oai(nullable)]
    pub filter: Option<Filter>,
    /// Whether events are delivered because of it; they are unless said otherwise.
    #[oai(nullable)]
    pub enabled: Option<bool>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct SubscriptionPatch {
    /// Null: all.
    #[oai(nullable, validator(min_items = 1, max_items = 100))]
    pub source_ids: MaybeUndefined<Vec<Id<kind::Source>>>,
    #[oai(validator(min_items = 1, max_items = 100))]
    pub event_types: MaybeUndefined<Vec<Text<Pattern>>>,
    /// Null: `any`.
    #[oai(nullable)]
    pub origin: MaybeUndefined<Origin>,
    /// Null: 5. Only with the origin `not_mine`.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "60")))]
    pub origin_wait_s: MaybeUndefined<u8>,
    /// Null: nothing needs to hold. Judged anew of every delivery that was not attempted yet.
    #[oai(nullable)]
    pub filter: MaybeUndefined<Filter>,
    /// Null: they are delivered.
    #[oai(nullable)]
    pub enabled: MaybeUndefined<bool>,
}

impl Subscription {
    fn show(row: &subscription::Model) -> Result<Self, Error> {
        let (origin, origin_wait_s) = Origin::show(row.origin()?);
        Ok(Self {
            id: row.id().into(),
            key: keyed::shown(row.key.as_deref())?,
            destination_id: row.destination().into(),
            source_ids: row.sources()?.map(|ids| ids.into_iter().map(Into::into).collect()),
            event_types: row.patterns()?.into_iter().map(Text).collect(),
            origin,
            origin_wait_s,
            filter: row.filter.as_deref().map(row::shown_filter).transpose()?,
            enabled: row.enabled,
            created_at: time(row.created_at),
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Subscriptions")]
impl Api {
    /// Create a subscription
    ///
    /// It holds for events that are accepted from now on.
    #[oai(path = "/tenants/:tenant_id/subscriptions", method = "post", operation_id = "create_subscription")]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewSubscription>,
    ) -> Result<Created<Subscription>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let held = Held::of(&change, &access).await?;
        write::create(&access, change, &held, body.0).await
    }

    /// Create or update a subscription by its key
    ///
    /// Afterwards the subscription is as the body says, and what that does not say is as in a new one. If it was so before,
    /// nothing is changed. The destination never changes.
    #[oai(path = "/tenants/:tenant_id/subscriptions/by-key/:key", method = "put", operation_id = "put_subscription")]
    async fn put(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        key: Path<Text<KeyInPath>>,
        body: Input<NewSubscription>,
    ) -> Result<Put<Subscription>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let key = agreed(key.0, KEY, body.0.key.as_ref())?;
        write::put(&access, key, body.0).await
    }

    /// List subscriptions
    #[oai(path = "/tenants/:tenant_id/subscriptions", method = "get", operation_id = "list_subscriptions")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<KeyedListing>,
    ) -> Result<Found<Page<Subscription>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let reading = query.0.paging.read(&access.app().keyring, format!("{}/subscriptions", access.id()))?;
        let (db, key) = (&access.app().db.read, query.0.key.as_ref().map(|key| key.as_str()));
        let rows = subscription::page(db, access.id(), key, reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, subscription::Model::id, Subscription::show)?))
    }

    /// Get a subscription
    #[oai(
        path = "/tenants/:tenant_id/subscriptions/:subscription_id",
        method = "get",
        operation_id = "get_subscription"
    )]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        subscription_id: Path<Id<kind::Subscription>>,
    ) -> Result<Found<Subscription>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let row = subscription::find(&access.app().db.read, access.id(), **subscription_id).await?;
        let row = row.ok_or(Error::NotFound)?;
        Ok(Found::of(Subscription::show(&row)?).version(row.version))
    }

    /// Change a subscription
    ///
    /// Types and sources hold for events that are accepted from now on, `filter` and `origin` for what was not attempted yet,
    /// too.
    #[oai(
        path = "/tenants/:tenant_id/subscriptions/:subscription_id",
        method = "patch",
        operation_id = "update_subscription"
    )]
    async fn update(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        subscription_id: Path<Id<kind::Subscription>>,
        body: Input<SubscriptionPatch>,
    ) -> Result<Found<Subscription>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let before = subscription::lock(&change.txn, access.id(), **subscription_id).await?.ok_or(Error::NotFound)?;
        change.expect(before.version)?;
        let mut row = before.clone();
        row::patch(&change.txn, &mut row, body.0).await?;
        write::update(&access, change, &before, row).await
    }

    /// Explain what would become of a request
    ///
    /// Which subscriptions want a stored event, or a request that a provider would send; why not the others; and what
    /// each destination would see. Nothing is stored or sent.
    #[oai(path = "/tenants/:tenant_id/subscriptions/explain", method = "post", operation_id = "explain_subscriptions")]
    async fn explain(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<Question>,
    ) -> Result<Found<Explanation>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        if !access.caller.scopes().has(Scope::Payloads) {
            return Err(Error::MissingScope(Scope::Payloads));
        }
        explain::explain(&access, body.0).await
    }

    /// Delete a subscription
    ///
    /// Its unfinished deliveries end `cancelled`.
    #[oai(
        path = "/tenants/:tenant_id/subscriptions/:subscription_id",
        method = "delete",
        operation_id = "delete_subscription"
    )]
    async fn delete(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        subscription_id: Path<Id<kind::Subscription>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let row = subscription::lock(&change.txn, access.id(), **subscription_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        subscription::delete(&change.txn, access.id(), row.id()).await?;
        command::leave(&change.txn, (access.id(), row.destination()), Kind::EndSubscription, row.id).await?;
        let done = Done::new("delete", row.id(), Some(access.id())).before(&Subscription::show(&row)?);
        change.commit(done.changes([Changed::Subscriptions(access.id())]).rings(), Gone::gone()).await
    }
}

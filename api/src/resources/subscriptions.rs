//! Subscriptions: which events of which sources go to which destination.

use entity::change::Changed;
use entity::command::{self, Kind};
use entity::tenant::Counted;
use entity::{Transaction, destination, source, subscription};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::event_type::Pattern;
use relay::filter;
use relay::id::{DestinationId, SourceId, SubscriptionId, TenantId, kind};

mod explain;
mod origin;

pub use explain::{Explanation, Obstacle, Outgoing, Question, Reading, Verdict};
pub use origin::Origin;

use super::allowance::Held;
use super::{Tag, set, set_or};
use crate::answer::{Created, Found, Gone};
use crate::auth::{Caller, Scope};
use crate::error::{Error, Trouble};
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::{Listing, Page};
use crate::wire::{Filter, Id, Text, Time, time};

/// Which events go where.
#[derive(Debug, Clone, Object)]
pub struct Subscription {
    pub id: Id<kind::Subscription>,
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
            destination_id: row.destination().into(),
            source_ids: row.sources()?.map(|ids| ids.into_iter().map(Into::into).collect()),
            event_types: row.patterns()?.into_iter().map(Text).collect(),
            origin,
            origin_wait_s,
            filter: row.filter.as_deref().map(shown_filter).transpose()?,
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
        held.admits(Counted::Subscriptions, subscription::count(&change.txn, access.id()).await?)?;
        let destination = own_destination(&change.txn, access.id(), *body.0.destination_id).await?;
        let sources = own_sources(&change.txn, access.id(), body.0.source_ids).await?;
        let origin = body.0.origin.unwrap_or_default().with_wait(body.0.origin_wait_s)?;
        let (origin, origin_wait_s) = origin.columns();
        let filter = body.0.filter.map(filter_column).transpose()?;
        let row = subscription::Model {
            tenant_id: access.id().uuid(),
            id: SubscriptionId::at(change.now).uuid(),
            destination_id: destination.uuid(),
            source_ids: sources,
            event_types: patterns(body.0.event_types),
            origin,
            origin_wait_s,
            filter,
            enabled: body.0.enabled.unwrap_or(true),
            version: 1,
            created_at: change.now,
        };
        let row = subscription::insert(&change.txn, row).await?;
        let shown = Subscription::show(&row)?;
        let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
        let location = format!("/v1/tenants/{}/subscriptions/{}", access.id(), row.id());
        let answer = Created::of(shown).version(row.version).at(location);
        change.commit(done.changes([Changed::Subscriptions(access.id())]), answer).await
    }

    /// List subscriptions
    #[oai(path = "/tenants/:tenant_id/subscriptions", method = "get", operation_id = "list_subscriptions")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<Listing>,
    ) -> Result<Found<Page<Subscription>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let reading = query.0.paging.read(&access.app().keyring, format!("{}/subscriptions", access.id()))?;
        let rows = subscription::page(&access.app().db.read, access.id(), reading.before, reading.rows()).await?;
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
        let mut row = subscription::lock(&change.txn, access.id(), **subscription_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let before = Subscription::show(&row)?;
        if !body.0.source_ids.is_undefined() {
            row.source_ids = own_sources(&change.txn, access.id(), body.0.source_ids.take()).await?;
        }
        set(&mut row.event_types, body.0.event_types.map_value(patterns), "/event_types")?;
        let origin = origin::patched(row.origin()?, body.0.origin, body.0.origin_wait_s)?;
        (row.origin, row.origin_wait_s) = origin.columns();
        if !body.0.filter.is_undefined() {
            row.filter = body.0.filter.take().map(filter_column).transpose()?;
        }
        set_or(&mut row.enabled, body.0.enabled, true);
        row.version += 1;
        let row = subscription::save(&change.txn, row).await?;
        let shown = Subscription::show(&row)?;
        let done = Done::new("update", row.id(), Some(access.id())).before(&before).after(&shown);
        let done = done.changes([Changed::Subscriptions(access.id())]);
        change.commit(done, Found::of(shown).version(row.version)).await
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

/// A destination of the tenant, which nobody deletes until the transaction ends. Another tenant's reads like none.
async fn own_destination(txn: &Transaction, tenant: TenantId, id: DestinationId) -> Result<DestinationId, Error> {
    let found = destination::lock(txn, tenant, id).await?;
    found.map(|row| row.id()).ok_or_else(|| Error::field("/destination_id", "there is no such destination"))
}

/// The column for these sources, if all are the tenant's. Another tenant's read like none.
async fn own_sources(
    txn: &Transaction,
    tenant: TenantId,
    ids: Option<Vec<Id<kind::Source>>>,
) -> Result<Option<String>, Error> {
    let Some(ids) = ids else { return Ok(None) };
    let ids: Vec<SourceId> = ids.into_iter().map(|id| id.0).collect();
    let own = source::existing(txn, tenant, &ids).await?;
    let unknown = ids.iter().enumerate().filter(|(_, id)| !own.contains(id));
    let troubles: Vec<_> =
        unknown.map(|(place, _)| Trouble::field(format!("/source_ids/{place}"), "there is no such source")).collect();
    if troubles.is_empty() { Ok(subscription::sources_column(Some(&ids))) } else { Err(Error::Invalid(troubles)) }
}

/// The column for this filter, or what is wrong in it, and where.
fn filter_column(said: Filter) -> Result<String, Error> {
    let read = filter::Filter::try_from(said.0);
    let wrong =
        |wrong: filter::NotAFilter| Error::field(format!("/filter{}", wrong.pointer), wrong.mistake.to_string());
    read.map(|filter| subscription::filter_column(&filter)).map_err(wrong)
}

fn shown_filter(column: &str) -> Result<Filter, Error> {
    serde_json::from_str(column).map(Filter).map_err(|error| Error::Fault(error.into()))
}

fn patterns(said: Vec<Text<Pattern>>) -> String {
    subscription::patterns_column(&said.into_iter().map(|pattern| pattern.0).collect::<Vec<_>>())
}

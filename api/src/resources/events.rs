//! Events: what was received, and how to send it again.

use std::collections::BTreeMap;

use bytes::Bytes;
use entity::change::Changed;
use entity::payload_key::KeyError;
use entity::search::Range;
use entity::{attempt, delivery, event, payload};
use poem_openapi::param::Path;
use poem_openapi::payload::Binary;
use poem_openapi::{Object, OpenApi};
use relay::id::kind;

use super::deliveries::Delivery;
use super::{Tag, headers};
use crate::answer::{Accepted, Found, Gone};
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::Page;
use crate::wire::{Id, Time, time};

mod replay;
mod search;

pub use replay::{EventReplay, Replayed};
pub use search::EventSearch;

/// One accepted request.
#[derive(Debug, Clone, Object)]
pub struct Event {
    pub id: Id<kind::Event>,
    /// Null for tests of a destination.
    #[oai(nullable)]
    pub source_id: Option<Id<kind::Source>>,
    #[oai(nullable)]
    pub event_type: Option<String>,
    /// A finer type, which patterns match as well.
    #[oai(nullable)]
    pub derived_type: Option<String>,
    /// The provider's own id.
    #[oai(nullable)]
    pub external_id: Option<String>,
    /// The id of the API call that led to it.
    #[oai(nullable)]
    pub request_id: Option<String>,
    /// When it happened, by the provider's clock.
    #[oai(nullable)]
    pub occurred_at: Option<Time>,
    pub received_at: Time,
    pub method: String,
    /// What followed the secret part of the URL.
    pub path: String,
    #[oai(nullable)]
    pub query: Option<String>,
    #[oai(nullable)]
    pub remote_address: Option<String>,
    #[oai(nullable)]
    pub content_type: Option<String>,
    /// Bytes of the body.
    pub size: i32,
    /// What the source extracts besides.
    pub attributes: BTreeMap<String, String>,
    /// How many subscriptions matched.
    pub matched: i32,
    /// How often its external id came again.
    pub duplicates: i32,
    /// Whether it is only a test.
    pub test: bool,
}

/// One accepted request, with what became of it.
#[derive(Debug, Object)]
pub struct EventDetail {
    #[oai(flatten)]
    pub event: Event,
    /// Pairs of name and value, in the order they came; null once they are forgotten, without the scope `payloads`, and where
    /// what is sealed cannot be opened.
    /// What authenticated the request reads `[redacted]`.
    #[oai(nullable)]
    pub headers: Option<Vec<Vec<String>>>,
    /// Its deliveries, newest first, at most 250.
    pub deliveries: Vec<Delivery>,
}

/// The most deliveries that are shown with their event; the list of deliveries has all.
const MOST_DELIVERIES: u64 = 250;

impl Event {
    pub(super) fn show(row: &event::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id().into(),
            source_id: row.source().map(Into::into),
            event_type: row.event_type.clone(),
            derived_type: row.derived_type.clone(),
            external_id: row.external_id.clone(),
            request_id: row.request_id.clone(),
            occurred_at: row.occurred_at.map(time),
            received_at: time(row.received_at),
            method: row.method.clone(),
            path: row.path.clone(),
            query: row.query.clone(),
            remote_address: row.remote_address.clone(),
            content_type: row.content_type.clone(),
            size: row.size,
            attributes: serde_json::from_str(&row.attributes).map_err(|error| Error::Fault(error.into()))?,
            matched: row.matched,
            duplicates: row.duplicates,
            test: row.test,
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Events")]
impl Api {
    /// List events
    ///
    /// Newest first. Where something is asked of their deliveries, those come first that have the newest such delivery.
    #[oai(path = "/tenants/:tenant_id/events", method = "get", operation_id = "list_events")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<EventSearch>,
    ) -> Result<Found<Page<Event>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        search::search(&access, query.0).await.map(Found::of)
    }

    /// Get an event
    ///
    /// With its headers and its deliveries.
    #[oai(path = "/tenants/:tenant_id/events/:event_id", method = "get", operation_id = "get_event")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        event_id: Path<Id<kind::Event>>,
    ) -> Result<Found<EventDetail>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let (db, tenant) = (&access.app().db.read, access.id());
        let row = event::find(db, tenant, **event_id).await?.ok_or(Error::NotFound)?;
        let of_it = delivery::Filter { event_id: Some(row.id()), ..delivery::Filter::default() };
        let deliveries = delivery::search(db, tenant, &of_it, &Range::newest(None, MOST_DELIVERIES)).await?.rows;
        let keys = &access.app().payload_keys;
        let may_see = access.caller.scopes().has(Scope::Payloads);
        let kept = match payload::headers(db, keys, tenant, row.id()).await {
            _ if !may_see => None,
            // All the rest can be shown.
            Err(error @ (KeyError::Key(_) | KeyError::Payload(..) | KeyError::Gone)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "an event is shown without its headers");
                None
            }
            kept => kept?,
        };
        Ok(Found::of(EventDetail {
            event: Event::show(&row)?,
            headers: kept.as_deref().map(headers).transpose()?,
            deliveries: deliveries.iter().map(Delivery::show).collect(),
        }))
    }

    /// Get an event's body
    ///
    /// Exactly the bytes that were received.
    #[oai(path = "/tenants/:tenant_id/events/:event_id/body", method = "get", operation_id = "get_event_body")]
    async fn body(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        event_id: Path<Id<kind::Event>>,
    ) -> Result<Binary<Bytes>, Error> {
        let access = caller.may(Scope::Payloads, **tenant_id).await?;
        let (db, tenant) = (&access.app().db.read, access.id());
        event::find(db, tenant, **event_id).await?.ok_or(Error::NotFound)?;
        let body = payload::body(db, &access.app().payload_keys, tenant, **event_id).await?;
        body.map(Binary).ok_or(Error::Expired)
    }

    /// Erase an event's body
    ///
    /// Its headers go with it, and what destinations answered to it, and nothing can bring them back. What was still to be
    /// delivered fails as `payload expired`; what is in flight may still arrive, and its answer be kept. Attributes, ids and
    /// the query stay for as long as the event.
    #[oai(path = "/tenants/:tenant_id/events/:event_id/body", method = "delete", operation_id = "erase_event_body")]
    async fn erase(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        event_id: Path<Id<kind::Event>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let row = event::find(&change.txn, access.id(), **event_id).await?.ok_or(Error::NotFound)?;
        payload::erase(&change.txn, access.id(), row.id()).await?;
        attempt::forget_answers(&change.txn, access.id(), row.id()).await?;
        let done = Done::new("erase", row.id(), Some(access.id())).changes([Changed::Payload(row.id())]);
        change.commit(done, Gone::gone()).await
    }

    /// Send an event again
    ///
    /// To the destinations that are named, or else to those of the subscriptions that match it now.
    #[oai(path = "/tenants/:tenant_id/events/:event_id/replay", method = "post", operation_id = "replay_event")]
    async fn replay(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        event_id: Path<Id<kind::Event>>,
        body: Input<EventReplay>,
    ) -> Result<Accepted<Replayed>, Error> {
        let access = caller.may(Scope::Replay, **tenant_id).await?;
        replay::replay(&access, **event_id, body.0).await
    }
}

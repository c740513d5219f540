//! The statement behind every 2xx: a batch of events with their payloads, their deliveries and their dedupe keys,
//! committed together or not at all.

use bytes::Bytes;
use relay::clock::Clock;
use relay::id::{DeliveryId, DestinationId, EventId, SourceId, SubscriptionId, TenantId};
use relay::keyring::DataKey;
use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::dedupe::Key;
use crate::delivery::{Trigger, shard_of};
use crate::payload_key::{Owner, SEALED};
use crate::pending::Due;
use crate::{Database, partition};

mod alone;
mod postgres;
mod sqlite;

pub use alone::insert;

/// An event as it is accepted.
#[derive(Debug, Clone)]
pub struct NewEvent {
    pub tenant_id: TenantId,
    pub id: EventId,
    /// None for tests of a destination.
    pub source_id: Option<SourceId>,
    pub event_type: Option<String>,
    pub derived_type: Option<String>,
    pub external_id: Option<String>,
    pub request_id: Option<String>,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
    pub method: String,
    /// What follows the source key.
    pub path: String,
    pub query: Option<String>,
    pub remote_address: Option<String>,
    pub content_type: Option<String>,
    pub test: bool,
    /// How many relays it went through before.
    pub hops: i16,
    /// A JSON object of texts: what the source extracts besides.
    pub attributes: String,
    /// A JSON array of `[name, value]`, values as Latin-1.
    pub headers: String,
    pub body: Bytes,
    /// Headers and body as they are stored instead, where they are sealed: see [`NewEvent::sealed`].
    pub sealed: Option<Bytes>,
    /// None where the source has no external ids, or this request had none.
    pub dedupe: Option<Key>,
    /// One for each subscription that matched.
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery that begins with its event.
#[derive(Debug, Clone, Copy)]
pub struct NewDelivery {
    /// Shares the event's millisecond, so that an event's first deliveries are a range of the key.
    pub id: DeliveryId,
    pub subscription_id: SubscriptionId,
    pub destination_id: DestinationId,
    /// Its line, where the destination wants an order: see [`relay::order`].
    pub order_key: Option<i32>,
    /// When it is to be sent, or judged once more.
    pub due_at: i64,
}

/// What became of one event of a batch, committed in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// Stored, with its deliveries.
    New,
    /// Its external id was seen before, with this event.
    RepeatOf(EventId),
}

/// What became of a batch, all of it committed.
#[derive(Debug, Default)]
pub struct Ingested {
    /// Of each event, in the order of the batch.
    pub accepted: Vec<Accepted>,
    /// The deliveries of those that are new.
    pub due: Vec<Due>,
}

/// Commits a batch and says what became of each event. No two of a batch may share source and dedupe key.
/// After a lost connection it is unknown whether the batch was committed: see [`is_stored`].
pub async fn ingest(db: &Database, clock: &Clock, batch: &[NewEvent]) -> Result<Ingested, DbErr> {
    if db.is_sqlite() {
        return sqlite::ingest(db, clock.now(), batch).await;
    }
    match postgres::ingest(db, clock.now(), batch).await {
        Err(error) if postgres::lacks_a_day(&error) => {
            partition::ensure(db, clock).await?;
            postgres::ingest(db, clock.now(), batch).await
        }
        result => result,
    }
}

/// Whether an event is committed, and so its whole batch: what to ask after a connection was lost, before trying again.
pub async fn is_stored(db: &Database, event: &NewEvent) -> Result<bool, DbErr> {
    let values = [event.tenant_id.uuid().into(), event.id.uuid().into()];
    let text = "SELECT 1 FROM event WHERE tenant_id = $1 AND id = $2";
    let read = Statement::from_sql_and_values(db.write.get_database_backend(), text, values);
    Ok(db.write.query_one_raw(read).await?.is_some())
}

/// Each event with each of its deliveries, in their order.
fn pairs<'e>(events: &[&'e NewEvent]) -> impl Iterator<Item = (&'e NewEvent, &'e NewDelivery)> {
    events.iter().copied().flat_map(|event| event.deliveries.iter().map(move |delivery| (event, delivery)))
}

impl NewEvent {
    /// One that nobody sent: the relay says this itself, in JSON.
    #[must_use]
    pub fn of_ours(tenant_id: TenantId, event_type: String, body: &serde_json::Value, now: i64) -> Self {
        Self {
            tenant_id,
            id: EventId::at(now),
            source_id: None,
            event_type: Some(event_type),
            derived_type: None,
            external_id: None,
            request_id: None,
            occurred_at: Some(now),
            received_at: now,
            method: "POST".to_owned(),
            path: String::new(),
            query: None,
            remote_address: None,
            content_type: Some("application/json".to_owned()),
            test: false,
            hops: 0,
            attributes: "{}".to_owned(),
            headers: r#"[["content-type","application/json"]]"#.to_owned(),
            dedupe: None,
            deliveries: Vec::new(),
            body: body.to_string().into(),
            sealed: None,
        }
    }

    /// The same, to be stored sealed, if there is a key: see
    /// [`PayloadKeys::sealing`](crate::payload_key::PayloadKeys::sealing).
    #[must_use]
    pub fn sealed(self, key: Option<&DataKey>) -> Self {
        let of = Owner::Event(self.tenant_id, self.id);
        Self { sealed: key.map(|key| of.seal(key, &self.headers, &self.body).into()), ..self }
    }

    /// The columns of its payload.
    fn payload(&self) -> (&str, &[u8]) {
        self.sealed.as_ref().map_or((&self.headers, &self.body), |sealed| (SEALED, sealed))
    }

    /// A delivery of it as scheduling needs it, at its place in line.
    fn due(&self, delivery: &NewDelivery, seq: i64) -> Due {
        Due {
            tenant_id: self.tenant_id,
            id: delivery.id,
            shard: shard_of(delivery.destination_id),
            due_at: delivery.due_at,
            seq,
            event_id: self.id,
            subscription_id: Some(delivery.subscription_id),
            destination_id: delivery.destination_id,
            order_key: delivery.order_key,
            attempts: 0,
            trigger: Trigger::Event,
            size: self.size(),
        }
    }

    fn matched(&self) -> i32 {
        i32::try_from(self.deliveries.len()).unwrap_or(i32::MAX)
    }

    /// Bytes of it that are held in memory until it is stored.
    #[must_use]
    pub fn held(&self) -> usize {
        self.body.len() + self.sealed.as_ref().map_or(0, Bytes::len)
    }

    #[must_use]
    pub fn size(&self) -> i32 {
        i32::try_from(self.body.len()).unwrap_or(i32::MAX)
    }
}

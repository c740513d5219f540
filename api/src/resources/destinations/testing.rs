//! A test of a destination: an event of its own, which goes there and nowhere else.

use entity::delivery::Trigger;
use entity::ingest::{self, NewEvent};
use entity::pending::{self, NewPending};
use entity::subscription::Rules;
use entity::{destination, source};
use poem_openapi::Object;
use relay::id::{DeliveryId, DestinationId, EventId, kind};
use relay::preset;
use relay::quota::Rate;
use serde_json::json;

use crate::answer::Accepted;
use crate::auth::Access;
use crate::error::Error;
use crate::ingest::event;
use crate::mutation::{Done, Mutation};
use crate::wire::{Id, Moment, Text};

/// What is to be sent.
#[derive(Debug, Object)]
pub struct Test {
    /// Without it, `hookyard.test`. Of a type that the provider of one of the tenant's sources documents, the provider's
    /// sample is sent; of any other, a small body that names the type.
    #[oai(nullable, validator(min_length = 1, max_length = 512))]
    pub event_type: Option<String>,
}

/// What a test made.
#[derive(Debug, Object)]
pub struct Tested {
    pub event_id: Id<kind::Event>,
    /// Tells what the destination answered.
    pub delivery_id: Id<kind::Delivery>,
}

const USUAL_TYPE: &str = "hookyard.test";
/// Of one tenant. Tests are for people; deliveries wait for none.
const TESTS: Rate = Rate { per_second: 1, burst: 10 };
/// Of a tenant's sources, the newest are asked for a sample.
const MOST_SOURCES: u64 = 100;

pub(super) async fn test(access: &Access, id: DestinationId, asked: Test) -> Result<Accepted<Tested>, Error> {
    let event_type = asked.event_type.unwrap_or_else(|| USUAL_TYPE.to_owned());
    if event_type.chars().any(char::is_control) {
        return Err(Error::field("/event_type", "must not contain control characters"));
    }
    let key = access.app().payload_keys.sealing(access.id()).await?;
    let change = access.begin().await?;
    let destination = destination::find(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    let app = access.app();
    app.tests
        .take(access.id(), TESTS, app.clock.boot())
        .map_err(|wait| Error::TooMany { why: "A tenant can make one test a second.".to_owned(), wait })?;
    let event = match sample(&change, access, &event_type).await? {
        Some(sample) => sample,
        None => plain(access, event_type, change.now),
    };
    let event = event.sealed(key.as_deref());
    ingest::insert(&change.txn, &event).await?;
    let delivery = NewPending {
        tenant_id: access.id(),
        id: DeliveryId::at(change.now),
        event_id: event.id,
        subscription_id: None,
        destination_id: destination.id(),
        order_key: None,
        trigger: Trigger::Test,
        retry_of: None,
        replay_id: None,
        size: event.size(),
        due_at: change.now,
    };
    pending::insert(&change.txn, &delivery).await?;
    let answer = Tested { event_id: event.id.into(), delivery_id: delivery.id.into() };
    let done = Done::new("test", id, Some(access.id())).after(&answer).rings();
    change.commit(done, Accepted::of(answer)).await
}

/// The provider's own, as it would come through the source, but of no source: nothing is subscribed to it.
async fn sample(change: &Mutation<'_>, access: &Access, event_type: &str) -> Result<Option<NewEvent>, Error> {
    let sources = source::page(&change.txn, access.id(), None, None, MOST_SOURCES).await?;
    let knows = |row: &source::Model| preset::find(&row.provider).is_some_and(|it| it.event_type(event_type).is_some());
    let Some(row) = sources.iter().find(|row| knows(row)) else { return Ok(None) };
    let Some(source) = source::configured(&change.txn, access.id(), row.id()).await? else { return Ok(None) };
    let id = format!("test-{}", EventId::at(change.now).uuid().simple());
    let sent = preset::simulate(source.preset(), &source.extract, event_type, &id, change.now);
    let nobody = Rules::default();
    let event = sent.map(|sent| event::of(&source, &nobody, &sent.inbound(), sent.body.clone().into(), change.now));
    Ok(event.map(|event| NewEvent { source_id: None, test: true, dedupe: None, ..event }))
}

fn plain(access: &Access, event_type: String, now: i64) -> NewEvent {
    let message = "A test of this destination. Nothing has happened.";
    let body =
        json!({ "type": event_type, "timestamp": Text(Moment(now)).to_string(), "data": { "message": message } });
    NewEvent { test: true, ..NewEvent::of_ours(access.id(), event_type, &body, now) }
}

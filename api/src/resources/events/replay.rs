//! Replaying one event: new deliveries of it, beside those it already had.

use entity::delivery::{self, Trigger};
use entity::pending::{self, NewPending};
use entity::{destination, event, payload, subscription};
use poem_openapi::Object;
use relay::id::{DeliveryId, DestinationId, EventId, SubscriptionId, kind};

use super::super::deliveries::Delivery;
use crate::answer::Accepted;
use crate::auth::Access;
use crate::error::{Error, Trouble};
use crate::mutation::{Done, Mutation};
use crate::wire::Id;

/// Where an event is sent again.
#[derive(Debug, Object)]
pub struct Replay {
    /// Without it, to the destinations of all enabled subscriptions that match the event now.
    #[oai(nullable, validator(min_items = 1, max_items = 100, unique_items))]
    pub destination_ids: Option<Vec<Id<kind::Destination>>>,
}

/// What a replay made.
#[derive(Debug, Object)]
pub struct Replayed {
    /// None if nothing matches the event now.
    pub deliveries: Vec<Delivery>,
}

/// Where one new delivery goes, and because of what.
type Way = (DestinationId, Option<SubscriptionId>);

pub(super) async fn replay(access: &Access, id: EventId, asked: Replay) -> Result<Accepted<Replayed>, Error> {
    let change = access.begin().await?;
    let event = event::find(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    if !payload::is_kept(&change.txn, access.id(), id).await? {
        return Err(Error::Expired);
    }
    let ways = match asked.destination_ids {
        Some(ids) => forced(&change, access, ids).await?,
        None => matching(&change, access, &event).await?,
    };
    let mut deliveries = Vec::with_capacity(ways.len());
    for way in ways {
        deliveries.push(send(&change, access, &event, way).await?);
    }
    let answer = Replayed { deliveries };
    let done = Done::new("replay", id, Some(access.id())).after(&answer).rings();
    change.commit(done, Accepted::of(answer)).await
}

/// Another tenant's destination reads like none.
async fn forced(change: &Mutation<'_>, access: &Access, ids: Vec<Id<kind::Destination>>) -> Result<Vec<Way>, Error> {
    let ids: Vec<DestinationId> = ids.into_iter().map(|id| id.0).collect();
    let own = destination::existing(&change.txn, access.id(), &ids).await?;
    let unknown = ids.iter().enumerate().filter(|(_, id)| !own.contains(id));
    let troubles: Vec<_> = unknown
        .map(|(place, _)| Trouble::field(format!("/destination_ids/{place}"), "there is no such destination"))
        .collect();
    if troubles.is_empty() { Ok(ids.into_iter().map(|id| (id, None)).collect()) } else { Err(Error::Invalid(troubles)) }
}

async fn matching(change: &Mutation<'_>, access: &Access, event: &event::Model) -> Result<Vec<Way>, Error> {
    let rules = subscription::rules(&change.txn, access.id()).await?;
    let (source, typed, derived) = (event.source(), event.event_type.as_deref(), event.derived_type.as_deref());
    let request = event.request_id.as_deref();
    let matching = rules.iter().filter(|rule| rule.matches(source, typed, derived, request));
    Ok(matching.map(|rule| (rule.destination_id, Some(rule.id))).collect())
}

async fn send(change: &Mutation<'_>, access: &Access, event: &event::Model, way: Way) -> Result<Delivery, Error> {
    let new = NewPending {
        tenant_id: access.id(),
        id: DeliveryId::at(change.now),
        event_id: event.id(),
        subscription_id: way.1,
        destination_id: way.0,
        trigger: Trigger::Replay,
        retry_of: None,
        size: event.size,
        due_at: change.now,
    };
    pending::insert(&change.txn, &new).await?;
    let row = delivery::find(&change.txn, access.id(), new.id).await?.ok_or(Error::NotFound)?;
    Ok(Delivery::show(&row))
}

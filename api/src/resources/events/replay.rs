//! Replaying one event: new deliveries of it, beside those it already had.

use entity::delivery::{self, Trigger};
use entity::pending::{self, NewPending};
use entity::subscription::{About, Rule};
use entity::{destination, event, payload, subscription};
use poem_openapi::Object;
use relay::id::{DeliveryId, DestinationId, EventId, SubscriptionId, kind};
use relay::order::Order;

use super::super::deliveries::Delivery;
use crate::answer::Accepted;
use crate::auth::Access;
use crate::error::{Error, Trouble};
use crate::mutation::{Done, Mutation};
use crate::wire::Id;

/// Where an event is sent again.
#[derive(Debug, Object)]
pub struct EventReplay {
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
struct Way {
    destination: DestinationId,
    subscription: Option<SubscriptionId>,
    order: Order,
}

pub(super) async fn replay(access: &Access, id: EventId, asked: EventReplay) -> Result<Accepted<Replayed>, Error> {
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
    let (mut ways, mut troubles) = (Vec::with_capacity(ids.len()), Vec::new());
    for (place, id) in ids.into_iter().enumerate() {
        match destination::find(&change.txn, access.id(), *id).await? {
            Some(row) => {
                ways.push(Way { destination: row.id(), subscription: None, order: row.settings()?.order });
            }
            None => troubles.push(Trouble::field(format!("/destination_ids/{place}"), "there is no such destination")),
        }
    }
    if troubles.is_empty() { Ok(ways) } else { Err(Error::Invalid(troubles)) }
}

async fn matching(change: &Mutation<'_>, access: &Access, event: &event::Model) -> Result<Vec<Way>, Error> {
    let rules = subscription::rules(&change.txn, access.id()).await?;
    let way =
        |rule: &Rule| Way { destination: rule.destination_id, subscription: Some(rule.id), order: rule.order.clone() };
    Ok(rules.matching(&About::of(event)).map(way).collect())
}

async fn send(change: &Mutation<'_>, access: &Access, event: &event::Model, way: Way) -> Result<Delivery, Error> {
    let new = NewPending {
        tenant_id: access.id(),
        id: DeliveryId::at(change.now),
        event_id: event.id(),
        subscription_id: way.subscription,
        destination_id: way.destination,
        order_key: payload::line(&change.txn, &access.app().payload_keys, event, &way.order).await?,
        trigger: Trigger::Replay,
        retry_of: None,
        replay_id: None,
        size: event.size,
        due_at: change.now,
    };
    pending::insert(&change.txn, &new).await?;
    let row = delivery::find(&change.txn, access.id(), new.id).await?.ok_or(Error::NotFound)?;
    Ok(Delivery::show(&row))
}

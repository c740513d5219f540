//! What events are looked for by: what they are known by themselves, and what became of them.

use std::collections::{HashMap, HashSet};

use entity::event::Marks;
use entity::search::{Range, Read};
use entity::{delivery, event};
use poem_openapi::Object;
use relay::id::{DeliveryId, EventId, Uuid, kind};

use super::super::deliveries::{AttemptOutcome, DeliveryState, StatusClass, statuses};
use super::Event;
use crate::auth::Access;
use crate::error::Error;
use crate::page::{Page, Paging};
use crate::wire::{Id, Time};

/// Which events.
#[derive(Debug, Clone, Object)]
pub struct EventSearch {
    /// Of this source.
    pub source_id: Option<Id<kind::Source>>,
    /// Of exactly this type, or this finer one.
    #[oai(validator(max_length = 512))]
    pub event_type: Option<String>,
    /// With this id of the provider's.
    #[oai(validator(max_length = 512))]
    pub external_id: Option<String>,
    /// With this id of the API call that led to it.
    #[oai(validator(max_length = 512))]
    pub request_id: Option<String>,
    /// Whether any subscription matched. Not together with what is asked of deliveries.
    pub matched: Option<bool>,
    /// Whether it is only a test.
    pub test: Option<bool>,
    /// With a delivery to this destination.
    pub destination_id: Option<Id<kind::Destination>>,
    /// With a delivery because of this subscription.
    pub subscription_id: Option<Id<kind::Subscription>>,
    /// With a delivery in this state.
    pub state: Option<DeliveryState>,
    /// With a delivery that was last answered with this status.
    #[oai(validator(minimum(value = "100"), maximum(value = "599")))]
    pub last_status: Option<i16>,
    /// With a delivery that was last answered with a status of this class.
    pub status_class: Option<StatusClass>,
    /// With a delivery whose last attempt came to this.
    pub last_outcome: Option<AttemptOutcome>,
    /// Received at this time or later; where something is asked of deliveries, with one made since.
    pub after: Option<Time>,
    /// Received earlier than this; where something is asked of deliveries, with one made earlier.
    pub before: Option<Time>,
    #[oai(flatten)]
    pub paging: Paging,
}

impl EventSearch {
    fn marks(&self) -> Marks {
        Marks {
            source_id: self.source_id.map(|id| id.0),
            event_type: self.event_type.clone(),
            external_id: self.external_id.clone(),
            request_id: self.request_id.clone(),
            test: self.test,
        }
    }

    /// What is asked of deliveries: all of it must hold of one.
    fn deliveries(&self) -> delivery::Filter {
        let (state, held) = self.state.map(DeliveryState::stored).unzip();
        delivery::Filter {
            destination_id: self.destination_id.map(|id| id.0),
            subscription_id: self.subscription_id.map(|id| id.0),
            state,
            held: held.flatten(),
            last_status: statuses(self.last_status, self.status_class),
            last_outcome: self.last_outcome.map(Into::into),
            event: self.marks(),
            ..delivery::Filter::default()
        }
    }
}

pub(super) async fn search(access: &Access, wanted: EventSearch) -> Result<Page<Event>, Error> {
    let (db, tenant, keyring) = (&access.app().db.read, access.id(), &access.app().keyring);
    let _turn = access.turn().await?;
    let deliveries = wanted.deliveries();
    if deliveries.is_of_deliveries() {
        if wanted.matched.is_some() {
            return Err(Error::query("matched", "cannot be asked together with what is asked of deliveries"));
        }
        let mut reading = wanted.paging.read::<kind::Delivery>(keyring, format!("{tenant}/events/by-delivery"))?;
        let range = reading.range(wanted.after, wanted.before);
        let found = by_deliveries(access, &deliveries, &range, &mut reading.begun).await?;
        return reading.found(found, |(delivery, _)| *delivery, |(_, event)| Event::show(event));
    }
    let filter = event::Filter { marks: wanted.marks(), matched: wanted.matched };
    let reading = wanted.paging.read(keyring, format!("{tenant}/events"))?;
    let found = event::search(db, tenant, &filter, &reading.range(wanted.after, wanted.before)).await?;
    reading.found(found, event::Model::id, Event::show)
}

/// The events of the deliveries that fit, each at the newest of its own and nowhere else. What was made since the first page
/// does not count: an event that is sent again meanwhile would be on no page at all.
async fn by_deliveries(
    access: &Access,
    filter: &delivery::Filter,
    range: &Range,
    begun: &mut Option<DeliveryId>,
) -> Result<Read<(DeliveryId, event::Model)>, Error> {
    let (db, tenant) = (&access.app().db.read, access.id());
    let found = delivery::search(db, tenant, filter, range).await?;
    *begun = begun.or(found.rows.first().map(|row| row.id));
    let since_then = begun.map(|begun| Uuid::from_u128(begun.uuid().as_u128().saturating_add(1)));
    let last = found.rows.last().map(|row| row.id.uuid()).filter(|_| found.rows.len() as u64 >= range.limit);
    let ids: HashSet<EventId> = found.rows.iter().map(|row| row.event_id).collect();
    let events = event::these(db, tenant, &ids.into_iter().collect::<Vec<_>>()).await?;
    let mut events: HashMap<EventId, event::Model> = events.into_iter().map(|event| (event.id(), event)).collect();
    let mut newest = Vec::with_capacity(found.rows.len());
    for row in found.rows {
        let of_it = delivery::Filter { event_id: Some(row.event_id), ..filter.clone() };
        let first = Range { from: since_then, limit: 1, ..*range };
        let first = delivery::search(db, tenant, &of_it, &first).await?.rows.pop();
        if first.is_none_or(|first| first.id == row.id)
            && let Some(event) = events.remove(&row.event_id)
        {
            newest.push((row.id, event));
        }
    }
    Ok(Read { rows: newest, until: found.until.or(last) })
}

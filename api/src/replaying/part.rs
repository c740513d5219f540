//! What a part of a replay is to send: the next events, or deliveries, that it wants, oldest first, and where they go.

use std::collections::{BTreeSet, HashMap, HashSet};

use entity::delivery::{self, State};
use entity::payload_key::{KeyError, PayloadKeys};
use entity::replay::{self, Asked};
use entity::search::{Order, Range, Read};
use entity::subscription::{About, Rule, Rules};
use entity::{Database, destination, event, payload, subscription};
use relay::id::{DeliveryId, DestinationId, EventId, SubscriptionId, TenantId, Uuid, first_of};

use crate::error::Error;

/// What is sent next.
pub(super) struct Part {
    pub(super) items: Vec<Item>,
    /// Found, but it cannot be sent: its body is gone or cannot be opened, or its destination is gone.
    pub(super) skipped: i64,
    /// The last row that was looked at.
    pub(super) position: Option<Uuid>,
    /// There is nothing behind it.
    pub(super) is_last: bool,
}

/// One new delivery.
pub(super) struct Item {
    pub(super) event: event::Model,
    pub(super) destination_id: DestinationId,
    pub(super) subscription_id: Option<SubscriptionId>,
    pub(super) order_key: Option<i32>,
    pub(super) retry_of: Option<DeliveryId>,
}

impl Part {
    pub(super) fn event_ids(&self) -> Vec<EventId> {
        self.items.iter().map(|item| item.event.id()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    pub(super) fn events(&self) -> i64 {
        self.event_ids().len() as i64
    }

    pub(super) fn deliveries(&self) -> i64 {
        self.items.len() as i64
    }
}

/// Rows of a part, however many ways each may go.
const FEWEST: u64 = 1;

/// Where one event goes.
struct Way {
    destination_id: DestinationId,
    subscription_id: Option<SubscriptionId>,
    retry_of: Option<DeliveryId>,
}

/// The next `limit` rows that the replay wants, at most, and what they come to. `lined`: with their places in line, for
/// which bodies may have to be read, and opened with these.
pub(super) async fn read(
    db: &Database,
    row: &replay::Model,
    limit: u64,
    lined: Option<&PayloadKeys>,
) -> Result<Part, Error> {
    let wanted = row.wanted()?;
    let range =
        Range { order: Order::Oldest, from: row.position, after: wanted.after, before: Some(wanted.before), limit };
    let forced = row.destinations()?;
    match wanted.deliveries() {
        None => of_events(db, row.tenant(), &wanted.events(), &range, (forced, lined)).await,
        Some(filter) => of_deliveries(db, row, &filter, &range, (forced, lined)).await,
    }
}

/// Each event to where it goes now, or where it is to go.
async fn of_events(
    db: &Database,
    tenant: TenantId,
    filter: &event::Filter,
    range: &Range,
    (forced, lined): (Option<Vec<DestinationId>>, Option<&PayloadKeys>),
) -> Result<Part, Error> {
    let rules = if forced.is_none() { subscription::rules(&db.read, tenant).await? } else { Rules::default() };
    let range = &part_of(range, forced.as_ref().map_or(rules.len(), Vec::len));
    let found = event::search(&db.read, tenant, filter, range).await?;
    let (position, is_last) = place(&found, range, |event| event.id);
    let ways = found.rows.into_iter().map(|event| {
        let ways = match &forced {
            Some(ids) => ids.iter().map(|id| Way::forced(*id)).collect(),
            None => rules.matching(&About::of(&event)).map(Way::by).collect(),
        };
        (event, ways)
    });
    let (items, skipped) = items(db, tenant, ways.collect(), lined).await?;
    Ok(Part { items, skipped, position, is_last })
}

/// Each delivery once more, but those that are on their way, or were asked for again since; or their events, each once.
async fn of_deliveries(
    db: &Database,
    row: &replay::Model,
    filter: &delivery::Filter,
    range: &Range,
    (forced, lined): (Option<Vec<DestinationId>>, Option<&PayloadKeys>),
) -> Result<Part, Error> {
    let tenant = row.tenant();
    let range = &part_of(range, forced.as_ref().map_or(1, Vec::len));
    let found = delivery::search(&db.read, tenant, filter, range).await?;
    let (position, is_last) = place(&found, range, |delivery| delivery.id.uuid());
    let finished: Vec<_> = found.rows.into_iter().filter(|delivery| delivery.state != State::Pending).collect();
    let ids: BTreeSet<EventId> = finished.iter().map(|delivery| delivery.event_id).collect();
    let ids: Vec<EventId> = ids.into_iter().collect();
    let asked = replay::asked_of(&db.read, tenant, &ids).await?;
    let events = event::these(&db.read, tenant, &ids).await?;
    let events: HashMap<EventId, event::Model> = events.into_iter().map(|event| (event.id(), event)).collect();
    let mut sent: HashSet<(EventId, DestinationId)> = HashSet::new();
    let mut ways = Vec::with_capacity(finished.len());
    for delivery in finished {
        let Some(event) = events.get(&delivery.event_id) else { continue };
        let to: Vec<Way> = match &forced {
            None if asked.iter().any(|asked| stands_for(asked, &delivery, (filter, range))) => Vec::new(),
            None => vec![Way::of(&delivery)],
            Some(ids) => {
                let is_sent = |to: DestinationId| {
                    let by_us =
                        |asked: &Asked| asked.replay_id == Some(row.id()) && asked.event_id == delivery.event_id;
                    asked.iter().any(|asked| by_us(asked) && asked.destination_id == to)
                };
                let new = ids.iter().filter(|to| !is_sent(**to) && sent.insert((delivery.event_id, **to)));
                new.map(|to| Way::forced(*to)).collect()
            }
        };
        ways.push((event.clone(), to));
    }
    let (items, skipped) = items(db, tenant, ways, lined).await?;
    Ok(Part { items, skipped, position, is_last })
}

/// Fewer, where each may go to many.
fn part_of(range: &Range, ways: usize) -> Range {
    let limit = (range.limit / (ways as u64).max(1)).max(FEWEST.min(range.limit));
    Range { limit, ..*range }
}

/// Whether somebody has asked for the same again since, and that is on its way, or came to something, or is found itself by
/// the same replay.
fn stands_for(asked: &Asked, delivery: &delivery::Row, replay: (&delivery::Filter, &Range)) -> bool {
    let is_the_same = asked.event_id == delivery.event_id
        && asked.destination_id == delivery.destination_id
        && (asked.subscription_id == delivery.subscription_id || asked.subscription_id.is_none());
    asked.id > delivery.id && is_the_same && (is_underway(asked) || is_found(asked, replay))
}

fn is_underway(asked: &Asked) -> bool {
    matches!(asked.state, State::Pending | State::Delivered)
}

fn is_found(asked: &Asked, (filter, range): (&delivery::Filter, &Range)) -> bool {
    let is_in_time = range.after.is_none_or(|after| asked.id.uuid() >= first_of(after))
        && range.before.is_none_or(|before| asked.id.uuid() < first_of(before));
    let in_range = |(from, to): (i16, i16)| asked.last_status.is_some_and(|status| (from..=to).contains(&status));
    is_in_time
        && filter.subscription_id.is_none_or(|id| asked.subscription_id == Some(id))
        && filter.state.is_none_or(|state| state == asked.state)
        && filter.last_status.is_none_or(in_range)
        && filter.last_outcome.is_none_or(|outcome| Some(outcome.number()) == asked.last_outcome)
}

impl Item {
    /// Whether somebody has asked for the same meanwhile.
    pub(super) fn is_asked(&self, asked: &[Asked]) -> bool {
        let Some(repeated) = self.retry_of else { return false };
        let is_the_same = |asked: &&Asked| {
            asked.id > repeated
                && asked.event_id == self.event.id()
                && asked.destination_id == self.destination_id
                && (asked.subscription_id == self.subscription_id || asked.subscription_id.is_none())
        };
        asked.iter().filter(is_the_same).any(is_underway)
    }
}

/// How far a search came, and whether that is all.
fn place<R>(found: &Read<R>, range: &Range, id: impl Fn(&R) -> Uuid) -> (Option<Uuid>, bool) {
    let is_full = found.rows.len() as u64 >= range.limit;
    let last = found.rows.last().map(id);
    (found.until.or(last), !is_full && found.until.is_none())
}

impl Way {
    fn forced(destination_id: DestinationId) -> Self {
        Self { destination_id, subscription_id: None, retry_of: None }
    }

    fn by(rule: &Rule) -> Self {
        Self { destination_id: rule.destination_id, subscription_id: Some(rule.id), retry_of: None }
    }

    fn of(delivery: &delivery::Row) -> Self {
        let delivery::Row { destination_id, subscription_id, .. } = *delivery;
        Self { destination_id, subscription_id, retry_of: Some(delivery.id) }
    }
}

/// What can be sent of this, and how much cannot.
async fn items(
    db: &Database,
    tenant: TenantId,
    events: Vec<(event::Model, Vec<Way>)>,
    lined: Option<&PayloadKeys>,
) -> Result<(Vec<Item>, i64), Error> {
    let ids: BTreeSet<EventId> = events.iter().map(|(event, _)| event.id()).collect();
    let kept = payload::kept(&db.read, tenant, &ids.into_iter().collect::<Vec<_>>()).await?;
    let ways = || events.iter().flat_map(|(_, ways)| ways);
    let to: BTreeSet<DestinationId> = ways().map(|way| way.destination_id).collect();
    let destinations = destination::settings_of(&db.read, tenant, to).await?;
    let subscriptions: BTreeSet<SubscriptionId> = ways().filter_map(|way| way.subscription_id).collect();
    let subscriptions = subscription::those_of(&db.read, tenant, subscriptions).await?;
    let (mut items, mut skipped) = (Vec::new(), 0);
    for (event, ways) in &events {
        for way in ways {
            let Some(settings) = destinations.get(&way.destination_id.uuid()).filter(|_| kept.contains(&event.id()))
            else {
                skipped += 1;
                continue;
            };
            let order_key = match lined {
                Some(keys) => payload::line(&db.read, keys, event, &settings.order).await,
                None => Ok(None),
            };
            let order_key = match order_key {
                Ok(order_key) => order_key,
                Err(error @ KeyError::Payload(..)) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, event.id = %event.id(), "what is kept of an event was not opened; it is left out");
                    skipped += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            items.push(Item {
                order_key,
                event: event.clone(),
                destination_id: way.destination_id,
                // One that is gone would cancel the new delivery at once.
                subscription_id: way.subscription_id.filter(|id| subscriptions.contains(id)),
                retry_of: way.retry_of,
            });
        }
    }
    Ok((items, skipped))
}

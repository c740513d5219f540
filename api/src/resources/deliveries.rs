//! Deliveries: events on their way to destinations, and what became of them.

use entity::delivery::{self, Row};
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::id::kind;

use super::Tag;
use crate::answer::{Accepted, Found, Nothing};
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::page::Page;
use crate::wire::{Id, Time, time};

mod again;
mod log;
mod search;

pub use log::{Attempt, AttemptOutcome};
pub(super) use search::statuses;
pub use search::{DeliverySearch, StatusClass};

/// One event on its way to one destination.
#[derive(Debug, Clone, Object)]
pub struct Delivery {
    pub id: Id<kind::Delivery>,
    pub event_id: Id<kind::Event>,
    /// Because of which subscription; null for tests and forced replays.
    #[oai(nullable)]
    pub subscription_id: Option<Id<kind::Subscription>>,
    pub destination_id: Id<kind::Destination>,
    pub state: DeliveryState,
    /// Why it ended as it did, or what it waits for.
    #[oai(nullable)]
    pub reason: Option<String>,
    /// How many attempts were made.
    pub attempts: i16,
    /// Null if it is finished, or waits for its destination.
    #[oai(nullable)]
    pub next_attempt_at: Option<Time>,
    /// What the destination answered last.
    #[oai(nullable)]
    pub last_status: Option<i16>,
    /// What the last attempt came to.
    #[oai(nullable)]
    pub last_outcome: Option<AttemptOutcome>,
    /// How long the last attempt took.
    #[oai(nullable)]
    pub duration_ms: Option<i32>,
    pub trigger: Trigger,
    /// The finished delivery that this one repeats.
    #[oai(nullable)]
    pub retry_of: Option<Id<kind::Delivery>>,
    /// The replay that made it.
    #[oai(nullable)]
    pub replay_id: Option<Id<kind::Replay>>,
    pub created_at: Time,
    #[oai(nullable)]
    pub finished_at: Option<Time>,
    /// Its attempts, oldest first; only where one delivery is read.
    #[oai(skip_serializing_if_is_none)]
    pub attempt_log: Option<Vec<Attempt>>,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Not finished.
    Pending,
    /// Not finished; its destination is paused or disabled.
    Held,
    Delivered,
    Failed,
    Filtered,
    Cancelled,
}

/// Why a delivery exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Trigger {
    /// Its event was accepted while the subscription matched.
    Event,
    /// Somebody asked for the event once more.
    Replay,
    /// Somebody asked for a finished delivery once more.
    Retry,
    /// A test of the destination.
    Test,
}

impl DeliveryState {
    /// As rows have it, and whether its destination must be paused or disabled.
    pub(super) fn stored(self) -> (delivery::State, Option<bool>) {
        match self {
            Self::Pending => (delivery::State::Pending, Some(false)),
            Self::Held => (delivery::State::Pending, Some(true)),
            Self::Delivered => (delivery::State::Delivered, None),
            Self::Failed => (delivery::State::Failed, None),
            Self::Filtered => (delivery::State::Filtered, None),
            Self::Cancelled => (delivery::State::Cancelled, None),
        }
    }
}

impl Delivery {
    pub(super) fn show(row: &Row) -> Self {
        Self {
            id: row.id.into(),
            event_id: row.event_id.into(),
            subscription_id: row.subscription_id.map(Into::into),
            destination_id: row.destination_id.into(),
            state: if row.held { DeliveryState::Held } else { row.state.into() },
            reason: row.reason.clone(),
            attempts: row.attempts,
            // What is held is not tried when it is due.
            next_attempt_at: row.next_attempt_at.filter(|_| !row.held).map(time),
            last_status: row.last_status,
            last_outcome: row.last_outcome.map(Into::into),
            duration_ms: row.duration_ms,
            trigger: row.trigger.into(),
            retry_of: row.retry_of.map(Into::into),
            replay_id: row.replay_id.map(Into::into),
            created_at: time(row.id.millis()),
            finished_at: row.finished_at.map(time),
            attempt_log: None,
        }
    }
}

impl From<delivery::State> for DeliveryState {
    fn from(state: delivery::State) -> Self {
        match state {
            delivery::State::Pending => Self::Pending,
            delivery::State::Delivered => Self::Delivered,
            delivery::State::Failed => Self::Failed,
            delivery::State::Filtered => Self::Filtered,
            delivery::State::Cancelled => Self::Cancelled,
        }
    }
}

impl From<delivery::Trigger> for Trigger {
    fn from(trigger: delivery::Trigger) -> Self {
        match trigger {
            delivery::Trigger::Event => Self::Event,
            delivery::Trigger::Replay => Self::Replay,
            delivery::Trigger::Retry => Self::Retry,
            delivery::Trigger::Test => Self::Test,
        }
    }
}

impl From<Trigger> for delivery::Trigger {
    fn from(trigger: Trigger) -> Self {
        match trigger {
            Trigger::Event => Self::Event,
            Trigger::Replay => Self::Replay,
            Trigger::Retry => Self::Retry,
            Trigger::Test => Self::Test,
        }
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Deliveries")]
impl Api {
    /// List deliveries
    #[oai(path = "/tenants/:tenant_id/deliveries", method = "get", operation_id = "list_deliveries")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<DeliverySearch>,
    ) -> Result<Found<Page<Delivery>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let (filter, wanted) = (query.0.filter(), query.0);
        let reading = wanted.paging.read(&access.app().keyring, format!("{}/deliveries", access.id()))?;
        let range = reading.range(wanted.after, wanted.before);
        let _turn = access.turn().await?;
        let found = delivery::search(&access.app().db.read, access.id(), &filter, &range).await?;
        Ok(Found::of(reading.found(found, |row| row.id, |row| Ok(Delivery::show(row)))?))
    }

    /// Get a delivery
    ///
    /// With its attempts.
    #[oai(path = "/tenants/:tenant_id/deliveries/:delivery_id", method = "get", operation_id = "get_delivery")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        delivery_id: Path<Id<kind::Delivery>>,
    ) -> Result<Found<Delivery>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let row = delivery::find(&access.app().db.read, access.id(), **delivery_id).await?.ok_or(Error::NotFound)?;
        let mut attempts = log::read(&access, &row).await?;
        if !access.caller.scopes().has(Scope::Payloads) {
            attempts.iter_mut().for_each(log::Attempt::hide_answer);
        }
        let attempt_log = Some(attempts);
        Ok(Found::of(Delivery { attempt_log, ..Delivery::show(&row) }))
    }

    /// Try a delivery again
    ///
    /// One that is not finished is tried now; of one that is, a new one is made, whose `retry_of` names it.
    #[oai(path = "/tenants/:tenant_id/deliveries/:delivery_id/retry", method = "post", operation_id = "retry_delivery")]
    async fn retry(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        delivery_id: Path<Id<kind::Delivery>>,
        _body: Input<Nothing>,
    ) -> Result<Accepted<Delivery>, Error> {
        let access = caller.may(Scope::Replay, **tenant_id).await?;
        again::retry(&access, **delivery_id).await
    }

    /// Cancel a delivery
    ///
    /// It is not tried any more. An attempt in flight ends with its true outcome.
    #[oai(
        path = "/tenants/:tenant_id/deliveries/:delivery_id/cancel",
        method = "post",
        operation_id = "cancel_delivery"
    )]
    async fn cancel(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        delivery_id: Path<Id<kind::Delivery>>,
        _body: Input<Nothing>,
    ) -> Result<Accepted<Delivery>, Error> {
        let access = caller.may(Scope::Replay, **tenant_id).await?;
        again::cancel(&access, **delivery_id).await
    }
}

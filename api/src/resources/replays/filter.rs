//! What a replay sends again.

use entity::delivery;
use entity::replay::Wanted;
use poem_openapi::{Enum, Object};
use relay::id::kind;

use super::super::deliveries::{AttemptOutcome, StatusClass, statuses};
use crate::error::Error;
use crate::wire::{Id, Time, time};

/// Which events, or which deliveries if anything is asked of them. Tests are never among them.
#[derive(Debug, Clone, Default, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct ReplayFilter {
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
    /// Events that any subscription matched, or none. Not together with what is asked of deliveries.
    pub matched: Option<bool>,
    /// Deliveries to this destination.
    pub destination_id: Option<Id<kind::Destination>>,
    /// Deliveries because of this subscription.
    pub subscription_id: Option<Id<kind::Subscription>>,
    /// Deliveries that ended so. What is pending is on its way, and never repeated.
    pub state: Option<FinishedState>,
    /// Deliveries that were last answered with this status.
    #[oai(validator(minimum(value = "100"), maximum(value = "599")))]
    pub last_status: Option<i16>,
    /// Deliveries that were last answered with a status of this class.
    pub status_class: Option<StatusClass>,
    /// Deliveries whose last attempt came to this.
    pub last_outcome: Option<AttemptOutcome>,
    /// Events received, or deliveries made, at this time or later.
    pub after: Option<Time>,
    /// Events received, or deliveries made, earlier than this: at the latest, before the replay.
    pub before: Option<Time>,
}

/// How a delivery ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum FinishedState {
    Delivered,
    Failed,
    Filtered,
    Cancelled,
}

impl FinishedState {
    fn stored(self) -> delivery::State {
        match self {
            Self::Delivered => delivery::State::Delivered,
            Self::Failed => delivery::State::Failed,
            Self::Filtered => delivery::State::Filtered,
            Self::Cancelled => delivery::State::Cancelled,
        }
    }

    fn shown(number: i16) -> Self {
        match delivery::State::from_number(number) {
            delivery::State::Delivered => Self::Delivered,
            delivery::State::Filtered => Self::Filtered,
            delivery::State::Cancelled => Self::Cancelled,
            delivery::State::Failed | delivery::State::Pending => Self::Failed,
        }
    }
}

impl ReplayFilter {
    pub(super) fn wanted(self, now: i64) -> Result<Wanted, Error> {
        let wanted = Wanted {
            source_id: self.source_id.map(|id| id.0),
            event_type: self.event_type,
            external_id: self.external_id,
            request_id: self.request_id,
            matched: self.matched,
            destination_id: self.destination_id.map(|id| id.0),
            subscription_id: self.subscription_id.map(|id| id.0),
            state: self.state.map(|state| state.stored().number()),
            last_status: statuses(self.last_status, self.status_class),
            last_outcome: self.last_outcome.map(|outcome| entity::attempt::Outcome::from(outcome).number()),
            after: self.after.map(|at| at.0.0),
            before: self.before.map_or(now, |at| at.0.0.min(now)),
        };
        if wanted.matched.is_some() && wanted.deliveries().is_some() {
            return Err(Error::field("/filter/matched", "cannot be asked together with what is asked of deliveries"));
        }
        if wanted.last_status.is_some_and(|(from, to)| from > to) {
            return Err(Error::field("/filter/last_status", "is not of the `status_class`"));
        }
        if wanted.after.is_some_and(|after| after >= wanted.before) {
            return Err(Error::field("/filter/after", "nothing is after this and before `before`, or before now"));
        }
        Ok(wanted)
    }

    pub(super) fn show(wanted: &Wanted) -> Self {
        let class = |(from, to): (i16, i16)| match (from, to - from) {
            (100, 99) => Some(StatusClass::Informational),
            (200, 99) => Some(StatusClass::Successful),
            (300, 99) => Some(StatusClass::Redirection),
            (400, 99) => Some(StatusClass::ClientError),
            (500, 99) => Some(StatusClass::ServerError),
            _ => None,
        };
        let status_class = wanted.last_status.and_then(class);
        Self {
            source_id: wanted.source_id.map(Into::into),
            event_type: wanted.event_type.clone(),
            external_id: wanted.external_id.clone(),
            request_id: wanted.request_id.clone(),
            matched: wanted.matched,
            destination_id: wanted.destination_id.map(Into::into),
            subscription_id: wanted.subscription_id.map(Into::into),
            state: wanted.state.map(FinishedState::shown),
            last_status: wanted.last_status.filter(|_| status_class.is_none()).map(|(from, _)| from),
            status_class,
            last_outcome: wanted.last_outcome.map(|number| entity::attempt::Outcome::from_number(number).into()),
            after: wanted.after.map(time),
            before: Some(time(wanted.before)),
        }
    }
}

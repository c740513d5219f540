//! What deliveries are looked for by.

use entity::delivery;
use entity::event::Marks;
use poem_openapi::{Enum, Object};
use relay::id::kind;

use super::{AttemptOutcome, DeliveryState, Trigger};
use crate::page::Paging;
use crate::wire::{Id, Time};

/// Which deliveries.
#[derive(Debug, Clone, Object)]
pub struct DeliverySearch {
    /// Of this event.
    pub event_id: Option<Id<kind::Event>>,
    /// To this destination.
    pub destination_id: Option<Id<kind::Destination>>,
    /// Because of this subscription.
    pub subscription_id: Option<Id<kind::Subscription>>,
    /// Made by this replay.
    pub replay_id: Option<Id<kind::Replay>>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Made for this reason.
    pub trigger: Option<Trigger>,
    /// Last answered with this status.
    #[oai(validator(minimum(value = "100"), maximum(value = "599")))]
    pub last_status: Option<i16>,
    /// Last answered with a status of this class.
    pub status_class: Option<StatusClass>,
    /// Whose last attempt came to this.
    pub last_outcome: Option<AttemptOutcome>,
    /// Of events of this source.
    pub source_id: Option<Id<kind::Source>>,
    /// Of events of exactly this type, or this finer one.
    #[oai(validator(max_length = 512))]
    pub event_type: Option<String>,
    /// Of events with this id of the provider's.
    #[oai(validator(max_length = 512))]
    pub external_id: Option<String>,
    /// Of events with this id of the API call that led to them.
    #[oai(validator(max_length = 512))]
    pub request_id: Option<String>,
    /// Made at this time or later.
    pub after: Option<Time>,
    /// Made earlier than this.
    pub before: Option<Time>,
    #[oai(flatten)]
    pub paging: Paging,
}

/// The hundreds of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum StatusClass {
    #[oai(rename = "1xx")]
    Informational,
    #[oai(rename = "2xx")]
    Successful,
    #[oai(rename = "3xx")]
    Redirection,
    #[oai(rename = "4xx")]
    ClientError,
    #[oai(rename = "5xx")]
    ServerError,
}

/// The statuses that are wanted, from the first to the last; none at all if the class has another hundred.
pub(in super::super) fn statuses(status: Option<i16>, class: Option<StatusClass>) -> Option<(i16, i16)> {
    let class = class.map(|class| {
        let hundred = 100 * (class as i16 + 1);
        (hundred, hundred + 99)
    });
    match (status, class) {
        (Some(status), Some((from, to))) => Some((status.max(from), status.min(to))),
        (Some(status), None) => Some((status, status)),
        (None, class) => class,
    }
}

impl DeliverySearch {
    pub(super) fn filter(&self) -> delivery::Filter {
        let (state, held) = self.state.map(DeliveryState::stored).unzip();
        delivery::Filter {
            event_id: self.event_id.map(|id| id.0),
            destination_id: self.destination_id.map(|id| id.0),
            subscription_id: self.subscription_id.map(|id| id.0),
            replay_id: self.replay_id.map(|id| id.0),
            state,
            held: held.flatten(),
            trigger: self.trigger.map(Into::into),
            last_status: statuses(self.last_status, self.status_class),
            last_outcome: self.last_outcome.map(Into::into),
            event: Marks {
                source_id: self.source_id.map(|id| id.0),
                event_type: self.event_type.clone(),
                external_id: self.external_id.clone(),
                request_id: self.request_id.clone(),
                test: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_and_its_class_narrow_each_other() {
        for (status, class, wanted) in [
            (None, None, None),
            (Some(503), None, Some((503, 503))),
            (None, Some(StatusClass::ClientError), Some((400, 499))),
            (Some(503), Some(StatusClass::ServerError), Some((503, 503))),
        ] {
            assert_eq!(statuses(status, class), wanted);
        }
        let (from, to) = statuses(Some(404), Some(StatusClass::ServerError)).unwrap();
        assert!(from > to, "nothing is both");
    }
}

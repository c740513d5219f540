//! When, how often and in which order a destination is tried.

use entity::destination;
use poem_openapi::{Enum, Object};
use relay::order::Order as Kept;
use relay::place::Place;
use relay::retry::{RetryError, RetryPolicy, Statuses};

use crate::error::Error;
use crate::wire::{RetryStatus, Text};

/// When deliveries are tried again.
#[derive(Debug, Clone, Object)]
pub struct Retry {
    /// The wait before each attempt after the end of the one before, in seconds; the first is 0.
    #[oai(validator(min_items = 1, max_items = 50))]
    pub schedule_s: Vec<u32>,
    /// After which statuses it is tried again: one by one (`429`), or as ranges (`"5xx"`, `"500-504"`); others end the
    /// delivery. Null: after all that are no success. What got no answer is tried again anyway.
    #[oai(nullable, validator(min_items = 1, max_items = 50))]
    pub statuses: Option<Vec<RetryStatus>>,
}

/// How often the destination is asked; what comes beyond it waits.
#[derive(Debug, Clone, Object)]
pub struct DestinationRate {
    /// Evenly spread: of `2`, one each half second. Below one, too: `0.1` is one in ten seconds.
    #[oai(validator(minimum(value = "0.001"), maximum(value = "10000")))]
    pub per_second: f64,
}

/// In which order deliveries are made.
#[derive(Debug, Clone, Object)]
pub struct Order {
    pub mode: OrderMode,
    /// Only with the mode `fifo`: where an event's key stands, `json:/pointer` or `header:NAME`. Events with the same value
    /// there are delivered one after another, others side by side. Without it, all are one line.
    #[oai(nullable)]
    pub key: Option<Text<Place>>,
}

/// `none`: in any, as fast as the destination takes them. `fifo`: one after another as their events came; one that fails
/// keeps those behind it waiting until it is delivered or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum OrderMode {
    None,
    Fifo,
}

impl Retry {
    pub(super) fn show(policy: &RetryPolicy) -> Self {
        let statuses = policy.statuses().map(|statuses| statuses.texts().map(RetryStatus).collect());
        Self { schedule_s: policy.schedule_s().to_vec(), statuses }
    }
}

impl Order {
    pub(super) fn show(order: &Kept) -> Self {
        match order {
            Kept::None => Self { mode: OrderMode::None, key: None },
            Kept::Fifo { key } => Self { mode: OrderMode::Fifo, key: key.clone().map(Text) },
        }
    }

    pub(super) fn meant(self) -> Result<Kept, Error> {
        match (self.mode, self.key) {
            (OrderMode::None, None) => Ok(Kept::None),
            (OrderMode::None, Some(_)) => {
                Err(Error::field("/order/key", "has a meaning only where the mode is `fifo`"))
            }
            (OrderMode::Fifo, Some(Text(Place::Query(_) | Place::Form(_)))) => {
                Err(Error::field("/order/key", "must be `json:/pointer` or `header:NAME`"))
            }
            (OrderMode::Fifo, key) => Ok(Kept::Fifo { key: key.map(|key| key.0) }),
        }
    }
}

/// The column for a schedule; None for the usual one.
pub(super) fn retry_column(said: Option<Retry>) -> Result<Option<String>, Error> {
    let Some(said) = said else { return Ok(None) };
    let policy = RetryPolicy::new(said.schedule_s).map_err(|error| {
        let place = match error {
            RetryError::FirstWait => "/0".to_owned(),
            RetryError::TooLong(place) => format!("/{place}"),
            RetryError::Empty | RetryError::TooMany => String::new(),
        };
        Error::field(format!("/retry/schedule_s{place}"), error.to_string())
    })?;
    let texts = said.statuses.map(|statuses| statuses.into_iter().map(|status| status.0).collect::<Vec<_>>());
    let statuses = texts.map(Statuses::try_from).transpose();
    let statuses = statuses.map_err(|error| Error::field(format!("/retry/statuses/{}", error.0), error.to_string()))?;
    Ok(destination::retry_column(Some(&policy.with_statuses(statuses))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_refused_at_its_wrong_place() {
        let refused = |schedule_s, statuses: Option<&[&str]>| {
            let statuses = statuses.map(|texts| texts.iter().map(|text| RetryStatus((*text).to_owned())).collect());
            match retry_column(Some(Retry { schedule_s, statuses })) {
                Err(Error::Invalid(troubles)) => troubles[0].pointer.clone(),
                Ok(column) => column,
                Err(other) => panic!("{other}"),
            }
        };
        assert_eq!(refused(vec![0, 5], None).as_deref(), Some(r#"{"schedule_s":[0,5]}"#));
        assert_eq!(refused(vec![0], Some(&["5xx"])).as_deref(), Some(r#"{"schedule_s":[0],"statuses":["5xx"]}"#));
        assert_eq!(refused(vec![1], None).as_deref(), Some("/retry/schedule_s/0"));
        assert_eq!(refused(vec![0, 1, 604_801], None).as_deref(), Some("/retry/schedule_s/2"));
        assert_eq!(refused(vec![0], Some(&["500", "200"])).as_deref(), Some("/retry/statuses/1"));
        assert_eq!(retry_column(None).unwrap(), None);
    }
}

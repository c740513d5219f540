//! What a destination's settings mean for when its deliveries start.

use std::time::Duration;

use entity::DbErr;
use entity::destination::{Cause, Model, State};
use relay::order::Order;

/// The most in flight to one destination that says nothing. A healthy receiver answers so many at a time; more only hides
/// a slow one.
const MOST: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Between two starts.
    pub(crate) interval: Option<Duration>,
    /// In flight at a time.
    pub(crate) most: usize,
    pub(crate) order: Ordering,
    pub(crate) standing: Standing,
}

/// How deliveries stand in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ordering {
    /// They do not.
    Any,
    /// All in one.
    Whole,
    /// One line for each key.
    Keyed,
}

/// Whether deliveries are made at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Active,
    Held,
    /// Held since then (milliseconds since 1970), but for a probe each hour.
    Probed {
        since: i64,
    },
}

impl Default for Policy {
    fn default() -> Self {
        Self { interval: None, most: MOST, order: Ordering::Any, standing: Standing::Active }
    }
}

impl Policy {
    /// Of a destination; one that is gone gets everything at once, since all of it ends.
    pub(crate) fn of(row: Option<&Model>) -> Result<Self, DbErr> {
        let Some(row) = row else { return Ok(Self::default()) };
        let settings = row.settings()?;
        Ok(Self {
            interval: settings.rate_per_second.and_then(|rate| Duration::try_from_secs_f64(rate.recip()).ok()),
            most: settings.max_in_flight.map_or(MOST, usize::from),
            order: match settings.order {
                Order::None => Ordering::Any,
                Order::Fifo { key: None } => Ordering::Whole,
                Order::Fifo { key: Some(_) } => Ordering::Keyed,
            },
            standing: match (row.state(), row.cause()) {
                (State::Active, _) => Standing::Active,
                (State::Disabled, Some(Cause::Failing)) => Standing::Probed { since: row.state_since },
                (State::Paused | State::Disabled, _) => Standing::Held,
            },
        })
    }

    /// What cannot be read now may be in a while, by a newer version perhaps: until then nothing is sent.
    pub(crate) fn unknown() -> Self {
        Self { standing: Standing::Held, ..Self::default() }
    }
}

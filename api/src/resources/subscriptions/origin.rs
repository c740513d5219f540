//! Who must have begun what an event tells of, as the API says it: a kind, and the seconds that one kind of it waits.

use entity::subscription::{self, USUAL_WAIT_S};
use poem_openapi::Enum;
use poem_openapi::types::MaybeUndefined;

use crate::error::Error;

/// Which events are wanted by who began what they tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum)]
#[oai(rename = "Origin", rename_all = "snake_case")]
pub enum Origin {
    /// All of them.
    #[default]
    Any,
    /// Those that carry a request id: they answer to a call of the provider's API.
    WithRequestId,
    /// Those that carry none: what they tell of began in the provider's own house.
    WithoutRequestId,
    /// All but those that answer to a request which was registered with `POST /request-ids`.
    NotMine,
}

impl Origin {
    /// A row's kind and wait.
    pub(super) fn show(origin: subscription::Origin) -> (Self, Option<u8>) {
        match origin {
            subscription::Origin::Any => (Self::Any, None),
            subscription::Origin::WithRequestId => (Self::WithRequestId, None),
            subscription::Origin::WithoutRequestId => (Self::WithoutRequestId, None),
            subscription::Origin::NotMine { wait_s } => (Self::NotMine, Some(wait_s)),
        }
    }

    /// What kind and wait mean together.
    pub(super) fn with_wait(self, wait_s: Option<u8>) -> Result<subscription::Origin, Error> {
        match (self, wait_s) {
            (Self::NotMine, wait_s) => Ok(subscription::Origin::NotMine { wait_s: wait_s.unwrap_or(USUAL_WAIT_S) }),
            (_, Some(_)) => Err(Error::field("/origin_wait_s", "has a meaning only where `origin` is `not_mine`")),
            (Self::Any, None) => Ok(subscription::Origin::Any),
            (Self::WithRequestId, None) => Ok(subscription::Origin::WithRequestId),
            (Self::WithoutRequestId, None) => Ok(subscription::Origin::WithoutRequestId),
        }
    }
}

/// A row's origin as a PATCH leaves it. What is not named stays, but no wait outlives the kind that has one.
pub(super) fn patched(
    row: subscription::Origin,
    kind: MaybeUndefined<Origin>,
    wait_s: MaybeUndefined<u8>,
) -> Result<subscription::Origin, Error> {
    let (present, present_wait) = Origin::show(row);
    let kind = match kind {
        MaybeUndefined::Undefined => present,
        said => said.take().unwrap_or_default(),
    };
    let wait_s = match wait_s {
        MaybeUndefined::Undefined => present_wait.filter(|_| kind == Origin::NotMine),
        said => said.take(),
    };
    kind.with_wait(wait_s)
}

#[cfg(test)]
mod tests {
    use MaybeUndefined::{Null, Undefined, Value};
    use subscription::Origin as Row;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names() {
        let waiting = |wait_s| Row::NotMine { wait_s };
        for (row, kind, wait_s, left) in [
            (Row::Any, Undefined, Undefined, Some(Row::Any)),
            (Row::WithRequestId, Undefined, Undefined, Some(Row::WithRequestId)),
            (Row::WithRequestId, Null, Undefined, Some(Row::Any)),
            (Row::Any, Value(Origin::NotMine), Undefined, Some(waiting(5))),
            (Row::Any, Value(Origin::NotMine), Value(0), Some(waiting(0))),
            (Row::Any, Value(Origin::WithoutRequestId), Null, Some(Row::WithoutRequestId)),
            (Row::Any, Undefined, Value(7), None),
            (Row::Any, Undefined, Null, Some(Row::Any)),
            (waiting(9), Undefined, Undefined, Some(waiting(9))),
            (waiting(9), Value(Origin::NotMine), Undefined, Some(waiting(9))),
            (waiting(9), Undefined, Value(7), Some(waiting(7))),
            (waiting(9), Undefined, Null, Some(waiting(5))),
            (waiting(9), Value(Origin::Any), Undefined, Some(Row::Any)),
            (waiting(9), Null, Undefined, Some(Row::Any)),
            (waiting(9), Null, Value(9), None),
        ] {
            let said = format!("{row:?} {kind:?} {wait_s:?}");
            assert_eq!(patched(row, kind, wait_s).ok(), left, "{said}");
        }
    }
}

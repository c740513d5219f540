//! Who began what an event tells of, as far as a subscription cares. An event that carries a request id answers to a
//! call of the provider's API; one without began in the provider's own house, such as in its dashboard.

use sea_orm::DbErr;

/// How many seconds a delivery waits for the registration of its request unless said otherwise: the call that began it
/// returns within a few.
pub const USUAL_WAIT_S: u8 = 5;

/// Which events a subscription wants by who began what they tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    #[default]
    Any,
    WithRequestId,
    WithoutRequestId,
    /// All but those that answer to a request that the tenant registered (see [`crate::own_request`]), which can come
    /// after the event: a delivery of one that carries a request id waits so many seconds before that is judged.
    NotMine {
        wait_s: u8,
    },
}

impl Origin {
    /// Whether an event with this request id, or none, is wanted as far as is known when it is accepted.
    #[must_use]
    pub fn admits(self, request_id: Option<&str>) -> bool {
        match self {
            Self::Any | Self::NotMine { .. } => true,
            Self::WithRequestId => request_id.is_some(),
            Self::WithoutRequestId => request_id.is_none(),
        }
    }

    /// Whether it is still to be judged before the first attempt.
    #[must_use]
    pub fn is_judged_later(self) -> bool {
        matches!(self, Self::NotMine { .. })
    }

    /// How long its delivery waits before the first attempt, in milliseconds.
    #[must_use]
    pub fn wait_ms(self, request_id: Option<&str>) -> i64 {
        match self {
            Self::NotMine { wait_s } if request_id.is_some() => i64::from(wait_s) * 1_000,
            _ => 0,
        }
    }

    /// What the two columns say: the kind, and the seconds where they mean something.
    #[must_use]
    pub fn columns(self) -> (String, Option<i16>) {
        let (kind, wait_s) = match self {
            Self::Any => ("any", None),
            Self::WithRequestId => ("with_request_id", None),
            Self::WithoutRequestId => ("without_request_id", None),
            Self::NotMine { wait_s } => ("not_mine", Some(wait_s.into())),
        };
        (kind.to_owned(), wait_s)
    }

    pub(super) fn read(kind: &str, wait_s: Option<i16>) -> Result<Self, DbErr> {
        match kind {
            "any" => Ok(Self::Any),
            "with_request_id" => Ok(Self::WithRequestId),
            "without_request_id" => Ok(Self::WithoutRequestId),
            "not_mine" => Ok(Self::NotMine {
                wait_s: wait_s.and_then(|seconds| u8::try_from(seconds).ok()).unwrap_or(USUAL_WAIT_S),
            }),
            unknown => Err(DbErr::Type(format!("no origin of events is called {unknown}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_admits_by_the_request_id_and_only_not_mine_waits() {
        let not_mine = Origin::NotMine { wait_s: 60 };
        for (origin, request_id, admits, wait_ms) in [
            (Origin::Any, None, true, 0),
            (Origin::Any, Some("r"), true, 0),
            (Origin::WithRequestId, None, false, 0),
            (Origin::WithRequestId, Some("r"), true, 0),
            (Origin::WithoutRequestId, None, true, 0),
            (Origin::WithoutRequestId, Some("r"), false, 0),
            (not_mine, None, true, 0),
            (not_mine, Some("r"), true, 60_000),
            (Origin::NotMine { wait_s: 0 }, Some("r"), true, 0),
        ] {
            assert_eq!(
                (origin.admits(request_id), origin.wait_ms(request_id)),
                (admits, wait_ms),
                "{origin:?} {request_id:?}"
            );
        }
    }

    #[test]
    fn the_columns_read_back_and_what_is_unknown_does_not() {
        for origin in [Origin::Any, Origin::WithRequestId, Origin::WithoutRequestId, Origin::NotMine { wait_s: 60 }] {
            let (kind, wait_s) = origin.columns();
            assert_eq!(Origin::read(&kind, wait_s).unwrap(), origin);
        }
        assert_eq!(Origin::read("not_mine", None).unwrap(), Origin::NotMine { wait_s: USUAL_WAIT_S });
        assert!(Origin::read("mine", None).is_err());
    }
}

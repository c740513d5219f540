//! How many things a tenant may have. They are counted while nobody else makes any, so that there are never more.

use entity::tenant::{self, Counted, Limits};

use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Mutation;

/// A tenant to which nobody else adds anything until the change ends.
#[derive(Debug)]
pub(super) struct Held(Limits);

impl Held {
    pub(super) async fn of(change: &Mutation<'_>, access: &Access) -> Result<Self, Error> {
        let row = tenant::lock(&change.txn, access.id()).await?.ok_or(Error::NotFound)?;
        Ok(Self(row.limits()?))
    }

    /// Refuses one more than there may be, where there are so many.
    pub(super) fn admits(&self, counted: Counted, there: u64) -> Result<(), Error> {
        check(&self.0, counted, there + 1)
    }
}

/// Refuses what would be more than there may be.
pub(super) fn check(limits: &Limits, counted: Counted, would_be: u64) -> Result<(), Error> {
    let most = limits.most(counted);
    if would_be <= u64::from(most) {
        return Ok(());
    }
    let (whose, things, limit) = match counted {
        Counted::Sources => ("The tenant can have", "sources", "sources"),
        Counted::Destinations => ("The tenant can have", "destinations", "destinations"),
        Counted::Subscriptions => ("The tenant can have", "subscriptions", "subscriptions"),
        Counted::ApiKeys => ("The tenant can have", "API keys", "api_keys"),
        Counted::Credentials => ("A source can have", "credentials", "credentials_per_source"),
        Counted::RequestIds => ("The tenant can register", "request ids a week", "request_ids_per_week"),
    };
    let way_out = match counted {
        Counted::RequestIds => "Wait until tomorrow",
        _ => "Delete what is not used any more",
    };
    Err(Error::Full(format!(
        "{whose} {most} {things}. {way_out}, or have an operator raise the tenant's `limits.{limit}`."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_as_are_allowed() {
        let limits = Limits { sources: Some(2), credentials: Some(0), ..Limits::default() };
        for (counted, would_be, admitted) in [
            (Counted::Sources, 2, true),
            (Counted::Sources, 3, false),
            (Counted::Credentials, 1, false),
            (Counted::ApiKeys, 100, true),
            (Counted::ApiKeys, 101, false),
            (Counted::RequestIds, 5_000_000, true),
            (Counted::RequestIds, 5_000_001, false),
        ] {
            assert_eq!(check(&limits, counted, would_be).is_ok(), admitted, "{counted:?} {would_be}");
        }
    }
}

//! How many things a tenant may have. They are counted while nobody else makes any, so that there are never more. A tenant
//! hears of it before there is no room left.

use entity::operational::{self, Notice};
use entity::source;
use entity::tenant::{self, Counted, Limits};
use relay::id::TenantId;

use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Mutation;

/// A tenant to which nobody else adds anything until the change ends.
#[derive(Debug)]
pub(super) struct Held {
    tenant: TenantId,
    limits: Limits,
}

impl Held {
    pub(super) async fn of(change: &Mutation<'_>, access: &Access) -> Result<Self, Error> {
        let row = tenant::lock(&change.txn, access.id()).await?.ok_or(Error::NotFound)?;
        Ok(Self { tenant: row.id(), limits: row.limits()? })
    }

    /// Refuses one more than there may be, where there are so many.
    pub(super) async fn admits(&self, change: &Mutation<'_>, counted: Counted, there: u64) -> Result<(), Error> {
        admit(change, (self.tenant, None), &self.limits, counted, there + 1).await
    }
}

/// Refuses what would be more than there may be, of a tenant or of one of its sources. Where that is nearly so, the tenant is
/// told, together with the change.
pub(super) async fn admit(
    change: &Mutation<'_>,
    (tenant, source): (TenantId, Option<&source::Model>),
    limits: &Limits,
    counted: Counted,
    would_be: u64,
) -> Result<(), Error> {
    check(limits, counted, would_be)?;
    let most = limits.most(counted);
    if is_near(would_be, most) {
        let named = source.map(|source| (source.id(), source.name.as_str()));
        let object = named.map_or(tenant.uuid(), |(id, _)| id.uuid());
        let notice = Notice::count_near(tenant, name(counted), named, (would_be, most));
        operational::tell_hourly(&change.txn, (name(counted), object), &notice, change.now).await?;
    }
    Ok(())
}

/// Whether less than a fifth is left of what is not very little anyway: see [`relay::quota::Level::is_low`].
fn is_near(used: u64, most: u32) -> bool {
    let most = u64::from(most);
    most >= 5 && most.saturating_sub(used) * 5 < most
}

/// What operators call it.
const fn name(counted: Counted) -> &'static str {
    match counted {
        Counted::Sources => "sources",
        Counted::Destinations => "destinations",
        Counted::Subscriptions => "subscriptions",
        Counted::ApiKeys => "api_keys",
        Counted::Credentials => "credentials_per_source",
        Counted::RequestIds => "request_ids_per_week",
    }
}

fn check(limits: &Limits, counted: Counted, would_be: u64) -> Result<(), Error> {
    let most = limits.most(counted);
    if would_be <= u64::from(most) {
        return Ok(());
    }
    let (whose, things) = match counted {
        Counted::Sources => ("The tenant can have", "sources"),
        Counted::Destinations => ("The tenant can have", "destinations"),
        Counted::Subscriptions => ("The tenant can have", "subscriptions"),
        Counted::ApiKeys => ("The tenant can have", "API keys"),
        Counted::Credentials => ("A source can have", "credentials"),
        Counted::RequestIds => ("The tenant can register", "request ids a week"),
    };
    let limit = name(counted);
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
    fn it_is_near_when_less_than_a_fifth_is_left() {
        for (used, most, near) in [
            (8, 10, false),
            (9, 10, true),
            (10, 10, true),
            (4, 5, false),
            (5, 5, true),
            (4, 4, false),
            (401, 500, true),
        ] {
            assert_eq!(is_near(used, most), near, "{used} of {most}");
        }
    }

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

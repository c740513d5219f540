//! How many requests a tenant and a source may send, counted before anything is read of them.

use std::time::Duration;

use entity::source::Configured;
use relay::id::{SourceId, TenantId};
use relay::quota::{self, Left};

use super::notices::Notices;
use super::refusal::Refusal;

/// Cheap to clone; all clones are one process's count.
#[derive(Debug, Clone, Default)]
pub struct Quotas {
    tenants: quota::Quotas<TenantId>,
    sources: quota::Quotas<SourceId>,
}

impl Quotas {
    /// Takes one of the source's and one of its tenant's. A source's flood is stopped at the source, so that it does not
    /// use up what the tenant's other sources need. The tenant is told when little is left.
    pub(super) fn take(
        &self,
        source: &Configured,
        (boot, now): (Duration, i64),
        notices: &Notices,
    ) -> Result<(), Refusal> {
        if let Some(rate) = source.settings.rate_limit
            && self.sources.take(source.source.id(), rate, boot).map_err(Refusal::Quota)? == Left::Little
        {
            notices.near(source, false, rate, now);
        }
        if let Some(rate) = source.limits.events
            && self.tenants.take(source.source.tenant(), rate, boot).map_err(Refusal::Quota)? == Left::Little
        {
            notices.near(source, true, rate, now);
        }
        Ok(())
    }
}

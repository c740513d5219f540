//! How many requests a tenant and a source may send, counted before anything is read of them.

use std::time::Duration;

use entity::source::Configured;
use relay::id::{SourceId, TenantId};
use relay::quota::{self, Level, Rate};

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
        let (tenant, id) = (source.source.tenant(), source.source.id());
        if let Some(rate) = source.settings.rate_limit
            && is_low(self.sources.draw(id, rate, boot), rate)?
        {
            notices.near(source, false, rate, now);
        }
        if let Some(rate) = source.limits.events
            && is_low(self.tenants.draw(tenant, rate, boot), rate)?
        {
            notices.near(source, true, rate, now);
        }
        Ok(())
    }
}

fn is_low(level: Level, rate: Rate) -> Result<bool, Refusal> {
    level.wait.map_or_else(|| Ok(level.is_low(rate)), |wait| Err(Refusal::Quota(wait)))
}

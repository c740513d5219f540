//! Searches take connections that everybody reads by, and tenths of a second: whoever asks for many at a time waits for
//! himself, and for nobody else.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use relay::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;

/// Each tenant's searches in this process. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Turns(Cache<TenantId, Arc<Semaphore>>);

/// Of one tenant at a time: half of the connections for reading.
const AT_A_TIME: usize = 2;
/// Hardly any search takes as long; who has waited for it asks for too much.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tenants that are remembered. One that is forgotten while it searches has two more at a time.
const TENANTS: u64 = 10_000;

impl Default for Turns {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(TENANTS).build())
    }
}

impl Turns {
    /// Waits for a turn; it ends when it is dropped.
    pub async fn take(&self, tenant: TenantId) -> Result<OwnedSemaphorePermit, Error> {
        self.take_within(PATIENCE, tenant).await
    }

    async fn take_within(&self, patience: Duration, tenant: TenantId) -> Result<OwnedSemaphorePermit, Error> {
        let places = self.0.get_with(tenant, || Arc::new(Semaphore::new(AT_A_TIME)));
        match tokio::time::timeout(patience, places.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Error::TooMany {
                why: format!(
                    "A tenant searches {AT_A_TIME} times at a time; those before this one have not ended yet."
                ),
                wait: PATIENCE,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_asks_for_many_waits_and_nobody_else() {
        let turns = Turns::default();
        let [many, few] = [1, 2].map(TenantId::at);
        let held = [turns.take(many).await.unwrap(), turns.take(many).await.unwrap()];
        assert!(turns.take(few).await.is_ok());
        assert!(matches!(turns.take_within(Duration::ZERO, many).await, Err(Error::TooMany { .. })));
        let (waits, ()) = tokio::join!(turns.take(many), async { drop(held) });
        assert!(waits.is_ok());
    }
}

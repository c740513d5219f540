//! How many tails there may be: each asks the database for news twice a second.

use std::sync::Arc;
use std::time::Duration;

use relay::id::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::server::{self, Crowd};

/// The tails of this process.
#[derive(Debug, Clone)]
pub struct Tails {
    all: Arc<Semaphore>,
    by_tenant: Crowd<TenantId>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_tenant: server::Place<TenantId>,
}

const ALL: usize = 50;
const EACH: usize = 5;
/// When to ask again.
const WAIT: Duration = Duration::from_secs(10);

impl Default for Tails {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), by_tenant: Crowd::default() }
    }
}

impl Tails {
    pub(super) fn enter(&self, tenant: TenantId) -> Result<Place, Error> {
        let too_many = |why: String| Error::TooMany { why, wait: WAIT };
        let of_tenant = self
            .by_tenant
            .enter(tenant, EACH)
            .ok_or_else(|| too_many(format!("A tenant has at most {EACH} tails open in each process.")))?;
        let of_all = Arc::clone(&self.all).try_acquire_owned();
        let of_all = of_all.map_err(|_| too_many("As many tails are open as this process takes.".to_owned()))?;
        Ok(Place { _of_all: of_all, _of_tenant: of_tenant })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_tenant_nor_all_of_them_have_too_many() {
        let tails = Tails::default();
        let tenants: Vec<TenantId> = (0..12).map(TenantId::at).collect();
        let mut places = Vec::new();
        for tenant in &tenants[..10] {
            places.extend((0..EACH).map(|_| tails.enter(*tenant).unwrap()));
            assert!(tails.enter(*tenant).is_err());
        }
        assert_eq!(places.len(), ALL);
        assert!(tails.enter(tenants[10]).is_err(), "the process is full");
        places.pop();
        assert!(tails.enter(tenants[11]).is_ok() && tails.enter(tenants[10]).is_ok());
    }
}

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
    firsts: Arc<Semaphore>,
    further: Arc<Semaphore>,
    by_tenant: Crowd<TenantId>,
    looking: Arc<Semaphore>,
}

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _of_all: OwnedSemaphorePermit,
    _of_tenant: server::Place<TenantId>,
    looking: Arc<Semaphore>,
}

const EACH: usize = 5;
/// Of all tenants: those that are their tenant's only one, and others. A few who have many keep nobody from having one.
const FIRSTS: usize = 200;
const FURTHER: usize = 50;
/// Looks at a time: half of the connections for reading. With very many tails, they are what becomes slower.
const LOOKING: usize = 2;
/// When to ask again.
const WAIT: Duration = Duration::from_secs(10);

impl Default for Tails {
    fn default() -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        let (firsts, further, looking) = (places(FIRSTS), places(FURTHER), places(LOOKING));
        Self { firsts, further, by_tenant: Crowd::default(), looking }
    }
}

impl Tails {
    pub(super) fn enter(&self, tenant: TenantId) -> Result<Place, Error> {
        let too_many = |why: String| Error::TooMany { why, wait: WAIT };
        let first = self.by_tenant.enter(tenant, 1).map(|place| (place, &self.firsts));
        let (of_tenant, places) = first
            .or_else(|| Some((self.by_tenant.enter(tenant, EACH)?, &self.further)))
            .ok_or_else(|| too_many(format!("A tenant has at most {EACH} tails open in each process.")))?;
        let of_all = Arc::clone(places).try_acquire_owned();
        let of_all = of_all.map_err(|_| too_many("As many tails are open as this process takes.".to_owned()))?;
        Ok(Place { _of_all: of_all, _of_tenant: of_tenant, looking: Arc::clone(&self.looking) })
    }
}

impl Place {
    /// Waits for a turn to look; it ends when it is dropped.
    pub(super) fn turn(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + use<> {
        let looking = Arc::clone(&self.looking);
        async move { looking.acquire_owned().await.ok() }
    }

    /// The same, of somebody who waits for an answer.
    pub(super) async fn first_turn(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let why = "So many tails look for news that this one had no turn.".to_owned();
        tokio::time::timeout(WAIT, self.turn()).await.map_err(|_| Error::TooMany { why, wait: WAIT })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_a_tenant_nor_all_of_them_have_too_many() {
        let tails = Tails::default();
        let mut tenants = (0..).map(TenantId::at);
        let mut places = Vec::new();
        // Each has one that is its only one, and four more.
        for tenant in tenants.by_ref().take(12) {
            places.extend((0..EACH).map(|_| tails.enter(tenant).unwrap()));
            assert!(tails.enter(tenant).is_err());
        }
        let few = tenants.next().unwrap();
        places.extend((0..3).map(|_| tails.enter(few).unwrap()));
        assert!(tails.enter(few).is_err(), "fifty and more are open");
        places.extend((13..FIRSTS).map(|_| tails.enter(tenants.next().unwrap()).unwrap()));
        assert_eq!(places.len(), FIRSTS + FURTHER);
        let late = tenants.next().unwrap();
        assert!(tails.enter(late).is_err(), "two hundred have one");
        places.pop();
        assert!(tails.enter(late).is_ok());
    }

    #[tokio::test]
    async fn they_look_in_turns() {
        let tails = Tails::default();
        let places = [1, 2, 3].map(|tenant| tails.enter(TenantId::at(tenant)).unwrap());
        let turns = [places[0].turn().await, places[1].turn().await];
        assert!(tokio::time::timeout(Duration::ZERO, places[2].turn()).await.is_err());
        drop(turns);
        assert!(places[2].turn().await.is_some());
    }
}

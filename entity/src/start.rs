//! Opening the database of a process: with the clocks compared, and with the keys that sealed what it holds.

use std::sync::Arc;

use relay::clock::{Clock, wall};
use relay::keyring::Keyring;
use relay::operations::Ready;
use tokio_util::sync::CancellationToken;

use crate::configuration::Configuration;
use crate::housekeeping::CLOCK_TOLERANCE_MS;
use crate::payload_key::PayloadKeys;
use crate::sealing::{self, KeysError};
use crate::{Database, DbErr, partition};

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database cannot be used: see HOOKYARD_DATABASE_URL")]
    Database(#[from] DbErr),
    #[error("this machine's clock is {0} ms from the database's; set one of them right")]
    Clock(i64),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// A database that is fit for use.
#[derive(Debug, Clone)]
pub struct Opened {
    pub db: Database,
    pub clock: Clock,
    pub keyring: Arc<Keyring>,
    pub payload_keys: PayloadKeys,
    pub configuration: Arc<Configuration>,
}

impl Opened {
    /// Says whether this process can do its work; `besides` what concerns all, also what `besides` says.
    #[must_use]
    pub fn readiness(
        &self,
        stopping: CancellationToken,
        besides: impl Fn() -> Result<(), String> + Clone + Send + Sync + 'static,
    ) -> Ready {
        let opened = self.clone();
        Arc::new(move || {
            let (opened, stopping, besides) = (opened.clone(), stopping.clone(), besides.clone());
            Box::pin(async move {
                opened.ready(&stopping).await?;
                besides()
            })
        })
    }

    /// Why this process cannot do its work now, if it cannot.
    async fn ready(&self, stopping: &CancellationToken) -> Result<(), String> {
        if stopping.is_cancelled() {
            return Err("it is stopping".to_owned());
        }
        let cause = |error: DbErr| format!("the database does not answer: {error}");
        self.configuration.poll().await.map_err(cause)?;
        let days = partition::days_ahead(&self.db, &self.clock).await.map_err(cause)?;
        if days < partition::ENOUGH {
            return Err(format!("only {days} days of partitions are left"));
        }
        let off = wall() - self.db.clock().await.map_err(cause)?;
        if off.abs() > CLOCK_TOLERANCE_MS {
            return Err(format!("the machine's clock is {off} ms from the database's"));
        }
        Ok(())
    }
}

/// Checks clock and keys, and makes days ahead. The schema must be up to date. `seals`: whether payloads are stored sealed.
pub async fn open(db: Database, keyring: Keyring, seals: bool) -> Result<Opened, StartError> {
    let clock = Clock::start();
    let off = db.set_clock(&clock).await?;
    if off.abs() > CLOCK_TOLERANCE_MS {
        return Err(StartError::Clock(off));
    }
    sealing::check(&db, &clock, &keyring).await?;
    partition::ensure(&db, &clock).await?;
    let configuration = Configuration::open(db.clone(), clock.clone()).await?;
    let keyring = Arc::new(keyring);
    let payload_keys = PayloadKeys::new(db.clone(), Arc::clone(&keyring), seals);
    Ok(Opened { db, clock, keyring, payload_keys, configuration })
}

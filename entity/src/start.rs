//! Opening the database of a process: with the clocks compared, and with the keys that sealed what it holds.

use std::sync::Arc;

use relay::clock::{Clock, wall};
use relay::keyring::{Keyring, OpenError};
use sea_orm::{ConnectionTrait, Statement, Value};
use tokio_util::sync::CancellationToken;

use crate::configuration::Configuration;
use crate::housekeeping::CLOCK_TOLERANCE_MS;
use crate::{Database, DbErr, partition};

/// Why a process does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the database cannot be used: see HOOKYARD_DATABASE_URL")]
    Database(#[from] DbErr),
    #[error("this machine's clock is {0} ms from the database's; set one of them right")]
    Clock(i64),
    #[error("HOOKYARD_MASTER_KEYS does not open what this database holds; give the keys that sealed it")]
    Keys(#[source] OpenError),
}

/// A database that is fit for use.
#[derive(Debug, Clone)]
pub struct Opened {
    pub db: Database,
    pub clock: Clock,
    pub keyring: Arc<Keyring>,
    pub configuration: Arc<Configuration>,
}

impl Opened {
    /// Why this process cannot do its work now, if it cannot.
    pub async fn ready(&self, stopping: &CancellationToken) -> Result<(), String> {
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

/// What the canary says, and whose it is.
const CANARY: &str = "canary";

/// Checks clock and keys, and makes days ahead. The schema must be up to date.
pub async fn open(db: Database, keyring: Keyring) -> Result<Opened, StartError> {
    let clock = Clock::start();
    let off = db.set_clock(&clock).await?;
    if off.abs() > CLOCK_TOLERANCE_MS {
        return Err(StartError::Clock(off));
    }
    check_keys(&db, &keyring).await?;
    partition::ensure(&db, &clock).await?;
    let configuration = Configuration::open(db.clone(), clock.clone()).await?;
    Ok(Opened { db, clock, keyring: Arc::new(keyring), configuration })
}

/// Whether anything was ever sealed here. A new key file is made only where nothing was.
pub async fn holds_sealed(db: &Database) -> Result<bool, DbErr> {
    Ok(canary(db).await?.is_some())
}

async fn check_keys(db: &Database, keyring: &Keyring) -> Result<(), StartError> {
    if canary(db).await?.is_none() {
        let insert = "INSERT INTO canary (id, sealed) VALUES (1, $1) ON CONFLICT DO NOTHING";
        let values: [Value; 1] = [keyring.seal(CANARY.as_bytes(), CANARY).into()];
        db.write.execute_raw(Statement::from_sql_and_values(db.write.get_database_backend(), insert, values)).await?;
    }
    // Read again: another process may have been first, with other keys.
    let sealed = canary(db).await?.unwrap_or_default();
    keyring.open(&sealed, CANARY).map(drop).map_err(StartError::Keys)
}

async fn canary(db: &Database) -> Result<Option<String>, DbErr> {
    let read = Statement::from_string(db.write.get_database_backend(), "SELECT sealed FROM canary WHERE id = 1");
    db.write.query_one_raw(read).await?.map(|row| row.try_get_by_index(0)).transpose()
}

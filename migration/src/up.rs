//! Brings a database up to date: one program at a time, each migration whole or not at all.

use std::time::{Duration, Instant};

use sea_orm_migration::sea_orm::sqlx;
use sea_orm_migration::sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait};

use crate::{Migrator, Schema, Unfit};

/// What happens meanwhile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Somebody else stands in the way: who.
    Waits(String),
    /// The migration of this name has been applied.
    Applied(String),
}

/// Why the database is not up to date.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    #[error("the database stayed in use for {0} s: {1}. Run this again when that has ended")]
    InUse(u64, String),
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("the database could not be migrated; what was not applied has left nothing behind")]
    Database(#[from] DbErr),
}

/// Two programs that start together must not both migrate. Any number that nothing else locks.
const LOCK: i64 = 0x6869_7374_6f72_7921;
/// How often one asks whether it is free.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Brings the database up to date, and waits for whoever does so already. Where a newer version did it, nothing is done,
/// and where nothing is to be done nobody is waited for.
pub async fn up(db: &DatabaseConnection, patience: Duration, said: impl Fn(Step) + Send + Sync) -> Result<(), UpError> {
    if !is_pending(&Schema::read(db).await?)? {
        return Ok(());
    }
    let mut wait = Wait { until: Instant::now() + patience, patience, told: false, said: &said };
    loop {
        // Whoever is alone and what it does end together, however they end.
        let alone = match db.get_database_backend() {
            DbBackend::Postgres => wait.for_postgres(db).await?,
            _ => wait.for_sqlite(db).await?,
        };
        let applied = apply_next(&alone).await?;
        alone.commit().await?;
        match applied {
            Some(name) => said(Step::Applied(name)),
            None => return Ok(()),
        }
    }
}

/// Whether something is to be applied, by this program.
fn is_pending(schema: &Schema) -> Result<bool, Unfit> {
    match schema.fits() {
        Ok(()) => Ok(false),
        Err(Unfit::Pending(_)) => Ok(true),
        Err(unfit) => Err(unfit),
    }
}

/// Applies the oldest that is pending, if any: looks again, since whoever was waited for may have done it.
async fn apply_next<'c, C>(db: &'c C) -> Result<Option<String>, UpError>
where
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let schema = Schema::read(db).await?;
    if !is_pending(&schema)? {
        return Ok(None);
    }
    Migrator::up(db, Some(1)).await?;
    Ok(schema.pending.into_iter().next())
}

/// Waiting for leave to migrate.
struct Wait<'a, S> {
    until: Instant,
    patience: Duration,
    told: bool,
    said: &'a S,
}

impl<S: Fn(Step)> Wait<'_, S> {
    /// A transaction that holds an advisory lock, and in which the next one is applied.
    async fn for_postgres(&mut self, db: &DatabaseConnection) -> Result<DatabaseTransaction, UpError> {
        let txn = db.begin().await?;
        let ask =
            Statement::from_sql_and_values(DbBackend::Postgres, "SELECT pg_try_advisory_xact_lock($1)", [LOCK.into()]);
        loop {
            let row = txn.query_one_raw(ask.clone()).await?.ok_or_else(|| DbErr::RecordNotFound("the lock".into()))?;
            if row.try_get_by_index(0)? {
                return Ok(txn);
            }
            self.stands_in_the_way(holder(&txn).await?)?;
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// A transaction that alone may write, and in which the next one is applied.
    async fn for_sqlite(&mut self, db: &DatabaseConnection) -> Result<DatabaseTransaction, UpError> {
        let asking = format!("PRAGMA busy_timeout = {}", ASK_EVERY.as_millis());
        db.execute_unprepared(&asking).await?;
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        loop {
            match db.begin_with_options(immediate).await {
                Err(error) if is_busy(&error) => self.stands_in_the_way("another process writes to it".to_owned())?,
                begun => return Ok(begun?),
            }
        }
    }

    /// Says so once.
    fn stands_in_the_way(&mut self, who: String) -> Result<(), UpError> {
        if Instant::now() >= self.until {
            return Err(UpError::InUse(self.patience.as_secs(), who));
        }
        if !std::mem::replace(&mut self.told, true) {
            (self.said)(Step::Waits(who));
        }
        Ok(())
    }
}

/// Who has the lock; a moment later it may be nobody.
async fn holder(txn: &DatabaseTransaction) -> Result<String, DbErr> {
    let text = "SELECT format('process %s of %s on the database''s server, connected since %s, migrates it', pid,
            coalesce(client_addr::text, 'the same machine'),
            to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC'))
        FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND (classid::bigint << 32 | objid::bigint) = $1";
    let row = txn.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, [LOCK.into()])).await?;
    row.map_or_else(|| Ok("another process migrates it".to_owned()), |row| row.try_get_by_index(0))
}

fn is_busy(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    // SQLITE_BUSY, with whatever more it says.
    let code = |code: &str| code.parse::<u32>().is_ok_and(|code| code & 0xff == 5);
    matches!(cause.as_ref(), sqlx::Error::Database(error) if error.code().is_some_and(|text| code(&text)))
}

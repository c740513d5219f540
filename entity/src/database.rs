//! The one database: which kind it is, and its small pools, one for each kind of work, so that none waits for another.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _};
use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, SqliteTransactionMode,
    Statement, TransactionOptions, TransactionTrait,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Cheap to clone; all clones share the pools.
#[derive(Debug, Clone)]
pub struct Database {
    /// Reads of the admin API: a tenant's wide search must keep nothing else waiting.
    pub read: DatabaseConnection,
    /// Reads that the relay lives on: configuration, what is due, payloads.
    pub steady: DatabaseConnection,
    /// Ingest and the admin API's changes, durable at commit. On SQLite the only connection that writes.
    pub write: DatabaseConnection,
    /// What became of deliveries; on PostgreSQL its commits do not wait for the disk (rule B).
    pub finish: DatabaseConnection,
    /// Leave to change something through the admin API: on the connections of ingest, so never on all of them.
    changes: Arc<Semaphore>,
    /// Lease renewals, which must never stand in a line (rule S).
    pub lease: DatabaseConnection,
}

/// A statement of the hot path that runs longer has lost its caller anyway.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a caller waits for a connection: the api answers 503 within 2 s.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a migration waits for one that runs already.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(3600);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);
/// A connection that was idle longer is pinged before use.
const PING_AFTER: Duration = Duration::from_secs(30);
/// How long SQLite waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The relay's own statements are the same again and again, and planning one costs as much as running it: once is enough.
/// People's searches are not, and are planned for what they ask. A plan is kept while its tables grow from nothing to
/// millions of rows, so it must not rest on how small they were: no table that has an index for it is read from its beginning
/// to its end, nor by a bitmap, which is for many rows and not for one.
const PLANNED_ONCE: [(&str, &str); 4] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("jit", "off"),
];

/// How many connections each pool may hold on PostgreSQL. Small, since every statement is short.
const READERS: u32 = 4;
const WRITERS: u32 = 4;
const FINISHERS: u32 = 2;
/// How many connections to PostgreSQL a process may have, all pools together.
pub const CONNECTIONS: u32 = 2 * READERS + WRITERS + FINISHERS + 1;
/// Changes at a time: ingest has two writers of its own.
const CHANGES: usize = 2;

impl Database {
    /// Connects to `sqlite://path` or `postgres://…`.
    pub async fn open(url: &str) -> Result<Self, DbErr> {
        check(url)?;
        if is_sqlite(url) {
            make_private(url);
            let write = sea_orm::Database::connect(sqlite(url, 1)).await.map_err(|error| of_file(url, &error))?;
            let read = sea_orm::Database::connect(sqlite(url, READERS)).await?;
            let steady = sea_orm::Database::connect(sqlite(url, READERS)).await?;
            return Ok(Self {
                read,
                steady,
                finish: write.clone(),
                lease: write.clone(),
                write,
                changes: Arc::new(Semaphore::new(1)),
            });
        }
        reach(url).await?;
        let planned = |options: PgConnectOptions| options.options(PLANNED_ONCE);
        let asynchronous = move |options| planned(options).options([("synchronous_commit", "off")]);
        let finish = postgres(url, FINISHERS).map_sqlx_postgres_opts(asynchronous).clone();
        let steady = postgres(url, READERS).map_sqlx_postgres_opts(planned).clone();
        let write = postgres(url, WRITERS).map_sqlx_postgres_opts(planned).clone();
        Ok(Self {
            read: sea_orm::Database::connect(postgres(url, READERS)).await?,
            steady: sea_orm::Database::connect(steady).await?,
            write: sea_orm::Database::connect(write).await?,
            finish: sea_orm::Database::connect(finish).await?,
            lease: sea_orm::Database::connect(postgres(url, 1)).await?,
            changes: Arc::new(Semaphore::new(CHANGES)),
        })
    }

    /// A connection for migrations, which may take long and wait for each other.
    pub async fn for_migrations(url: &str) -> Result<DatabaseConnection, DbErr> {
        check(url)?;
        if is_sqlite(url) {
            make_private(url);
            return sea_orm::Database::connect(sqlite(url, 1)).await.map_err(|error| of_file(url, &error));
        }
        reach(url).await?;
        let mut options = postgres(url, 2);
        options.statement_timeout(Duration::ZERO).acquire_timeout(MIGRATION_TIMEOUT);
        sea_orm::Database::connect(options).await
    }

    /// One connection for whoever only looks: it makes no database and writes nothing into one, and stands beside a relay
    /// that runs.
    pub async fn for_inspection(url: &str) -> Result<DatabaseConnection, DbErr> {
        check(url)?;
        if is_sqlite(url) {
            let mut options = ConnectOptions::new(url);
            options.max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT).map_sqlx_sqlite_opts(|options| {
                options.read_only(true).create_if_missing(false).busy_timeout(BUSY_TIMEOUT)
            });
            return sea_orm::Database::connect(quiet(options)).await.map_err(|error| of_file(url, &error));
        }
        reach(url).await?;
        sea_orm::Database::connect(postgres(url, 1)).await
    }

    /// SQLite only: writes what is in its log into its file, as far as nobody has to wait for it.
    pub async fn fold(&self) -> Result<(), DbErr> {
        self.steady.execute_unprepared("PRAGMA wal_checkpoint(PASSIVE)").await.map(drop)
    }

    /// Whether this is SQLite: one process, one writer, no partitions.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.write.get_database_backend() == DbBackend::Sqlite
    }

    /// Closes every connection: SQLite folds its log into the file.
    pub async fn close(self) {
        let Self { read, steady, write, finish, lease, .. } = self;
        for pool in [finish, lease, read, steady, write] {
            // A connection that does not close in order is closed by the process's end.
            let _ = pool.close().await;
        }
    }

    /// Waits for leave to change something; it is kept as long as the transaction.
    pub async fn may_change(&self) -> OwnedSemaphorePermit {
        Arc::clone(&self.changes).acquire_owned().await.expect("the semaphore is never closed")
    }

    /// A transaction that may write from its first statement on: SQLite refuses to turn a reader into a writer.
    pub async fn begin(&self) -> Result<DatabaseTransaction, DbErr> {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        self.write.begin_with_options(immediate).await
    }

    /// Corrects the process's clock by the database's, and says how far the machine's own is from it, in milliseconds.
    pub async fn set_clock(&self, clock: &relay::clock::Clock) -> Result<i64, DbErr> {
        let before = relay::clock::boot_time();
        let present = self.clock().await?;
        let after = relay::clock::boot_time();
        clock.follow(present, before + (after - before) / 2);
        Ok(relay::clock::wall() - present)
    }

    /// The database's clock in milliseconds since 1970; SQLite's is the machine's.
    pub async fn clock(&self) -> Result<i64, DbErr> {
        if self.is_sqlite() {
            return Ok(relay::clock::wall());
        }
        let row =
            self.lease.query_one_raw(Statement::from_string(DbBackend::Postgres, "SELECT hookyard_now(0)")).await?;
        row.ok_or_else(|| DbErr::Custom("SELECT without a row".into()))?.try_get_by_index(0)
    }
}

/// Whether this is the URL of a database that we know. The driver's own complaint would print it, and the password in it.
pub fn check(url: &str) -> Result<(), DbErr> {
    let refused = |why: &str| Err(cannot_connect(why));
    if is_sqlite(url) {
        return Ok(());
    }
    if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        return refused("it must begin with sqlite:// or postgres://");
    }
    match relay::egress::Url::parse(url) {
        Ok(_) => Ok(()),
        Err(_) => refused("it is no URL; characters such as / # ? @ in a password are written %2F %23 %3F %40"),
    }
}

/// A pool says only that it had no connection in time; one of our own says why there is none.
async fn reach(url: &str) -> Result<(), DbErr> {
    let options: PgConnectOptions = url.parse().map_err(|error| cannot_connect(&format!("{error}")))?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    let connected = tokio::time::timeout(CONNECT_TIMEOUT * 2, options.connect()).await;
    match connected {
        Ok(Ok(connection)) => connection.close().await.map_err(|error| cannot_connect(&error.to_string())),
        Ok(Err(error)) => Err(cannot_connect(&format!("{place}: {error}"))),
        Err(_) => Err(cannot_connect(&format!("{place} does not answer"))),
    }
}

fn of_file(url: &str, error: &DbErr) -> DbErr {
    let path = sqlite_file(url).unwrap_or_default();
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(std::path::Path::new("."));
    // SQLite says no more than that it could not open a file, of which it needs several beside each other.
    let why = match rustix::fs::access(directory, rustix::fs::Access::WRITE_OK) {
        Err(refused) => format!("{} cannot be written to: {}", directory.display(), std::io::Error::from(refused)),
        Ok(()) => error.to_string(),
    };
    cannot_connect(&format!("{} cannot be opened: {why}", path.display()))
}

fn cannot_connect(why: &str) -> DbErr {
    DbErr::Conn(sea_orm::RuntimeErr::Internal(why.to_owned()))
}

/// The file that `url` names: `sqlite://path` or `sqlite:path`, before any `?`. None on PostgreSQL.
#[must_use]
pub fn sqlite_file(url: &str) -> Option<std::path::PathBuf> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    Some(path.split('?').next().unwrap_or(path).into())
}

/// A new file is its owner's only: it will hold what providers say of people. SQLite gives its other files the same mode.
fn make_private(url: &str) {
    use std::os::unix::fs::OpenOptionsExt as _;
    if let Some(path) = sqlite_file(url) {
        // It is there already, or cannot be made: connecting will tell.
        let _ = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    }
}

/// Whether `url` names a SQLite file.
#[must_use]
pub fn is_sqlite(url: &str) -> bool {
    url.starts_with("sqlite:")
}

/// A row was not inserted since another has what must be unique: a slug, a key.
#[must_use]
pub fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}

/// The database cannot be reached or does not answer in time: worth another try, and no fault of the statement.
#[must_use]
pub fn is_away(error: &DbErr) -> bool {
    use sea_orm::{RuntimeErr, sqlx};
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match error.as_ref() {
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed => true,
                sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing(&code)),
                _ => false,
            }
        }
        _ => false,
    }
}

/// SQLSTATE classes and SQLite codes that say "not now": connection (08), resources (53), cancelled or shutting down
/// (57), serialization and deadlock (40), lock timeout (55), read only while failing over (25006); busy (5), locked (6),
/// full disk (13), input/output error (10).
fn is_passing(code: &str) -> bool {
    match code.len() {
        5 => ["08", "53", "57", "40", "55"].contains(&&code[..2]) || code == "25006",
        _ => code.parse::<u32>().is_ok_and(|code| [5, 6, 10, 13].contains(&(code & 0xff))),
    }
}

/// The driver's error as the rest of this crate's.
pub(crate) fn fault(error: sea_orm::sqlx::Error) -> DbErr {
    DbErr::Exec(sea_orm::RuntimeErr::SqlxError(std::sync::Arc::new(error)))
}

fn postgres(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .connect_timeout(CONNECT_TIMEOUT)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .statement_timeout(STATEMENT_TIMEOUT)
        .set_application_name("hookyard");
    quiet(options)
}

fn sqlite(url: &str, connections: u32) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).map_sqlx_sqlite_opts(pragmas);
    // On a full disk SQLite itself rolls a transaction back; the driver's own ROLLBACK is an error then, after which it takes
    // the connection to be within that transaction for ever (sqlx 0.9.0).
    options.map_sqlx_sqlite_before_acquire(|connection, _| Box::pin(async { Ok(!connection.is_in_transaction()) }));
    quiet(options)
}

/// The orm's defaults log every statement, repeat it in spans and ping before each use.
fn quiet(mut options: ConnectOptions) -> ConnectOptions {
    options
        .sqlx_logging(false)
        .record_stmt_in_spans(false)
        .test_before_acquire(false)
        .test_before_acquire_if_idle_for(PING_AFTER);
    options
}

/// Statements that a connection keeps prepared: the hot ones come in several sizes.
const PREPARED: usize = 256;
/// What a connection keeps of the file in memory: less than nought, it is in KiB.
const CACHE: &str = "-16384";
/// Pages in the log at which a commit folds it into the file itself: 64 MB. Until then `Database::fold` does.
const LOG_PAGES: &str = "16000";

fn pragmas(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .statement_cache_capacity(PREPARED)
        .pragma("cache_size", CACHE)
        .pragma("wal_autocheckpoint", LOG_PAGES)
        // What is erased is overwritten and not only unlinked: the file would keep it until its pages are used again.
        .pragma("secure_delete", "ON")
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("temp_store", "memory")
        .optimize_on_close(true, None)
}

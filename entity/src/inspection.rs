//! What `hookyard doctor` looks at: reads only, on one connection, which may be a replica's.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement};

use crate::partition;

pub use crate::partition::ENOUGH as ENOUGH_DAYS;

/// What matters of a PostgreSQL server and of how it treats a session like the relay's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// As the server writes it, such as `15.6`.
    pub version: String,
    /// 15 of it.
    pub major: i64,
    /// A replica: nothing can be written.
    pub is_standby: bool,
    pub is_read_only: bool,
    pub fsync: bool,
    pub full_page_writes: bool,
    /// What a commit waits for: `off` is for nothing.
    pub synchronous_commit: String,
    /// What statements see of others: `read committed` is what the relay's are written for.
    pub isolation: String,
    /// How many connections there may be, but for those that are kept for superusers.
    pub connections: i64,
    pub connections_used: i64,
}

/// Reads what a server says of itself.
pub async fn server(db: &impl ConnectionTrait) -> Result<Server, DbErr> {
    let text = "SELECT current_setting('server_version'), current_setting('server_version_num')::bigint / 10000,
        pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean, current_setting('fsync')::boolean,
        current_setting('full_page_writes')::boolean, current_setting('synchronous_commit'),
        current_setting('default_transaction_isolation'),
        current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
            - coalesce(current_setting('reserved_connections', true)::bigint, 0),
        (SELECT sum(numbackends) FROM pg_stat_database)::bigint";
    let row = one(db, Statement::from_string(DbBackend::Postgres, text)).await?;
    Ok(Server {
        version: row.try_get_by_index(0)?,
        major: row.try_get_by_index(1)?,
        is_standby: row.try_get_by_index(2)?,
        is_read_only: row.try_get_by_index(3)?,
        fsync: row.try_get_by_index(4)?,
        full_page_writes: row.try_get_by_index(5)?,
        synchronous_commit: row.try_get_by_index(6)?,
        isolation: row.try_get_by_index(7)?,
        connections: row.try_get_by_index(8)?,
        connections_used: row.try_get_by_index(9)?,
    })
}

/// PostgreSQL only: how many days after today have partitions, where `now` is the present. None if there never was one:
/// no relay has been started yet.
pub async fn days_ahead(db: &impl ConnectionTrait, now: i64) -> Result<Option<i64>, DbErr> {
    if partition::days(db, "event").await?.is_empty() {
        return Ok(None);
    }
    partition::days_after(db, now).await.map(Some)
}

/// PostgreSQL only: the clock that the relay goes by, in milliseconds since 1970.
pub async fn clock(db: &impl ConnectionTrait) -> Result<i64, DbErr> {
    let look = Statement::from_string(DbBackend::Postgres, "SELECT hookyard_now(0)");
    one(db, look).await?.try_get_by_index(0)
}

/// What SQLite says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    pub bytes: i64,
    /// How changes are kept: `wal` once a relay has opened it.
    pub journal: String,
}

/// Reads what SQLite says of its file.
pub async fn file(db: &impl ConnectionTrait) -> Result<File, DbErr> {
    let text = "SELECT page_count * page_size, journal_mode
        FROM pragma_page_count(), pragma_page_size(), pragma_journal_mode()";
    let row = one(db, Statement::from_string(DbBackend::Sqlite, text)).await?;
    Ok(File { bytes: row.try_get_by_index(0)?, journal: row.try_get_by_index(1)? })
}

/// Whether deliveries are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Workers whose heartbeat has not expired.
    pub workers: i64,
    /// Of the 64 shards, those that have an owner.
    pub owned: i64,
    /// When what waits longest was due.
    pub oldest_due: Option<i64>,
    /// Destinations that fail at present.
    pub failing: i64,
}

/// Looks at leases and queue. `now` is the present. One look-up a shard finds the oldest, however long the queue is.
pub async fn work(db: &impl ConnectionTrait, now: i64) -> Result<Work, DbErr> {
    let text = "WITH RECURSIVE shards(id) AS (SELECT 0 UNION ALL SELECT id + 1 FROM shards WHERE id < 63)
        SELECT (SELECT count(*) FROM worker WHERE expires_at > $1),
            (SELECT count(*) FROM shard WHERE owner IS NOT NULL AND expires_at > $1),
            (SELECT min((SELECT due_at FROM pending WHERE shard = shards.id AND due_at < 9223372036854775807
                ORDER BY due_at, pending.id LIMIT 1)) FROM shards),
            (SELECT count(*) FROM health)";
    let row = one(db, Statement::from_sql_and_values(db.get_database_backend(), text, [now.into()])).await?;
    Ok(Work {
        workers: row.try_get_by_index(0)?,
        owned: row.try_get_by_index(1)?,
        oldest_due: row.try_get_by_index::<Option<i64>>(2)?.filter(|due| *due <= now),
        failing: row.try_get_by_index(3)?,
    })
}

async fn one(db: &impl ConnectionTrait, look: Statement) -> Result<QueryResult, DbErr> {
    db.query_one_raw(look).await?.ok_or_else(|| DbErr::RecordNotFound("a row that is always there".into()))
}

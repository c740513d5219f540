//! Leases: a worker owns whole shards, and for those it alone decides what is sent when. Times are the database's clock,
//! plus what the harness adds.

use relay::clock::Clock;
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Database;
use crate::delivery::SHARDS;

/// How long a lease holds without renewal. Long enough for a slow disk, short enough that a dead worker's deliveries
/// wait no longer than a provider's own timeout.
pub const LEASE_MS: i64 = 15_000;

/// A shard that this worker owns. Every takeover counts the epoch up, so what is written under an old one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    pub shard: i16,
    pub epoch: i64,
}

impl Lease {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        Ok(Self { shard: row.try_get_by_index(0)?, epoch: row.try_get_by_index(1)? })
    }
}

/// Which connection a renewal used. The same one again means that the database did not crash in between: a crash ends
/// every connection (rule B).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection(String);

/// What a renewal found.
#[derive(Debug)]
pub struct Renewed {
    pub connection: Connection,
    /// These are still ours; what is missing has another owner.
    pub held: Vec<Lease>,
    /// Workers whose heartbeat has not expired, this one included.
    pub workers: i64,
}

/// Renews the heartbeat and these leases. There is no condition on their expiry: whom nobody replaced still owns (rule R).
pub async fn renew(db: &Database, clock: &Clock, worker: Uuid, leases: &[Lease]) -> Result<Renewed, DbErr> {
    let (statement, look) = if db.is_sqlite() {
        (renew_on_sqlite(clock, worker), "SELECT count(*), '' FROM worker WHERE expires_at > $1")
    } else {
        let look = "SELECT count(*), pg_postmaster_start_time()::text || pg_backend_pid()
            FROM worker WHERE expires_at > hookyard_now($1)";
        (renew_on_postgres(clock, worker, leases), look)
    };
    beat(db, clock, worker).await?;
    let rows = db.lease.query_all_raw(statement).await?;
    let present = if db.is_sqlite() { clock.now() } else { clock.offset() };
    let look = Statement::from_sql_and_values(db.lease.get_database_backend(), look, [present.into()]);
    let seen = db.lease.query_one_raw(look).await?.ok_or_else(|| DbErr::RecordNotFound("count".into()))?;
    Ok(Renewed {
        connection: Connection(seen.try_get_by_index(1)?),
        held: rows.iter().map(Lease::read).collect::<Result<_, _>>()?,
        workers: seen.try_get_by_index(0)?,
    })
}

async fn beat(db: &Database, clock: &Clock, worker: Uuid) -> Result<(), DbErr> {
    let now = present_text(db);
    let text = format!(
        "INSERT INTO worker (id, expires_at) VALUES ($1, {now} + {LEASE_MS})
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at"
    );
    let values: [Value; 2] = [worker.into(), present(db, clock)];
    db.lease.execute_raw(Statement::from_sql_and_values(db.lease.get_database_backend(), text, values)).await.map(drop)
}

fn renew_on_postgres(clock: &Clock, worker: Uuid, leases: &[Lease]) -> Statement {
    let text = format!(
        "UPDATE shard s SET expires_at = hookyard_now($2) + {LEASE_MS}
        FROM unnest($3::smallint[], $4::bigint[]) x(id, epoch)
        WHERE s.id = x.id AND s.epoch = x.epoch AND s.owner = $1 RETURNING s.id, s.epoch"
    );
    let shards = leases.iter().map(|lease| lease.shard.into()).collect();
    let epochs = leases.iter().map(|lease| lease.epoch.into()).collect();
    let values: [Value; 4] = [
        worker.into(),
        clock.offset().into(),
        Value::Array(ArrayType::SmallInt, Some(Box::new(shards))),
        Value::Array(ArrayType::BigInt, Some(Box::new(epochs))),
    ];
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}

/// One process owns all shards here, so the owner alone tells which are ours.
fn renew_on_sqlite(clock: &Clock, worker: Uuid) -> Statement {
    let text = format!("UPDATE shard SET expires_at = $2 + {LEASE_MS} WHERE owner = $1 RETURNING id, epoch");
    Statement::from_sql_and_values(DbBackend::Sqlite, text, [worker.into(), clock.now().into()])
}

/// Takes what is free, up to this worker's fair share, but never what it holds: whom nobody replaced still owns, however late
/// its renewal is, and would forget what it knows if it took over from itself (rule R). On PostgreSQL a shard whose old owner
/// still has a statement running is skipped: that statement holds its row (rule K).
pub async fn acquire(db: &Database, clock: &Clock, worker: Uuid, held: &[Lease]) -> Result<Vec<Lease>, DbErr> {
    let mut values: Vec<Value> = vec![worker.into(), present(db, clock)];
    let text = if db.is_sqlite() {
        // The caller holds the file lock of the worker role, so whoever is named here is gone.
        format!(
            "UPDATE shard SET owner = $1, epoch = epoch + 1, expires_at = $2 + {LEASE_MS}
            WHERE owner IS NULL OR owner <> $1 RETURNING id, epoch"
        )
    } else {
        let held = held.iter().map(|lease| lease.shard.into()).collect();
        values.push(Value::Array(ArrayType::SmallInt, Some(Box::new(held))));
        format!(
            "WITH present AS (SELECT hookyard_now($2) AS at),
        live AS (SELECT count(*) n FROM (SELECT id FROM worker, present WHERE expires_at > at UNION SELECT $1::uuid) z),
        mine AS (SELECT count(*) n FROM shard, present WHERE owner = $1 AND expires_at > at),
        free AS (SELECT id FROM shard WHERE expires_at < (SELECT at FROM present) AND id <> ALL($3::smallint[]) ORDER BY id
            LIMIT greatest(0, (SELECT ceil({SHARDS}.0 / n) FROM live) - (SELECT n FROM mine)) FOR UPDATE SKIP LOCKED)
        UPDATE shard s SET owner = $1, epoch = s.epoch + 1, expires_at = (SELECT at FROM present) + {LEASE_MS}
        FROM free WHERE s.id = free.id RETURNING s.id, s.epoch"
        )
    };
    let rows =
        db.lease.query_all_raw(Statement::from_sql_and_values(db.lease.get_database_backend(), text, values)).await?;
    rows.iter().map(Lease::read).collect()
}

/// Workers whose heartbeat has not expired.
pub async fn workers(db: &Database, clock: &Clock) -> Result<i64, DbErr> {
    let count = format!("SELECT count(*) FROM worker WHERE expires_at > {}", present_text(db).replace("$2", "$1"));
    let values = [present(db, clock)];
    let row = db.lease.query_one_raw(Statement::from_sql_and_values(db.lease.get_database_backend(), count, values));
    row.await?.ok_or_else(|| DbErr::RecordNotFound("count".into()))?.try_get_by_index(0)
}

/// Gives a shard back after its last write was acknowledged (rule H); says nothing where it is no longer ours.
pub async fn release(db: &Database, worker: Uuid, lease: Lease) -> Result<(), DbErr> {
    let text = "UPDATE shard SET owner = NULL, expires_at = 0 WHERE id = $1 AND owner = $2 AND epoch = $3";
    let values: [Value; 3] = [lease.shard.into(), worker.into(), lease.epoch.into()];
    db.lease.execute_raw(Statement::from_sql_and_values(db.lease.get_database_backend(), text, values)).await.map(drop)
}

/// Takes this worker's heartbeat away, so that the others' fair share grows at once, and whatever it still owns; forgets the long
/// dead as well. Whatever it could write is written, and nobody renews for it any more.
pub async fn leave(db: &Database, clock: &Clock, worker: Uuid) -> Result<(), DbErr> {
    let free = "UPDATE shard SET owner = NULL, expires_at = 0 WHERE owner = $1";
    let forget = "DELETE FROM worker WHERE id = $1 OR expires_at < $2 - 3600000";
    let backend = db.lease.get_database_backend();
    let freed = db.lease.execute_raw(Statement::from_sql_and_values(backend, free, [worker.into()])).await;
    let values: [Value; 2] = [worker.into(), clock.now().into()];
    let forgot = db.lease.execute_raw(Statement::from_sql_and_values(backend, forget, values)).await;
    freed.and(forgot).map(drop)
}

/// How many shards one of `workers` should own.
#[must_use]
pub fn fair_share(workers: i64) -> usize {
    usize::try_from((i64::from(SHARDS) + workers - 1) / workers.max(1)).unwrap_or(usize::MAX)
}

/// The second parameter of these statements: SQLite is told the present, PostgreSQL only what to add to its own clock.
fn present(db: &Database, clock: &Clock) -> Value {
    if db.is_sqlite() { clock.now().into() } else { clock.offset().into() }
}

fn present_text(db: &Database) -> &'static str {
    if db.is_sqlite() { "$2" } else { "hookyard_now($2)" }
}

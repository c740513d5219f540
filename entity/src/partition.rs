//! Day partitions on PostgreSQL, made ahead of time by every process alike. SQLite has none.

use relay::clock::Clock;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};

use crate::Database;

/// So many days are made ahead.
pub const AHEAD: i64 = 14;
/// With fewer days ahead a process is not ready.
pub const ENOUGH: i64 = 2;

const DAY_MS: i64 = 86_400_000;
/// Only one process makes days at a time. Any number that nothing else locks.
const LOCK: i64 = 0x686f_6f6b_7961_7264;

/// Makes the days from yesterday (an id may be a moment older than midnight) to [`AHEAD`] days from now.
pub async fn ensure(db: &Database, clock: &Clock) -> Result<(), DbErr> {
    if db.is_sqlite() || days_ahead(db, clock).await? >= AHEAD {
        return Ok(());
    }
    let txn = db.write.begin().await?;
    let run = |text: &'static str, values: Vec<sea_orm::Value>| {
        txn.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, values))
    };
    run("SELECT pg_advisory_xact_lock($1)", vec![LOCK.into()]).await?;
    let today = clock.now() / DAY_MS;
    let add = "SELECT hookyard_add_day((timestamp 'epoch' + d * interval '1 day')::date)
        FROM generate_series($1::bigint, $2::bigint) d";
    run(add, vec![(today - 1).into(), (today + AHEAD).into()]).await?;
    txn.commit().await
}

/// How many days after today already exist.
pub async fn days_ahead(db: &Database, clock: &Clock) -> Result<i64, DbErr> {
    if db.is_sqlite() {
        return Ok(AHEAD);
    }
    let today = clock.now() / DAY_MS;
    let count = "SELECT count(*) FROM generate_series($1::bigint, $2::bigint) d
        WHERE to_regclass('event_' || to_char(timestamp 'epoch' + d * interval '1 day', 'YYYYMMDD')) IS NOT NULL";
    let values = [(today + 1).into(), (today + AHEAD).into()];
    let row = db.steady.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, count, values)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("count".into()))?.try_get_by_index(0)
}

//! Day partitions on PostgreSQL, made ahead of time by every process alike. SQLite has none.

use chrono::{DateTime, NaiveDate};
use metrics::Unit;
use relay::clock::Clock;
use relay::numbers;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};

use crate::Database;

/// So many days are made ahead.
pub const AHEAD: i64 = 14;
/// With fewer days ahead a process is not ready.
pub const ENOUGH: i64 = 2;

pub(crate) const DAY_MS: i64 = 86_400_000;
/// Only one process makes or drops days at a time. Any number that nothing else locks.
pub(crate) const LOCK: i64 = 0x686f_6f6b_7961_7264;

/// Makes, beside whoever reads and writes, the days from yesterday (an id may be a moment older than midnight) to [`AHEAD`] days from now.
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
    days_after(&db.steady, clock.now()).await
}

/// The same on any connection to PostgreSQL, at this time.
pub(crate) async fn days_after(db: &impl ConnectionTrait, now: i64) -> Result<i64, DbErr> {
    let today = now / DAY_MS;
    let count = "SELECT count(*) FROM generate_series($1::bigint, $2::bigint) d
        WHERE to_regclass('event_' || to_char(timestamp 'epoch' + d * interval '1 day', 'YYYYMMDD')) IS NOT NULL";
    let values = [(today + 1).into(), (today + AHEAD).into()];
    let row = db.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, count, values)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("count".into()))?.try_get_by_index(0)
}

/// Says it to whoever scrapes; SQLite has no days.
pub(crate) async fn tell(db: &Database, clock: &Clock) -> Result<(), DbErr> {
    if db.is_sqlite() {
        return Ok(());
    }
    let help = "Days after today whose partitions are there; below 2 nothing is ready";
    let days = i32::try_from(days_ahead(db, clock).await?).unwrap_or(i32::MAX);
    numbers::gauge("hookyard_partition_days_ahead", Unit::Count, help).set(days);
    Ok(())
}

/// The days that a table has, as days since 1970.
pub(crate) async fn days(db: &impl ConnectionTrait, table: &str) -> Result<Vec<i64>, DbErr> {
    let text = "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
        WHERE inhparent = to_regclass($1) ORDER BY child.relname";
    let rows = db.query_all_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, [table.into()])).await?;
    let names = rows.iter().map(|row| row.try_get_by_index::<String>(0)).collect::<Result<Vec<_>, _>>()?;
    Ok(names.iter().filter_map(|name| day(name.strip_prefix(table)?.strip_prefix('_')?)).collect())
}

/// What a day's partitions are called, behind the name of their table.
pub(crate) fn name(day: i64) -> String {
    DateTime::from_timestamp_millis(day * DAY_MS).unwrap_or_default().format(NAME).to_string()
}

const NAME: &str = "%Y%m%d";

fn day(name: &str) -> Option<i64> {
    let date = NaiveDate::parse_from_str(name, NAME).ok()?;
    Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis() / DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_known_by_its_name() {
        for (number, text) in [(0, "19700101"), (20_785, "20261128"), (20_512, "20260228"), (20_513, "20260301")] {
            assert_eq!((name(number).as_str(), day(text)), (text, Some(number)));
        }
        assert_eq!([day(""), day("20261301"), day("default")], [None; 3]);
    }
}

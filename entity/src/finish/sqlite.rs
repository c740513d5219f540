//! Finish, reschedule and park on SQLite: one transaction of one writer, many rows in each statement. It does not wait for
//! the disk; the next ingest's commit does, and a machine that dies before it takes this process's memory along.

use std::collections::HashSet;

use sea_orm::DbErr;
use sea_orm::sqlx::sqlite::{SqliteArguments, SqliteRow};
use sea_orm::sqlx::{self, Connection, Row as _, Sqlite, SqliteConnection, query::Query};
use uuid::Uuid;

use super::{AttemptLog, Change, Fate, Row, Write};
use crate::Database;
use crate::database::fault;
use crate::delivery::State;
use crate::rows::Rows;

/// In one row, since each row costs as much as a statement.
const OURS: &str = "SELECT coalesce(group_concat(id || ' ' || epoch), '') FROM shard WHERE owner = ?";

/// The outcome, or as the row says where no attempt led to this end. Of rows that are ours only.
static FINISH: Rows = Rows::new(&[
    (
        "WITH x (tenant_id, id, epoch, owner, state, reason, number, status, outcome, duration_ms, at, remote_address, now)
    AS (VALUES",
        13,
        ")
    INSERT INTO delivery (tenant_id, id, event_id, subscription_id, destination_id, trigger, retry_of, replay_id, state,
        reason, attempts, last_status, last_outcome, duration_ms, attempted_at, remote_address, finished_at)
    SELECT p.tenant_id, p.id, p.event_id, p.subscription_id, p.destination_id, p.trigger, p.retry_of, p.replay_id, x.state,
        x.reason, coalesce(x.number, p.attempts), coalesce(x.status, CASE WHEN x.number IS NULL THEN p.last_status END),
        coalesce(x.outcome, p.last_outcome), x.duration_ms, x.at, x.remote_address, x.now
    FROM x CROSS JOIN pending p ON p.tenant_id = x.tenant_id AND p.id = x.id
    CROSS JOIN shard s ON s.id = p.shard AND s.owner = x.owner AND s.epoch = x.epoch",
    ),
    // By the rows' numbers: to look for pairs of columns in a list SQLite reads the whole table.
    (
        "DELETE FROM pending WHERE seq IN (WITH x (tenant_id, id) AS (VALUES",
        2,
        ") SELECT p.seq FROM x CROSS JOIN pending p ON p.tenant_id = x.tenant_id AND p.id = x.id)",
    ),
]);

/// The due time stands as a literal, as in the indexes' predicates.
static PARK: Rows = Rows::new(&[(
    "WITH x (tenant_id, id, epoch, owner) AS (VALUES",
    4,
    ")
    UPDATE pending SET due_at = 9223372036854775807 FROM x JOIN shard s ON s.owner = x.owner AND s.epoch = x.epoch
    WHERE pending.tenant_id = x.tenant_id AND pending.id = x.id AND s.id = pending.shard",
)]);

const DELETE: &str = "
DELETE FROM pending WHERE tenant_id = ? AND id = ?
RETURNING event_id, subscription_id, destination_id, trigger, retry_of, replay_id, attempts, last_status, last_outcome";

const INSERT: &str = "
INSERT INTO delivery (tenant_id, id, event_id, subscription_id, destination_id, trigger, retry_of, replay_id, state, reason,
    attempts, last_status, last_outcome, duration_ms, attempted_at, remote_address, finished_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// The number of attempts only grows.
const RESCHEDULE: &str = "
UPDATE pending SET due_at = ?1, attempts = ?2, last_outcome = ?3, last_status = ?4
WHERE tenant_id = ?5 AND id = ?6 AND attempts <= ?2";

const MOVE: &str = "UPDATE pending SET due_at = ? WHERE tenant_id = ? AND id = ?";

const LOG: &str = "
INSERT INTO attempt (tenant_id, delivery_id, number, at, duration_ms, outcome, status, error, remote_address,
    response_headers, response_body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

/// Shards that are ours, each in its epoch.
type Ours = HashSet<(i16, i64)>;

pub(super) async fn write(db: &Database, owner: Uuid, batch: &[Write], now: i64) -> Result<Vec<Fate>, DbErr> {
    let mut connection = db.finish.get_sqlite_connection_pool().acquire().await.map_err(fault)?;
    let written = match write_together(&mut connection, owner, batch, now).await {
        Ok(None) => write_one_by_one(&mut connection, owner, batch, now).await,
        Ok(Some(fates)) => Ok(fates),
        Err(error) => Err(error),
    };
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await.map_err(fault)?;
    written.map_err(fault)
}

/// It does not wait for the disk.
const BEGIN: &str = "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE";

/// All of them as it mostly is: ours, and there. None, and nothing is written, if one of them is not.
async fn write_together(
    connection: &mut SqliteConnection,
    owner: Uuid,
    batch: &[Write],
    now: i64,
) -> Result<Option<Vec<Fate>>, sqlx::Error> {
    let mut txn = connection.begin_with(BEGIN).await?;
    if !take_together(&mut txn, owner, batch, now).await? {
        txn.rollback().await?;
        return Ok(None);
    }
    for write in batch {
        if let Some(command) = write.command {
            forget(&mut txn, command).await?;
        }
        if let Some(last) = write.change.last().filter(|last| last.keep) {
            log(&mut txn, &write.row, last).await?;
        }
    }
    txn.commit().await?;
    Ok(Some(vec![Fate::Done; batch.len()]))
}

async fn ours(txn: &mut SqliteConnection, owner: Uuid) -> Result<Ours, sqlx::Error> {
    let row = sqlx::query(OURS).bind(owner).fetch_one(txn).await?;
    let list: String = row.try_get(0)?;
    let pairs = list.split(',').filter_map(|pair| pair.split_once(' '));
    Ok(pairs.filter_map(|(shard, epoch)| Some((shard.parse().ok()?, epoch.parse().ok()?))).collect())
}

/// Whether every row was there, and ours. What is rescheduled or brought forward has failed before, and is rare.
async fn take_together(
    txn: &mut SqliteConnection,
    owner: Uuid,
    batch: &[Write],
    now: i64,
) -> Result<bool, sqlx::Error> {
    let of_kind = |kind: fn(&Change) -> bool| batch.iter().filter(|write| kind(&write.change)).collect::<Vec<_>>();
    let ends = of_kind(|change| matches!(change, Change::Finish { .. }));
    for (text, part) in FINISH.parts(&ends) {
        let query = part.iter().fold(sqlx::query(text), |query, write| bind_end(query, owner, write, now));
        let query = part.iter().fold(query, |query, write| bind_key(query, &write.row));
        if query.execute(&mut *txn).await?.rows_affected() != 2 * part.len() as u64 {
            return Ok(false);
        }
    }
    let parks = of_kind(|change| matches!(change, Change::Park));
    for (text, part) in PARK.parts(&parks) {
        let query = part.iter().fold(sqlx::query(text), |query, write| bind_owned(query, owner, &write.row));
        if query.execute(&mut *txn).await?.rows_affected() != part.len() as u64 {
            return Ok(false);
        }
    }
    if ends.len() + parks.len() == batch.len() {
        return Ok(true);
    }
    let ours = ours(txn, owner).await?;
    for write in batch {
        let is_done = match &write.change {
            Change::Finish { .. } | Change::Park => true,
            _ if !ours.contains(&(write.row.shard, write.row.epoch)) => false,
            Change::Reschedule { due_at, last } => reschedule(txn, &write.row, *due_at, last).await?,
            Change::Move { due_at } => bring_to(txn, &write.row, *due_at).await?,
        };
        if !is_done {
            return Ok(false);
        }
    }
    Ok(true)
}

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

fn bind_key<'q>(query: Statement<'q>, row: &Row) -> Statement<'q> {
    query.bind(row.tenant_id.uuid()).bind(row.id.uuid())
}

fn bind_owned<'q>(query: Statement<'q>, owner: Uuid, row: &Row) -> Statement<'q> {
    bind_key(query, row).bind(row.epoch).bind(owner)
}

fn bind_end<'q>(query: Statement<'q>, owner: Uuid, write: &'q Write, now: i64) -> Statement<'q> {
    let (state, reason) = match &write.change {
        Change::Finish { state, reason, .. } => (Some(state.number()), reason.as_deref()),
        _ => (None, None),
    };
    let last = write.change.last();
    bind_owned(query, owner, &write.row)
        .bind(state)
        .bind(reason)
        .bind(last.map(|log| log.number))
        .bind(last.and_then(|log| log.status))
        .bind(last.map(|log| log.outcome.number()))
        .bind(last.map(|log| log.duration_ms))
        .bind(last.map(|log| log.at))
        .bind(last.and_then(|log| log.remote_address.as_deref()))
        .bind(now)
}

async fn write_one_by_one(
    connection: &mut SqliteConnection,
    owner: Uuid,
    batch: &[Write],
    now: i64,
) -> Result<Vec<Fate>, sqlx::Error> {
    let mut txn = connection.begin_with(BEGIN).await?;
    let ours = ours(&mut txn, owner).await?;
    let mut fates = Vec::with_capacity(batch.len());
    for write in batch {
        fates.push(write_one(&mut txn, &ours, write, now).await?);
    }
    txn.commit().await?;
    Ok(fates)
}

async fn write_one(txn: &mut SqliteConnection, ours: &Ours, write: &Write, now: i64) -> Result<Fate, sqlx::Error> {
    let row = &write.row;
    if !ours.contains(&(row.shard, row.epoch)) {
        return Ok(Fate::Fenced);
    }
    if let Some(command) = write.command {
        forget(txn, command).await?;
    }
    let taken = match &write.change {
        Change::Finish { state, reason, .. } => finish(txn, write, (*state, reason.as_deref()), now).await?,
        Change::Reschedule { due_at, last } => reschedule(txn, row, *due_at, last).await?,
        Change::Park | Change::Move { .. } => bring_to(txn, row, write.change.due_at()).await?,
    };
    if taken
        && let Some(last) = write.change.last()
        && last.keep
    {
        log(txn, row, last).await?;
    }
    Ok(if taken { Fate::Done } else { Fate::Gone })
}

async fn forget(txn: &mut SqliteConnection, command: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM command WHERE id = ?").bind(command).execute(txn).await.map(drop)
}

async fn bring_to(txn: &mut SqliteConnection, row: &Row, due_at: i64) -> Result<bool, sqlx::Error> {
    let moved = sqlx::query(MOVE).bind(due_at).bind(row.tenant_id.uuid()).bind(row.id.uuid());
    Ok(moved.execute(txn).await?.rows_affected() > 0)
}

async fn finish(
    txn: &mut SqliteConnection,
    write: &Write,
    (state, reason): (State, Option<&str>),
    now: i64,
) -> Result<bool, sqlx::Error> {
    let row = &write.row;
    let deleted = sqlx::query(DELETE).bind(row.tenant_id.uuid()).bind(row.id.uuid()).fetch_optional(&mut *txn).await?;
    let Some(pending) = deleted else { return Ok(false) };
    let (attempts, status, outcome) = ending(&pending, write.change.last())?;
    let last = write.change.last();
    sqlx::query(INSERT)
        .bind(row.tenant_id.uuid())
        .bind(row.id.uuid())
        .bind(pending.try_get::<Uuid, _>(0)?)
        .bind(pending.try_get::<Option<Uuid>, _>(1)?)
        .bind(pending.try_get::<Uuid, _>(2)?)
        .bind(pending.try_get::<i16, _>(3)?)
        .bind(pending.try_get::<Option<Uuid>, _>(4)?)
        .bind(pending.try_get::<Option<Uuid>, _>(5)?)
        .bind(state.number())
        .bind(reason)
        .bind(attempts)
        .bind(status)
        .bind(outcome)
        .bind(last.map(|log| log.duration_ms))
        .bind(last.map(|log| log.at))
        .bind(last.and_then(|log| log.remote_address.as_deref()))
        .bind(now)
        .execute(&mut *txn)
        .await?;
    Ok(true)
}

/// How many attempts there were, and status and outcome of the last: that attempt's, or as the row says where none led here.
fn ending(pending: &SqliteRow, last: Option<&AttemptLog>) -> Result<(i16, Option<i16>, Option<i16>), sqlx::Error> {
    match last {
        Some(log) => Ok((log.number, log.status, Some(log.outcome.number()))),
        None => Ok((pending.try_get(6)?, pending.try_get(7)?, pending.try_get(8)?)),
    }
}

async fn reschedule(
    txn: &mut SqliteConnection,
    row: &Row,
    due_at: i64,
    last: &AttemptLog,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(RESCHEDULE)
        .bind(due_at)
        .bind(last.number)
        .bind(last.outcome.number())
        .bind(last.status)
        .bind(row.tenant_id.uuid())
        .bind(row.id.uuid())
        .execute(txn)
        .await?;
    Ok(updated.rows_affected() > 0)
}

async fn log(txn: &mut SqliteConnection, row: &Row, last: &AttemptLog) -> Result<(), sqlx::Error> {
    sqlx::query(LOG)
        .bind(row.tenant_id.uuid())
        .bind(row.id.uuid())
        .bind(last.number)
        .bind(last.at)
        .bind(last.duration_ms)
        .bind(last.outcome.number())
        .bind(last.status)
        .bind(last.error.as_deref())
        .bind(last.remote_address.as_deref())
        .bind(last.response_headers.as_deref())
        .bind(last.response_body.as_deref())
        .execute(txn)
        .await
        .map(drop)
}

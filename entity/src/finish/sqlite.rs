//! Finish, reschedule and park on SQLite: one transaction of one writer, row by row. It does not wait for the disk; the
//! next ingest's commit does, and a machine that dies before it takes this process's memory along.

use sea_orm::DbErr;
use sea_orm::sqlx::sqlite::SqliteRow;
use sea_orm::sqlx::{self, Connection, Row as _, SqliteConnection};
use uuid::Uuid;

use super::{AttemptLog, Change, Fate, Row, Write};
use crate::Database;
use crate::database::fault;
use crate::delivery::State;

const IS_OURS: &str = "SELECT 1 FROM shard WHERE id = ? AND owner = ? AND epoch = ?";

const DELETE: &str = "
DELETE FROM pending WHERE tenant_id = ? AND id = ?
RETURNING event_id, subscription_id, destination_id, trigger, retry_of, attempts, last_status";

const INSERT: &str = "
INSERT INTO delivery (tenant_id, id, event_id, subscription_id, destination_id, trigger, retry_of, state, reason, attempts,
    last_status, duration_ms, attempted_at, remote_address, finished_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const RESCHEDULE: &str = "
UPDATE pending SET due_at = ?, attempts = ?, last_outcome = ?, last_status = ? WHERE tenant_id = ? AND id = ?";

const MOVE: &str = "UPDATE pending SET due_at = ? WHERE tenant_id = ? AND id = ?";

const LOG: &str = "
INSERT INTO attempt (tenant_id, delivery_id, number, at, duration_ms, outcome, status, error, remote_address,
    response_headers, response_body)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";

pub(super) async fn write(db: &Database, owner: Uuid, batch: &[Write], now: i64) -> Result<Vec<Fate>, DbErr> {
    let mut connection = db.finish.get_sqlite_connection_pool().acquire().await.map_err(fault)?;
    sqlx::query("PRAGMA synchronous = NORMAL").execute(&mut *connection).await.map_err(fault)?;
    let written = write_all(&mut connection, owner, batch, now).await;
    sqlx::query("PRAGMA synchronous = FULL").execute(&mut *connection).await.map_err(fault)?;
    written.map_err(fault)
}

async fn write_all(
    connection: &mut SqliteConnection,
    owner: Uuid,
    batch: &[Write],
    now: i64,
) -> Result<Vec<Fate>, sqlx::Error> {
    let mut txn = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut fates = Vec::with_capacity(batch.len());
    for write in batch {
        fates.push(write_one(&mut txn, owner, write, now).await?);
    }
    txn.commit().await?;
    Ok(fates)
}

async fn write_one(txn: &mut SqliteConnection, owner: Uuid, write: &Write, now: i64) -> Result<Fate, sqlx::Error> {
    let row = &write.row;
    let own = sqlx::query(IS_OURS).bind(row.shard).bind(owner).bind(row.epoch).fetch_optional(&mut *txn).await?;
    if own.is_none() {
        return Ok(Fate::Fenced);
    }
    if let Some(command) = write.command {
        sqlx::query("DELETE FROM command WHERE id = ?").bind(command).execute(&mut *txn).await?;
    }
    let taken = match &write.change {
        Change::Finish { state, reason, .. } => finish(txn, write, (*state, reason.as_deref()), now).await?,
        Change::Reschedule { due_at, last } => reschedule(txn, row, *due_at, last).await?,
        Change::Park | Change::BringForward { .. } => {
            let moved = sqlx::query(MOVE).bind(write.change.due_at()).bind(row.tenant_id.uuid()).bind(row.id.uuid());
            moved.execute(&mut *txn).await?.rows_affected() > 0
        }
    };
    if taken
        && let Some(last) = write.change.last()
        && last.keep
    {
        log(txn, row, last).await?;
    }
    Ok(if taken { Fate::Done } else { Fate::Gone })
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
    let (attempts, status) = ending(&pending, write.change.last())?;
    let last = write.change.last();
    sqlx::query(INSERT)
        .bind(row.tenant_id.uuid())
        .bind(row.id.uuid())
        .bind(pending.try_get::<Uuid, _>(0)?)
        .bind(pending.try_get::<Option<Uuid>, _>(1)?)
        .bind(pending.try_get::<Uuid, _>(2)?)
        .bind(pending.try_get::<i16, _>(3)?)
        .bind(pending.try_get::<Option<Uuid>, _>(4)?)
        .bind(state.number())
        .bind(reason)
        .bind(attempts)
        .bind(status)
        .bind(last.map(|log| log.duration_ms))
        .bind(last.map(|log| log.at))
        .bind(last.and_then(|log| log.remote_address.as_deref()))
        .bind(now)
        .execute(&mut *txn)
        .await?;
    Ok(true)
}

/// How many attempts there were and the status of the last: the last attempt's, or as the row says where none led here.
fn ending(pending: &SqliteRow, last: Option<&AttemptLog>) -> Result<(i16, Option<i16>), sqlx::Error> {
    match last {
        Some(log) => Ok((log.number, log.status)),
        None => Ok((pending.try_get(5)?, pending.try_get(6)?)),
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

//! Ingest on SQLite: one immediate transaction, row by row. There is one writer, so a key's row is always the original.

use relay::id::EventId;
use sea_orm::DbErr;
use sea_orm::sqlx::{self, Connection, Row, SqliteConnection};
use uuid::Uuid;

use super::{Accepted, NewEvent};
use crate::Database;
use crate::database::fault;
use crate::delivery::shard_of;

/// An expired key belongs to the new event.
const DEDUPE: &str = "
INSERT INTO dedupe (source_id, key, tenant_id, event_id, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (source_id, key) DO UPDATE SET
    event_id = CASE WHEN expires_at <= ?6 THEN excluded.event_id ELSE event_id END,
    expires_at = CASE WHEN expires_at <= ?6 THEN excluded.expires_at ELSE expires_at END
RETURNING event_id";

const EVENT: &str = "
INSERT INTO event (tenant_id, id, source_id, event_type, derived_type, external_id, request_id, occurred_at, received_at,
    method, path, query, remote_address, content_type, size, matched, test, hops, attributes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const PAYLOAD: &str = "INSERT INTO payload (tenant_id, event_id, headers, body) VALUES (?, ?, ?, ?)";

const PENDING: &str = "
INSERT INTO pending (tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, attempts, trigger, size,
    order_key)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?)";

const COUNT_REPEAT: &str = "UPDATE event SET duplicates = duplicates + 1 WHERE tenant_id = ? AND id = ?";

pub(super) async fn ingest(db: &Database, now: i64, batch: &[NewEvent]) -> Result<Vec<Accepted>, DbErr> {
    let mut connection = db.write.get_sqlite_connection_pool().acquire().await.map_err(fault)?;
    let mut txn = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let mut answers = Vec::with_capacity(batch.len());
    for event in batch {
        answers.push(accept(&mut txn, now, event).await.map_err(fault)?);
    }
    txn.commit().await.map_err(fault)?;
    Ok(answers)
}

async fn accept(txn: &mut SqliteConnection, now: i64, event: &NewEvent) -> Result<Accepted, sqlx::Error> {
    if let Some(first) = first_with_this_id(txn, now, event).await?
        && first != event.id
    {
        sqlx::query(COUNT_REPEAT).bind(event.tenant_id.uuid()).bind(first.uuid()).execute(txn).await?;
        return Ok(Accepted::RepeatOf(first));
    }
    insert_event(txn, event).await?;
    sqlx::query(PAYLOAD)
        .bind(event.tenant_id.uuid())
        .bind(event.id.uuid())
        .bind(&event.headers)
        .bind(event.body.as_ref())
        .execute(&mut *txn)
        .await?;
    for delivery in &event.deliveries {
        sqlx::query(PENDING)
            .bind(event.tenant_id.uuid())
            .bind(delivery.id.uuid())
            .bind(shard_of(delivery.destination_id))
            .bind(delivery.due_at)
            .bind(event.id.uuid())
            .bind(delivery.subscription_id.uuid())
            .bind(delivery.destination_id.uuid())
            .bind(event.size())
            .bind(delivery.order_key)
            .execute(&mut *txn)
            .await?;
    }
    Ok(Accepted::New)
}

async fn first_with_this_id(
    txn: &mut SqliteConnection,
    now: i64,
    event: &NewEvent,
) -> Result<Option<EventId>, sqlx::Error> {
    let (Some(key), Some(source)) = (event.dedupe, event.source_id) else { return Ok(None) };
    let row = sqlx::query(DEDUPE)
        .bind(source.uuid())
        .bind(key.hash.as_slice())
        .bind(event.tenant_id.uuid())
        .bind(event.id.uuid())
        .bind(key.expires_at)
        .bind(now)
        .fetch_one(txn)
        .await?;
    Ok(Some(row.try_get::<Uuid, _>(0)?.into()))
}

async fn insert_event(txn: &mut SqliteConnection, event: &NewEvent) -> Result<(), sqlx::Error> {
    sqlx::query(EVENT)
        .bind(event.tenant_id.uuid())
        .bind(event.id.uuid())
        .bind(event.source_id.map(relay::id::Id::uuid))
        .bind(&event.event_type)
        .bind(&event.derived_type)
        .bind(&event.external_id)
        .bind(&event.request_id)
        .bind(event.occurred_at)
        .bind(event.received_at)
        .bind(&event.method)
        .bind(&event.path)
        .bind(&event.query)
        .bind(&event.remote_address)
        .bind(&event.content_type)
        .bind(event.size())
        .bind(event.matched())
        .bind(event.test)
        .bind(event.hops)
        .bind(&event.attributes)
        .execute(txn)
        .await
        .map(drop)
}

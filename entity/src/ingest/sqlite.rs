//! Ingest on SQLite: one immediate transaction, many rows in each statement. There is one writer, so a key's row is always
//! the original.

use relay::id::EventId;
use sea_orm::DbErr;
use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::sqlx::{self, Connection, Row, Sqlite, SqliteConnection, query::Query};
use uuid::Uuid;

use super::{Accepted, Ingested, NewDelivery, NewEvent};
use crate::Database;
use crate::database::fault;
use crate::delivery::shard_of;
use crate::rows::Rows;

static KEYS: Rows = Rows::new(&[(
    "INSERT INTO dedupe (source_id, key, tenant_id, event_id, expires_at) VALUES",
    5,
    "ON CONFLICT (source_id, key) DO NOTHING",
)]);

/// An expired key belongs to the new event.
const DEDUPE: &str = "
INSERT INTO dedupe (source_id, key, tenant_id, event_id, expires_at) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (source_id, key) DO UPDATE SET
    event_id = CASE WHEN expires_at <= ?6 THEN excluded.event_id ELSE event_id END,
    expires_at = CASE WHEN expires_at <= ?6 THEN excluded.expires_at ELSE expires_at END
RETURNING event_id";

static EVENTS: Rows = Rows::new(&[
    (
        "INSERT INTO event (tenant_id, id, source_id, event_type, derived_type, external_id, request_id, occurred_at,
        received_at, method, path, query, remote_address, content_type, size, matched, test, hops, attributes) VALUES",
        19,
        "",
    ),
    ("INSERT INTO payload (tenant_id, event_id, headers, body) VALUES", 4, ""),
]);

static PENDING: Rows = Rows::new(&[(
    "INSERT INTO pending (tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, size, order_key,
    attempts, trigger) VALUES",
    11,
    "",
)]);

const COUNT_REPEAT: &str = "UPDATE event SET duplicates = duplicates + 1 WHERE tenant_id = ? AND id = ?";

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

pub(super) async fn ingest(db: &Database, now: i64, batch: &[NewEvent]) -> Result<Ingested, DbErr> {
    let mut connection = db.write.get_sqlite_connection_pool().acquire().await.map_err(fault)?;
    let mut txn = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    let accepted = settle_keys(&mut txn, now, batch).await.map_err(fault)?;
    let fresh: Vec<&NewEvent> = batch
        .iter()
        .zip(&accepted)
        .filter(|(_, accepted)| **accepted == Accepted::New)
        .map(|(event, _)| event)
        .collect();
    let seqs = insert(&mut txn, &fresh).await.map_err(fault)?;
    txn.commit().await.map_err(fault)?;
    let due = super::pairs(&fresh).zip(seqs).map(|((event, delivery), seq)| event.due(delivery, seq)).collect();
    Ok(Ingested { accepted, due })
}

/// What each event is, by its key. Most keys are new, and then one statement says so of all of them.
async fn settle_keys(txn: &mut SqliteConnection, now: i64, batch: &[NewEvent]) -> Result<Vec<Accepted>, sqlx::Error> {
    let keyed: Vec<&NewEvent> =
        batch.iter().filter(|event| event.dedupe.is_some() && event.source_id.is_some()).collect();
    let mut new = 0;
    for (text, part) in KEYS.parts(&keyed) {
        let query = part.iter().fold(sqlx::query(text), |query, event| bind_key(query, event));
        new += query.execute(&mut *txn).await?.rows_affected();
    }
    if new == keyed.len() as u64 {
        return Ok(vec![Accepted::New; batch.len()]);
    }
    let mut accepted = Vec::with_capacity(batch.len());
    for event in batch {
        accepted.push(settle_key(txn, now, event).await?);
    }
    Ok(accepted)
}

/// What one event is, whether its key is in the table already or not.
async fn settle_key(txn: &mut SqliteConnection, now: i64, event: &NewEvent) -> Result<Accepted, sqlx::Error> {
    if event.dedupe.is_none() || event.source_id.is_none() {
        return Ok(Accepted::New);
    }
    let row = bind_key(sqlx::query(DEDUPE), event).bind(now).fetch_one(&mut *txn).await?;
    let first = EventId::from(row.try_get::<Uuid, _>(0)?);
    if first == event.id {
        return Ok(Accepted::New);
    }
    sqlx::query(COUNT_REPEAT).bind(event.tenant_id.uuid()).bind(first.uuid()).execute(txn).await?;
    Ok(Accepted::RepeatOf(first))
}

/// Gives the places in line of the deliveries, in their order.
async fn insert(txn: &mut SqliteConnection, events: &[&NewEvent]) -> Result<Vec<i64>, sqlx::Error> {
    for (text, part) in EVENTS.parts(events) {
        let query = part.iter().fold(sqlx::query(text), |query, event| bind_event(query, event));
        let query = part.iter().fold(query, |query, event| bind_payload(query, event));
        query.execute(&mut *txn).await?;
    }
    let pairs: Vec<_> = super::pairs(events).collect();
    let mut seqs = Vec::with_capacity(pairs.len());
    for (text, part) in PENDING.parts(&pairs) {
        let query = part.iter().fold(sqlx::query(text), |query, pair| bind_delivery(query, *pair));
        let last = query.execute(&mut *txn).await?.last_insert_rowid();
        // The only writer numbers the rows of a statement one after another.
        seqs.extend(last - i64::try_from(part.len()).unwrap_or(0) + 1..=last);
    }
    Ok(seqs)
}

fn bind_key<'q>(query: Statement<'q>, event: &'q NewEvent) -> Statement<'q> {
    query
        .bind(event.source_id.map(relay::id::Id::uuid))
        .bind(event.dedupe.map(|key| key.hash.to_vec()))
        .bind(event.tenant_id.uuid())
        .bind(event.id.uuid())
        .bind(event.dedupe.map(|key| key.expires_at))
}

fn bind_event<'q>(query: Statement<'q>, event: &'q NewEvent) -> Statement<'q> {
    query
        .bind(event.tenant_id.uuid())
        .bind(event.id.uuid())
        .bind(event.source_id.map(relay::id::Id::uuid))
        .bind(event.event_type.as_deref())
        .bind(event.derived_type.as_deref())
        .bind(event.external_id.as_deref())
        .bind(event.request_id.as_deref())
        .bind(event.occurred_at)
        .bind(event.received_at)
        .bind(event.method.as_str())
        .bind(event.path.as_str())
        .bind(event.query.as_deref())
        .bind(event.remote_address.as_deref())
        .bind(event.content_type.as_deref())
        .bind(event.size())
        .bind(event.matched())
        .bind(event.test)
        .bind(event.hops)
        .bind(event.attributes.as_str())
}

fn bind_payload<'q>(query: Statement<'q>, event: &'q NewEvent) -> Statement<'q> {
    let query = query.bind(event.tenant_id.uuid()).bind(event.id.uuid());
    let (headers, body) = event.payload();
    query.bind(headers).bind(body)
}

fn bind_delivery<'q>(query: Statement<'q>, (event, delivery): (&NewEvent, &NewDelivery)) -> Statement<'q> {
    query
        .bind(event.tenant_id.uuid())
        .bind(delivery.id.uuid())
        .bind(shard_of(delivery.destination_id))
        .bind(delivery.due_at)
        .bind(event.id.uuid())
        .bind(delivery.subscription_id.uuid())
        .bind(delivery.destination_id.uuid())
        .bind(event.size())
        .bind(delivery.order_key)
        .bind(0)
        .bind(0)
}

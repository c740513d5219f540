//! Ingest on PostgreSQL: one statement of constant text, arrays in, one commit.

use std::collections::{HashMap, HashSet};

use relay::id::{EventId, SourceId};
use sea_orm::sqlx::{self, PgPool, Row};
use sea_orm::{DbErr, RuntimeErr};
use uuid::Uuid;

use super::{Accepted, Ingested, NewEvent, pairs};
use crate::Database;
use crate::database::fault;
use crate::dedupe::Original;
use crate::delivery::shard_of;

/// Keys are sorted, or rival batches deadlock. A key that is there already inserts nothing, and neither does its event,
/// payload and deliveries.
const INGEST: &str = "
WITH i AS (
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[],
        $9::bigint[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::integer[], $16::integer[],
        $17::boolean[], $18::smallint[], $19::text[], $20::bytea[], $21::bytea[], $22::bigint[],
        $31::text[])
        AS t(tenant_id, id, source_id, event_type, derived_type, external_id, request_id, occurred_at,
        received_at, method, path, query, remote_address, content_type, size, matched,
        test, hops, headers, body, key, expires_at, attributes)
), k AS (
    INSERT INTO dedupe (source_id, key, tenant_id, event_id, expires_at)
    SELECT source_id, key, tenant_id, id, expires_at FROM i WHERE key IS NOT NULL ORDER BY source_id, key
    ON CONFLICT DO NOTHING RETURNING event_id
), fresh AS (
    SELECT * FROM i WHERE key IS NULL OR id IN (SELECT event_id FROM k)
), e AS (
    INSERT INTO event (tenant_id, id, source_id, event_type, derived_type, external_id, request_id, occurred_at, received_at,
        method, path, query, remote_address, content_type, size, matched, test, hops, attributes)
    SELECT tenant_id, id, source_id, event_type, derived_type, external_id, request_id, occurred_at, received_at,
        method, path, query, remote_address, content_type, size, matched, test, hops, attributes FROM fresh
    RETURNING id
), y AS (
    INSERT INTO payload (tenant_id, event_id, headers, body) SELECT tenant_id, id, headers, body FROM fresh
), p AS (
    INSERT INTO pending (tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, attempts, trigger, size,
        order_key)
    SELECT d.tenant_id, d.id, d.shard, d.due_at, d.event_id, d.subscription_id, d.destination_id, 0, 0, d.size, d.order_key
    FROM unnest($23::uuid[], $24::uuid[], $25::smallint[], $26::bigint[], $27::uuid[], $28::uuid[], $29::uuid[],
        $30::integer[], $32::integer[]) WITH ORDINALITY
        AS d(tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, size, order_key, n)
    JOIN e ON e.id = d.event_id ORDER BY d.n
    RETURNING id, seq
)
SELECT (SELECT array_agg(id) FROM e), (SELECT array_agg(id) FROM p), (SELECT array_agg(seq) FROM p)";

/// A second statement, since the first one's snapshot cannot see the rival whose commit it waited for.
const ORIGINALS: &str = "
SELECT d.source_id, d.key, d.event_id, d.expires_at
FROM unnest($1::uuid[], $2::bytea[]) AS x(source_id, key)
CROSS JOIN LATERAL (SELECT * FROM dedupe d WHERE d.source_id = x.source_id AND d.key = x.key LIMIT 1) d";

const COUNT_REPEATS: &str = "
UPDATE event SET duplicates = duplicates + x.n
FROM (SELECT tenant_id, id, count(*)::integer AS n FROM unnest($1::uuid[], $2::uuid[]) AS u(tenant_id, id)
    GROUP BY tenant_id, id) x
WHERE event.tenant_id = x.tenant_id AND event.id = x.id AND event.id >= $3 AND event.id <= $4";

/// By its key alone: by the time it would read all that has expired, and by equalities perhaps all that there is (decision 46).
const FORGET: &str = "
DELETE FROM dedupe d USING unnest($1::uuid[], $2::bytea[]) AS x(source_id, key)
WHERE d.source_id = ANY(ARRAY[x.source_id]) AND d.key BETWEEN x.key AND x.key AND d.expires_at + 0 <= $3";

/// A key may expire, or its row go, between two statements; each round settles all that it saw.
const ROUNDS: usize = 4;

pub(super) async fn ingest(db: &Database, now: i64, batch: &[NewEvent]) -> Result<Ingested, DbErr> {
    let pool = db.write.get_postgres_connection_pool();
    let mut answers: Vec<Option<Accepted>> = vec![None; batch.len()];
    let mut due = Vec::new();
    for _ in 0..ROUNDS {
        let open: Vec<usize> = (0..batch.len()).filter(|n| answers[*n].is_none()).collect();
        let events: Vec<&NewEvent> = open.iter().map(|n| &batch[*n]).collect();
        let (stored, seqs) = insert(pool, &events).await?;
        let pairs =
            pairs(&events).filter_map(|(event, delivery)| Some(event.due(delivery, *seqs.get(&delivery.id.uuid())?)));
        due.extend(pairs);
        let originals =
            if stored.len() == open.len() { HashMap::new() } else { originals(pool, now, &events, &stored).await? };
        for n in open {
            answers[n] = answer(&batch[n], &stored, &originals);
        }
        if answers.iter().all(Option::is_some) {
            break;
        }
    }
    let answers: Vec<Accepted> = answers
        .into_iter()
        .collect::<Option<_>>()
        .ok_or_else(|| DbErr::Custom("dedupe keys kept expiring under the statement".into()))?;
    count_repeats(db, batch, &answers);
    Ok(Ingested { accepted: answers, due })
}

fn answer(
    event: &NewEvent,
    stored: &HashSet<Uuid>,
    originals: &HashMap<(SourceId, [u8; 16]), EventId>,
) -> Option<Accepted> {
    if stored.contains(&event.id.uuid()) {
        return Some(Accepted::New);
    }
    let key = (event.source_id?, event.dedupe?.hash);
    originals.get(&key).map(|first| if *first == event.id { Accepted::New } else { Accepted::RepeatOf(*first) })
}

/// Gives the events that are new, and the places in line of their deliveries.
async fn insert(pool: &PgPool, events: &[&NewEvent]) -> Result<(HashSet<Uuid>, HashMap<Uuid, i64>), DbErr> {
    macro_rules! column {
        ($event:ident => $value:expr) => {
            events.iter().map(|$event| $value).collect::<Vec<_>>()
        };
    }
    let pairs: Vec<_> = pairs(events).collect();
    macro_rules! delivered {
        ($event:ident, $delivery:ident => $value:expr) => {
            pairs.iter().map(|($event, $delivery)| $value).collect::<Vec<_>>()
        };
    }
    let row = sqlx::query(INGEST)
        .bind(column!(e => e.tenant_id.uuid()))
        .bind(column!(e => e.id.uuid()))
        .bind(column!(e => e.source_id.map(relay::id::Id::uuid)))
        .bind(column!(e => e.event_type.as_deref()))
        .bind(column!(e => e.derived_type.as_deref()))
        .bind(column!(e => e.external_id.as_deref()))
        .bind(column!(e => e.request_id.as_deref()))
        .bind(column!(e => e.occurred_at))
        .bind(column!(e => e.received_at))
        .bind(column!(e => e.method.as_str()))
        .bind(column!(e => e.path.as_str()))
        .bind(column!(e => e.query.as_deref()))
        .bind(column!(e => e.remote_address.as_deref()))
        .bind(column!(e => e.content_type.as_deref()))
        .bind(column!(e => e.size()))
        .bind(column!(e => e.matched()))
        .bind(column!(e => e.test))
        .bind(column!(e => e.hops))
        .bind(column!(e => e.payload().0))
        .bind(column!(e => e.payload().1))
        .bind(column!(e => e.dedupe.as_ref().map(|key| key.hash.as_slice())))
        .bind(column!(e => e.dedupe.map(|key| key.expires_at)))
        .bind(delivered!(e, _d => e.tenant_id.uuid()))
        .bind(delivered!(_e, d => d.id.uuid()))
        .bind(delivered!(_e, d => shard_of(d.destination_id)))
        .bind(delivered!(_e, d => d.due_at))
        .bind(delivered!(e, _d => e.id.uuid()))
        .bind(delivered!(_e, d => d.subscription_id.uuid()))
        .bind(delivered!(_e, d => d.destination_id.uuid()))
        .bind(delivered!(e, _d => e.size()))
        .bind(column!(e => e.attributes.as_str()))
        .bind(delivered!(_e, d => d.order_key))
        .fetch_one(pool)
        .await
        .map_err(fault)?;
    let stored: Option<Vec<Uuid>> = row.try_get(0).map_err(fault)?;
    let deliveries: Option<Vec<Uuid>> = row.try_get(1).map_err(fault)?;
    let seqs: Option<Vec<i64>> = row.try_get(2).map_err(fault)?;
    let places = deliveries.unwrap_or_default().into_iter().zip(seqs.unwrap_or_default());
    Ok((stored.unwrap_or_default().into_iter().collect(), places.collect()))
}

/// The first events of the keys that were there already. Expired keys are deleted instead: the next round takes them.
async fn originals(
    pool: &PgPool,
    now: i64,
    events: &[&NewEvent],
    stored: &HashSet<Uuid>,
) -> Result<HashMap<(SourceId, [u8; 16]), EventId>, DbErr> {
    let keys: Vec<_> = events
        .iter()
        .filter(|event| !stored.contains(&event.id.uuid()))
        .filter_map(|event| Some((event.source_id?.uuid(), event.dedupe?.hash.to_vec())))
        .collect();
    let (sources, hashes): (Vec<_>, Vec<_>) = keys.into_iter().unzip();
    let rows = sqlx::query(ORIGINALS).bind(&sources).bind(&hashes).fetch_all(pool).await.map_err(fault)?;
    let known = rows.iter().map(original).collect::<Result<Vec<_>, _>>().map_err(fault)?;
    if known.iter().any(|original| original.expires_at <= now) {
        sqlx::query(FORGET).bind(&sources).bind(&hashes).bind(now).execute(pool).await.map_err(fault)?;
    }
    let live = known.into_iter().filter(|original| original.expires_at > now);
    Ok(live.map(|original| ((original.source_id, original.hash), original.event_id)).collect())
}

fn original(row: &sqlx::postgres::PgRow) -> Result<Original, sqlx::Error> {
    let key: Vec<u8> = row.try_get(1)?;
    Ok(Original {
        source_id: row.try_get::<Uuid, _>(0)?.into(),
        hash: key.try_into().map_err(|_| sqlx::Error::Decode("a dedupe key is 16 bytes".into()))?,
        event_id: row.try_get::<Uuid, _>(2)?.into(),
        expires_at: row.try_get(3)?,
    })
}

/// A number for people, off the way of the answers: a failure costs no more than the count. Bounded by the pool, where
/// it waits for a connection or gives up.
fn count_repeats(db: &Database, batch: &[NewEvent], answers: &[Accepted]) {
    let repeats = batch.iter().zip(answers).filter_map(|(event, answer)| match answer {
        Accepted::RepeatOf(first) => Some((event.tenant_id.uuid(), first.uuid())),
        Accepted::New => None,
    });
    let (tenants, firsts): (Vec<Uuid>, Vec<Uuid>) = repeats.unzip();
    let (Some(lowest), Some(highest)) = (firsts.iter().min().copied(), firsts.iter().max().copied()) else { return };
    let pool = db.finish.get_postgres_connection_pool().clone();
    tokio::spawn(async move {
        let count = sqlx::query(COUNT_REPEATS).bind(&tenants).bind(&firsts).bind(lowest).bind(highest);
        if let Err(error) = count.execute(&pool).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "repeats were not counted");
        }
    });
}

/// No partition holds ids of this day: `check_violation`, with no constraint named.
pub(super) fn lacks_a_day(error: &DbErr) -> bool {
    let DbErr::Exec(RuntimeErr::SqlxError(error)) = error else { return false };
    error
        .as_database_error()
        .is_some_and(|error| error.code().as_deref() == Some("23514") && error.constraint().is_none())
}

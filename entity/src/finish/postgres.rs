//! Finish, reschedule and park on PostgreSQL: one statement for each kind of change in the batch.

use std::collections::HashSet;

use sea_orm::DbErr;
use sea_orm::sqlx::postgres::{PgArguments, PgRow};
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, PgPool, Postgres, Row as _};
use uuid::Uuid;

use super::{AttemptLog, Change, Fate, Write};
use crate::Database;
use crate::database::fault;

/// Rule K: the shard rows are held in a materialized part before anything else is read, so that a takeover waits for us
/// or skips the shard; a mere join would let us write after it.
macro_rules! fenced {
    ($rest:literal) => {
        concat!(
            "WITH own AS MATERIALIZED (SELECT id, epoch FROM shard WHERE id = ANY($1::smallint[]) AND owner = $2 ",
            "ORDER BY id FOR KEY SHARE), ",
            $rest
        )
    };
}

/// What waits is looked up row by row, which `ANY` of one and `BETWEEN` one and itself leave no doubt about: equalities may be
/// joined the other way round, by reading all that waits, if it was vacuumed while there was nothing (decision 46). The shard may
/// stay one: the indexes that begin with it have a condition of their own.
///
/// Attempt rows go in for exactly those deliveries that the delete returned.
const FINISH: &str = fenced!(
    "x AS (
    SELECT a.* FROM unnest($3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[], $7::smallint[], $8::text[], $9::smallint[],
        $10::bigint[], $11::integer[], $12::smallint[], $13::smallint[], $14::text[], $15::text[], $16::text[], $17::bytea[], $19::bigint[],
        $20::boolean[])
        AS a(tenant_id, id, shard, epoch, state, reason, number,
        at, duration_ms, outcome, status, error, remote_address, response_headers, response_body, command, keep)
    JOIN own ON own.id = a.shard AND own.epoch = a.epoch
), d AS (
    DELETE FROM pending p USING x
    WHERE p.tenant_id = ANY(ARRAY[x.tenant_id]) AND p.id BETWEEN x.id AND x.id AND p.shard = x.shard
    RETURNING p.tenant_id, p.id, p.event_id, p.subscription_id, p.destination_id, p.trigger, p.retry_of, p.replay_id, x.state,
        x.reason, coalesce(x.number, p.attempts) AS attempts,
        coalesce(x.status, CASE WHEN x.number IS NULL THEN p.last_status END) AS last_status,
        coalesce(x.outcome, p.last_outcome) AS last_outcome, x.duration_ms, x.at, x.remote_address
), w AS (
    INSERT INTO delivery (tenant_id, id, event_id, subscription_id, destination_id, trigger, retry_of, replay_id, state,
        reason, attempts, last_status, last_outcome, duration_ms, attempted_at, remote_address, finished_at)
    SELECT d.*, $18::bigint FROM d ON CONFLICT DO NOTHING
), c AS (
    DELETE FROM command USING x
    WHERE command.shard = ANY(ARRAY[x.shard]) AND command.id BETWEEN x.command AND x.command
), l AS (
    INSERT INTO attempt (tenant_id, delivery_id, number, at, duration_ms, outcome, status, error, remote_address,
        response_headers, response_body)
    SELECT x.tenant_id, x.id, x.number, x.at, x.duration_ms, x.outcome, x.status, x.error, x.remote_address,
        x.response_headers, x.response_body
    FROM x JOIN d ON d.tenant_id = x.tenant_id AND d.id = x.id WHERE x.keep
    ON CONFLICT DO NOTHING
)
SELECT (SELECT array_agg(id) FROM own), (SELECT array_agg(epoch) FROM own), (SELECT array_agg(id) FROM d)"
);

/// The number of attempts is absolute, so that writing it twice does no harm, and it only grows, so that a statement that comes
/// late takes nothing back.
const RESCHEDULE: &str = fenced!(
    "x AS (
    SELECT a.* FROM unnest($3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[], $7::bigint[], $8::smallint[],
        $9::bigint[], $10::integer[], $11::smallint[], $12::smallint[], $13::text[], $14::text[], $15::text[], $16::bytea[])
        AS a(tenant_id, id, shard, epoch, due_at, number,
        at, duration_ms, outcome, status, error, remote_address, response_headers, response_body)
    JOIN own ON own.id = a.shard AND own.epoch = a.epoch
), d AS (
    UPDATE pending p SET due_at = x.due_at, attempts = x.number, last_outcome = x.outcome, last_status = x.status
    FROM x WHERE p.tenant_id = ANY(ARRAY[x.tenant_id]) AND p.id BETWEEN x.id AND x.id AND p.shard = x.shard
        AND p.attempts <= x.number RETURNING p.id
), l AS (
    INSERT INTO attempt (tenant_id, delivery_id, number, at, duration_ms, outcome, status, error, remote_address,
        response_headers, response_body)
    SELECT x.tenant_id, x.id, x.number, x.at, x.duration_ms, x.outcome, x.status, x.error, x.remote_address,
        x.response_headers, x.response_body
    FROM x JOIN d ON d.id = x.id ON CONFLICT DO NOTHING
)
SELECT (SELECT array_agg(id) FROM own), (SELECT array_agg(epoch) FROM own), (SELECT array_agg(id) FROM d)"
);

/// Parking and bringing forward: the due time alone.
const MOVE: &str = fenced!(
    "x AS (
    SELECT a.* FROM unnest($3::uuid[], $4::uuid[], $5::smallint[], $6::bigint[], $7::bigint[], $8::bigint[])
        AS a(tenant_id, id, shard, epoch, due_at, command)
    JOIN own ON own.id = a.shard AND own.epoch = a.epoch
), d AS (
    UPDATE pending p SET due_at = x.due_at FROM x
    WHERE p.tenant_id = ANY(ARRAY[x.tenant_id]) AND p.id BETWEEN x.id AND x.id AND p.shard = x.shard RETURNING p.id
), c AS (
    DELETE FROM command USING x
    WHERE command.shard = ANY(ARRAY[x.shard]) AND command.id BETWEEN x.command AND x.command
)
SELECT (SELECT array_agg(id) FROM own), (SELECT array_agg(epoch) FROM own), (SELECT array_agg(id) FROM d)"
);

/// Deadlocks are repeated: batches are sorted, but a rival's statement may not be.
const TRIES: usize = 3;

pub(super) async fn write(db: &Database, owner: Uuid, batch: &[Write], now: i64) -> Result<Vec<Fate>, DbErr> {
    let pool = db.finish.get_postgres_connection_pool();
    let mut tries = 0;
    loop {
        match write_once(pool, owner, batch, now).await {
            Err(error) if tries < TRIES && is_deadlock(&error) => tries += 1,
            result => return result.map_err(fault),
        }
    }
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sea_orm::sqlx::error::DatabaseError::code).as_deref() == Some("40P01")
}

async fn write_once(pool: &PgPool, owner: Uuid, batch: &[Write], now: i64) -> Result<Vec<Fate>, sqlx::Error> {
    let mut sorted: Vec<(usize, &Write)> = batch.iter().enumerate().collect();
    sorted.sort_by_key(|(_, write)| (write.row.tenant_id, write.row.id));
    let (ends, rest): (Vec<_>, Vec<_>) =
        sorted.into_iter().partition(|(_, write)| matches!(write.change, Change::Finish { .. }));
    let (again, moves): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|(_, write)| matches!(write.change, Change::Reschedule { .. }));
    let mut fates = vec![Fate::Fenced; batch.len()];
    for (part, statement) in [(&ends, FINISH), (&again, RESCHEDULE), (&moves, MOVE)] {
        if part.is_empty() {
            continue;
        }
        let writes: Vec<&Write> = part.iter().map(|(_, write)| *write).collect();
        let query = bind_rows(sqlx::query(statement), owner, &writes);
        let query = match &writes[0].change {
            Change::Finish { .. } => {
                let query = bind_attempts(bind_ends(query, &writes), &writes).bind(now).bind(commands(&writes));
                query.bind(
                    writes.iter().map(|write| write.change.last().is_some_and(|log| log.keep)).collect::<Vec<_>>(),
                )
            }
            Change::Reschedule { .. } => bind_attempts(bind_due(query, &writes), &writes),
            Change::Park | Change::Move { .. } => bind_due(query, &writes).bind(commands(&writes)),
        };
        let written = Written::read(&query.fetch_one(pool).await?)?;
        for (place, write) in part {
            fates[*place] = written.fate(write);
        }
    }
    Ok(fates)
}

/// What a statement says of itself: which shards were ours, in which epoch, and which rows it took.
struct Written {
    own: HashSet<(i16, i64)>,
    taken: HashSet<Uuid>,
}

impl Written {
    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let shards: Option<Vec<i16>> = row.try_get(0)?;
        let epochs: Option<Vec<i64>> = row.try_get(1)?;
        let taken: Option<Vec<Uuid>> = row.try_get(2)?;
        let own = shards.unwrap_or_default().into_iter().zip(epochs.unwrap_or_default()).collect();
        Ok(Self { own, taken: taken.unwrap_or_default().into_iter().collect() })
    }

    fn fate(&self, write: &Write) -> Fate {
        match self.own.contains(&(write.row.shard, write.row.epoch)) {
            false => Fate::Fenced,
            true if self.taken.contains(&write.row.id.uuid()) => Fate::Done,
            true => Fate::Gone,
        }
    }
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

fn bind_rows<'q>(query: Statement<'q>, owner: Uuid, writes: &[&Write]) -> Statement<'q> {
    let shards: HashSet<i16> = writes.iter().map(|write| write.row.shard).collect();
    query
        .bind(shards.into_iter().collect::<Vec<_>>())
        .bind(owner)
        .bind(writes.iter().map(|write| write.row.tenant_id.uuid()).collect::<Vec<_>>())
        .bind(writes.iter().map(|write| write.row.id.uuid()).collect::<Vec<_>>())
        .bind(writes.iter().map(|write| write.row.shard).collect::<Vec<_>>())
        .bind(writes.iter().map(|write| write.row.epoch).collect::<Vec<_>>())
}

fn bind_ends<'q>(query: Statement<'q>, writes: &[&Write]) -> Statement<'q> {
    let ends = writes.iter().filter_map(|write| match &write.change {
        Change::Finish { state, reason, .. } => Some((state.number(), reason.clone())),
        _ => None,
    });
    let (states, reasons): (Vec<i16>, Vec<Option<String>>) = ends.unzip();
    query.bind(states).bind(reasons)
}

fn bind_due<'q>(query: Statement<'q>, writes: &[&Write]) -> Statement<'q> {
    query.bind(writes.iter().map(|write| write.change.due_at()).collect::<Vec<_>>())
}

fn commands(writes: &[&Write]) -> Vec<Option<i64>> {
    writes.iter().map(|write| write.command).collect()
}

fn bind_attempts<'q>(query: Statement<'q>, writes: &[&Write]) -> Statement<'q> {
    let logs: Vec<Option<&AttemptLog>> = writes.iter().map(|write| write.change.last()).collect();
    macro_rules! column {
        ($log:ident => $value:expr) => {
            logs.iter().map(|log| log.map(|$log| $value)).collect::<Vec<_>>()
        };
        ($log:ident =>? $value:expr) => {
            logs.iter().map(|log| log.and_then(|$log| $value)).collect::<Vec<_>>()
        };
    }
    query
        .bind(column!(log => log.number))
        .bind(column!(log => log.at))
        .bind(column!(log => log.duration_ms))
        .bind(column!(log => log.outcome.number()))
        .bind(column!(log =>? log.status))
        .bind(column!(log =>? log.error.clone()))
        .bind(column!(log =>? log.remote_address.clone()))
        .bind(column!(log =>? log.response_headers.clone()))
        .bind(column!(log =>? log.response_body.clone()))
}

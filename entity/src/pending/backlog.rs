//! How much waits, for the operators' numbers.

use sea_orm::{ConnectionTrait, DbErr, Statement, TransactionTrait, Value};

use crate::Database;

/// How many rows of a worker's shards wait, and for what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// They may be sent now.
    pub due: i64,
    /// They are tried again later.
    pub later: i64,
    /// Their destination takes nothing now, or less than comes.
    pub parked: i64,
}

/// No more are counted of each kind: a hundred thousand take a tenth of a second.
const MOST: i64 = 100_000;

/// PostgreSQL would collect every row before it counts the first ones. Along the index it stops where it may.
const ALONG_THE_INDEX: &str = "SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off";

/// Counts what waits in these shards, each kind by its index and no further than 100,000.
pub async fn backlog(db: &Database, shards: &[i16], now: i64) -> Result<Backlog, DbErr> {
    if shards.is_empty() {
        return Ok(Backlog::default());
    }
    let list = shards.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let kinds = [
        "due_at < 9223372036854775807 AND due_at <= $1",
        "due_at < 9223372036854775807 AND due_at > $1",
        "due_at = 9223372036854775807",
    ];
    let counts = kinds.map(|which| {
        format!("(SELECT count(*) FROM (SELECT 1 FROM pending WHERE shard IN ({list}) AND {which} LIMIT {MOST}) x)")
    });
    let txn = db.read.begin().await?;
    if !db.is_sqlite() {
        txn.execute_unprepared(ALONG_THE_INDEX).await?;
    }
    let values: [Value; 1] = [now.into()];
    let text = format!("SELECT {}", counts.join(", "));
    let read = Statement::from_sql_and_values(txn.get_database_backend(), text, values);
    let row = txn.query_one_raw(read).await?.ok_or_else(|| DbErr::RecordNotFound("count".into()))?;
    txn.commit().await?;
    Ok(Backlog { due: row.try_get_by_index(0)?, later: row.try_get_by_index(1)?, parked: row.try_get_by_index(2)? })
}

//! Rule F: who is first in a line of a destination that wants an order, by the place in line and whatever the due time.

use relay::id::DestinationId;
use relay::order::WHOLE;
use sea_orm::sea_query::ArrayType;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use super::{COLUMNS, Due, array};
use crate::Database;
use crate::delivery::Trigger;

/// A line: [`WHOLE`] is all rows of the destination, whatever line they say they stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Head {
    pub destination: DestinationId,
    pub line: i32,
}

impl Head {
    /// The line that this row is the first of, if it was asked for by destinations as a whole or by their lines.
    #[must_use]
    pub fn of(due: &Due, is_whole: bool) -> Self {
        let line = if is_whole { WHOLE } else { due.order_key.unwrap_or(WHOLE) };
        Self { destination: due.destination_id, line }
    }
}

/// The first rows of these lines; a line without rows gives none.
pub async fn heads(db: &Database, lines: &[Head]) -> Result<Vec<(Head, Due)>, DbErr> {
    let (whole, keyed): (Vec<Head>, Vec<Head>) = lines.iter().partition(|head| head.line == WHOLE);
    let mut found = Vec::with_capacity(lines.len());
    for (lines, is_whole) in [(whole, true), (keyed, false)] {
        if lines.is_empty() {
            continue;
        }
        let read = if db.is_sqlite() { on_sqlite(&lines, is_whole) } else { on_postgres(&lines, is_whole) };
        for row in db.steady.query_all_raw(read).await? {
            let due = Due::read(&row)?;
            found.push((Head::of(&due, is_whole), due));
        }
    }
    Ok(found)
}

/// Tests stand in no line. [`Trigger::number`] of them.
const TEST: i16 = Trigger::Test.number();

fn on_postgres(lines: &[Head], is_whole: bool) -> Statement {
    let only = if is_whole { "" } else { "AND p.order_key = x.line" };
    let text = format!(
        "SELECT p.* FROM unnest($1::uuid[], $2::integer[]) x(destination_id, line)
        CROSS JOIN LATERAL (SELECT {COLUMNS} FROM pending p WHERE p.destination_id = x.destination_id {only}
            AND p.trigger <> {TEST}
            ORDER BY p.seq LIMIT 1) p"
    );
    let values: [Value; 2] = [
        array(ArrayType::Uuid, lines.iter().map(|head| head.destination.uuid().into())),
        array(ArrayType::Int, lines.iter().map(|head| head.line.into())),
    ];
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}

fn on_sqlite(lines: &[Head], is_whole: bool) -> Statement {
    let only = |place: usize| if is_whole { String::new() } else { format!("AND order_key = ${place}") };
    let one = |place: usize| {
        let (destination, line) = (2 * place + 1, 2 * place + 2);
        let only = only(line);
        format!(
            "SELECT * FROM (SELECT {COLUMNS} FROM pending WHERE destination_id = ${destination} {only} AND trigger <> {TEST}
                ORDER BY seq LIMIT 1)"
        )
    };
    let text = (0..lines.len()).map(one).collect::<Vec<_>>().join(" UNION ALL ");
    let values: Vec<Value> = lines.iter().flat_map(|head| [head.destination.uuid().into(), head.line.into()]).collect();
    Statement::from_sql_and_values(DbBackend::Sqlite, text, values)
}

/// The first row of each of a destination's keyed lines behind `after`, in the order of the lines, at most `limit` of them: a
/// loose index scan, one step a line.
pub async fn heads_of_lines(
    db: &Database,
    destination: DestinationId,
    after: i64,
    limit: usize,
) -> Result<Vec<Due>, DbErr> {
    // PostgreSQL keeps the plan: it must not come to begin with all rows of the destination because they once were few.
    let of_each = if db.is_sqlite() {
        "JOIN pending p ON p.destination_id = $1 AND p.order_key = u.k AND p.seq =
            (SELECT min(q.seq) FROM pending q WHERE q.destination_id = $1 AND q.order_key = u.k)"
    } else {
        "CROSS JOIN LATERAL (SELECT * FROM pending q WHERE q.destination_id = $1 AND q.order_key = u.k
            ORDER BY q.seq LIMIT 1) p"
    };
    let text = format!(
        "WITH RECURSIVE t(k) AS (
            SELECT (SELECT order_key FROM pending WHERE destination_id = $1 AND order_key IS NOT NULL AND order_key > $2
                ORDER BY order_key LIMIT 1)
            UNION ALL SELECT (SELECT order_key FROM pending WHERE destination_id = $1 AND order_key IS NOT NULL
                AND order_key > t.k ORDER BY order_key LIMIT 1) FROM t WHERE t.k IS NOT NULL),
        u AS (SELECT k FROM t WHERE k IS NOT NULL LIMIT $3)
        SELECT {COLUMNS} FROM u {of_each} ORDER BY u.k"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values: [Value; 3] = [destination.uuid().into(), after.into(), limit.into()];
    let read = Statement::from_sql_and_values(db.steady.get_database_backend(), text, values);
    db.steady.query_all_raw(read).await?.iter().map(Due::read).collect()
}

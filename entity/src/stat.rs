//! What was counted of sources, destinations and tenants, by minutes and by hours. Each process writes rows of its own, and
//! always whole, so that nothing is added up in the database: a row that is written twice is as right as one written once.

use relay::id::TenantId;
use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::sqlx::{self, Connection, Sqlite, query::Query};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::Database;
use crate::database::fault;
use crate::rows::Rows;
use crate::tenant;

mod histogram;
mod statistics;
mod tally;

pub use histogram::Histogram;
pub use statistics::{Counting, Statistics};
pub use tally::Tally;

/// How much time a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Width {
    Minute,
    Hour,
}

/// Rows of minutes are kept so long; those of hours as long as events.
pub const MINUTES_KEPT_MS: i64 = 2 * 86_400_000;

impl Width {
    const fn seconds(self) -> i32 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
        }
    }

    /// When the one began in which `at` lies.
    pub(crate) const fn begin(self, at: i64) -> i64 {
        at - at.rem_euclid(self.seconds() as i64 * 1_000)
    }
}

/// What one process counted of one object in one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) tenant: TenantId,
    /// Nil for the tenant itself.
    pub(crate) object: Uuid,
    pub(crate) width: Width,
    pub(crate) at: i64,
    /// JSON: a [`Tally`].
    pub(crate) counts: String,
}

/// Rows in one statement on PostgreSQL, and in one transaction of SQLite's only writer: some milliseconds.
const AT_A_TIME: usize = 256;

const ON_POSTGRES: &str = "
INSERT INTO stat (tenant_id, object_id, width, at, writer, counts)
SELECT a.tenant_id, a.object_id, a.width, a.at, $1, a.counts
FROM unnest($2::uuid[], $3::uuid[], $4::integer[], $5::bigint[], $6::text[]) AS a(tenant_id, object_id, width, at, counts)
ON CONFLICT (tenant_id, object_id, width, at, writer) DO UPDATE SET counts = excluded.counts";

static ON_SQLITE: Rows = Rows::new(&[(
    "INSERT INTO stat (tenant_id, object_id, width, at, writer, counts) VALUES",
    6,
    "ON CONFLICT (tenant_id, object_id, width, at, writer) DO UPDATE SET counts = excluded.counts",
)]);

/// Writes rows of a process, no two of which are about the same, and says how many there were. Nothing is written of who is
/// being erased: an hour's row would come after the erasure.
pub(crate) async fn write(db: &Database, writer: Uuid, mut rows: Vec<Row>) -> Result<usize, DbErr> {
    let (count, tenants) = (rows.len(), rows.iter().map(|row| row.tenant).collect());
    let erasing = tenant::erasing_among(&db.finish, &tenants).await?;
    rows.retain(|row| !erasing.contains(&row.tenant));
    for rows in rows.chunks(AT_A_TIME) {
        let written = if db.is_sqlite() {
            write_on_sqlite(db, writer, rows).await
        } else {
            write_on_postgres(db, writer, rows).await
        };
        written.map_err(fault)?;
    }
    Ok(count)
}

async fn write_on_postgres(db: &Database, writer: Uuid, rows: &[Row]) -> Result<(), sqlx::Error> {
    let query = sqlx::query(ON_POSTGRES)
        .bind(writer)
        .bind(rows.iter().map(|row| row.tenant.uuid()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.object).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.width.seconds()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.counts.clone()).collect::<Vec<_>>());
    query.execute(db.finish.get_postgres_connection_pool()).await.map(drop)
}

async fn write_on_sqlite(db: &Database, writer: Uuid, rows: &[Row]) -> Result<(), sqlx::Error> {
    let mut connection = db.finish.get_sqlite_connection_pool().acquire().await?;
    let mut txn = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (text, part) in ON_SQLITE.parts(rows) {
        let query = part.iter().fold(sqlx::query(text), |query, row| bind(query, writer, row));
        query.execute(&mut *txn).await?;
    }
    txn.commit().await
}

fn bind<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    writer: Uuid,
    row: &'q Row,
) -> Query<'q, Sqlite, SqliteArguments> {
    query
        .bind(row.tenant.uuid())
        .bind(row.object)
        .bind(row.width.seconds())
        .bind(row.at)
        .bind(writer)
        .bind(row.counts.as_str())
}

/// What all processes counted of one of a tenant's objects, or of the tenant itself, in a time: when each row's span began,
/// and its counts, oldest first.
pub async fn read(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    object: Option<Uuid>,
    width: Width,
    (after, before): (i64, i64),
) -> Result<Vec<(i64, Tally)>, DbErr> {
    let text = "SELECT at, counts FROM stat
        WHERE tenant_id = $1 AND object_id = $2 AND width = $3 AND at >= $4 AND at < $5 ORDER BY at";
    let values: [Value; 5] =
        [tenant.uuid().into(), object.unwrap_or_default().into(), width.seconds().into(), after.into(), before.into()];
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    // Some ten thousand of them, if many processes counted.
    let parsed = tokio::task::spawn_blocking(move || rows.iter().map(parse).collect());
    parsed.await.map_err(|error| DbErr::Custom(error.to_string()))?
}

fn parse(row: &QueryResult) -> Result<(i64, Tally), DbErr> {
    let counts: String = row.try_get_by_index(1)?;
    let tally = serde_json::from_str(&counts).map_err(|error| DbErr::Json(error.to_string()))?;
    Ok((row.try_get_by_index(0)?, tally))
}

/// Forgets a tenant's hours from before `before`, which keeps less than the operator says.
pub(crate) async fn forget_of(db: &Database, tenant: TenantId, before: i64) -> Result<(), DbErr> {
    // By the tenant's own rows: without figures on the table, SQLite would look at everybody's old ones (`stat_at`). Whether there
    // are any is asked beside whoever writes.
    let text = if db.is_sqlite() {
        "DELETE FROM stat WHERE rowid IN
            (SELECT rowid FROM stat WHERE tenant_id = $1 AND +width = $2 AND +at < $3 LIMIT 1000)"
    } else {
        "DELETE FROM stat WHERE ctid = ANY(ARRAY
            (SELECT ctid FROM stat WHERE tenant_id = $1 AND width = $2 AND at < $3 LIMIT 1000))"
    };
    let values: [Value; 3] = [tenant.uuid().into(), Width::Hour.seconds().into(), before.into()];
    let old = "SELECT 1 FROM stat WHERE tenant_id = $1 AND +width = $2 AND +at < $3 LIMIT 1";
    let is_any = Statement::from_sql_and_values(db.read.get_database_backend(), old, values.clone());
    let delete = Statement::from_sql_and_values(db.finish.get_database_backend(), text, values);
    while db.read.query_one_raw(is_any.clone()).await?.is_some() {
        db.finish.execute_raw(delete.clone()).await?;
    }
    Ok(())
}

/// Forgets what is older than it may be, in bounded steps.
pub(crate) async fn forget(db: &Database, now: i64, metadata: i64) -> Result<(), DbErr> {
    // By the rows' places: pairs of columns SQLite would look for in the whole table.
    let text = if db.is_sqlite() {
        "DELETE FROM stat WHERE rowid IN
            (SELECT rowid FROM stat WHERE width = $1 AND at < $2 ORDER BY at LIMIT 1000)"
    } else {
        "DELETE FROM stat WHERE ctid = ANY(ARRAY
            (SELECT ctid FROM stat WHERE width = $1 AND at < $2 ORDER BY at LIMIT 1000))"
    };
    for (width, before) in [(Width::Minute, now - MINUTES_KEPT_MS), (Width::Hour, metadata)] {
        loop {
            let values: [Value; 2] = [width.seconds().into(), before.into()];
            let delete = Statement::from_sql_and_values(db.finish.get_database_backend(), text, values);
            if db.finish.execute_raw(delete).await?.rows_affected() == 0 {
                break;
            }
        }
    }
    Ok(())
}

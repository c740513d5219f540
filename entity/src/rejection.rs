//! What sources refused: the last requests of each, and how many by cause. Noted beside the requests, a moment later.

use std::collections::HashMap;

use relay::id::{RejectionId, SourceId, TenantId};
use sea_orm::entity::prelude::*;
use sea_orm::sqlx::{self, Connection};
use sea_orm::{Condition, ConnectionTrait, DbBackend, IntoActiveModel, QueryOrder, QuerySelect, Statement};

use crate::Database;
use crate::database::fault;
use crate::rows::Rows;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "rejection")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_id: Uuid,
    /// Says when.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// A named cause.
    pub cause: String,
    /// False for what was only reported, and taken.
    pub is_refused: bool,
    pub method: String,
    pub remote_address: Option<String>,
    pub content_type: Option<String>,
    /// Bytes of the body, as far as they were announced or read.
    pub size: Option<i64>,
    /// A JSON array, in the order they came.
    pub header_names: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How many a source refused for one cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Total {
    pub cause: String,
    pub total: i64,
    pub last_at: i64,
}

/// Whose totals: source and cause.
pub type Counted = (TenantId, SourceId, &'static str);

/// So many are kept of each source.
pub const KEPT: u64 = 100;
/// Rows in one statement: neither database takes more than some ten thousand parameters.
const AT_A_TIME: usize = 1_000;

const COUNT_ON_POSTGRES: &str = "
INSERT INTO rejection_total (tenant_id, source_id, cause, total, last_at)
SELECT a.tenant_id, a.source_id, a.cause, a.total, $1
FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::bigint[]) AS a(tenant_id, source_id, cause, total)
ORDER BY a.tenant_id, a.source_id, a.cause
ON CONFLICT (tenant_id, source_id, cause)
DO UPDATE SET total = rejection_total.total + excluded.total, last_at = excluded.last_at";

static COUNT_ON_SQLITE: Rows = Rows::new(&[(
    "INSERT INTO rejection_total (tenant_id, source_id, cause, total, last_at) VALUES",
    5,
    "ON CONFLICT (tenant_id, source_id, cause)
    DO UPDATE SET total = rejection_total.total + excluded.total, last_at = excluded.last_at",
)]);

const TOTALS: &str =
    "SELECT cause, total, last_at FROM rejection_total WHERE tenant_id = $1 AND source_id = $2 ORDER BY cause";

const LOCK_TOTALS: &str =
    "SELECT 1 FROM rejection_total WHERE tenant_id = $1 AND source_id = $2 ORDER BY cause FOR UPDATE";

const TRIM: &str = "
DELETE FROM rejection WHERE tenant_id = $1 AND source_id = $2 AND id <
    (SELECT id FROM rejection WHERE tenant_id = $1 AND source_id = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)";

impl Model {
    #[must_use]
    pub fn id(&self) -> RejectionId {
        self.id.into()
    }
}

/// Notes rejections, and how many there were of each cause, of which some may have no row. The rows first: who sees a
/// total also sees what it is of.
pub async fn note(db: &Database, rows: Vec<Model>, counts: HashMap<Counted, i64>, now: i64) -> Result<(), DbErr> {
    let mut sources: Vec<(Uuid, Uuid)> = rows.iter().map(|row| (row.tenant_id, row.source_id)).collect();
    sources.sort_unstable();
    sources.dedup();
    for rows in rows.chunks(AT_A_TIME) {
        let rows = rows.iter().map(|row| row.clone().into_active_model().reset_all());
        Entity::insert_many(rows).exec_without_returning(&db.finish).await?;
    }
    for (tenant, source) in sources {
        let offset = i64::try_from(KEPT - 1).unwrap_or(i64::MAX);
        let values = [tenant.into(), source.into(), offset.into()];
        db.finish.execute_raw(Statement::from_sql_and_values(db.finish.get_database_backend(), TRIM, values)).await?;
    }
    let counts: Vec<_> = counts.into_iter().collect();
    for counts in counts.chunks(AT_A_TIME) {
        let counted = if db.is_sqlite() {
            count_on_sqlite(db, counts, now).await
        } else {
            match count_on_postgres(db, counts, now).await {
                // An erasure takes the rows as they lie. Nothing was written.
                Err(error) if is_deadlock(&error) => count_on_postgres(db, counts, now).await,
                counted => counted,
            }
        };
        counted.map_err(fault)?;
    }
    Ok(())
}

async fn count_on_postgres(db: &Database, counts: &[(Counted, i64)], now: i64) -> Result<(), sqlx::Error> {
    let query = sqlx::query(COUNT_ON_POSTGRES)
        .bind(now)
        .bind(counts.iter().map(|((tenant, ..), _)| tenant.uuid()).collect::<Vec<_>>())
        .bind(counts.iter().map(|((_, source, _), _)| source.uuid()).collect::<Vec<_>>())
        .bind(counts.iter().map(|((.., cause), _)| *cause).collect::<Vec<_>>())
        .bind(counts.iter().map(|(_, total)| *total).collect::<Vec<_>>());
    query.execute(db.finish.get_postgres_connection_pool()).await.map(drop)
}

fn is_deadlock(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("40P01"))
}

async fn count_on_sqlite(db: &Database, counts: &[(Counted, i64)], now: i64) -> Result<(), sqlx::Error> {
    let mut connection = db.finish.get_sqlite_connection_pool().acquire().await?;
    let mut txn = connection.begin_with("BEGIN IMMEDIATE").await?;
    for (text, part) in COUNT_ON_SQLITE.parts(counts) {
        let query = part.iter().fold(sqlx::query(text), |query, ((tenant, source, cause), total)| {
            query.bind(tenant.uuid()).bind(source.uuid()).bind(*cause).bind(*total).bind(now)
        });
        query.execute(&mut *txn).await?;
    }
    txn.commit().await
}

/// A source's rejections from before `before`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    (tenant, source): (TenantId, SourceId),
    before: Option<RejectionId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let wanted = of(tenant, source).add_option(before.map(|id| Column::Id.lt(id.uuid())));
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// A tenant's rejections of these ids, in no order.
pub async fn these(db: &impl ConnectionTrait, tenant: TenantId, ids: &[RejectionId]) -> Result<Vec<Model>, DbErr> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let of = Condition::all().add(Column::TenantId.eq(tenant.uuid()));
    Entity::find().filter(of.add(Column::Id.is_in(ids.iter().map(|id| id.uuid())))).all(db).await
}

/// How many a source refused since it was made, by cause.
pub async fn totals(db: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<Vec<Total>, DbErr> {
    let values = [tenant.uuid().into(), source.uuid().into()];
    let rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), TOTALS, values)).await?;
    let total = |row: &sea_orm::QueryResult| {
        Ok(Total {
            cause: row.try_get_by_index(0)?,
            total: row.try_get_by_index(1)?,
            last_at: row.try_get_by_index(2)?,
        })
    };
    rows.iter().map(total).collect()
}

/// The source is gone, and what it refused with it.
pub async fn delete_all(txn: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<(), DbErr> {
    Entity::delete_many().filter(of(tenant, source)).exec(txn).await?;
    let backend = txn.get_database_backend();
    if backend == DbBackend::Postgres {
        // In the order in which totals are written, or each could wait for the other.
        let values = [tenant.uuid().into(), source.uuid().into()];
        txn.query_all_raw(Statement::from_sql_and_values(backend, LOCK_TOTALS, values)).await?;
    }
    let text = "DELETE FROM rejection_total WHERE tenant_id = $1 AND source_id = $2";
    let values = [tenant.uuid().into(), source.uuid().into()];
    txn.execute_raw(Statement::from_sql_and_values(backend, text, values)).await.map(drop)
}

fn of(tenant: TenantId, source: SourceId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::SourceId.eq(source.uuid()))
}

//! The answers that were given to an `Idempotency-Key`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, Statement, Value};

use crate::sealing::Sealed;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency")]
pub struct Model {
    /// SHA-256 of API key, method, path and value.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Vec<u8>,
    /// SHA-256 of the body.
    pub request: Vec<u8>,
    pub status: i16,
    /// Sealed: it may hold a secret that is shown once.
    pub answer: String,
    pub expires_at: i64,
    /// Whom the request was about, if it was about a tenant: it goes with that.
    pub tenant_id: Option<Uuid>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub(crate) fn sealed(&self) -> Sealed<Column> {
        Sealed { column: Column::Answer, text: self.answer.clone(), owner: owner(&self.id) }
    }
}

/// What an answer is bound to when it is sealed.
#[must_use]
pub fn owner(id: &[u8]) -> String {
    format!("{}/answer", URL_SAFE_NO_PAD.encode(id))
}

/// Whether nobody else is answering the same key at this moment, in any process. Held until the transaction ends. SQLite
/// has one writer, so a transaction that runs is alone.
pub async fn try_lock(txn: &impl ConnectionTrait, id: &[u8; 32]) -> Result<bool, DbErr> {
    if txn.get_database_backend() != DbBackend::Postgres {
        return Ok(true);
    }
    let [number, ..] = id.as_chunks::<8>().0 else { return Ok(true) };
    let values: [Value; 1] = [i64::from_be_bytes(*number).into()];
    let text = "SELECT pg_try_advisory_xact_lock($1)";
    let row = txn.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, values)).await?;
    row.map_or(Ok(false), |row| row.try_get_by_index(0))
}

/// The answer that was given, if it is still kept.
pub async fn find(txn: &impl ConnectionTrait, id: &[u8; 32], now: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id.to_vec()).filter(Column::ExpiresAt.gt(now)).one(txn).await
}

/// Keeps an answer, in the place of one that has expired.
pub async fn keep(txn: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    let text =
        "INSERT INTO idempotency (id, request, status, answer, expires_at, tenant_id) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO UPDATE SET request = excluded.request, status = excluded.status, answer = excluded.answer,
            expires_at = excluded.expires_at, tenant_id = excluded.tenant_id";
    let values: [Value; 6] = [
        row.id.into(),
        row.request.into(),
        row.status.into(),
        row.answer.into(),
        row.expires_at.into(),
        row.tenant_id.into(),
    ];
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, values)).await.map(drop)
}

/// Forgets answers that expired before `before`.
pub async fn forget(db: &impl ConnectionTrait, before: i64) -> Result<(), DbErr> {
    Entity::delete_many().filter(Column::ExpiresAt.lt(before)).exec(db).await.map(drop)
}

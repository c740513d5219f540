//! A customer; owns everything else.

use relay::id::TenantId;
use relay::quota::Rate;
use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect, SqlErr};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tenant")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    /// JSON: see [`Model::limits`].
    pub limits: String,
    pub version: i64,
    pub created_at: i64,
}

/// How much a tenant may use; what is missing is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of all its sources together that one api process takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Rate>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    #[must_use]
    pub fn id(&self) -> TenantId {
        self.id.into()
    }

    /// What operators grant it.
    pub fn limits(&self) -> Result<Limits, DbErr> {
        serde_json::from_str(&self.limits).map_err(|error| DbErr::Json(error.to_string()))
    }
}

/// What the column says for limits.
#[must_use]
pub fn limits_column(limits: &Limits) -> String {
    serde_json::to_string(limits).expect("limits are JSON")
}

/// A tenant.
pub async fn find(db: &impl ConnectionTrait, id: TenantId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id.uuid()).one(db).await
}

/// The tenant that URLs call so.
pub async fn find_by_slug(db: &impl ConnectionTrait, slug: &str) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Slug.eq(slug)).one(db).await
}

/// A tenant that nobody else changes until the transaction ends.
pub async fn lock(txn: &impl ConnectionTrait, id: TenantId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id.uuid()).lock_exclusive().one(txn).await
}

/// Tenants from before `before`, newest first.
pub async fn page(db: &impl ConnectionTrait, before: Option<TenantId>, limit: u64) -> Result<Vec<Model>, DbErr> {
    let older = before.map(|id| Column::Id.lt(id.uuid()));
    Entity::find()
        .filter(sea_orm::Condition::all().add_option(older))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// A new tenant; [`is_taken`] tells when its slug is another's.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// Writes a row that [`lock`] read.
pub async fn save(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().update(txn).await
}

/// Whether [`insert`] failed because the slug is another tenant's.
#[must_use]
pub fn is_taken(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

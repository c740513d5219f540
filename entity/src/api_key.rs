//! What proves a caller to the admin API; only its SHA-256 is kept.

use relay::id::{ApiKeyId, TenantId};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, PaginatorTrait, QueryOrder, QuerySelect};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "api_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// None for an operator's key.
    pub tenant_id: Option<Uuid>,
    pub name: String,
    pub hash: Vec<u8>,
    /// Names of scopes, separated by spaces. Means nothing on an operator's key.
    pub scopes: String,
    pub expires_at: Option<i64>,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub version: i64,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    #[must_use]
    pub fn id(&self) -> ApiKeyId {
        self.id.into()
    }

    /// None for an operator's key.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        self.tenant_id.map(Into::into)
    }
}

/// The key with this fingerprint, expired or not. The one finder without a tenant: the key says whose it is.
pub async fn find_by_hash(db: &impl ConnectionTrait, hash: [u8; 32]) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Hash.eq(hash.to_vec())).one(db).await
}

/// Whether there is an operator's key.
pub async fn any_operator(db: &impl ConnectionTrait) -> Result<bool, DbErr> {
    Ok(Entity::find().filter(Column::TenantId.is_null()).one(db).await?.is_some())
}

/// Whosever key it is: for the operator's own commands, and for nothing that a tenant can reach.
pub async fn find_for_operator(db: &impl ConnectionTrait, id: ApiKeyId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id.uuid()).one(db).await
}

/// The operators' keys, newest first.
pub async fn of_operators(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(Column::TenantId.is_null()).order_by_desc(Column::Id).all(db).await
}

/// Whether the key was there until now, whosever it was.
pub async fn delete_for_operator(txn: &impl ConnectionTrait, id: ApiKeyId) -> Result<bool, DbErr> {
    Ok(Entity::delete_by_id(id.uuid()).exec(txn).await?.rows_affected > 0)
}

/// A tenant's key.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: ApiKeyId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id.uuid()).filter(Column::TenantId.eq(tenant.uuid())).one(db).await
}

/// How many keys a tenant has, expired ones too.
pub async fn count(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64, DbErr> {
    Entity::find().filter(Column::TenantId.eq(tenant.uuid())).count(db).await
}

/// A tenant's keys from before `before`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    before: Option<ApiKeyId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let older = before.map(|id| Column::Id.lt(id.uuid()));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add_option(older);
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// A new key.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// The key is gone; says whether it was there.
pub async fn delete(txn: &impl ConnectionTrait, tenant: TenantId, id: ApiKeyId) -> Result<bool, DbErr> {
    let gone = Entity::delete_many().filter(Column::Id.eq(id.uuid())).filter(Column::TenantId.eq(tenant.uuid()));
    Ok(gone.exec(txn).await?.rows_affected > 0)
}

/// Notes that a key was used.
pub async fn touch(db: &impl ConnectionTrait, id: ApiKeyId, at: i64) -> Result<(), DbErr> {
    let used = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(at)).filter(Column::Id.eq(id.uuid()));
    used.exec(db).await.map(drop)
}

//! What a provider presents at a source. Several may be live at once.

use relay::id::{CredentialId, SourceId, TenantId};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "credential")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub source_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// [`BASIC`].
    pub kind: String,
    pub username: String,
    /// The text form of [`relay::password::Stored`].
    pub stored: String,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub created_at: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The kind of a user name with a password, RFC 7617.
pub const BASIC: &str = "basic";

impl Model {
    #[must_use]
    pub fn id(&self) -> CredentialId {
        self.id.into()
    }
}

/// A credential of a tenant's source.
pub async fn find(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    source: SourceId,
    id: CredentialId,
) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), source.uuid(), id.uuid())).one(db).await
}

/// Every credential of a tenant's source, expired ones too.
pub async fn all(db: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<Vec<Model>, DbErr> {
    Entity::find().filter(of(tenant, source)).order_by_desc(Column::Id).all(db).await
}

/// The credentials of a tenant's source from before `before`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    (tenant, source): (TenantId, SourceId),
    before: Option<CredentialId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let wanted = of(tenant, source).add_option(before.map(|id| Column::Id.lt(id.uuid())));
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

/// A new credential.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// The credential is gone.
pub async fn delete(txn: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    Entity::delete_by_id((row.tenant_id, row.source_id, row.id)).exec(txn).await.map(drop)
}

/// The source has no credentials any more.
pub async fn delete_all(txn: &impl ConnectionTrait, tenant: TenantId, source: SourceId) -> Result<(), DbErr> {
    Entity::delete_many().filter(of(tenant, source)).exec(txn).await.map(drop)
}

fn of(tenant: TenantId, source: SourceId) -> Condition {
    Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(Column::SourceId.eq(source.uuid()))
}

/// Notes that a credential was used.
pub async fn touch(
    db: &impl ConnectionTrait,
    (tenant, source): (TenantId, SourceId),
    id: CredentialId,
    at: i64,
) -> Result<(), DbErr> {
    let used = Entity::update_many().col_expr(Column::LastUsedAt, Expr::value(at)).filter(of(tenant, source));
    used.filter(Column::Id.eq(id.uuid())).exec(db).await.map(drop)
}

//! Headers and raw body of an event: apart from it, since they are large and are forgotten sooner.

use relay::id::{EventId, TenantId};
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payload")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// A JSON array of `[name, value]`, values as Latin-1.
    pub headers: String,
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The headers of a tenant's event, as the column has them; None once they are forgotten.
pub async fn headers(db: &impl ConnectionTrait, tenant: TenantId, event: EventId) -> Result<Option<String>, DbErr> {
    column(db, tenant, event, Column::Headers).await
}

/// The raw body of a tenant's event; None once it is forgotten.
pub async fn body(db: &impl ConnectionTrait, tenant: TenantId, event: EventId) -> Result<Option<Vec<u8>>, DbErr> {
    column(db, tenant, event, Column::Body).await
}

/// Whether there is still something to send.
pub async fn is_kept(db: &impl ConnectionTrait, tenant: TenantId, event: EventId) -> Result<bool, DbErr> {
    Ok(column::<Uuid>(db, tenant, event, Column::EventId).await?.is_some())
}

async fn column<T: sea_orm::TryGetable>(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    event: EventId,
    column: Column,
) -> Result<Option<T>, DbErr> {
    let only = Entity::find_by_id((tenant.uuid(), event.uuid())).select_only().column(column);
    Ok(only.into_tuple::<(T,)>().one(db).await?.map(|(value,)| value))
}

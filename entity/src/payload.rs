//! Headers and raw body of an event: apart from it, since they are large and are forgotten sooner.

use std::collections::HashSet;

use bytes::Bytes;
use http::HeaderMap;
use relay::id::{EventId, TenantId};
use relay::inbound::Inbound;
use relay::order::Order;
use relay::stored::Headers;
use sea_orm::QuerySelect;
use sea_orm::entity::prelude::*;

use crate::event;
use crate::payload_key::{self, KeyError, Owner, PayloadKeys};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "payload")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub event_id: Uuid,
    /// A JSON array of `[name, value]`, values as Latin-1; or `sealed`.
    pub headers: String,
    /// As it came; or headers and body, sealed.
    pub body: Vec<u8>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// The headers of a tenant's event, as JSON; None once they are forgotten.
pub async fn headers(
    db: &impl ConnectionTrait,
    keys: &PayloadKeys,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<String>, KeyError> {
    match column::<String>(db, tenant, event, Column::Headers).await? {
        Some(sealed) if sealed == payload_key::SEALED => {
            Ok(find(db, keys, tenant, event).await?.map(|(headers, _)| headers))
        }
        plain => Ok(plain),
    }
}

/// The raw body of a tenant's event; None once it is forgotten.
pub async fn body(
    db: &impl ConnectionTrait,
    keys: &PayloadKeys,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<Bytes>, KeyError> {
    Ok(find(db, keys, tenant, event).await?.map(|(_, body)| body))
}

async fn find(
    db: &impl ConnectionTrait,
    keys: &PayloadKeys,
    tenant: TenantId,
    event: EventId,
) -> Result<Option<(String, Bytes)>, KeyError> {
    match Entity::find_by_id((tenant.uuid(), event.uuid())).one(db).await? {
        Some(row) => keys.open(Owner::Event(tenant, event), row.headers, row.body.into()).await.map(Some),
        None => Ok(None),
    }
}

/// Whether there is still something to send.
pub async fn is_kept(db: &impl ConnectionTrait, tenant: TenantId, event: EventId) -> Result<bool, DbErr> {
    Ok(column::<Uuid>(db, tenant, event, Column::EventId).await?.is_some())
}

/// Of which of these events there is still something to send.
pub async fn kept(db: &impl ConnectionTrait, tenant: TenantId, events: &[EventId]) -> Result<HashSet<EventId>, DbErr> {
    let of = Entity::find().filter(Column::TenantId.eq(tenant.uuid()));
    let of = of.filter(Column::EventId.is_in(events.iter().map(|id| id.uuid()))).select_only().column(Column::EventId);
    let ids: Vec<(Uuid,)> = of.into_tuple().all(db).await?;
    Ok(ids.into_iter().map(|(id,)| id.into()).collect())
}

/// Forgets headers and body of a tenant's event.
pub async fn erase(db: &impl ConnectionTrait, tenant: TenantId, event: EventId) -> Result<(), DbErr> {
    Entity::delete_by_id((tenant.uuid(), event.uuid())).exec(db).await.map(drop)
}

/// The line that an event stands in at a destination with this order, read from what was kept of it.
pub async fn line(
    db: &impl ConnectionTrait,
    keys: &PayloadKeys,
    event: &event::Model,
    order: &Order,
) -> Result<Option<i32>, KeyError> {
    let (mut headers, mut kept) = (HeaderMap::new(), Bytes::new());
    if matches!(order, Order::Fifo { key: Some(_) }) {
        let (text, body) = find(db, keys, event.tenant_id.into(), event.id()).await?.unwrap_or_default();
        (headers, kept) = (Headers::read(&text).map(), body);
    }
    let query = event.query.as_deref();
    Ok(order.line(&Inbound { method: &event.method, headers: &headers, path: &event.path, query, body: &kept }))
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

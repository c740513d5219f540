//! One accepted request, immutable, without its headers and body.

use relay::id::{EventId, SourceId, TenantId, first_of};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, QueryOrder, QuerySelect};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub tenant_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// None for tests of a destination.
    pub source_id: Option<Uuid>,
    pub event_type: Option<String>,
    pub derived_type: Option<String>,
    pub external_id: Option<String>,
    pub request_id: Option<String>,
    pub occurred_at: Option<i64>,
    pub received_at: i64,
    pub method: String,
    /// What follows the source key.
    pub path: String,
    pub query: Option<String>,
    pub remote_address: Option<String>,
    pub content_type: Option<String>,
    /// Bytes of the body.
    pub size: i32,
    /// How many subscriptions matched.
    pub matched: i32,
    /// How often its external id came again.
    pub duplicates: i32,
    pub test: bool,
    pub hops: i16,
    /// A JSON object of texts: what the source extracts besides.
    pub attributes: String,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What a list of events is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub source_id: Option<SourceId>,
    /// The type, or the finer one that the preset derived.
    pub event_type: Option<String>,
    pub external_id: Option<String>,
    pub request_id: Option<String>,
    /// Whether any subscription matched.
    pub matched: Option<bool>,
    pub test: Option<bool>,
    /// Received at this millisecond or later.
    pub after: Option<i64>,
    /// Received earlier than this millisecond.
    pub before: Option<i64>,
}

impl Model {
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id.into()
    }

    #[must_use]
    pub fn source(&self) -> Option<SourceId> {
        self.source_id.map(Into::into)
    }
}

impl Filter {
    /// Times are compared by the time in the id, which is what the table is kept in order (and in days) by.
    fn condition(self) -> Condition {
        let typed = self.event_type.map(|text| {
            Condition::any().add(Column::EventType.eq(text.as_str())).add(Column::DerivedType.eq(text.as_str()))
        });
        let matched = self.matched.map(|any| if any { Column::Matched.gt(0) } else { Column::Matched.eq(0) });
        Condition::all()
            .add_option(self.source_id.map(|id| Column::SourceId.eq(id.uuid())))
            .add_option(typed)
            .add_option(self.external_id.map(|id| Column::ExternalId.eq(id)))
            .add_option(self.request_id.map(|id| Column::RequestId.eq(id)))
            .add_option(matched)
            .add_option(self.test.map(|test| Column::Test.eq(test)))
            .add_option(self.after.map(|at| Column::Id.gte(first_of(at))))
            .add_option(self.before.map(|at| Column::Id.lt(first_of(at))))
    }
}

/// A tenant's event.
pub async fn find(db: &impl ConnectionTrait, tenant: TenantId, id: EventId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id((tenant.uuid(), id.uuid())).one(db).await
}

/// A tenant's events from before `cursor`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: Filter,
    cursor: Option<EventId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let older = cursor.map(|id| Column::Id.lt(id.uuid()));
    let wanted = Condition::all().add(Column::TenantId.eq(tenant.uuid())).add(filter.condition()).add_option(older);
    Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit).all(db).await
}

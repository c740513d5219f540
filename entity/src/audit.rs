//! Who changed what, written in the transaction of the change.

use relay::id::{AuditId, TenantId, first_of};
use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// None for what belongs to no tenant.
    pub tenant_id: Option<Uuid>,
    pub at: i64,
    /// The API key; None for the operator's key that no table holds.
    pub actor: Option<Uuid>,
    pub action: String,
    /// What kind of thing was changed.
    pub object: String,
    pub object_id: Uuid,
    /// JSON without secrets, as are all that the API shows later.
    pub before: Option<String>,
    pub after: Option<String>,
    pub request_id: String,
    pub remote_address: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What a list of changes is narrowed to.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub object: Option<String>,
    pub action: Option<String>,
    /// Made at this millisecond or later.
    pub after: Option<i64>,
    /// Made earlier than this millisecond.
    pub before: Option<i64>,
}

impl Model {
    #[must_use]
    pub fn id(&self) -> AuditId {
        self.id.into()
    }
}

/// Writes a row.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    row.into_active_model().reset_all().insert(txn).await.map(drop)
}

/// A tenant's changes from before `cursor`, newest first.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: Filter,
    cursor: Option<AuditId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    filter.of(Condition::all().add(Column::TenantId.eq(tenant.uuid())), cursor, limit).all(db).await
}

/// Everybody's changes from before `cursor`, newest first: for operators. Those of tenants that are gone are among them, as far as
/// they are kept, and those of what belongs to no tenant.
pub async fn page_of_all(
    db: &impl ConnectionTrait,
    filter: Filter,
    cursor: Option<AuditId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    filter.of(Condition::all(), cursor, limit).all(db).await
}

impl Filter {
    fn of(self, whose: Condition, cursor: Option<AuditId>, limit: u64) -> Select<Entity> {
        let wanted = whose
            .add_option(self.object.map(|object| Column::Object.eq(object)))
            .add_option(self.action.map(|action| Column::Action.eq(action)))
            .add_option(self.after.map(|at| Column::Id.gte(first_of(at))))
            .add_option(self.before.map(|at| Column::Id.lt(first_of(at))))
            .add_option(cursor.map(|id| Column::Id.lt(id.uuid())));
        Entity::find().filter(wanted).order_by_desc(Column::Id).limit(limit)
    }
}

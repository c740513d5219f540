//! Who changed what, written in the transaction of the change.

use relay::id::{Id, Kind};
use sea_orm::IntoActiveModel;
use sea_orm::entity::prelude::*;

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

/// The id of an audit row.
pub type AuditId = Id<Entry>;

/// Names the kind of [`AuditId`].
#[derive(Debug, Clone, Copy)]
pub enum Entry {}

impl Kind for Entry {
    const PREFIX: &'static str = "aud";
    const NAME: &'static str = "an audit entry";
}

/// Writes a row.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<(), DbErr> {
    row.into_active_model().reset_all().insert(txn).await.map(drop)
}

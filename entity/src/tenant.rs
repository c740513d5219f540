//! A customer; owns everything else.

use std::collections::HashSet;

use relay::id::TenantId;
use relay::retention::Retention;
use sea_orm::entity::prelude::*;
use sea_orm::{ExprTrait, IntoActiveModel, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

use crate::payload_key;

mod figures;
mod limits;

pub use figures::{Figures, MOST, figures};
pub use limits::{Counted, Limits};

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
    /// JSON: see [`Model::kept`].
    pub retention: Option<String>,
    /// Since when nothing of it is accepted, sent or shown.
    pub erasing_since: Option<i64>,
    /// When the last of it was gone.
    pub erased_at: Option<i64>,
    /// So far.
    pub erased_rows: i64,
}

/// For how many days what comes is kept, where that is less than the operator says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Headers and bodies.
    pub payload_d: i64,
    /// Events, deliveries and attempts.
    pub metadata_d: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    #[must_use]
    pub fn id(&self) -> TenantId {
        self.id.into()
    }

    /// One that begins now, with nothing said of it.
    #[must_use]
    pub fn new(id: TenantId, slug: String, name: String, now: i64) -> Self {
        Self {
            id: id.uuid(),
            slug,
            name,
            limits: limits_column(&Limits::default()),
            version: 1,
            created_at: now,
            retention: None,
            erasing_since: None,
            erased_at: None,
            erased_rows: 0,
        }
    }

    /// How long it keeps what comes, where that is said.
    pub fn kept(&self) -> Result<Option<Kept>, DbErr> {
        let read = |column: &str| serde_json::from_str(column).map_err(|error| DbErr::Json(error.to_string()));
        self.retention.as_deref().map(read).transpose()
    }

    /// How long what comes is kept: never longer than the operator says.
    pub fn retention(&self, operators: &Retention) -> Result<Retention, DbErr> {
        Ok(self.kept()?.map_or(*operators, |kept| operators.at_most(kept.payload_d, kept.metadata_d)))
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

/// What the column says for this.
#[must_use]
pub fn retention_column(kept: Option<&Kept>) -> Option<String> {
    kept.map(|kept| serde_json::to_string(kept).expect("numbers are JSON"))
}

/// A tenant.
pub async fn find(db: &impl ConnectionTrait, id: TenantId) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id.uuid()).one(db).await
}

/// The tenant that URLs call so, unless it is being erased.
pub async fn find_by_slug(db: &impl ConnectionTrait, slug: &str) -> Result<Option<Model>, DbErr> {
    Entity::find().filter(Column::Slug.eq(slug)).filter(Column::ErasingSince.is_null()).one(db).await
}

/// The tenant that URLs call so, or called so: slugs are never given again.
pub async fn ever_called(db: &impl ConnectionTrait, slug: &str) -> Result<Option<Model>, DbErr> {
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

/// Tenants after `after`, in the order of their ids, that keep less than the operator says.
pub async fn that_keep_less(
    db: &impl ConnectionTrait,
    after: Option<TenantId>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let next = after.map(|id| Column::Id.gt(id.uuid()));
    let wanted = sea_orm::Condition::all().add(Column::Retention.is_not_null()).add_option(next);
    Entity::find().filter(wanted).order_by_asc(Column::Id).limit(limit).all(db).await
}

/// Tenants that are being erased.
pub async fn erasing(db: &impl ConnectionTrait) -> Result<Vec<Model>, DbErr> {
    let wanted = Column::ErasingSince.is_not_null().and(Column::ErasedAt.is_null());
    Entity::find().filter(wanted).order_by_asc(Column::Id).all(db).await
}

/// Whether there is nothing of it any more, or soon will not be.
pub async fn is_erasing(db: &impl ConnectionTrait, id: TenantId) -> Result<bool, DbErr> {
    Ok(Entity::find_by_id(id.uuid()).filter(Column::ErasingSince.is_not_null()).count(db).await? > 0)
}

/// Those of them of which there is nothing any more, or soon will not be.
pub(crate) async fn erasing_among(
    db: &impl ConnectionTrait,
    tenants: &HashSet<TenantId>,
) -> Result<HashSet<TenantId>, DbErr> {
    if tenants.is_empty() {
        return Ok(HashSet::new());
    }
    let among = Column::Id.is_in(tenants.iter().map(|id| id.uuid()));
    let ids = Entity::find().select_only().column(Column::Id).filter(among.and(Column::ErasingSince.is_not_null()));
    Ok(ids.into_tuple::<Uuid>().all(db).await?.into_iter().map(Into::into).collect())
}

/// From now on nothing of it is accepted, sent or shown, nothing that is sealed of it can be opened, and then all that it had
/// is erased. To be recorded as
/// [`Changed::Tenant`](crate::change::Changed::Tenant).
pub async fn freeze(txn: &impl ConnectionTrait, row: Model, now: i64) -> Result<Model, DbErr> {
    payload_key::destroy(txn, row.id()).await?;
    save(txn, Model { erasing_since: Some(now), version: row.version + 1, ..row }).await
}

/// Counts what was erased.
pub async fn count_erased(db: &impl ConnectionTrait, id: TenantId, rows: u64) -> Result<(), DbErr> {
    let more = Expr::col(Column::ErasedRows).add(i64::try_from(rows).unwrap_or(i64::MAX));
    let counted = Entity::update_many().col_expr(Column::ErasedRows, more).filter(Column::Id.eq(id.uuid()));
    counted.exec(db).await.map(drop)
}

/// A new tenant; [`is_taken`](crate::database::is_taken) tells when its slug is another's.
pub async fn insert(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().insert(txn).await
}

/// Writes a row that [`lock`] read.
pub async fn save(txn: &impl ConnectionTrait, row: Model) -> Result<Model, DbErr> {
    row.into_active_model().reset_all().update(txn).await
}

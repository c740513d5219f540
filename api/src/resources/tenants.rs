//! Tenants: operators make them, and each sees itself.

use entity::change::Changed;
use entity::database::is_taken;
use entity::{source, tenant};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::id::{TenantId, kind};

mod limits;

pub use limits::Limits;

use super::{NAME, Tag, set};
use crate::answer::{Accepted, Created, Found};
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::{Listing, Page};
use crate::wire::{Id, Slug, Text, Time, time};

/// A customer of this relay.
#[derive(Debug, Clone, Object)]
pub struct Tenant {
    pub id: Id<kind::Tenant>,
    pub name: String,
    /// The name in URLs; never changes.
    pub slug: Text<Slug>,
    pub limits: Limits,
    /// How long it keeps what comes.
    pub retention: Retention,
    pub created_at: Time,
    /// How far its deletion is, once it was asked for. Then nothing of it is accepted, sent or shown any more.
    #[oai(nullable)]
    pub deletion: Option<Deletion>,
}

/// For how many days what comes is kept.
#[derive(Debug, Clone, Object)]
pub struct Retention {
    /// Headers and bodies, and what destinations answered. What is not delivered by then fails as `expired`.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    pub payload_d: i64,
    /// Events, deliveries and attempts; no fewer.
    #[oai(validator(minimum(value = "1"), maximum(value = "36500")))]
    pub metadata_d: i64,
}

/// How far the deletion of a tenant is.
#[derive(Debug, Clone, Object)]
pub struct Deletion {
    pub asked_at: Time,
    /// When the last of it was gone; null until then.
    #[oai(nullable)]
    pub finished_at: Option<Time>,
    /// Rows that are gone so far.
    pub erased_rows: i64,
}

/// A tenant to be made.
#[derive(Debug, Object)]
pub struct NewTenant {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// The name in URLs; never changes.
    pub slug: Text<Slug>,
    /// Without it, as usual.
    #[oai(nullable)]
    pub limits: Option<Limits>,
    /// No longer than the operator keeps what comes, which is so without it.
    #[oai(nullable)]
    pub retention: Option<Retention>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct TenantPatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// Replaced as a whole. Null: as usual.
    #[oai(nullable)]
    pub limits: MaybeUndefined<Limits>,
    /// Null: as long as the operator keeps what comes.
    #[oai(nullable)]
    pub retention: MaybeUndefined<Retention>,
}

impl Retention {
    fn show(kept: &relay::retention::Retention) -> Self {
        let (payload_d, metadata_d) = kept.days();
        Self { payload_d, metadata_d }
    }

    /// The column, if it is no longer than the operator's.
    fn meant(&self, operators: &relay::retention::Retention) -> Result<tenant::Kept, Error> {
        let (payload_d, metadata_d) = operators.days();
        for (pointer, days, most) in [
            ("/retention/payload_d", self.payload_d, payload_d),
            ("/retention/metadata_d", self.metadata_d, metadata_d),
        ] {
            if days > most {
                return Err(Error::field(pointer, format!("is longer than the operator keeps it: {most} days")));
            }
        }
        if self.metadata_d < self.payload_d {
            return Err(Error::field("/retention/metadata_d", "must not be less than `payload_d`"));
        }
        Ok(tenant::Kept { payload_d: self.payload_d, metadata_d: self.metadata_d })
    }
}

impl Deletion {
    fn show(row: &tenant::Model) -> Option<Self> {
        let asked_at = time(row.erasing_since?);
        Some(Self { asked_at, finished_at: row.erased_at.map(time), erased_rows: row.erased_rows })
    }
}

impl Tenant {
    /// As it is shown, without any secret. `operators` is how long the operators keep what a tenant does not say.
    pub fn show(row: &tenant::Model, operators: &relay::retention::Retention) -> Result<Self, Error> {
        let slug = row.slug.parse().map(Text).map_err(|error| Error::Fault(Box::new(error)))?;
        Ok(Self {
            id: row.id().into(),
            name: row.name.clone(),
            slug,
            limits: Limits::show(&row.limits()?),
            retention: Retention::show(&row.retention(operators)?),
            created_at: time(row.created_at),
            deletion: Deletion::show(row),
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Tenants")]
impl Api {
    /// Create a tenant
    ///
    /// For operators.
    #[oai(path = "/tenants", method = "post", operation_id = "create_tenant")]
    async fn create(&self, caller: Caller, body: Input<NewTenant>) -> Result<Created<Tenant>, Error> {
        caller.operator()?;
        let change = caller.begin().await?;
        let id = TenantId::at(change.now);
        let operators = &caller.app.retention;
        let kept = body.0.retention.map(|told| told.meant(operators)).transpose()?;
        let row = tenant::Model {
            limits: tenant::limits_column(&body.0.limits.unwrap_or_default().meant()?),
            retention: tenant::retention_column(kept.as_ref()),
            ..tenant::Model::new(id, body.0.slug.to_string(), body.0.name, change.now)
        };
        let taken = |error| if is_taken(&error) { slug_is_taken() } else { error.into() };
        let row = tenant::insert(&change.txn, row).await.map_err(taken)?;
        let shown = Tenant::show(&row, operators)?;
        let done = Done::new("create", id, Some(id)).after(&shown);
        change.commit(done, Created::of(shown).version(row.version).at(format!("/v1/tenants/{id}"))).await
    }

    /// List tenants
    ///
    /// For operators.
    #[oai(path = "/tenants", method = "get", operation_id = "list_tenants")]
    async fn list(&self, caller: Caller, query: Search<Listing>) -> Result<Found<Page<Tenant>>, Error> {
        caller.operator()?;
        let reading = query.0.paging.read(&caller.app.keyring, "tenants".to_owned())?;
        let rows = tenant::page(&caller.app.db.read, reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, tenant::Model::id, |row| Tenant::show(row, &caller.app.retention))?))
    }

    /// Get a tenant
    #[oai(path = "/tenants/:tenant_id", method = "get", operation_id = "get_tenant")]
    async fn get(&self, caller: Caller, tenant_id: Path<Id<kind::Tenant>>) -> Result<Found<Tenant>, Error> {
        let access = caller.sees(Scope::Read, **tenant_id).await?;
        let shown = Tenant::show(&access.tenant, &access.app().retention)?;
        Ok(Found::of(shown).version(access.tenant.version))
    }

    /// Change a tenant
    ///
    /// For operators.
    #[oai(path = "/tenants/:tenant_id", method = "patch", operation_id = "update_tenant")]
    async fn update(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<TenantPatch>,
    ) -> Result<Found<Tenant>, Error> {
        let access = caller.operates(**tenant_id).await?;
        let change = access.begin().await?;
        let mut row = tenant::lock(&change.txn, access.id()).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let operators = &access.app().retention;
        let before = Tenant::show(&row, operators)?;
        set(&mut row.name, body.0.name, NAME)?;
        if !body.0.retention.is_undefined() {
            let kept = body.0.retention.take().map(|told| told.meant(operators)).transpose()?;
            row.retention = tenant::retention_column(kept.as_ref());
        }
        let mut stale = Vec::new();
        if !body.0.limits.is_undefined() {
            row.limits = tenant::limits_column(&body.0.limits.take().unwrap_or_default().meant()?);
            stale = source::ids(&change.txn, row.id()).await?.into_iter().map(Changed::Source).collect();
        }
        row.version += 1;
        let row = tenant::save(&change.txn, row).await?;
        let shown = Tenant::show(&row, operators)?;
        let done = Done::new("update", row.id(), Some(row.id())).before(&before).after(&shown);
        change.commit(done.changes(stale), Found::of(shown).version(row.version)).await
    }

    /// Delete a tenant
    ///
    /// For operators. From now on nothing of it is accepted, sent or shown; then all that it had is erased, and cannot be
    /// brought back. What is in flight may still arrive. Its slug is never given again.
    #[oai(path = "/tenants/:tenant_id", method = "delete", operation_id = "delete_tenant")]
    async fn delete(&self, caller: Caller, tenant_id: Path<Id<kind::Tenant>>) -> Result<Accepted<Tenant>, Error> {
        let access = caller.sees(Scope::Write, **tenant_id).await?;
        access.caller.operator()?;
        let change = access.begin().await?;
        let row = tenant::lock(&change.txn, access.id()).await?.ok_or(Error::NotFound)?;
        let operators = &access.app().retention;
        if row.erasing_since.is_some() {
            return Ok(Accepted::of(Tenant::show(&row, operators)?));
        }
        change.expect(row.version)?;
        let row = tenant::freeze(&change.txn, row, change.now).await?;
        let done = Done::new("delete", row.id(), Some(row.id())).changes([Changed::Tenant(row.id())]).rings();
        change.commit(done, Accepted::of(Tenant::show(&row, operators)?)).await
    }
}

fn slug_is_taken() -> Error {
    Error::Conflict("Another tenant has this slug. Slugs are never given again; choose another one.".to_owned())
}

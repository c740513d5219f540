//! Tenants: operators make them, and each sees itself.

use entity::tenant;
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::id::{TenantId, kind};

use super::{NAME, Tag, set};
use crate::answer::{Created, Found};
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
    pub created_at: Time,
}

/// A tenant to be made.
#[derive(Debug, Object)]
pub struct NewTenant {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// The name in URLs; never changes.
    pub slug: Text<Slug>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct TenantPatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
}

impl Tenant {
    fn show(row: &tenant::Model) -> Result<Self, Error> {
        let slug = row.slug.parse().map(Text).map_err(|error| Error::Fault(Box::new(error)))?;
        Ok(Self { id: row.id().into(), name: row.name.clone(), slug, created_at: time(row.created_at) })
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
        let row = tenant::Model {
            id: id.uuid(),
            slug: body.0.slug.to_string(),
            name: body.0.name,
            version: 1,
            created_at: change.now,
        };
        let taken = |error| if tenant::is_taken(&error) { slug_is_taken() } else { error.into() };
        let row = tenant::insert(&change.txn, row).await.map_err(taken)?;
        let shown = Tenant::show(&row)?;
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
        Ok(Found::of(reading.page(rows, tenant::Model::id, Tenant::show)?))
    }

    /// Get a tenant
    #[oai(path = "/tenants/:tenant_id", method = "get", operation_id = "get_tenant")]
    async fn get(&self, caller: Caller, tenant_id: Path<Id<kind::Tenant>>) -> Result<Found<Tenant>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        Ok(Found::of(Tenant::show(&access.tenant)?).version(access.tenant.version))
    }

    /// Rename a tenant
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
        let before = Tenant::show(&row)?;
        set(&mut row.name, body.0.name, NAME)?;
        row.version += 1;
        let row = tenant::save(&change.txn, row).await?;
        let shown = Tenant::show(&row)?;
        let done = Done::new("update", row.id(), Some(row.id())).before(&before).after(&shown);
        change.commit(done, Found::of(shown).version(row.version)).await
    }
}

fn slug_is_taken() -> Error {
    Error::Conflict("Another tenant has this slug. Slugs are never given again; choose another one.".to_owned())
}

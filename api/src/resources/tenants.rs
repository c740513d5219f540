//! Tenants: operators make them, and each sees itself.

use entity::change::Changed;
use entity::{source, tenant};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::id::{TenantId, kind};
use relay::quota::Rate;

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
    pub limits: Limits,
    pub created_at: Time,
}

/// A tenant to be made.
#[derive(Debug, Object)]
pub struct NewTenant {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// The name in URLs; never changes.
    pub slug: Text<Slug>,
    /// Without it, nothing is limited.
    #[oai(nullable)]
    pub limits: Option<Limits>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct TenantPatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// Null: nothing is limited.
    #[oai(nullable)]
    pub limits: MaybeUndefined<Limits>,
}

/// How much a tenant may use.
#[derive(Debug, Clone, Default, Object)]
pub struct Limits {
    /// How many requests a second its sources take together, by each api process; the others are answered with 429. Null
    /// if it is not limited.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "100000")))]
    pub events_per_s: Option<u32>,
    /// How many at once; as many as in a second unless said otherwise.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000000")))]
    pub burst: Option<u32>,
}

impl Limits {
    fn show(limits: tenant::Limits) -> Self {
        let Some(rate) = limits.events else { return Self::default() };
        Self { events_per_s: Some(rate.per_second), burst: Some(rate.burst) }
    }

    fn meant(&self) -> Result<tenant::Limits, Error> {
        let rate = match (self.events_per_s, self.burst) {
            (Some(per_second), burst) => Some(Rate { per_second, burst: burst.unwrap_or(per_second) }),
            (None, None) => None,
            (None, Some(_)) => return Err(Error::field("/limits/burst", "means nothing without `events_per_s`")),
        };
        Ok(tenant::Limits { events: rate })
    }
}

impl Tenant {
    fn show(row: &tenant::Model) -> Result<Self, Error> {
        let slug = row.slug.parse().map(Text).map_err(|error| Error::Fault(Box::new(error)))?;
        Ok(Self {
            id: row.id().into(),
            name: row.name.clone(),
            slug,
            limits: Limits::show(row.limits()?),
            created_at: time(row.created_at),
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
        let row = tenant::Model {
            id: id.uuid(),
            slug: body.0.slug.to_string(),
            limits: tenant::limits_column(&body.0.limits.unwrap_or_default().meant()?),
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
        let before = Tenant::show(&row)?;
        set(&mut row.name, body.0.name, NAME)?;
        let mut stale = Vec::new();
        if !body.0.limits.is_undefined() {
            row.limits = tenant::limits_column(&body.0.limits.take().unwrap_or_default().meant()?);
            stale = source::ids(&change.txn, row.id()).await?.into_iter().map(Changed::Source).collect();
        }
        row.version += 1;
        let row = tenant::save(&change.txn, row).await?;
        let shown = Tenant::show(&row)?;
        let done = Done::new("update", row.id(), Some(row.id())).before(&before).after(&shown);
        change.commit(done.changes(stale), Found::of(shown).version(row.version)).await
    }
}

fn slug_is_taken() -> Error {
    Error::Conflict("Another tenant has this slug. Slugs are never given again; choose another one.".to_owned())
}

//! Requests that a tenant made of a provider itself, so that events which answer to them can be told from others.

use entity::own_request::{self, WINDOW_MS};
use entity::tenant::Counted;
use entity::{Transaction, source};
use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};
use relay::id::{SourceId, TenantId, kind};

use super::{Tag, allowance};
use crate::answer::Created;
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::Input;
use crate::mutation::Done;
use crate::wire::{Id, RequestId, Text, Time, time};

/// Requests to be registered.
#[derive(Debug, Object)]
pub struct NewRequestIds {
    /// As the provider's API gave them.
    #[oai(validator(min_items = 1, max_items = 1000))]
    pub request_ids: Vec<Text<RequestId>>,
    /// The source whose events answer to them; without it, any.
    #[oai(nullable)]
    pub source_id: Option<Id<kind::Source>>,
}

/// What was registered.
#[derive(Debug, Clone, Object)]
pub struct Registered {
    /// How many different ids.
    pub registered: u64,
    /// Until when events that carry them are known for the tenant's own.
    pub expires_at: Time,
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Subscriptions")]
impl Api {
    /// Register request ids
    ///
    /// Subscriptions with the origin `not_mine` filter events that answer to these, for 7 days; an id that is registered
    /// again has its days anew. Best called as soon as the provider's API has returned the id: the event may overtake it
    /// by no more than the subscription's `origin_wait_s`.
    #[oai(path = "/tenants/:tenant_id/request-ids", method = "post", operation_id = "register_request_ids")]
    async fn register(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewRequestIds>,
    ) -> Result<Created<Registered>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let source = own_source(&change.txn, access.id(), body.0.source_id).await?;
        let ids: Vec<String> = body.0.request_ids.into_iter().map(|id| id.0.into()).collect();
        let would_be = own_request::count(&change.txn, access.id(), ids.len(), change.now).await?;
        let of = (access.id(), None);
        allowance::admit(&change, of, &access.tenant.limits()?, Counted::RequestIds, would_be).await?;
        let registered = own_request::register(&change.txn, access.id(), source, &ids, change.now).await?;
        let shown = Registered {
            registered: u64::try_from(registered).unwrap_or(u64::MAX),
            expires_at: time(change.now + WINDOW_MS),
        };
        let done = Done::new("register_request_ids", access.id(), Some(access.id())).after(&shown);
        change.commit(done, Created::of(shown)).await
    }
}

/// A source of the tenant. Another tenant's reads like none.
async fn own_source(
    txn: &Transaction,
    tenant: TenantId,
    id: Option<Id<kind::Source>>,
) -> Result<Option<SourceId>, Error> {
    let Some(id) = id else { return Ok(None) };
    let found = source::find(txn, tenant, *id).await?;
    found.map(|row| Some(row.id())).ok_or_else(|| Error::field("/source_id", "there is no such source"))
}

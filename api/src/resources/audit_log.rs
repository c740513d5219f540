//! The audit log: who changed what, and how it was before; a tenant's own, and for operators everybody's.

use entity::audit;
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::id::kind;
use serde_json::Value;

use super::Tag;
use crate::answer::Found;
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::Search;
use crate::page::{Page, Paging};
use crate::wire::{Id, Time, id_of, time};

/// Who made a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum Actor {
    /// Whoever holds the key `api_key_id`.
    ApiKey,
    /// Whoever holds the key that is set as `HOOKYARD_OPERATOR_KEY`, or works at the command line.
    Operator,
    /// The relay itself: it disabled a destination, or found it well again.
    Relay,
}

/// One change.
#[derive(Debug, Object)]
pub struct AuditEntry {
    pub id: Id<kind::AuditEntry>,
    /// Null for what belongs to no tenant: an operator's key.
    #[oai(nullable)]
    pub tenant_id: Option<Id<kind::Tenant>>,
    pub at: Time,
    pub actor: Actor,
    #[oai(nullable)]
    pub api_key_id: Option<Id<kind::ApiKey>>,
    /// What was done, such as `create`, `update`, `delete`, `pause`.
    pub action: String,
    /// What kind of thing it was done to, such as `destination`.
    pub object: String,
    pub object_id: String,
    /// How the thing was, as the API shows it: without secrets. Null for what was new.
    #[oai(nullable)]
    pub before: Option<Value>,
    /// How it was from then on. Null for what was deleted.
    #[oai(nullable)]
    pub after: Option<Value>,
    /// The `request-id` of the answer.
    #[oai(nullable)]
    pub request_id: Option<String>,
    #[oai(nullable)]
    pub remote_address: Option<String>,
}

/// Which changes.
#[derive(Debug, Clone, Object)]
pub struct AuditSearch {
    /// Of this kind of thing.
    #[oai(validator(max_length = 40))]
    pub object: Option<String>,
    /// This was done.
    #[oai(validator(max_length = 40))]
    pub action: Option<String>,
    /// Made at this time or later.
    pub after: Option<Time>,
    /// Made earlier than this.
    pub before: Option<Time>,
    #[oai(flatten)]
    pub paging: Paging,
}

impl AuditSearch {
    fn filter(self) -> (audit::Filter, Paging) {
        let Self { object, action, after, before, paging } = self;
        (audit::Filter { object, action, after: after.map(|at| at.0.0), before: before.map(|at| at.0.0) }, paging)
    }
}

impl AuditEntry {
    fn show(row: &audit::Model) -> Result<Self, Error> {
        let read = |column: &Option<String>| {
            column.as_deref().map(serde_json::from_str).transpose().map_err(|error| Error::Fault(error.into()))
        };
        let actor = match row.actor {
            Some(_) => Actor::ApiKey,
            None if row.request_id.is_empty() => Actor::Relay,
            None => Actor::Operator,
        };
        Ok(Self {
            id: row.id().into(),
            tenant_id: row.tenant_id.map(|id| relay::id::TenantId::from(id).into()),
            at: time(row.at),
            actor,
            api_key_id: row.actor.map(|key| relay::id::ApiKeyId::from(key).into()),
            action: row.action.clone(),
            object: row.object.clone(),
            object_id: id_of(&row.object, row.object_id),
            before: read(&row.before)?,
            after: read(&row.after)?,
            request_id: Some(row.request_id.clone()).filter(|id| !id.is_empty()),
            remote_address: row.remote_address.clone(),
        })
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::AuditLog")]
impl Api {
    /// List everybody's changes
    ///
    /// For operators: those of every tenant, newest first, and of what belongs to none. Of a tenant that is gone it says who
    /// deleted it (`object=tenant&action=delete`).
    #[oai(path = "/audit-log", method = "get", operation_id = "list_all_audit_log")]
    async fn list_all(&self, caller: Caller, query: Search<AuditSearch>) -> Result<Found<Page<AuditEntry>>, Error> {
        caller.operator()?;
        let (filter, paging) = query.0.filter();
        let reading = paging.read(&caller.app.keyring, "audit-log".to_owned())?;
        let rows = audit::page_of_all(&caller.app.db.read, filter, reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, audit::Model::id, AuditEntry::show)?))
    }

    /// List changes
    ///
    /// Who changed what of this tenant's, newest first. It is kept for as long as the tenant.
    #[oai(path = "/tenants/:tenant_id/audit-log", method = "get", operation_id = "list_audit_log")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<AuditSearch>,
    ) -> Result<Found<Page<AuditEntry>>, Error> {
        let access = caller.may(Scope::Audit, **tenant_id).await?;
        let (filter, paging) = query.0.filter();
        let reading = paging.read(&access.app().keyring, format!("{}/audit-log", access.id()))?;
        let _turn = access.turn().await?;
        let rows = audit::page(&access.app().db.read, access.id(), filter, reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, audit::Model::id, AuditEntry::show)?))
    }
}

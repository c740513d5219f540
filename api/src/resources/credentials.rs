//! Credentials: what a provider presents at a source, or signs with. Several may be live, so that they can be changed
//! without a gap.

use entity::change::Changed;
use entity::{credential, source};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::id::{CredentialId, kind};

use super::Tag;
use super::keyed::agreed;
use super::sources::may_change;
use crate::answer::{Created, Found, Gone, Put};
use crate::auth::{Access, Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::{Done, Mutation};
use crate::page::{Listing, Page};
use crate::wire::{Id, KeyInPath, Text, Time};

mod header;
mod new;
mod same;
mod shown;
mod write;

pub use new::{NewCredential, NewCredentialFacts};
pub use shown::Credential;

/// What is to change.
#[derive(Debug, Object)]
pub struct CredentialPatch {
    /// When it ends: a time to come. Null: never.
    #[oai(nullable)]
    pub expires_at: MaybeUndefined<Time>,
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Sources")]
impl Api {
    /// Create a credential
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/credentials",
        method = "post",
        operation_id = "create_credential"
    )]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        body: Input<NewCredential>,
    ) -> Result<Created<Credential>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        let key = body.0.facts().by_key.clone().map(|key| key.0);
        write::create(&access, **source_id, key, body.0).await
    }

    /// Create or update a credential by its key
    ///
    /// Afterwards there is such a credential, and it ends as the body says. Nothing else of one ever changes: a body that
    /// says another secret is refused, and one that says none means the one that was made. A secret that was made here is
    /// shown only in the answer that made it.
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/credentials/by-key/:key",
        method = "put",
        operation_id = "put_credential"
    )]
    #[expect(clippy::too_many_arguments, reason = "two ids and a key stand in the path")]
    async fn put(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        key: Path<Text<KeyInPath>>,
        body: Input<NewCredential>,
    ) -> Result<Put<Credential>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        let key = agreed(key.0, "/by_key", body.0.facts().by_key.as_ref())?;
        write::put(&access, **source_id, key, body.0).await
    }

    /// List credentials
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/credentials",
        method = "get",
        operation_id = "list_credentials"
    )]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        query: Search<Listing>,
    ) -> Result<Found<Page<Credential>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let (db, app) = (&access.app().db.read, access.app());
        let source = source::find(db, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        let list = format!("{}/{}/credentials", access.id(), source.id());
        let reading = query.0.paging.read(&app.keyring, list)?;
        let rows = credential::page(db, (access.id(), source.id()), reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, credential::Model::id, |row| Credential::show(app, row))?))
    }

    /// Get a credential
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/credentials/:credential_id",
        method = "get",
        operation_id = "get_credential"
    )]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        credential_id: Path<Id<kind::Credential>>,
    ) -> Result<Found<Credential>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let row = credential::find(&access.app().db.read, access.id(), **source_id, **credential_id).await?;
        let row = row.ok_or(Error::NotFound)?;
        Ok(Found::of(Credential::show(access.app(), &row)?).version(row.version()))
    }

    /// Change when a credential ends
    ///
    /// To replace one without a gap, make the new one, and let the old one end when the provider has changed over.
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/credentials/:credential_id",
        method = "patch",
        operation_id = "update_credential"
    )]
    #[expect(clippy::too_many_arguments, reason = "three ids stand in the path")]
    async fn update(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        credential_id: Path<Id<kind::Credential>>,
        body: Input<CredentialPatch>,
    ) -> Result<Found<Credential>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        let change = access.begin().await?;
        let (_, row) = locked(&access, &change, (**source_id, **credential_id)).await?;
        let expires_at = match body.0.expires_at {
            MaybeUndefined::Value(at) => Some(to_come(at, change.now)?),
            MaybeUndefined::Null => None,
            MaybeUndefined::Undefined => row.expires_at,
        };
        write::update(&access, change, row, expires_at).await
    }

    /// Delete a credential
    ///
    /// It opens nothing any more, in any process, within a second.
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/credentials/:credential_id",
        method = "delete",
        operation_id = "delete_credential"
    )]
    async fn delete(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        credential_id: Path<Id<kind::Credential>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        may_change(&access, **source_id)?;
        let change = access.begin().await?;
        let (source, row) = locked(&access, &change, (**source_id, **credential_id)).await?;
        let before = Credential::show(access.app(), &row)?;
        let done = Done::new("delete", row.id(), Some(access.id())).before(&before);
        credential::delete(&change.txn, row).await?;
        change.commit(done.changes([Changed::Source(source.id())]), Gone::gone()).await
    }
}

/// A credential that nobody else changes until the transaction ends, with its source, if it is the version that is meant.
async fn locked(
    access: &Access,
    change: &Mutation<'_>,
    (source, id): (relay::id::SourceId, CredentialId),
) -> Result<(source::Model, credential::Model), Error> {
    let source = source::lock(&change.txn, access.id(), source).await?.ok_or(Error::NotFound)?;
    let row = credential::find(&change.txn, access.id(), source.id(), id).await?.ok_or(Error::NotFound)?;
    change.expect(row.version())?;
    Ok((source, row))
}

fn to_come(at: Time, now: i64) -> Result<i64, Error> {
    if at.0.0 > now { Ok(at.0.0) } else { Err(Error::field("/expires_at", "is in the past")) }
}

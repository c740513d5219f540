//! Credentials: what a provider presents at a source, or signs with. Several may be live, so that they can be changed
//! without a gap.

use entity::change::Changed;
use entity::tenant::Counted;
use entity::{credential, source};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use relay::id::{CredentialId, kind};
use relay::preset::{self, Authentication};

use super::sources::may_change;
use super::{Tag, allowance};
use crate::answer::{Created, Found, Gone};
use crate::auth::{Access, Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::{Done, Mutation};
use crate::page::{Listing, Page};
use crate::wire::{Id, Time};

mod header;
mod new;
mod shown;

pub use new::NewCredential;
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
        // Before the transaction: hashing is slow on purpose, and nobody may wait for it.
        let kind = body.0.kind();
        let prepared = body.0.prepare(&access).await?;
        let change = access.begin().await?;
        let source = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        check_kind(&source, kind)?;
        let there = credential::all(&change.txn, access.id(), source.id()).await?.len();
        allowance::check(&access.tenant.limits()?, Counted::Credentials, there as u64 + 1)?;
        let owner = (access.id(), source.id(), CredentialId::at(change.now));
        let row = prepared.row(&access.app().keyring, owner, change.now);
        let row = credential::insert(&change.txn, row).await?;
        let shown = Credential::show(access.app(), &row)?;
        let done =
            Done::new("create", row.id(), Some(access.id())).after(&shown).changes([Changed::Source(source.id())]);
        let location = format!("/v1/tenants/{}/sources/{}/credentials/{}", access.id(), source.id(), row.id());
        change.commit(done, Created::of(shown.with(prepared.made)).at(location)).await
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
        Ok(Found::of(Credential::show(access.app(), &row.ok_or(Error::NotFound)?)?))
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
        let (source, row) = locked(&access, &change, (**source_id, **credential_id)).await?;
        let before = Credential::show(access.app(), &row)?;
        let row = match body.0.expires_at {
            MaybeUndefined::Value(at) => credential::expire(&change.txn, row, Some(to_come(at, change.now)?)).await?,
            MaybeUndefined::Null => credential::expire(&change.txn, row, None).await?,
            MaybeUndefined::Undefined => row,
        };
        let shown = Credential::show(access.app(), &row)?;
        let done = Done::new("update", row.id(), Some(access.id())).before(&before).after(&shown);
        change.commit(done.changes([Changed::Source(source.id())]), Found::of(shown)).await
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

/// A credential that nobody else changes until the transaction ends, with its source.
async fn locked(
    access: &Access,
    change: &Mutation<'_>,
    (source, id): (relay::id::SourceId, CredentialId),
) -> Result<(source::Model, credential::Model), Error> {
    let source = source::lock(&change.txn, access.id(), source).await?.ok_or(Error::NotFound)?;
    let row = credential::find(&change.txn, access.id(), source.id(), id).await?.ok_or(Error::NotFound)?;
    Ok((source, row))
}

fn to_come(at: Time, now: i64) -> Result<i64, Error> {
    if at.0.0 > now { Ok(at.0.0) } else { Err(Error::field("/expires_at", "is in the past")) }
}

/// Refuses what nothing at this source would ever look at.
fn check_kind(source: &source::Model, kind: credential::Kind) -> Result<(), Error> {
    // A newer version knows what it wants.
    let (Some(preset), Some(demanded)) = (preset::find(&source.provider), source.verification()) else { return Ok(()) };
    let taken: Vec<_> = preset.credentials(&demanded).into_iter().filter_map(kind_of).collect();
    if taken.contains(&kind) {
        return Ok(());
    }
    let kinds = taken.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let told = format!(
        "is nothing that this source looks at: its provider sends, and its `verification` asks for, {kinds}. Change the \
         verification first if it is to be another"
    );
    Err(Error::field("/kind", told))
}

/// The credentials of a kind of authentication, if it has any.
fn kind_of(authentication: Authentication) -> Option<credential::Kind> {
    use credential::Kind;
    Some(match authentication {
        Authentication::Basic => Kind::Basic,
        Authentication::Oauth2Client => Kind::Oauth2Client,
        Authentication::ApiKey => Kind::ApiKey,
        Authentication::Bearer => Kind::Bearer,
        Authentication::Hmac => Kind::Hmac,
        Authentication::PublicKey => Kind::PublicKey,
        Authentication::VerifyToken => Kind::VerifyToken,
        Authentication::External => Kind::External,
        Authentication::None | Authentication::Jwt => return None,
    })
}

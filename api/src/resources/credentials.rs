//! Credentials: what a provider presents at a source. Several may be live, so that they can be changed without a gap.

use entity::change::Changed;
use entity::{credential, source};
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi, Union};
use relay::id::{CredentialId, kind};
use relay::password::Stored;
use relay::secret;
use secrecy::ExposeSecret;

use super::{Tag, check_username};
use crate::answer::{Created, Found, Gone};
use crate::auth::{Access, Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::Done;
use crate::page::{Listing, Page};
use crate::wire::{Id, Secret, Time, time};

/// What a provider presents at a source.
#[derive(Debug, Clone, Object)]
pub struct Credential {
    pub id: Id<kind::Credential>,
    pub kind: CredentialKind,
    pub username: String,
    #[oai(nullable)]
    pub expires_at: Option<Time>,
    /// Null if it was never used.
    #[oai(nullable)]
    pub last_used_at: Option<Time>,
    pub created_at: Time,
    /// The password that was made for it: shown once, in the answer that made it.
    #[oai(skip_serializing_if_is_none)]
    pub password: Option<String>,
}

/// How it is presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CredentialKind {
    /// In `Authorization: Basic` (RFC 7617).
    Basic,
}

/// A credential to be made.
#[derive(Debug, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum NewCredential {
    Basic(NewBasicCredential),
}

/// User name and password.
#[derive(Debug, Object)]
pub struct NewBasicCredential {
    #[oai(validator(min_length = 1, max_length = 255))]
    pub username: String,
    /// Without it, one is made and shown once.
    #[oai(nullable)]
    pub password: Option<Secret>,
    /// When it ends; without it, never.
    #[oai(nullable)]
    pub expires_at: Option<Time>,
}

impl Credential {
    fn show(row: &credential::Model) -> Result<Self, Error> {
        Ok(Self {
            id: row.id().into(),
            kind: CredentialKind::Basic,
            username: row.username.clone(),
            expires_at: row.expires_at.map(time),
            last_used_at: row.last_used_at.map(time),
            created_at: time(row.created_at),
            password: None,
        })
    }
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
        let NewCredential::Basic(new) = body.0;
        check(&access, &new)?;
        // Before the transaction: hashing is slow on purpose, and nobody may wait for it.
        let (stored, made) = stored(&new).await?;
        let change = access.begin().await?;
        let source = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        let row = credential::Model {
            tenant_id: access.id().uuid(),
            source_id: source.id,
            id: CredentialId::at(change.now).uuid(),
            kind: credential::BASIC.to_owned(),
            username: new.username,
            stored: stored.to_string(),
            expires_at: new.expires_at.map(|at| at.0.0),
            last_used_at: None,
            created_at: change.now,
        };
        let row = credential::insert(&change.txn, row).await?;
        let shown = Credential::show(&row)?;
        let done =
            Done::new("create", row.id(), Some(access.id())).after(&shown).changes([Changed::Source(source.id())]);
        let location = format!("/v1/tenants/{}/sources/{}/credentials/{}", access.id(), source.id(), row.id());
        change.commit(done, Created::of(Credential { password: made, ..shown }).at(location)).await
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
        Ok(Found::of(reading.page(rows, credential::Model::id, Credential::show)?))
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
        Ok(Found::of(Credential::show(&row.ok_or(Error::NotFound)?)?))
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
        let change = access.begin().await?;
        let source = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        let row =
            credential::find(&change.txn, access.id(), source.id(), **credential_id).await?.ok_or(Error::NotFound)?;
        let done = Done::new("delete", row.id(), Some(access.id())).before(&Credential::show(&row)?);
        credential::delete(&change.txn, row).await?;
        change.commit(done.changes([Changed::Source(source.id())]), Gone::gone()).await
    }
}

fn check(access: &Access, new: &NewBasicCredential) -> Result<(), Error> {
    check_username(&new.username, "/username")?;
    match new.expires_at {
        Some(at) if at.0.0 <= access.app().clock.now() => Err(Error::field("/expires_at", "is in the past")),
        _ => Ok(()),
    }
}

/// What is kept of the password, and the password itself if we made it.
async fn stored(new: &NewBasicCredential) -> Result<(Stored, Option<String>), Error> {
    match &new.password {
        Some(chosen) => Ok((Stored::chosen(&chosen.0).await?, None)),
        None => {
            let made = secret::password();
            Ok((Stored::generated(&made), Some(made.expose_secret().to_owned())))
        }
    }
}

//! Sources: the inbound URLs of a tenant.

use entity::change::Changed;
use entity::{credential, source, source_key};
use poem_openapi::param::Path;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi, Union};
use relay::id::{SourceId, kind};
use relay::preset;

use super::{NAME, Tag, set, set_or};
use crate::answer::{Created, Found, Gone};
use crate::auth::{Access, Caller, Scope};
use crate::error::Error;
use crate::input::{Input, Search};
use crate::mutation::{Done, Mutation};
use crate::page::{Listing, Page};
use crate::wire::{Id, Time, time};

mod url;

pub use url::{NewUrl, Rotation};

/// An inbound URL, for one account at one provider.
#[derive(Debug, Clone, Object)]
pub struct Source {
    pub id: Id<kind::Source>,
    pub name: String,
    /// A provider's name; never changes.
    pub provider: String,
    pub verification: Verification,
    /// Whether requests are accepted.
    pub enabled: bool,
    pub created_at: Time,
    /// Where the provider sends its requests. A secret: shown when it is made, and later to keys with the scope `secrets`.
    #[oai(skip_serializing_if_is_none)]
    pub url: Option<String>,
}

/// What requests must present.
#[derive(Debug, Clone, Union)]
#[oai(one_of, discriminator_name = "kind", rename_all = "snake_case")]
pub enum Verification {
    None(NoVerification),
    Credentials(AnyCredential),
}

/// Nothing beyond the URL itself.
#[derive(Debug, Clone, Object)]
pub struct NoVerification {}

/// Any live credential of the source; if it has none, every request is refused.
#[derive(Debug, Clone, Object)]
pub struct AnyCredential {}

/// A source to be made.
#[derive(Debug, Object)]
pub struct NewSource {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: String,
    /// The name of one of `/v1/providers`.
    #[oai(validator(max_length = 100))]
    pub provider: String,
    /// Without it, what the provider offers; where that is nothing, it must be said.
    #[oai(nullable)]
    pub verification: Option<Verification>,
    /// Whether requests are accepted; they are unless said otherwise.
    #[oai(nullable)]
    pub enabled: Option<bool>,
}

/// What is to change.
#[derive(Debug, Object)]
pub struct SourcePatch {
    #[oai(validator(min_length = 1, max_length = 200))]
    pub name: MaybeUndefined<String>,
    /// Null: what the provider offers.
    #[oai(nullable)]
    pub verification: MaybeUndefined<Verification>,
    /// Null: they are accepted.
    #[oai(nullable)]
    pub enabled: MaybeUndefined<bool>,
}

impl Source {
    fn show(row: &source::Model) -> Result<Self, Error> {
        let unknown = || Error::Fault("the source has a verification of a newer version".into());
        Ok(Self {
            id: row.id().into(),
            name: row.name.clone(),
            provider: row.provider.clone(),
            verification: row.verification().ok_or_else(unknown)?.into(),
            enabled: row.enabled,
            created_at: time(row.created_at),
            url: None,
        })
    }
}

impl From<source::Verification> for Verification {
    fn from(verification: source::Verification) -> Self {
        match verification {
            source::Verification::None => Self::None(NoVerification {}),
            source::Verification::Credentials => Self::Credentials(AnyCredential {}),
        }
    }
}

impl From<Verification> for source::Verification {
    fn from(verification: Verification) -> Self {
        match verification {
            Verification::None(_) => Self::None,
            Verification::Credentials(_) => Self::Credentials,
        }
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Sources")]
impl Api {
    /// Create a source
    ///
    /// The answer shows its URL.
    #[oai(path = "/tenants/:tenant_id/sources", method = "post", operation_id = "create_source")]
    async fn create(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        body: Input<NewSource>,
    ) -> Result<Created<Source>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let row = source::insert(&change.txn, new(&access, &change, body.0)?).await?;
        let (key, url) = url::make(&access, row.id());
        let key = source_key::insert(&change.txn, key).await?;
        let shown = Source::show(&row)?;
        let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
        let done = done.changes([Changed::SourceKey(key.fingerprint()), Changed::Source(row.id())]);
        let location = format!("/v1/tenants/{}/sources/{}", access.id(), row.id());
        let answer = Source { url: Some(url), ..shown };
        change.commit(done, Created::of(answer).version(row.version).at(location)).await
    }

    /// List sources
    #[oai(path = "/tenants/:tenant_id/sources", method = "get", operation_id = "list_sources")]
    async fn list(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<Listing>,
    ) -> Result<Found<Page<Source>>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let reading = query.0.paging.read(&access.app().keyring, format!("{}/sources", access.id()))?;
        let rows = source::page(&access.app().db.read, access.id(), reading.before, reading.rows()).await?;
        Ok(Found::of(reading.page(rows, source::Model::id, Source::show)?))
    }

    /// Get a source
    ///
    /// With its URL, if the key has the scope `secrets`.
    #[oai(path = "/tenants/:tenant_id/sources/:source_id", method = "get", operation_id = "get_source")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
    ) -> Result<Found<Source>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let row = source::find(&access.app().db.read, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        let url =
            if access.caller.scopes().has(Scope::Secrets) { url::current(&access, row.id()).await? } else { None };
        Ok(Found::of(Source { url, ..Source::show(&row)? }).version(row.version))
    }

    /// Change a source
    #[oai(path = "/tenants/:tenant_id/sources/:source_id", method = "patch", operation_id = "update_source")]
    async fn update(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        body: Input<SourcePatch>,
    ) -> Result<Found<Source>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let mut row = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let before = Source::show(&row)?;
        patch(&mut row, body.0)?;
        let row = source::save(&change.txn, row).await?;
        let shown = Source::show(&row)?;
        let done = Done::new("update", row.id(), Some(access.id())).before(&before).after(&shown);
        change.commit(done.changes([Changed::Source(row.id())]), Found::of(shown).version(row.version)).await
    }

    /// Delete a source
    ///
    /// Its URL answers 404 within a second. Its events and their deliveries stay.
    #[oai(path = "/tenants/:tenant_id/sources/:source_id", method = "delete", operation_id = "delete_source")]
    async fn delete(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
    ) -> Result<Gone, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        let change = access.begin().await?;
        let row = source::lock(&change.txn, access.id(), **source_id).await?.ok_or(Error::NotFound)?;
        change.expect(row.version)?;
        let keys = source_key::all(&change.txn, access.id(), row.id()).await?;
        source_key::delete_all(&change.txn, access.id(), row.id()).await?;
        credential::delete_all(&change.txn, access.id(), row.id()).await?;
        source::delete(&change.txn, access.id(), row.id()).await?;
        let stale = keys.iter().map(|key| Changed::SourceKey(key.fingerprint())).chain([Changed::Source(row.id())]);
        let done = Done::new("delete", row.id(), Some(access.id())).before(&Source::show(&row)?).changes(stale);
        change.commit(done, Gone::gone()).await
    }

    /// Replace a source's URL
    ///
    /// The old one is good for `overlap_s` more seconds: 24 hours unless said otherwise, 0 to 30 days.
    #[oai(
        path = "/tenants/:tenant_id/sources/:source_id/rotate-url",
        method = "post",
        operation_id = "rotate_source_url"
    )]
    async fn rotate(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        source_id: Path<Id<kind::Source>>,
        body: Input<Rotation>,
    ) -> Result<Found<NewUrl>, Error> {
        let access = caller.may(Scope::Write, **tenant_id).await?;
        url::rotate(&access, **source_id, &body.0).await
    }
}

fn new(access: &Access, change: &Mutation<'_>, body: NewSource) -> Result<source::Model, Error> {
    let verification = verification(&body.provider, body.verification)?;
    Ok(source::Model {
        tenant_id: access.id().uuid(),
        id: SourceId::at(change.now).uuid(),
        name: body.name,
        provider: body.provider,
        verification: source::verification_column(verification),
        enabled: body.enabled.unwrap_or(true),
        version: 1,
        created_at: change.now,
    })
}

fn patch(row: &mut source::Model, body: SourcePatch) -> Result<(), Error> {
    set(&mut row.name, body.name, NAME)?;
    set_or(&mut row.enabled, body.enabled, true);
    if !body.verification.is_undefined() {
        row.verification = source::verification_column(verification(&row.provider, body.verification.take())?);
    }
    row.version += 1;
    Ok(())
}

/// What was said, or else what the provider offers; nothing is never taken for granted.
fn verification(provider: &str, said: Option<Verification>) -> Result<source::Verification, Error> {
    let names = || preset::all().iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ");
    let preset = preset::find(provider)
        .ok_or_else(|| Error::field("/provider", format!("is no provider that is known: one of {}", names())))?;
    let must_say = || {
        let detail = format!(
            "must be said for the provider `{provider}`: `{{\"kind\": \"none\"}}` (the URL is the only secret) or `{{\"kind\": \"credentials\"}}`"
        );
        Error::field("/verification", detail)
    };
    said.map(Into::into).or(preset.default_verification).ok_or_else(must_say)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_proves_nothing_must_be_told_what_to_demand() {
        use source::Verification::{Credentials, None as Nothing};
        let said = |verification: source::Verification| Some(verification.into());
        for (provider, verification, result) in [
            ("ondato", None, Ok(Credentials)),
            ("ondato", said(Nothing), Ok(Nothing)),
            ("waldo", said(Nothing), Ok(Nothing)),
            ("generic", said(Credentials), Ok(Credentials)),
            ("waldo", None, Err("/verification")),
            ("generic", None, Err("/verification")),
            ("acme", said(Nothing), Err("/provider")),
        ] {
            let found = super::verification(provider, verification).map_err(|error| match error {
                Error::Invalid(troubles) => troubles[0].pointer.clone().unwrap(),
                other => panic!("{other}"),
            });
            assert_eq!(found, result.map_err(str::to_owned), "{provider}");
        }
    }
}

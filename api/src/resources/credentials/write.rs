//! How credentials are made and changed: one by one, or as a set-up has them.

use entity::change::Changed;
use entity::tenant::Counted;
use entity::{credential, source};
use relay::id::{CredentialId, SourceId, kind};
use relay::preset::{self, Authentication};

use super::super::allowance;
use super::super::keyed::not_made;
use super::{Credential, NewCredential, to_come};
use crate::answer::{Created, Found, Put};
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::{Done, Mutation};
use crate::wire::Key;

/// Makes a credential, of this key if of any, and shows its secret if it was made here.
pub(super) async fn create(
    access: &Access,
    id: SourceId,
    key: Option<Key>,
    new: NewCredential,
) -> Result<Created<Credential>, Error> {
    // Before the transaction: hashing is slow on purpose, and nobody may wait for it.
    let kind = new.kind();
    let prepared = new.prepare(access).await?;
    let change = access.begin().await?;
    let source = source::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    check_kind(&source, kind)?;
    let there = credential::all(&change.txn, access.id(), source.id()).await?.len();
    let of = (access.id(), Some(&source));
    allowance::admit(&change, of, &access.tenant.limits()?, Counted::Credentials, there as u64 + 1).await?;
    let row = prepared.row(&access.app().keyring, (access.id(), source.id(), CredentialId::at(change.now)), change.now);
    let row = credential::Model { key: key.map(Into::into), ..row };
    let row = credential::insert(&change.txn, row).await.map_err(not_made::<kind::Credential>)?;
    let shown = Credential::show(access.app(), &row)?;
    let done = Done::new("create", row.id(), Some(access.id())).after(&shown).changes([Changed::Source(source.id())]);
    let location = format!("/v1/tenants/{}/sources/{}/credentials/{}", access.id(), source.id(), row.id());
    change.commit(done, Created::of(shown.with(prepared.made)).version(row.version()).at(location)).await
}

/// Has a credential end at another time.
pub(super) async fn update(
    access: &Access,
    change: Mutation<'_>,
    row: credential::Model,
    expires_at: Option<i64>,
) -> Result<Found<Credential>, Error> {
    let before = Credential::show(access.app(), &row)?;
    let (_, source, _) = row.owner();
    let row = credential::expire(&change.txn, row, expires_at).await?;
    let shown = Credential::show(access.app(), &row)?;
    let done = Done::new("update", row.id(), Some(access.id())).before(&before).after(&shown);
    change.commit(done.changes([Changed::Source(source)]), Found::of(shown).version(row.version())).await
}

/// Makes the credential of this key, or has it end as the body says. One that is so already is left alone.
pub(super) async fn put(access: &Access, id: SourceId, key: Key, new: NewCredential) -> Result<Put<Credential>, Error> {
    let source = source::find(&access.app().db.read, access.id(), id).await?.ok_or(Error::NotFound)?;
    let present = credential::find_by_key(&access.app().db.read, access.id(), source.id(), key.as_str()).await?;
    let Some(present) = present else {
        access.caller.expect_nothing()?;
        return create(access, id, Some(key), new).await.map(Put::Made);
    };
    new.describes(access, &present).await?;
    let change = access.begin().await?;
    source::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    // Nothing but its end can have changed since it was looked at; but it can be gone.
    let row = credential::find(&change.txn, access.id(), id, present.id()).await?.ok_or_else(gone)?;
    change.expect(row.version())?;
    let expires_at = new.facts().expires_at.map(|at| at.0.0);
    if expires_at == row.expires_at {
        return Ok(Put::There(Found::of(Credential::show(access.app(), &row)?).version(row.version())));
    }
    let expires_at = new.facts().expires_at.map(|at| to_come(at, change.now)).transpose()?;
    update(access, change, row, expires_at).await.map(Put::There)
}

fn gone() -> Error {
    Error::Conflict("The credential was deleted at this moment. Repeat the request to make a new one.".to_owned())
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

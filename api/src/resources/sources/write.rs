//! How sources are made and changed: one by one, or as a set-up has them.

use entity::change::Changed;
use entity::source;
use entity::source_key;
use entity::tenant::Counted;
use relay::id::kind;

use super::super::allowance::Held;
use super::super::keyed::not_made;
use super::{NewSource, Source, addresses, row, url};
use crate::answer::{Created, Found, Put};
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::{Done, Mutation};
use crate::wire::{Key, Text};

/// Makes a source, with its URL.
pub(super) async fn create(
    access: &Access,
    change: Mutation<'_>,
    held: &Held,
    body: NewSource,
) -> Result<Created<Source>, Error> {
    held.admits(&change, Counted::Sources, source::count(&change.txn, access.id()).await?).await?;
    let row = row::new(access, change.now, body)?;
    addresses::check(access, &change, &row).await?;
    let row = source::insert(&change.txn, row).await.map_err(not_made::<kind::Source>)?;
    let (key, url) = url::make(access, row.id());
    let key = source_key::insert(&change.txn, key).await?;
    let shown = Source::show(&access.app().public_url, &row)?;
    let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
    let done = done.changes([Changed::SourceKey(key.fingerprint()), Changed::Source(row.id())]);
    let location = format!("/v1/tenants/{}/sources/{}", access.id(), row.id());
    let answer = Source { url: Some(url), ..shown };
    change.commit(done, Created::of(answer).version(row.version).at(location)).await
}

/// Writes what has become of a source.
pub(super) async fn update(
    access: &Access,
    change: Mutation<'_>,
    before: &source::Model,
    row: source::Model,
) -> Result<Found<Source>, Error> {
    addresses::check(access, &change, &row).await?;
    let row = source::save(&change.txn, source::Model { version: before.version + 1, ..row }).await?;
    let public_url = &access.app().public_url;
    let shown = Source::show(public_url, &row)?;
    let done =
        Done::new("update", row.id(), Some(access.id())).before(&Source::show(public_url, before)?).after(&shown);
    change.commit(done.changes([Changed::Source(row.id())]), Found::of(shown).version(row.version)).await
}

/// Makes the source of this key, or has it as the body says. One that is so already is left alone.
pub(super) async fn put(access: &Access, key: Key, body: NewSource) -> Result<Put<Source>, Error> {
    let change = access.begin().await?;
    let held = Held::of(&change, access).await?;
    let Some(present) = source::lock_by_key(&change.txn, access.id(), key.as_str()).await? else {
        change.expect_nothing()?;
        let body = NewSource { key: Some(Text(key)), ..body };
        return create(access, change, &held, body).await.map(Put::Made);
    };
    change.expect(present.version)?;
    let wanted = row::put(access, &present, body)?;
    if wanted == present {
        let shown = Source::show(&access.app().public_url, &present)?;
        return Ok(Put::There(Found::of(shown).version(present.version)));
    }
    update(access, change, &present, wanted).await.map(Put::There)
}

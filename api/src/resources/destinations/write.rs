//! How destinations are made and changed: one by one, or as a set-up has them.

use entity::change::Changed;
use entity::tenant::Counted;
use entity::{destination, health};
use relay::id::kind;
use secrecy::ExposeSecret;

use super::super::allowance::Held;
use super::super::keyed::not_made;
use super::{Destination, NewDestination, settings};
use crate::answer::{Created, Found, Put};
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::{Done, Mutation};
use crate::wire::{Key, Text};

/// Makes a destination, with its signing secret.
pub(super) async fn create(
    access: &Access,
    change: Mutation<'_>,
    held: &Held,
    body: NewDestination,
) -> Result<Created<Destination>, Error> {
    held.admits(&change, Counted::Destinations, destination::count(&change.txn, access.id()).await?).await?;
    let (row, signers) = settings::new(access, change.now, body)?;
    let row = destination::insert(&change.txn, row).await.map_err(not_made::<kind::Destination>)?;
    let shown = Destination::show(access.app(), &row, None)?;
    let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
    let location = format!("/v1/tenants/{}/destinations/{}", access.id(), row.id());
    let secret = signers.newest().secret.expose();
    let answer = Destination { signing_secret: Some(secret.expose_secret().to_owned()), ..shown };
    let answer = Created::of(answer).version(row.version).at(location);
    change.commit(done.changes([Changed::Destination(row.id())]), answer).await
}

/// Writes what has become of a destination.
pub(super) async fn update(
    access: &Access,
    change: Mutation<'_>,
    before: &destination::Model,
    row: destination::Model,
) -> Result<Found<Destination>, Error> {
    let app = access.app();
    let was = Destination::of(app, &change.txn, before).await?;
    if row.url != before.url {
        // What failed was another place.
        health::forget(&change.txn, access.id(), row.id()).await?;
    }
    let row = destination::save(&change.txn, destination::Model { version: before.version + 1, ..row }).await?;
    let shown = Destination::of(app, &change.txn, &row).await?;
    let done = Done::new("update", row.id(), Some(access.id())).before(&was).after(&shown);
    // Subscriptions are matched together with what their destination wants of an event.
    let stale = [Changed::Destination(row.id()), Changed::Subscriptions(access.id())];
    change.commit(done.changes(stale), Found::of(shown).version(row.version)).await
}

/// Makes the destination of this key, or has it as the body says. One that is so already is left alone.
pub(super) async fn put(access: &Access, key: Key, body: NewDestination) -> Result<Put<Destination>, Error> {
    let change = access.begin().await?;
    let held = Held::of(&change, access).await?;
    let Some(present) = destination::lock_by_key(&change.txn, access.id(), key.as_str()).await? else {
        change.expect_nothing()?;
        let body = NewDestination { key: Some(Text(key)), ..body };
        return create(access, change, &held, body).await.map(Put::Made);
    };
    change.expect(present.version)?;
    let wanted = settings::put(access.app(), &present, body)?;
    if wanted == present {
        let shown = Destination::of(access.app(), &change.txn, &present).await?;
        return Ok(Put::There(Found::of(shown).version(present.version)));
    }
    update(access, change, &present, wanted).await.map(Put::There)
}

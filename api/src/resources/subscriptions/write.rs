//! How subscriptions are made and changed: one by one, or as a set-up has them.

use entity::change::Changed;
use entity::subscription;
use entity::tenant::Counted;
use relay::id::kind;

use super::super::allowance::Held;
use super::super::keyed::not_made;
use super::{NewSubscription, Subscription, row};
use crate::answer::{Created, Found, Put};
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::{Done, Mutation};
use crate::wire::{Key, Text};

/// Makes a subscription.
pub(super) async fn create(
    access: &Access,
    change: Mutation<'_>,
    held: &Held,
    body: NewSubscription,
) -> Result<Created<Subscription>, Error> {
    held.admits(&change, Counted::Subscriptions, subscription::count(&change.txn, access.id()).await?).await?;
    let row = row::new(&change.txn, access.id(), change.now, body).await?;
    let row = subscription::insert(&change.txn, row).await.map_err(not_made::<kind::Subscription>)?;
    let shown = Subscription::show(&row)?;
    let done = Done::new("create", row.id(), Some(access.id())).after(&shown);
    let location = format!("/v1/tenants/{}/subscriptions/{}", access.id(), row.id());
    let answer = Created::of(shown).version(row.version).at(location);
    change.commit(done.changes([Changed::Subscriptions(access.id())]), answer).await
}

/// Writes what has become of a subscription.
pub(super) async fn update(
    access: &Access,
    change: Mutation<'_>,
    before: &subscription::Model,
    row: subscription::Model,
) -> Result<Found<Subscription>, Error> {
    let row = subscription::save(&change.txn, subscription::Model { version: before.version + 1, ..row }).await?;
    let shown = Subscription::show(&row)?;
    let done = Done::new("update", row.id(), Some(access.id())).before(&Subscription::show(before)?).after(&shown);
    let done = done.changes([Changed::Subscriptions(access.id())]);
    change.commit(done, Found::of(shown).version(row.version)).await
}

/// Makes the subscription of this key, or has it as the body says. One that is so already is left alone.
pub(super) async fn put(access: &Access, key: Key, body: NewSubscription) -> Result<Put<Subscription>, Error> {
    let change = access.begin().await?;
    let held = Held::of(&change, access).await?;
    // Before the subscription, as whoever deletes a destination with its subscriptions does.
    row::own_destination(&change.txn, access.id(), *body.destination_id).await?;
    let Some(present) = subscription::lock_by_key(&change.txn, access.id(), key.as_str()).await? else {
        change.expect_nothing()?;
        let body = NewSubscription { key: Some(Text(key)), ..body };
        return create(access, change, &held, body).await.map(Put::Made);
    };
    change.expect(present.version)?;
    let wanted = row::put(&change.txn, &present, body).await?;
    if wanted == present {
        return Ok(Put::There(Found::of(Subscription::show(&present)?).version(present.version)));
    }
    update(access, change, &present, wanted).await.map(Put::There)
}

//! Pausing and resuming. Doing it twice is the same as once.

use entity::change::Changed;
use entity::destination::{self, State};
use relay::id::DestinationId;

use super::Destination;
use crate::answer::Found;
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Done;

/// Puts a destination into a state that a person chose.
pub(super) async fn put(access: &Access, id: DestinationId, state: State) -> Result<Found<Destination>, Error> {
    let app = access.app();
    let change = access.begin().await?;
    let mut row = destination::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    change.expect(row.version)?;
    let before = Destination::show(app, &row)?;
    if row.state() != state {
        state.as_str().clone_into(&mut row.state);
        row.state_reason = None;
        row.state_since = change.now;
        row.version += 1;
        row = destination::save(&change.txn, row).await?;
    }
    let shown = Destination::show(app, &row)?;
    let action = if state == State::Active { "resume" } else { "pause" };
    let done = Done::new(action, row.id(), Some(access.id())).before(&before).after(&shown);
    let done = done.changes([Changed::Destination(row.id())]).rings();
    change.commit(done, Found::of(shown).version(row.version)).await
}

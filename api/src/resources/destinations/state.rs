//! Pausing and resuming. Doing it twice is the same as once.

use entity::change::Changed;
use entity::destination::{self, Cause, Model, State};
use entity::health;
use entity::operational::{self, Happening, Notice};
use relay::id::DestinationId;

use super::Destination;
use crate::answer::Found;
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Done;

/// Why it is disabled, for people: the code first.
pub(super) fn reason(row: &Model) -> Option<String> {
    let told = match row.cause() {
        Some(Cause::Gone) => "it answered 410; resume it when it takes deliveries again",
        Some(Cause::Failing) => {
            "nothing was delivered for 120 hours; it is tried once an hour, and resumed by a success"
        }
        None => return row.state_reason.clone(),
    };
    row.state_reason.as_ref().map(|code| format!("{code}: {told}"))
}

/// Puts a destination into a state that a person chose.
pub(super) async fn put(access: &Access, id: DestinationId, state: State) -> Result<Found<Destination>, Error> {
    let app = access.app();
    let change = access.begin().await?;
    let mut row = destination::lock(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    change.expect(row.version)?;
    let before = Destination::of(app, &change.txn, &row).await?;
    let (action, happening) = match state {
        State::Active => ("resume", Happening::Resumed),
        State::Paused | State::Disabled => ("pause", Happening::Paused),
    };
    if row.state() != state {
        row = destination::save(&change.txn, row.in_state(state, None, change.now)).await?;
        if state == State::Active {
            // Whoever resumes it says that it is well.
            health::forget(&change.txn, access.id(), id).await?;
        }
        operational::tell(&change.txn, &Notice::of_destination(&row, happening), change.now).await?;
    }
    let shown = Destination::of(app, &change.txn, &row).await?;
    let done = Done::new(action, row.id(), Some(access.id())).before(&before).after(&shown);
    let done = done.changes([Changed::Destination(row.id())]).rings();
    change.commit(done, Found::of(shown).version(row.version)).await
}

//! Retrying and cancelling. Only the owner of its shard touches an unfinished delivery, so that is asked by a command; a
//! finished one is never touched again, so a new one takes its place.

use entity::command::{self, Kind};
use entity::delivery::{self, Row, State, Trigger};
use entity::pending::{self, NewPending};
use entity::{destination, event, payload, subscription};
use relay::id::DeliveryId;

use super::Delivery;
use crate::answer::Accepted;
use crate::auth::Access;
use crate::error::Error;
use crate::mutation::{Done, Mutation};

pub(super) async fn retry(access: &Access, id: DeliveryId) -> Result<Accepted<Delivery>, Error> {
    let change = access.begin().await?;
    let row = delivery::find(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    let row = if row.state == State::Pending {
        ask(&change, access, &row, Kind::TryNow).await?;
        row
    } else {
        let new = repeated(&change, access, &row).await?;
        pending::insert(&change.txn, &new).await?;
        delivery::find(&change.txn, access.id(), new.id).await?.ok_or(Error::NotFound)?
    };
    let shown = Delivery::show(&row);
    let done = Done::new("retry", id, Some(access.id())).after(&shown).rings();
    change.commit(done, Accepted::of(shown)).await
}

pub(super) async fn cancel(access: &Access, id: DeliveryId) -> Result<Accepted<Delivery>, Error> {
    let change = access.begin().await?;
    let row = delivery::find(&change.txn, access.id(), id).await?.ok_or(Error::NotFound)?;
    if row.state != State::Pending {
        return Err(Error::Conflict(format!(
            "This delivery is finished ({}); there is nothing to cancel.",
            row.state.as_str()
        )));
    }
    ask(&change, access, &row, Kind::Cancel).await?;
    let shown = Delivery::show(&row);
    let done = Done::new("cancel", id, Some(access.id())).before(&shown).rings();
    change.commit(done, Accepted::of(shown)).await
}

async fn ask(change: &Mutation<'_>, access: &Access, row: &Row, kind: Kind) -> Result<(), Error> {
    Ok(command::leave(&change.txn, (access.id(), row.destination_id), kind, row.id.uuid()).await?)
}

/// The delivery that repeats a finished one, for as long as there is something to send and somewhere to send it.
async fn repeated(change: &Mutation<'_>, access: &Access, row: &Row) -> Result<NewPending, Error> {
    let (txn, tenant) = (&change.txn, access.id());
    let event = event::find(txn, tenant, row.event_id).await?.ok_or(Error::Expired)?;
    if !payload::is_kept(txn, tenant, row.event_id).await? {
        return Err(Error::Expired);
    }
    let Some(destination) = destination::find(txn, tenant, row.destination_id).await? else {
        return Err(Error::Conflict("The destination is gone. Replay the event to another one.".to_owned()));
    };
    // A subscription that is gone would cancel the new delivery at once; a person asked for it all the same.
    let subscription_id = match row.subscription_id {
        Some(id) => subscription::find(txn, tenant, id).await?.map(|row| row.id()),
        None => None,
    };
    Ok(NewPending {
        tenant_id: tenant,
        id: DeliveryId::at(change.now),
        event_id: row.event_id,
        subscription_id,
        destination_id: row.destination_id,
        order_key: payload::line(txn, &access.app().payload_keys, &event, &destination.settings()?.order).await?,
        trigger: Trigger::Retry,
        retry_of: Some(row.id),
        replay_id: None,
        size: event.size,
        due_at: change.now,
    })
}

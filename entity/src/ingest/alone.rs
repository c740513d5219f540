//! One event in the transaction of what asked for it: a test.

use relay::id::Id;
use sea_orm::entity::prelude::*;
use sea_orm::{ConnectionTrait, DbErr, IntoActiveModel};

use super::NewEvent;
use crate::delivery::Trigger;
use crate::pending::{self, NewPending};
use crate::{event, payload};

/// Stores an event with its payload and deliveries. It is new whatever came before, and no later one is its repeat: its
/// dedupe key is not looked at.
pub async fn insert(txn: &impl ConnectionTrait, new: &NewEvent) -> Result<(), DbErr> {
    row(new).into_active_model().reset_all().insert(txn).await?;
    payload(new).into_active_model().reset_all().insert(txn).await?;
    for delivery in &new.deliveries {
        let delivery = NewPending {
            tenant_id: new.tenant_id,
            id: delivery.id,
            event_id: new.id,
            subscription_id: Some(delivery.subscription_id),
            destination_id: delivery.destination_id,
            order_key: delivery.order_key,
            trigger: Trigger::Event,
            retry_of: None,
            replay_id: None,
            size: new.size(),
            due_at: delivery.due_at,
        };
        pending::insert(txn, &delivery).await?;
    }
    Ok(())
}

fn row(new: &NewEvent) -> event::Model {
    let NewEvent { received_at, occurred_at, test, hops, .. } = *new;
    event::Model {
        tenant_id: new.tenant_id.uuid(),
        id: new.id.uuid(),
        source_id: new.source_id.map(Id::uuid),
        event_type: new.event_type.clone(),
        derived_type: new.derived_type.clone(),
        external_id: new.external_id.clone(),
        request_id: new.request_id.clone(),
        occurred_at,
        received_at,
        method: new.method.clone(),
        path: new.path.clone(),
        query: new.query.clone(),
        remote_address: new.remote_address.clone(),
        content_type: new.content_type.clone(),
        size: new.size(),
        matched: new.matched(),
        duplicates: 0,
        test,
        hops,
        attributes: new.attributes.clone(),
    }
}

fn payload(new: &NewEvent) -> payload::Model {
    let (headers, body) = new.payload();
    payload::Model {
        tenant_id: new.tenant_id.uuid(),
        event_id: new.id.uuid(),
        headers: headers.to_owned(),
        body: body.to_vec(),
    }
}

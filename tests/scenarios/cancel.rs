//! Cancelling a delivery.

use std::time::Duration;

use harness::answer::{items, text};
use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Reply, Route, on_each_database};
use serde_json::json;

on_each_database![
    a_waiting_delivery_that_is_cancelled_is_not_tried_again,
    a_cancelled_request_in_flight_still_tells_the_truth,
    a_cancelled_request_that_is_rejected_is_not_retried,
    those_under_way_keep_no_other_waiting,
];

async fn a_waiting_delivery_that_is_cancelled_is_not_tried_again(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let Route { tenant, source, .. } = relay.route_tried(&receiver, Some(&[0, 3_600, 3_600])).await;
    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    tenant.delivery_waiting(&delivery, 1).await;

    tenant.act(&format!("/deliveries/{delivery}/cancel")).await.is(202);
    let cancelled = tenant.delivery_in(&delivery, "cancelled").await;
    relay.clock.advance(Duration::from_hours(3));

    let later = source.send(APPROVED).await;
    tenant.settled(&later).await;
    assert_eq!(receiver.requests().iter().map(|it| it.one("webhook-id")).collect::<Vec<_>>(), [&event, &later]);
    assert!(cancelled["attempts"] == 1 && cancelled["reason"].is_string(), "{cancelled:#}");
    assert_eq!(tenant.delivery(&delivery).await, cancelled);
}

async fn a_cancelled_request_in_flight_still_tells_the_truth(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, delivery, receiver) = cancelled_in_flight(&relay, 200).await;

    receiver.release();

    let delivered = tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!((&delivered["attempts"], &delivered["last_status"]), (&1.into(), &200.into()));
}

async fn a_cancelled_request_that_is_rejected_is_not_retried(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, delivery, receiver) = cancelled_in_flight(&relay, 500).await;

    receiver.release();

    let cancelled = tenant.delivery_in(&delivery, "cancelled").await;
    assert_eq!((&cancelled["attempts"], &cancelled["last_status"]), (&1.into(), &500.into()));
    assert_eq!(cancelled["attempt_log"][0]["status"], 500);
}

/// Each is looked at again and again, until its attempt has ended.
async fn those_under_way_keep_no_other_waiting(database: Database) {
    // Eight at a time go to a destination at first.
    const DESTINATIONS: usize = 5;
    const EVENTS: usize = 8;
    let relay = Relay::start(database).await;
    let slow = Receiver::answering(vec![Reply::status(200).held(); DESTINATIONS * EVENTS]).await;
    let (tenant, other) = (relay.tenant("acme").await, Receiver::answering([500]).await);
    let source = tenant.source().await;
    for _ in 0..DESTINATIONS {
        let destination = tenant.destination_with(&slow, json!({ "timeout_s": 30 })).await;
        tenant.subscribe(&destination, &["*"]).await;
    }
    source.send_many(EVENTS, 4, |_| APPROVED.to_owned()).await;
    slow.wait_for(DESTINATIONS * EVENTS).await;
    let under_way = async || items(&tenant.get("/deliveries?state=pending&limit=100").await.json(200));
    for delivery in under_way().await {
        tenant.act(&format!("/deliveries/{}/cancel", text(&delivery, "id"))).await.is(202);
    }

    let route = relay.route_tried(&other, Some(&[0, 3_600])).await;
    let event = route.source.send(APPROVED).await;
    let delivery = text(&route.tenant.delivery_of(&event).await, "id");
    route.tenant.delivery_waiting(&delivery, 1).await;
    route.tenant.act(&format!("/deliveries/{delivery}/cancel")).await.is(202);
    route.tenant.delivery_in(&delivery, "cancelled").await;
    assert_eq!(under_way().await.len(), DESTINATIONS * EVENTS, "nobody has waited for these");
    slow.release();
}

/// A delivery that was cancelled while the receiver, who will answer this, holds its request open.
async fn cancelled_in_flight(relay: &Relay, status: u16) -> (harness::Tenant, String, Receiver) {
    let receiver = Receiver::answering([Reply::status(status).held()]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let event = source.send(APPROVED).await;
    receiver.wait_for(1).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    tenant.act(&format!("/deliveries/{delivery}/cancel")).await.is(202);
    (tenant, delivery, receiver)
}

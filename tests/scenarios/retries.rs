//! A destination that does not accept at once.

use std::time::Duration;

use harness::answer::{millis, text};
use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Reply, Route, on_each_database, signature};

on_each_database![
    a_rejected_delivery_is_retried_and_then_delivered,
    a_retry_after_is_waited_for,
    an_exhausted_schedule_fails_and_can_be_retried_by_hand,
    a_waiting_delivery_can_be_tried_now,
    after_429_a_minute_passes,
];

async fn a_rejected_delivery_is_retried_and_then_delivered(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;

    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    let waiting = tenant.delivery_waiting(&delivery, 1).await;
    assert_eq!(waiting["last_status"], 500);
    relay.clock.advance(Duration::from_secs(7));

    let delivered = tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!((&delivered["attempts"], &delivered["last_status"]), (&2.into(), &200.into()));
    assert_eq!(outcomes(&delivered), ["1 rejected 500", "2 delivered 200"]);
    let requests = receiver.requests();
    assert_eq!(requests.iter().map(|request| request.one("hookyard-attempt")).collect::<Vec<_>>(), ["1", "2"]);
    assert!(requests.iter().all(|request| request.one("webhook-id") == event));
    assert!(requests.iter().all(|request| signature::is_signed(request, &destination.signing_secret)));
    assert!(seconds_between(&requests[0], &requests[1]) >= 5, "signed anew, with a new time");
}

async fn a_retry_after_is_waited_for(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([Reply::status(503).header("retry-after", "120")]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;

    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    let waiting = tenant.delivery_waiting(&delivery, 1).await;

    let wait = millis(&waiting, "next_attempt_at") - millis(&waiting["attempt_log"][0], "at");
    assert!((120_000..=150_000).contains(&wait), "waits {wait} ms: {waiting:#}");
    relay.clock.advance(Duration::from_secs(155));
    tenant.delivery_in(&delivery, "delivered").await;
    let requests = receiver.requests();
    assert!(requests.len() == 2 && seconds_between(&requests[0], &requests[1]) >= 120);
}

async fn an_exhausted_schedule_fails_and_can_be_retried_by_hand(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let Route { tenant, source, .. } = relay.route_tried(&receiver, Some(&[0, 1, 1])).await;

    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    for attempts in 1..=2 {
        receiver.wait_for(attempts).await;
        relay.clock.advance(Duration::from_secs(2));
    }
    let failed = tenant.delivery_in(&delivery, "failed").await;
    assert_eq!(outcomes(&failed), ["1 rejected 500", "2 rejected 500", "3 rejected 500"]);
    assert!(failed["reason"].is_string() && failed["finished_at"].is_string(), "{failed:#}");

    receiver.recover();
    let second = tenant.act(&format!("/deliveries/{delivery}/retry")).await.json(202);
    assert_eq!((&second["retry_of"], &second["trigger"]), (&delivery.as_str().into(), &"retry".into()));
    tenant.delivery_in(&text(&second, "id"), "delivered").await;

    assert_eq!(tenant.delivery(&delivery).await, failed, "what has ended stays as it is");
    let requests = receiver.requests();
    assert_eq!(requests.len(), 4);
    assert!(requests.iter().all(|request| request.one("webhook-id") == event));
}

async fn a_waiting_delivery_can_be_tried_now(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let Route { tenant, source, .. } = relay.route_tried(&receiver, Some(&[0, 86_400])).await;

    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    tenant.delivery_waiting(&delivery, 1).await;
    tenant.act(&format!("/deliveries/{delivery}/retry")).await.succeeded();

    let delivered = tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!(delivered["attempts"], 2);
    assert_eq!(tenant.deliveries(&event).await.len(), 1, "the same delivery, not a new one");
}

async fn after_429_a_minute_passes(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([429]).await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;

    let event = source.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    let waiting = tenant.delivery_waiting(&delivery, 1).await;

    let wait = millis(&waiting, "next_attempt_at") - millis(&waiting["attempt_log"][0], "at");
    assert!(wait >= 60_000, "waits {wait} ms");
}

/// The attempts of a delivery, each as "number outcome status".
fn outcomes(delivery: &harness::Value) -> Vec<String> {
    let log = delivery["attempt_log"].as_array().unwrap_or_else(|| panic!("no attempt_log in {delivery:#}"));
    log.iter().map(|it| format!("{} {} {}", it["number"], text(it, "outcome"), it["status"])).collect()
}

fn seconds_between(first: &harness::receiver::Request, second: &harness::receiver::Request) -> i64 {
    let time = |request: &harness::receiver::Request| request.one("webhook-timestamp").parse::<i64>().unwrap();
    time(second) - time(first)
}

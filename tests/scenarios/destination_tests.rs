//! A destination can be tested at any time, and no test counts for anything.

use harness::answer::{items, text};
use harness::ondato::APPROVED;
use harness::signature::is_signed;
use harness::{Database, Destination, Receiver, Relay, Reply, Tenant, Value, json, on_each_database};

on_each_database![
    a_test_goes_to_its_destination_alone,
    a_test_looks_like_the_event_it_names,
    a_test_is_sent_once_whatever_the_destinations_state,
    no_test_counts,
    a_test_stands_in_no_line,
    a_tenant_can_make_only_so_many_tests,
    what_cannot_be_tested_is_refused,
];

async fn test(tenant: &Tenant, destination: &Destination, told: Value) -> (String, String) {
    let made = tenant.post(&format!("{}/test", destination.path()), told).await.json(202);
    (text(&made, "event_id"), text(&made, "delivery_id"))
}

async fn a_test_goes_to_its_destination_alone(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, other) = (Receiver::start().await, Receiver::start().await);
    let route = relay.route(&other).await;
    let (tenant, destination) = (&route.tenant, route.tenant.destination(&receiver).await);
    tenant.subscribe(&destination, &["*"]).await;
    let (event, delivery) = test(tenant, &destination, json!({})).await;
    let shown = tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!(
        (&shown["trigger"], &shown["subscription_id"], &shown["attempts"]),
        (&json!("test"), &Value::Null, &json!(1))
    );
    let event = tenant.event(&event).await;
    assert_eq!(
        (&event["source_id"], &event["test"], &event["event_type"]),
        (&Value::Null, &json!(true), &json!("hookyard.test"))
    );
    assert_eq!(items(&tenant.get("/deliveries").await.json(200)).len(), 1);

    let request = receiver.wait_for(1).await.remove(0);
    assert_eq!(request.one("hookyard-test"), "true");
    assert_eq!(request.one("hookyard-event-type"), "hookyard.test");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(body["type"], "hookyard.test");
    assert!(is_signed(&request, &destination.signing_secret));
    assert_eq!(other.count(), 0);
}

async fn a_test_looks_like_the_event_it_names(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    tenant.source().await;
    let headers = json!({ "headers": { "x-external": "{external_id}" } });
    let destination = tenant.destination_with(&receiver, headers).await;
    let (event, delivery) = test(&tenant, &destination, json!({ "event_type": APPROVED })).await;
    tenant.delivery_in(&delivery, "delivered").await;
    let (request, event) = (receiver.wait_for(1).await.remove(0), tenant.event(&event).await);
    assert_eq!(request.one("hookyard-event-type"), APPROVED);
    assert_eq!(request.one("x-external"), text(&event, "external_id"));
    assert!(text(&event, "external_id").starts_with("test-"), "{event}");
    let sample: Value = serde_json::from_slice(&request.body).unwrap();
    assert!(sample["Payload"].is_object() || sample["payload"].is_object(), "{sample}");

    // Of a type that no source's provider knows, the type is all there is.
    let (_, delivery) = test(&tenant, &destination, json!({ "event_type": "order.paid" })).await;
    tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!(receiver.wait_for(2).await[1].one("hookyard-event-type"), "order.paid");
}

async fn a_test_is_sent_once_whatever_the_destinations_state(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::always(500).await);
    let route = relay.route(&receiver).await;
    let (tenant, destination) = (&route.tenant, &route.destination);
    let _ = tenant.act(&format!("{}/pause", destination.path())).await.json(200);
    let held = text(&tenant.delivery_of(&route.source.send(APPROVED).await).await, "id");
    tenant.delivery_in(&held, "held").await;
    let (_, delivery) = test(tenant, destination, json!({})).await;
    let shown = tenant.delivery_in(&delivery, "failed").await;
    assert_eq!((&shown["reason"], &shown["last_status"]), (&json!("the test failed"), &json!(500)));
    assert_eq!(receiver.count(), 1);
    assert_eq!(tenant.delivery(&held).await["attempts"], 0);

    receiver.recover();
    let (_, delivery) = test(tenant, destination, json!({})).await;
    tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!(tenant.delivery(&held).await["state"], "held");
    assert_eq!(tenant.get(&destination.path()).await.json(200)["state"], "paused");
}

async fn no_test_counts(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::always(503).await);
    let told = json!({ "order": { "mode": "fifo" }, "rate_limit": { "per_second": 0.1 }, "max_in_flight": 1 });
    let tenant = relay.tenant("acme").await;
    let (source, destination) = (tenant.source().await, tenant.destination_with(&receiver, told).await);
    tenant.subscribe(&destination, &["*"]).await;
    for _ in 0..6 {
        let (_, delivery) = test(&tenant, &destination, json!({})).await;
        tenant.delivery_in(&delivery, "failed").await;
    }
    assert_eq!(tenant.get(&destination.path()).await.json(200)["failing_since"], Value::Null);
    assert_eq!(relay.counted("hookyard_breakers_opened_total").await, 0);
    // Neither the rate nor the breaker nor the line knows of them.
    receiver.recover();
    tenant.settled(&source.send(APPROVED).await).await;
    assert_eq!(receiver.count(), 7);
}

/// Not even where all is delivered in order, one at a time: what comes after a test that hangs is delivered.
async fn a_test_stands_in_no_line(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([Reply::status(200).held()]).await;
    let told = json!({ "order": { "mode": "fifo" }, "max_in_flight": 1 });
    let tenant = relay.tenant("acme").await;
    let (source, destination) = (tenant.source().await, tenant.destination_with(&receiver, told).await);
    tenant.subscribe(&destination, &["*"]).await;
    let (_, tested) = test(&tenant, &destination, json!({})).await;
    receiver.wait_for(1).await;
    let events = source.send_many(5, 1, |_| APPROVED.to_owned()).await;
    receiver.wait_for(6).await;
    assert_eq!(receiver.order()[1..], events);
    receiver.release();
    tenant.delivery_in(&tested, "delivered").await;
    tenant.settled(&source.send(APPROVED).await).await;
}

async fn a_tenant_can_make_only_so_many_tests(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let destination = tenant.destination(&receiver).await;
    for _ in 0..10 {
        test(&tenant, &destination, json!({})).await;
    }
    let path = format!("{}/test", destination.path());
    let mut answer = tenant.act(&path).await;
    // A second may have passed meanwhile, and another.
    for _ in 0..20 {
        if answer.status != 202 {
            break;
        }
        answer = tenant.act(&path).await;
    }
    answer.problem_about(429, &["one test a second"]);
    assert_eq!(answer.header("retry-after"), Some("1"));
    let neighbour = relay.tenant("other").await;
    let destination = neighbour.destination(&receiver).await;
    test(&neighbour, &destination, json!({})).await;
}

async fn what_cannot_be_tested_is_refused(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let destination = tenant.destination(&receiver).await;
    let path = format!("{}/test", destination.path());
    for event_type in [json!(""), json!("a\nb"), json!(7), json!("x".repeat(513))] {
        let refused = tenant.post(&path, json!({ "event_type": event_type })).await.problem(422);
        assert_eq!(refused["errors"][0]["pointer"], "/event_type", "{refused}");
    }
    let _ = tenant.delete(&destination.path()).await;
    let _ = tenant.act(&path).await.problem(404);
    assert_eq!(receiver.count(), 0);
}

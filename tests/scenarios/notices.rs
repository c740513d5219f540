//! What a tenant hears of its own things without asking: once, and only where it is wanted.

use std::time::Duration;

use harness::answer::{items, text};
use harness::{Database, Receiver, Relay, Tenant, Value, eventually, on_each_database};
use serde_json::json;

on_each_database![
    a_delivery_that_failed_for_good_is_told_of_once,
    two_destinations_that_fail_do_not_tell_each_other_for_ever,
    a_destination_that_fails_for_an_hour_is_told_of_once,
    what_expires_soon_is_told_of_before,
    a_source_that_refuses_is_told_of,
    a_quota_that_is_nearly_used_up_is_told_of,
    things_that_are_nearly_too_many_are_told_of_once,
    nobody_is_told_who_does_not_ask,
];

async fn a_delivery_that_failed_for_good_is_told_of_once(database: Database) {
    let relay = Relay::start(database).await;
    let (sick, on_call) = (Receiver::always(503).await, Receiver::start().await);
    let route = relay.route_tried(&sick, Some(&[0])).await;
    let tenant = &route.tenant;
    listens(tenant, &on_call).await;
    let sent = route.source.send_many(12, 5, |_| "a.b".to_owned()).await;
    for event in &sent {
        tenant.settled(event).await;
    }

    let told = told(&on_call, 12).await;
    let (mut count, mut named) = (0, Vec::new());
    for body in &told {
        assert_eq!(
            (&body["type"], &body["data"]["destination_id"]),
            (&json!("delivery.failed"), &json!(route.destination.id))
        );
        count += body["data"]["count"].as_u64().unwrap();
        let deliveries = body["data"]["deliveries"].as_array().unwrap();
        assert!(!deliveries.is_empty() && deliveries.len() <= 20);
        named.extend(deliveries.iter().map(|delivery| text(delivery, "event_id")));
        assert_eq!(
            (&deliveries[0]["last_status"], &deliveries[0]["reason"]),
            (&json!(503), &json!("attempts exhausted"))
        );
    }
    assert_eq!(count, 12, "each once");
    assert!(named.iter().all(|event| sent.contains(event)));
}

async fn two_destinations_that_fail_do_not_tell_each_other_for_ever(database: Database) {
    let relay = Relay::start(database).await;
    let (sick, on_call) = (Receiver::always(500).await, Receiver::start().await);
    let route = relay.route_tried(&sick, Some(&[0])).await;
    let tenant = &route.tenant;
    let operational = json!({ "operational": true, "retry": { "schedule_s": [0] } });
    let deaf = tenant.destination_with(&sick, operational).await;
    tenant.subscribe(&deaf, &["delivery.*"]).await;
    listens(tenant, &on_call).await;
    let event = route.source.send("a.b").await;
    tenant.settled(&event).await;

    told(&on_call, 1).await;
    eventually("the notice to fail at the deaf one", async || {
        let list = format!("/deliveries?destination_id={}&state=failed", deaf.id);
        (items(&tenant.get(&list).await.json(200)).len() == 1).then_some(())
    })
    .await;
    // Whatever is told next is of a later failure.
    let later = route.source.send("a.b").await;
    tenant.settled(&later).await;
    let all = told(&on_call, 2).await;
    let destinations: Vec<String> = all.iter().map(|body| text(&body["data"], "destination_id")).collect();
    assert!(destinations.iter().all(|id| *id == route.destination.id), "{destinations:?}");
}

async fn a_destination_that_fails_for_an_hour_is_told_of_once(database: Database) {
    let relay = Relay::start(database).await;
    let (sick, on_call) = (Receiver::always(500).await, Receiver::start().await);
    let route = relay.route_tried(&sick, Some(&[0, 86_400])).await;
    let tenant = &route.tenant;
    listens(tenant, &on_call).await;
    route.source.send("a.b").await;
    eventually("the failure to be noted", async || {
        (!tenant.get(&route.destination.path()).await.json(200)["failing_since"].is_null()).then_some(())
    })
    .await;
    for _ in 0..2 {
        relay.clock.advance(Duration::from_secs(3_700));
        relay.clock_is_followed().await;
        let request = on_call.wait_for(1).await.remove(0);
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&body["type"], &body["data"]["destination_id"]),
            (&json!("destination.failing"), &json!(route.destination.id))
        );
        assert!(body["data"]["failing_since"].is_string());
    }
    tenant.act(&format!("{}/pause", route.destination.path())).await.is(200);
    on_call.wait_for(2).await;
    assert_eq!(types(&on_call), ["destination.failing", "destination.paused"], "not told again");
}

async fn what_expires_soon_is_told_of_before(database: Database) {
    let relay = Relay::start(database).await;
    let (well, on_call) = (Receiver::start().await, Receiver::start().await);
    let route = relay.route(&well).await;
    let (tenant, destination) = (&route.tenant, &route.destination);
    let told = json!({ "retention": { "payload_d": 10, "metadata_d": 90 } });
    relay.operator().patch(&format!("/v1/tenants/{}", tenant.id), told).await.is(200);
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    let event = route.source.send("a.b").await;
    eventually("it to be held", async || (tenant.delivery_of(&event).await["state"] == "held").then_some(())).await;
    listens(tenant, &on_call).await;

    relay.clock.advance(Duration::from_secs(8 * 86_400));
    relay.clock_is_followed().await;
    let request = on_call.wait_for(1).await.remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["state"]), (&json!("destination.expiring"), &json!("paused")));
    let [since, until] = ["waiting_since", "expires_at"].map(|field| harness::answer::millis(&body["data"], field));
    assert_eq!(until - since, 10 * 86_400_000);
    assert_eq!(tenant.delivery_of(&event).await["state"], "held", "and is still there");
}

async fn a_source_that_refuses_is_told_of(database: Database) {
    let relay = Relay::start(database).await;
    let on_call = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    listens(&tenant, &on_call).await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    let wrong = source.as_user("ondato", "wrong");
    for _ in 0..12 {
        wrong.post("{}").await.is(401);
    }
    let request = on_call.wait_for(1).await.remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["source_id"]), (&json!("source.rejecting"), &json!(source.id)));
    assert!(body["data"]["refused"].as_u64() >= Some(10), "{body:#}");
    assert!(!body["data"]["causes"].as_array().unwrap().is_empty());
}

async fn a_quota_that_is_nearly_used_up_is_told_of(database: Database) {
    let relay = Relay::start(database).await;
    let on_call = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    listens(&tenant, &on_call).await;
    let source = tenant
        .source_of(json!({
            "name": "limited", "provider": "ondato", "verification": { "kind": "none" },
            "rate_limit": { "per_second": 1, "burst": 30 },
        }))
        .await;
    for _ in 0..28 {
        source.post("{}").await.is(202);
    }
    let request = on_call.wait_for(1).await.remove(0);
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["quota"]), (&json!("quota.near"), &json!("rate_limit")));
    assert_eq!((&body["data"]["source_id"], &body["data"]["burst"]), (&json!(source.id), &json!(30)));
}

async fn things_that_are_nearly_too_many_are_told_of_once(database: Database) {
    let relay = Relay::start(database).await;
    let on_call = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    listens(&tenant, &on_call).await;
    let limits = json!({ "sources": 10, "credentials_per_source": 5, "request_ids_per_week": 10, "subscriptions": 4 });
    relay.operator().patch(&format!("/v1/tenants/{}", tenant.id), json!({ "limits": limits })).await.is(200);
    let mut last = None;
    for _ in 0..10 {
        last = Some(tenant.guarded_source("ondato", "correct horse battery").await.0);
    }
    let source = last.unwrap();
    for number in 2..=5 {
        let new = json!({ "kind": "basic", "username": format!("user-{number}"), "password": "correct horse battery" });
        tenant.post(&format!("/sources/{}/credentials", source.id), new).await.is(201);
    }
    for ids in [json!(["a", "b", "c", "d", "e", "f", "g", "h"]), json!(["i"]), json!(["j"])] {
        tenant.post("/request-ids", json!({ "request_ids": ids })).await.is(201);
    }
    // Of so few that there may be, nobody is told: three more, of four.
    let route = tenant.destination(&on_call).await;
    for _ in 0..3 {
        tenant.subscribe(&route, &["nothing"]).await;
    }
    tenant.act(&format!("{}/pause", route.path())).await.is(200);

    let requests = on_call.wait_for(4).await;
    let told = requests.iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap()["data"].clone());
    let mut told: Vec<Value> = told.filter(|data| data["state"].is_null()).collect();
    told.sort_by_key(|data| data["quota"].to_string());
    let near = |quota: &str, (used, limit): (u32, u32), source: Value| {
        let name = if source.is_null() { Value::Null } else { json!("in") };
        json!({ "quota": quota, "used": used, "limit": limit, "source_id": source, "name": name,
            "per_second": null, "burst": null })
    };
    let expected = [
        near("credentials_per_source", (5, 5), json!(source.id)),
        near("request_ids_per_week", (9, 10), Value::Null),
        near("sources", (9, 10), Value::Null),
    ];
    assert_eq!(told, expected, "when less than a fifth was left");
    let all = items(&tenant.get("/events?event_type=quota.near").await.json(200));
    assert_eq!(all.len(), 3, "each once: {all:#?}");
}

async fn nobody_is_told_who_does_not_ask(database: Database) {
    let relay = Relay::start(database).await;
    let (sick, on_call) = (Receiver::always(503).await, Receiver::start().await);
    let (silent, other) = (relay.route_tried(&sick, Some(&[0])).await, relay.route_tried(&sick, Some(&[0])).await);
    listens(&other.tenant, &on_call).await;
    for route in [&silent, &other] {
        let event = route.source.send("a.b").await;
        route.tenant.settled(&event).await;
    }
    let heard = told(&on_call, 1).await;
    assert_eq!(heard[0]["data"]["destination_id"], *other.destination.id);
    assert_eq!(items(&silent.tenant.get("/events").await.json(200)).len(), 1, "its own event, and no other");
}

/// Everything that happens to the tenant's own things goes there.
async fn listens(tenant: &Tenant, receiver: &Receiver) {
    let destination = tenant.destination_with(receiver, json!({ "operational": true })).await;
    let source = text(items(&tenant.get("/sources").await.json(200)).last().unwrap(), "id");
    let new = json!({ "destination_id": destination.id, "source_ids": [source], "event_types": ["*"] });
    tenant.post("/subscriptions", new).await.is(201);
}

/// The bodies of notices that together tell of so many deliveries.
async fn told(receiver: &Receiver, count: u64) -> Vec<Value> {
    eventually("the failures to be told", async || {
        let bodies: Vec<Value> =
            receiver.requests().iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
        let told: u64 = bodies.iter().filter_map(|body| body["data"]["count"].as_u64()).sum();
        (told >= count).then_some(bodies)
    })
    .await
}

fn types(receiver: &Receiver) -> Vec<String> {
    receiver.requests().iter().map(|request| request.one("hookyard-event-type").to_owned()).collect()
}

//! What would become of a request is told before it happens, and is what happens.

use std::collections::BTreeMap;

use harness::answer::{items, text};
use harness::receiver::Request;
use harness::{Database, Destination, Receiver, Relay, Source, Tenant, Value, json, on_each_database};

on_each_database![
    every_subscription_says_what_stands_in_the_way,
    what_would_be_sent_is_what_is_sent,
    a_pasted_request_is_read_as_a_real_one_and_leaves_nothing,
    what_cannot_be_explained_is_refused,
    nothing_that_an_event_says_uncovers_a_secret,
];

async fn source(tenant: &Tenant) -> Source {
    let fields = json!({
        "name": "in",
        "provider": "waldo",
        "verification": { "kind": "none" },
        "extract": { "attributes": { "country": "json:/country" } },
        "forward_headers": ["x-env"],
    });
    tenant.source_of(fields).await
}

async fn subscribe(tenant: &Tenant, destination: &Destination, told: Value) -> String {
    let mut fields = json!({ "destination_id": destination.id, "event_types": ["*"] });
    fields.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
    text(&tenant.post("/subscriptions", fields).await.json(201), "id")
}

async fn send(source: &Source) -> String {
    let body = json!({ "event": "onboard", "customerId": "c1", "requestId": "r1", "country": "LT" }).to_string();
    source.post_with(&[("content-type", "application/json"), ("x-env", "live")], body).await.event_id()
}

async fn explain(tenant: &Tenant, question: Value) -> Value {
    tenant.post("/subscriptions/explain", question).await.json(200)
}

/// Obstacle and reason by subscription.
fn obstacles(explained: &Value) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let said = |it: &Value, name: &str| it[name].as_str().map(str::to_owned);
    let verdicts = explained["subscriptions"].as_array().unwrap();
    let told = verdicts.iter().map(|it| {
        assert_eq!(it["matches"], it["obstacle"].is_null(), "{it}");
        assert_eq!(it["matches"], it["request"].is_object(), "{it}");
        (text(it, "subscription_id"), (said(it, "obstacle"), said(it, "reason")))
    });
    told.collect()
}

async fn every_subscription_says_what_stands_in_the_way(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let (source, other, destination) =
        (source(&tenant).await, tenant.source().await, tenant.destination(&receiver).await);
    let _ = tenant.post("/request-ids", json!({ "request_ids": ["r1"] })).await.json(201);
    let filter = json!({ "body": { "/country": "LV" }, "attributes": { "country": "LT" } });
    let mut expected = BTreeMap::new();
    for (told, obstacle) in [
        (json!({}), None),
        (json!({ "source_ids": [source.id], "filter": { "headers": { "x-env": "live" } } }), None),
        (json!({ "enabled": false }), Some("disabled")),
        (json!({ "source_ids": [other.id] }), Some("source")),
        (json!({ "event_types": ["offboard"] }), Some("event_type")),
        (json!({ "origin": "without_request_id" }), Some("origin")),
        (json!({ "origin": "not_mine", "origin_wait_s": 0 }), Some("own_request")),
        (json!({ "filter": filter }), Some("filter")),
    ] {
        expected.insert(subscribe(&tenant, &destination, told).await, obstacle);
    }
    let event = send(&source).await;
    let told = obstacles(&explain(&tenant, json!({ "event_id": event })).await);
    assert_eq!(told.iter().map(|(id, (why, _))| (id.clone(), why.as_deref())).collect::<BTreeMap<_, _>>(), expected);
    let clause = told.values().find(|(why, _)| why.as_deref() == Some("filter"));
    assert_eq!(clause.and_then(|(_, reason)| reason.as_deref()), Some(r#"body /country $eq "LV""#));

    // And so it was: what would match is delivered, what is judged late is filtered, of the rest there is nothing.
    let ends = tenant.settled(&event).await;
    let ends: BTreeMap<_, _> = ends.iter().map(|it| (text(it, "subscription_id"), text(it, "state"))).collect();
    for (id, obstacle) in expected {
        let state = match obstacle {
            None => Some("delivered"),
            Some("filter" | "own_request") => Some("filtered"),
            _ => None,
        };
        assert_eq!(ends.get(&id).map(String::as_str), state, "{obstacle:?}");
    }

    // A circle ends for everybody.
    let headers = json!([["hookyard-hops", "4"], ["x-env", "live"]]);
    let circle = json!({ "source_id": source.id, "headers": headers, "body": r#"{"event": "onboard"}"# });
    let told = obstacles(&explain(&tenant, circle).await);
    assert_eq!(told.values().filter(|(why, _)| why.as_deref() == Some("loop")).count(), 5, "{told:#?}");
}

/// What differs from attempt to attempt, or is not shown.
const FRESH: [&str; 5] = ["webhook-timestamp", "webhook-signature", "traceparent", "host", "content-length"];

fn shown(request: &Value) -> BTreeMap<String, String> {
    let pairs = request["headers"].as_array().unwrap().iter();
    let pairs = pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()));
    pairs.filter(|(name, _)| !FRESH.contains(&name.as_str())).collect()
}

fn sent(request: &Request) -> BTreeMap<String, String> {
    request.headers.iter().filter(|(name, _)| !FRESH.contains(&name.as_str())).cloned().collect()
}

async fn what_would_be_sent_is_what_is_sent(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let told = json!({
        "auth": { "kind": "basic", "username": "me", "password": "a-password-of-mine" },
        "headers": { "x-country": "{attribute:country}" },
        "signing": { "v1a": true, "stripe_header": true },
    });
    let (source, destination) = (source(&tenant).await, tenant.destination_with(&receiver, told).await);
    tenant.subscribe(&destination, &["*"]).await;
    let event = send(&source).await;
    let received = receiver.wait_for(1).await.remove(0);
    let explained = explain(&tenant, json!({ "event_id": event })).await;
    let request = &explained["subscriptions"][0]["request"];
    assert_eq!(request["url"], receiver.url());
    assert_eq!(request["body_size"], received.body.len());
    assert_eq!(request["destination_state"], "active");
    let mut expected = sent(&received);
    for proof in ["authorization", "stripe-signature"] {
        let value = expected.insert(proof.to_owned(), "[redacted]".to_owned());
        assert!(value.is_some(), "{proof}");
    }
    // What the client adds by itself.
    expected.remove("accept");
    assert_eq!(shown(request), expected);
    let signature = received.header("webhook-signature").unwrap().to_owned();
    for secret in ["a-password-of-mine", "v1,", "v1a,", &signature, &destination.signing_secret] {
        assert!(!explained.to_string().contains(secret), "{secret}");
    }

    let _ = tenant.act(&format!("{}/pause", destination.path())).await.json(200);
    let explained = explain(&tenant, json!({ "event_id": event })).await;
    assert_eq!(explained["subscriptions"][0]["request"]["destination_state"], "paused");
}

async fn a_pasted_request_is_read_as_a_real_one_and_leaves_nothing(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let (source, destination) = (source(&tenant).await, tenant.destination(&receiver).await);
    subscribe(&tenant, &destination, json!({ "filter": { "query": { "region": "eu" } } })).await;
    let event = send(&source).await;
    tenant.settled(&event).await;
    let known = explain(&tenant, json!({ "event_id": event })).await;

    let headers = tenant.event(&event).await["headers"].clone();
    let body = tenant.get(&format!("/events/{event}/body")).await.text().to_owned();
    let mut pasted = json!({ "source_id": source.id, "headers": headers, "body": body });
    assert_eq!(explain(&tenant, pasted.clone()).await, known);
    pasted["query"] = "region=eu".into();
    let explained = explain(&tenant, pasted).await;
    assert_eq!(explained["subscriptions"][0]["matches"], true);
    assert_eq!(explained["event"]["attributes"], json!({ "country": "LT" }));

    assert_eq!(items(&tenant.get("/events").await.json(200)).len(), 1);
    assert_eq!(items(&tenant.get("/deliveries").await.json(200)).len(), 1);
    assert_eq!(receiver.count(), 0);
}

async fn what_cannot_be_explained_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let event = source.post("{}").await.event_id();
    for (question, pointer) in [
        (json!({}), "/event_id"),
        (json!({ "event_id": event, "source_id": source.id }), "/event_id"),
        (json!({ "event_id": event, "body": "" }), "/event_id"),
        (json!({ "body": "" }), "/event_id"),
        (json!({ "source_id": "src_01jd0000000000000000000000" }), "/source_id"),
        (json!({ "source_id": source.id, "headers": [["a", "b"], ["c"]] }), "/headers/1"),
        (json!({ "source_id": source.id, "headers": [["a b", "b"]] }), "/headers/0"),
    ] {
        let refused = tenant.post("/subscriptions/explain", question.clone()).await.problem(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{question}");
    }
    for scopes in [json!(["payloads", "write"]), json!(["read", "write"])] {
        let reader = tenant.key(scopes).await;
        let path = format!("/v1/tenants/{}/subscriptions/explain", tenant.id);
        let _ = reader.post(&path, json!({ "event_id": event })).await.problem(403);
    }
}

/// A word of the event's is what a secret would be shown as: what stands beside it stays a secret.
async fn nothing_that_an_event_says_uncovers_a_secret(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let told = json!({
        "auth": { "kind": "bearer", "token": "a-token-of-theirs" },
        "headers": { "x-a": "{attribute:a}", "x-b": "[redacted]" },
        "signing": { "v1a": true, "github_header": true, "stripe_header": true },
    });
    let destination = tenant.destination_with(&receiver, told).await;
    tenant.subscribe(&destination, &["*"]).await;
    let fields = json!({
        "name": "in",
        "provider": "generic",
        "verification": { "kind": "none" },
        "extract": { "event_type": "json:/a", "request_id": "json:/a", "attributes": { "a": "json:/a" } },
    });
    let source = tenant.source_of(fields).await;
    let body = json!({ "a": "[redacted]" }).to_string();
    let explained = explain(&tenant, json!({ "source_id": source.id, "body": body })).await;
    let headers = explained["subscriptions"][0]["request"]["headers"].as_array().unwrap();
    let hidden = |name: &str| headers.iter().any(|pair| pair[0] == name && pair[1] == "[redacted]");
    for name in ["authorization", "webhook-signature", "x-hub-signature-256", "stripe-signature", "x-a", "x-b"] {
        assert!(hidden(name), "{name}: {headers:#?}");
    }
    for secret in ["a-token-of-theirs", "v1,", "v1a,", "v1=", "sha256="] {
        assert!(!explained.to_string().contains(secret), "{secret}");
    }
}

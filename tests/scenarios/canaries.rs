//! Secrets and payloads are planted wherever somebody can put them, everything is done with them that can be done, and then
//! they are looked for where they do not belong.

use harness::answer::{items, text};
use harness::relay::OPERATOR_KEY;
use harness::{Client, Collector, Database, Receiver, Relay, Reply, Tenant, Value, eventually, on_each_database};
use serde_json::json;

on_each_database![
    nothing_that_was_planted_is_found_where_it_does_not_belong,
    nor_where_payloads_are_sealed_and_then_not_in_the_database_either,
];

/// Nobody reads these anywhere, once they were given.
const SECRETS: [&str; 10] = [
    OPERATOR_KEY,
    "canary-basic-password-7c1f",
    "canary-api-key-value-8d2e",
    "canary-hmac-secret-9e3d",
    "canary-bearer-token-af4c",
    "canary-destination-token-b05b",
    "canary-destination-header-c16a",
    "canary-destination-password-d279",
    "canary-client-secret-e388",
    "canary-collector-key-f497",
];
/// These are read only by who may read payloads.
const PAYLOADS: [&str; 7] = [
    "canary-body-1a2b",
    "canary-header-2b3c",
    "canary-answer-body-3c4d",
    "canary-answer-header-4d5e",
    "canary-wrong-password-5e6f",
    "canary-explained-body-6f70",
    "canary-refused-body-7081",
];

async fn nothing_that_was_planted_is_found_where_it_does_not_belong(database: Database) {
    search(&database, false).await;
}

async fn nor_where_payloads_are_sealed_and_then_not_in_the_database_either(database: Database) {
    search(&database, true).await;
}

async fn search(database: &Database, seals: bool) {
    let collector = Collector::start().await;
    let relay = Relay::plan(database.clone())
        .setting("HOOKYARD_SEAL_PAYLOADS", seals.to_string())
        .setting("HOOKYARD_OTLP_ENDPOINT", collector.endpoint())
        .setting("HOOKYARD_OTLP_HEADERS", format!("x-key={}", SECRETS[9]))
        .setting("HOOKYARD_LOG", "info,api=trace,worker=trace,relay=trace,entity=trace,hookyard=trace")
        .setting("HOOKYARD_LOG_FORMAT", "json")
        .start()
        .await;
    let refusal = Reply::status(503).header("x-canary", PAYLOADS[3]).body(PAYLOADS[2]);
    let receiver = Receiver::always(refusal).await;
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let mut made = plant(&tenant, &receiver).await;
    let reader = tenant.key(json!(["read", "audit"])).await;
    misuse(&tenant, &relay.anybody()).await;
    collector.heard("attempt", 1).await;

    let all: Vec<&str> = SECRETS.into_iter().chain(made.iter().map(String::as_str)).chain(PAYLOADS).collect();
    for process in relay.processes() {
        is_clean("the log", &process.logged(), &all);
        is_clean("the metrics", &Client::of(process).operations("/metrics").await.text(), &all);
        is_clean("the readiness", &Client::of(process).operations("/readyz").await.text(), &all);
    }
    for posted in collector.receiver().requests() {
        is_clean("a trace", &String::from_utf8_lossy(&posted.body), &all);
    }
    for path in everything(&tenant).await {
        is_clean(&path, &reader.get(&path).await.text(), &all);
        is_clean(&path, &other.seen_by(&reader).get(&path).await.text(), &all);
    }
    // Who may read everything reads the payloads, and no secret.
    made.retain(|secret| !secret.starts_with("/in/"));
    let secrets: Vec<&str> = SECRETS.into_iter().chain(made.iter().map(String::as_str)).collect();
    for path in everything(&tenant).await {
        is_clean(&path, &relay.operator().get(&path).await.text(), &secrets);
    }
    if !database.is_postgres() {
        let file = database.url().replace("sqlite://", "");
        for suffix in ["", "-wal"] {
            let bytes = std::fs::read(format!("{file}{suffix}")).unwrap_or_default();
            is_clean("the database's file", &String::from_utf8_lossy(&bytes), &secrets);
        }
    }
    let mut columns = 0;
    for payload in PAYLOADS {
        columns += database.columns_with(payload).await;
    }
    assert_eq!(columns == 0, seals, "payloads stand in {columns} columns");
}

#[track_caller]
fn is_clean(place: &str, text: &str, planted: &[&str]) {
    for canary in planted {
        assert!(!text.contains(canary), "{canary} stands in {place}: {}", around(text, canary));
    }
}

fn around(text: &str, canary: &str) -> String {
    let at = text.find(canary).unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(200)).take(500).collect()
}

/// One of everything that holds a secret, and events that go through all of it. Gives the secrets that were made.
async fn plant(tenant: &Tenant, receiver: &Receiver) -> Vec<String> {
    let mut made = Vec::new();
    let (guarded, _) = tenant.guarded_source("ondato", SECRETS[1]).await;
    let open = tenant.source().await;
    let hmac = json!({ "kind": "hmac", "algorithm": "sha256", "header": "x-sig", "encoding": "hex" });
    let signed = json!({ "name": "signed", "provider": "generic", "verification": hmac });
    let signed = tenant.post("/sources", signed).await;
    let signed = if signed.status == 201 { text(&signed.json(201), "id") } else { open.id.clone() };
    for (source, credential) in [
        (&guarded.id, json!({ "kind": "api_key", "header": "x-api-key", "key": SECRETS[2] })),
        (&guarded.id, json!({ "kind": "bearer", "token": SECRETS[4] })),
        (&guarded.id, json!({ "kind": "oauth2_client" })),
        (&signed, json!({ "kind": "hmac", "secret": SECRETS[3] })),
    ] {
        let answer = tenant.post(&format!("/sources/{source}/credentials"), credential).await;
        if let Some(secret) = answer.json(answer.status)["client_secret"].as_str() {
            made.push(secret.to_owned());
        }
    }
    for auth in [
        json!({ "kind": "bearer", "token": SECRETS[5] }),
        json!({ "kind": "header", "name": "x-canary", "value": SECRETS[6] }),
        json!({ "kind": "basic", "username": "u", "password": SECRETS[7] }),
        json!({
            "kind": "oauth2_client_credentials", "token_url": receiver.url_of("/token"), "client_id": "c",
            "client_secret": SECRETS[8],
        }),
    ] {
        let told = json!({ "auth": auth, "retry": { "schedule_s": [0] }, "keep_responses": true });
        let destination = tenant.destination_with(receiver, told).await;
        tenant.subscribe(&destination, &["*"]).await;
        tenant.act(&format!("{}/test", destination.path())).await.is(202);
        made.push(destination.signing_secret);
    }
    let key = tenant.post("/api-keys", json!({ "name": "made", "scopes": ["read"] })).await.json(201);
    made.push(text(&key, "key"));
    made.extend([&guarded, &open].map(|source| source.path.clone()));

    let body = json!({ "note": PAYLOADS[0], "type": "KycIdentification.Approved", "id": "a" }).to_string();
    let event =
        open.post_with(&[("content-type", "application/json"), ("x-canary", PAYLOADS[1])], body).await.event_id();
    let failed = format!("/deliveries?event_id={event}&state=failed");
    eventually("what was sent to fail", async || {
        (items(&tenant.get(&failed).await.json(200)).len() == 4).then_some(())
    })
    .await;
    guarded.as_user("ondato", PAYLOADS[4]).post(PAYLOADS[6]).await.is(401);
    tenant.post("/replays", json!({ "filter": { "state": "failed" } })).await.is(202);
    let explained = json!({ "source_id": open.id, "headers": [["x-canary", PAYLOADS[1]]], "body": PAYLOADS[5] });
    tenant.post("/subscriptions/explain", explained).await;
    made
}

/// What is sent wrongly is named by its place, and not repeated.
async fn misuse(tenant: &Tenant, anybody: &Client) {
    let source = text(&items(&tenant.get("/sources").await.json(200))[0], "id");
    for (path, body) in [
        (
            "/destinations".to_owned(),
            json!({ "name": 1, "url": "x", "auth": { "kind": "bearer", "token": SECRETS[5], "x": 1 } }),
        ),
        (
            format!("/sources/{source}/credentials"),
            json!({ "kind": "basic", "username": "a:b", "password": SECRETS[1] }),
        ),
        (format!("/sources/{source}/credentials"), json!({ "kind": "unknown", "secret": SECRETS[3] })),
    ] {
        let refused = tenant.post(&path, body).await;
        assert_eq!(refused.status, 422, "{refused}");
        is_clean("a refusal", &refused.text(), &SECRETS);
    }
    let refused = anybody.with_key(SECRETS[4]).get(&tenant.path("/events")).await;
    is_clean("a refusal", &refused.text(), &SECRETS);
}

/// The paths of all that a tenant can read, but bodies.
async fn everything(tenant: &Tenant) -> Vec<String> {
    let mut paths = vec![tenant.path("")];
    for list in ["api-keys", "sources", "destinations", "subscriptions", "events", "deliveries", "replays", "audit-log"]
    {
        let path = tenant.path(&format!("/{list}"));
        paths.push(format!("{path}?limit=250"));
        if list == "audit-log" {
            continue;
        }
        for item in items(&tenant.get(&format!("/{list}?limit=250")).await.json(200)) {
            let item: &Value = &item;
            paths.push(format!("{path}/{}", text(item, "id")));
            if list == "sources" {
                paths.push(format!("{path}/{}/credentials", text(item, "id")));
                paths.push(format!("{path}/{}/rejections", text(item, "id")));
            }
        }
    }
    paths
}

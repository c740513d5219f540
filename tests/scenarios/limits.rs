//! How much a provider may send.

use harness::answer::items;
use harness::{Database, Relay, Source, Tenant, json, on_each_database, raw};

on_each_database![
    a_body_over_the_cap_is_413_however_it_is_sent,
    a_body_in_chunks_is_a_body,
    a_request_names_exactly_one_host,
    a_list_that_is_too_long_is_refused_at_once,
];

const CAP: usize = 1 << 20;

async fn a_body_over_the_cap_is_413_however_it_is_sent(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source) = open(&relay).await;
    let (fits, too_large) = (vec![b'x'; CAP], vec![b'x'; CAP + 1]);
    let address = relay.apis[0].address();

    for (status, request) in [
        (202, raw::post(&source.path, &fits)),
        (413, raw::post(&source.path, &too_large)),
        (202, raw::chunked_post(&source.path, &fits)),
        (413, raw::chunked_post(&source.path, &too_large)),
    ] {
        let answer = raw::exchange(address, request).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(status == 202 || answer.text.to_lowercase().contains("application/problem+json"), "{}", answer.text);
    }
    let kept = items(&tenant.get("/events").await.json(200));
    assert_eq!(kept.iter().map(|event| event["size"].as_u64()).collect::<Vec<_>>(), [Some(CAP as u64); 2]);
}

async fn a_body_in_chunks_is_a_body(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source) = open(&relay).await;

    let answer = raw::exchange(relay.apis[0].address(), raw::chunked_post(&source.path, b"in chunks")).await;

    assert_eq!(answer.status, 202, "{}", answer.text);
    let event = &items(&tenant.get("/events").await.json(200))[0];
    let stored = tenant.get(&format!("/events/{}/body", event["id"].as_str().unwrap())).await;
    assert_eq!(stored.is(200).body, "in chunks");
}

async fn a_request_names_exactly_one_host(database: Database) {
    let relay = Relay::start(database).await;
    for (hosts, status) in [("", 400), ("Host: a\r\nHost: b\r\n", 400), ("Host: a\r\n", 200)] {
        let request = format!("GET /openapi.json HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        assert_eq!(raw::exchange(relay.apis[0].address(), request.into_bytes()).await.status, status, "{hosts:?}");
    }
}

/// A hundred thousand different scopes, which to compare with each other would take a processor many seconds.
async fn a_list_that_is_too_long_is_refused_at_once(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let scopes: Vec<String> = (0..100_000).map(|number| format!("{number:x}")).collect();
    tenant.post("/api-keys", json!({ "name": "many", "scopes": scopes })).await.problem_about(422, &["scopes"]);
}

async fn open(relay: &Relay) -> (Tenant, Source) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    (tenant, source)
}

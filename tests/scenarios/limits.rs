//! How much a provider may send, and how slowly.

use std::time::Duration;

use harness::answer::items;
use harness::{Database, Relay, Source, Tenant, on_each_database, raw, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

on_each_database![
    a_body_over_the_cap_is_413_however_it_is_sent,
    a_body_in_chunks_is_a_body,
    whoever_sends_half_a_header_is_not_waited_for,
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

/// A minute is far more than it may take.
async fn whoever_sends_half_a_header_is_not_waited_for(database: Database) {
    let relay = Relay::start(database).await;
    let mut half = TcpStream::connect(relay.apis[0].address()).await.unwrap();
    half.write_all(b"POST /in/acme/x HTTP/1.1\r\nHost: rel").await.unwrap();

    within(Duration::from_secs(60), "the connection to be closed", async || {
        let read = tokio::time::timeout(Duration::from_millis(50), half.read(&mut [0; 1024])).await;
        matches!(read, Ok(Ok(0) | Err(_))).then_some(())
    })
    .await;
}

async fn open(relay: &Relay) -> (Tenant, Source) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    (tenant, source)
}

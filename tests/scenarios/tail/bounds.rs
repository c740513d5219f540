//! A tail costs little, whoever reads it or does not: what is too much is skipped, and said to be.

use std::time::{Duration, Instant};

use harness::answer::text;
use harness::{Database, Receiver, Relay, Route, json, on_each_database};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

on_each_database![who_does_not_read_is_skipped_and_keeps_nobody_waiting, of_very_many_deliveries_some_are_not_watched];

/// Far more than a connection holds: Linux keeps 4 MiB for a peer that reads nothing, and as much on its side.
const EVENTS: usize = 700;
const LONG: usize = 20_000;

async fn who_does_not_read_is_skipped_and_keeps_nobody_waiting(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mut deaf = deaf(&relay, &tenant.path("/tail?kinds=event")).await;
    let (mut slow, mut other) = (tenant.tail("?kinds=event").await, tenant.tail("?kinds=event").await);

    // An event is told with its query.
    let source = harness::Source { path: format!("{}?q={}", source.path, "x".repeat(LONG)), ..source };
    let sent = source.send_many(EVENTS, 8, |_| "long".to_owned()).await;
    for _ in &sent {
        other.told().await;
    }
    relay.clock.advance(Duration::from_secs(330));
    relay.clock_is_followed().await;
    let live = source.send("live").await;
    other.until(|news| news.data["id"] == live.as_str()).await;

    let told = slow.until(|news| news.data["id"] == live.as_str()).await;
    let gaps = told.iter().filter(|news| news.kind == "gap").count();
    assert!(gaps == 1 && told.len() < EVENTS, "{gaps} gaps, and {} of {EVENTS} told", told.len());

    let ending = Instant::now();
    let api = &relay.apis[0];
    api.terminate();
    assert!(api.ended().await.success());
    assert!(ending.elapsed() < Duration::from_secs(10), "{:?}", ending.elapsed());
    deaf.shutdown().await.ok();
}

/// Somebody who asks, and never reads.
async fn deaf(relay: &Relay, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(relay.apis[0].address()).await.unwrap();
    let key = harness::relay::OPERATOR_KEY;
    let request = format!("GET {path} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn of_very_many_deliveries_some_are_not_watched(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    let sent = source.send_many(1_050, 16, |_| "held".to_owned()).await;
    let mut tail = tenant.tail("").await;
    let gap = tail.told().await;
    assert_eq!((gap.kind.as_str(), &gap.data["after"]), ("gap", &json!(null)), "{gap:?}");
    assert!(text(&gap.data, "reason").contains("unfinished"), "{gap:?}");

    let path = format!("/deliveries/{}/cancel", text(&tenant.deliveries(&sent[0]).await[0], "id"));
    tenant.act(&path).await.is(202);
    let cancelled = tail.until(|news| news.data["state"] == "cancelled").await;
    assert_eq!(cancelled.last().unwrap().data["event_id"], json!(sent[0]));
}

//! Whose address a request has, with proxies in front and without.

use std::time::Duration;

use harness::relay::OPERATOR_KEY;
use harness::{Database, Relay, Value, eventually, json, on_each_database, proxy_header, raw};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

on_each_database![
    a_trusted_proxy_says_who_the_client_is,
    a_stranger_is_who_connects,
    the_proxy_protocol_says_who_the_client_is,
    a_stranger_may_not_speak_the_proxy_protocol,
    whoever_stalls_the_proxy_header_is_closed_while_others_are_served,
    one_client_cannot_take_the_places_of_all,
];

const THIS_MACHINE: &str = "127.0.0.0/8";
const CLIENT: &str = "198.51.100.7";
/// More than the five seconds that a proxy has for its header.
const STALLED_FOR: Duration = Duration::from_secs(15);

async fn a_trusted_proxy_says_who_the_client_is(database: Database) {
    let relay = Relay::plan(database).setting("HOOKYARD_TRUSTED_PROXIES", THIS_MACHINE).start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    for (forwarded, client) in [
        (&[][..], "127.0.0.1"),
        (&[CLIENT], CLIENT),
        (&["203.0.113.1, 198.51.100.7, 127.0.0.2"], CLIENT),
        (&["203.0.113.1", CLIENT, "127.0.0.2"], CLIENT),
        (&["nobody"], "127.0.0.1"),
        (&["::ffff:198.51.100.7"], CLIENT),
    ] {
        let headers: Vec<_> = forwarded.iter().map(|line| ("x-forwarded-for", *line)).collect();
        let event = tenant.event(&source.post_with(&headers, "x").await.event_id()).await;
        assert_eq!(event["remote_address"], client, "{forwarded:?}");
    }
}

async fn a_stranger_is_who_connects(database: Database) {
    let relay = Relay::plan(database).setting("HOOKYARD_TRUSTED_PROXIES", "10.0.0.0/8").start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
        let event = tenant.event(&source.post_with(&[(header, "10.0.0.1")], "x").await.event_id()).await;
        assert_eq!(event["remote_address"], "127.0.0.1", "{header}");
    }
}

async fn the_proxy_protocol_says_who_the_client_is(database: Database) {
    let relay = behind_a_proxy(database, THIS_MACHINE).await;
    let from = |client: &str| proxy_header::from(client.parse().unwrap());
    let by_hand = b"PROXY TCP4 198.51.100.7 192.0.2.1 12345 443\r\n".to_vec();
    let operator = from("203.0.113.1:1");
    let tenant =
        ask(&relay, &operator, "POST", "/v1/tenants", &json!({ "name": "acme", "slug": "acme" })).await.json(201);
    let tenant = format!("/v1/tenants/{}", tenant["id"].as_str().unwrap());
    let fields = json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" } });
    let source = ask(&relay, &operator, "POST", &format!("{tenant}/sources"), &fields).await.json(201);
    let url = source["url"].as_str().unwrap();
    let path = &url[url.find("/in/").unwrap()..];

    for (header, forwarded, client) in [
        (from("198.51.100.7:12345"), None, CLIENT),
        (from("[2001:db9::7]:12345"), None, "2001:db9::7"),
        (from("[::ffff:198.51.100.7]:12345"), None, CLIENT),
        (by_hand, None, CLIENT),
        (proxy_header::local(), None, "127.0.0.1"),
        // It stands for the peer: who is no proxy is not believed, and who is one is.
        (from("198.51.100.7:12345"), Some("203.0.113.9"), CLIENT),
        (from("127.0.0.9:12345"), Some(CLIENT), CLIENT),
    ] {
        let forwarded: Vec<_> = forwarded.map(|client| ("x-forwarded-for", client)).into_iter().collect();
        let request = [&header[..], &raw::request("POST", path, &forwarded, b"x")].concat();
        let answer = raw::exchange(relay.apis[0].address(), request).await.json(202);
        let event = format!("{tenant}/events/{}", answer["event_id"].as_str().unwrap());
        let event = ask(&relay, &operator, "GET", &event, &Value::Null).await.json(200);
        assert_eq!(event["remote_address"], client, "{header:02x?} {forwarded:?}");
    }

    for header in [&b""[..], b"PROXY UNKNOWN\r\n", &operator[1..]] {
        assert_eq!(answer_after(&relay, header).await, "", "{header:02x?}");
    }
    assert_eq!(refused(&relay).await, 3);
}

async fn a_stranger_may_not_speak_the_proxy_protocol(database: Database) {
    let relay = behind_a_proxy(database, "10.0.0.0/8").await;
    for header in [proxy_header::from("10.0.0.1:1".parse().unwrap()), proxy_header::local(), Vec::new()] {
        assert_eq!(answer_after(&relay, &header).await, "", "{header:02x?}");
    }
    assert_eq!(refused(&relay).await, 3);
}

async fn whoever_stalls_the_proxy_header_is_closed_while_others_are_served(database: Database) {
    let relay = behind_a_proxy(database, THIS_MACHINE).await;
    let address = relay.apis[0].address();
    let mut clients = JoinSet::new();
    for first in [Vec::new(), b"PROXY TCP4 ".to_vec(), proxy_header::local()[..13].to_vec()] {
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            timeout(STALLED_FOR, raw::text_over(stream, first)).await.expect("an end")
        });
    }
    let mut served = 0;
    while !clients.is_empty() {
        assert!(answer_after(&relay, &proxy_header::local()).await.starts_with("HTTP/1.1 404"));
        served += 1;
        if let Ok(Some(answer)) = timeout(Duration::from_millis(200), clients.join_next()).await {
            assert_eq!(answer.unwrap(), "");
        }
    }
    assert!(served > 5, "{served}");
    assert_eq!(refused(&relay).await, 3);
}

async fn one_client_cannot_take_the_places_of_all(database: Database) {
    let relay = behind_a_proxy(database, THIS_MACHINE).await;
    let address = relay.apis[0].address();
    let (greedy, other) =
        (proxy_header::from("198.51.100.7:1".parse().unwrap()), proxy_header::from("198.51.100.8:1".parse().unwrap()));
    let hold = async |header: &[u8], count: usize| {
        let mut held = Vec::new();
        for _ in 0..count {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(header).await.unwrap();
            held.push(stream);
        }
        held
    };

    // One over the 200 that a client may have; but a proxy, speaking for itself, may have any number.
    let (mut held, _proxy) = (hold(&greedy, 201).await, hold(&proxy_header::local(), 250).await);
    eventually("one of them to be closed", async || (refused(&relay).await == 1).then_some(())).await;
    assert_eq!(answer_after(&relay, &greedy).await, "");
    for header in [&other, &proxy_header::local()] {
        assert!(answer_after(&relay, header).await.starts_with("HTTP/1.1 404"));
    }

    held.truncate(100);
    eventually("places of its own to be free again", async || {
        answer_after(&relay, &greedy).await.starts_with("HTTP/1.1 404").then_some(())
    })
    .await;
}

/// A relay that is spoken to by proxies in `trusted`, with the PROXY protocol.
async fn behind_a_proxy(database: Database, trusted: &str) -> Relay {
    let plan = Relay::plan(database).setting("HOOKYARD_PROXY_PROTOCOL", "true");
    plan.setting("HOOKYARD_TRUSTED_PROXIES", trusted).start().await
}

/// The operator's request, over a connection that begins with `header`.
async fn ask(relay: &Relay, header: &[u8], method: &str, path: &str, body: &Value) -> raw::RawAnswer {
    let key = format!("Bearer {OPERATOR_KEY}");
    let headers = [("authorization", &*key), ("content-type", "application/json")];
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = raw::request(method, path, &headers, body.as_bytes());
    raw::exchange(relay.apis[0].address(), [header, &request].concat()).await
}

/// Whatever a request is answered with that comes after `header`.
async fn answer_after(relay: &Relay, header: &[u8]) -> String {
    let stream = TcpStream::connect(relay.apis[0].address()).await.unwrap();
    let request = raw::request("GET", "/nowhere", &[], b"");
    timeout(STALLED_FOR, raw::text_over(stream, [header, &request].concat())).await.expect("an end")
}

/// How many connections were closed before their first request.
async fn refused(relay: &Relay) -> u64 {
    relay.anybody().metric("hookyard_connections_refused_total").await as u64
}

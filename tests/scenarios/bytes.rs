//! Bytes in = bytes out, and nothing that authenticated a request is kept.

use harness::answer::text;
use harness::ondato::{APPROVED, event};
use harness::source::basic;
use harness::{Database, Receiver, Relay, Route, Source, Value, on_each_database};

on_each_database![every_body_arrives_as_it_came, what_authenticated_a_request_is_kept_nowhere];

/// `{"Type":"zipped"}`, by gzip.
const GZIP: &[u8] = &[
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0x0a, 0xa9, 0x2c, 0x48, 0x55, 0xb2, 0x52,
    0xaa, 0xca, 0x2c, 0x28, 0x48, 0x4d, 0x51, 0xaa, 0x05, 0x00, 0xcc, 0x17, 0xdf, 0xd4, 0x11, 0x00, 0x00, 0x00,
];

const JSON: &str = "application/json";

async fn every_body_arrives_as_it_came(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let mebibyte = vec![b'.'; 1 << 20];
    let bodies: [(&str, &str, &[u8]); 12] = [
        ("a number with a zero", JSON, br#"{"amount": 1.0, "big": 12345678901234567890.10}"#),
        ("keys twice", JSON, br#"{"a":1,"a":2,"Type":"x","Type":"y"}"#),
        ("a byte order mark", JSON, b"\xef\xbb\xbf{\"a\":1}"),
        ("line ends of Windows", JSON, b"{\r\n  \"a\": 1\r\n}\r\n"),
        ("escapes and spaces", "application/json; charset=utf-8", br#" {"a":"\u00e9\/", "b" :  [ ] } "#),
        ("no UTF-8", JSON, b"{\"a\":\"\xff\xfe\xc3\x28\"}"),
        ("zeroes", "application/octet-stream", b"\0\0\x01\0"),
        ("nothing", JSON, b""),
        ("a form", "application/x-www-form-urlencoded", b"a=1&b=%20+x&a=2"),
        ("text", "text/plain; charset=iso-8859-1", b"caf\xe9"),
        ("a batch", "application/x-ndjson", b"{\"a\":1}\n{\"a\":2}\n"),
        ("a mebibyte", "application/octet-stream", &mebibyte),
    ];

    for (what, content_type, body) in bodies {
        let event = source.post_with(&[("content-type", content_type)], body.to_vec()).await.event_id();
        assert_eq!(text(&tenant.settled(&event).await[0], "state"), "delivered", "{what}");
        let arrived = receiver.requests().pop().unwrap();
        assert_eq!(arrived.one("webhook-id"), event);
        assert_eq!((arrived.one("content-type"), &arrived.body[..]), (content_type, body), "{what}");
        let stored = tenant.get(&format!("/events/{event}/body")).await;
        assert_eq!(stored.is(200).body, body, "{what}");
        assert_eq!(stored.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(receiver.count(), bodies.len());

    let event = source.post_with(&[("content-type", JSON), ("content-encoding", "gzip")], GZIP).await.event_id();
    tenant.settled(&event).await;
    let arrived = receiver.requests().pop().unwrap();
    assert_eq!((arrived.one("content-encoding"), &arrived.body[..]), ("gzip", GZIP));
}

async fn what_authenticated_a_request_is_kept_nowhere(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    tenant.subscribe(&tenant.destination(&receiver).await, &["*"]).await;
    let below = Source { path: format!("{}/kyc/live?round=1", source.path), ..source.clone() };
    let headers =
        [("cookie", "session=secret-cookie"), ("proxy-authorization", "Basic secret-proxy"), ("x-kept", "kept")];

    let event = below.post_with(&headers, event(APPROVED)).await.event_id();
    tenant.settled(&event).await;

    let kept = tenant.event(&event).await;
    assert_eq!((&kept["path"], &kept["query"]), (&"/kyc/live".into(), &"round=1".into()));
    for (name, value) in [
        ("authorization", "[redacted]"),
        ("cookie", "[redacted]"),
        ("proxy-authorization", "[redacted]"),
        ("x-kept", "kept"),
    ] {
        assert_eq!(header(&kept, name), value, "{name}");
    }
    let secret = basic("ondato", "correct horse battery");
    let source_key = source.path.rsplit('/').next().unwrap();
    for secret in
        [secret.trim_start_matches("Basic "), "correct horse battery", "secret-cookie", "secret-proxy", source_key]
    {
        assert!(!kept.to_string().contains(secret), "{secret} in {kept:#}");
    }
    let arrived = &receiver.requests()[0];
    for name in ["authorization", "cookie", "proxy-authorization"] {
        assert_eq!(arrived.header(name), None);
    }
}

/// The value of a stored header that must be there exactly once.
fn header(event: &Value, name: &str) -> String {
    let headers = event["headers"].as_array().unwrap_or_else(|| panic!("no headers in {event:#}"));
    let values: Vec<_> = headers.iter().filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name)).collect();
    assert_eq!(values.len(), 1, "{name} in {headers:?}");
    values[0][1].as_str().unwrap().to_owned()
}

//! A provider's own headers reach the destination where the source says so, and never in the place of ours.

use harness::ondato::{APPROVED, event};
use harness::{Database, Receiver, Relay, Tenant, json, on_each_database, signature};

on_each_database![headers_that_a_source_names_are_passed_on, what_delivers_an_event_is_never_taken_from_its_provider,];

/// What a provider that signs as we do sends, and more.
const SENT: [(&str, &str); 12] = [
    ("content-type", "application/json"),
    ("x-b", "1"),
    ("X-A", "2"),
    ("x-b", "3"),
    ("x-unnamed", "4"),
    ("webhook-id", "theirs"),
    ("webhook-timestamp", "1"),
    ("webhook-signature", "v1,theirs"),
    ("authorization", "Bearer theirs"),
    ("cookie", "theirs"),
    ("user-agent", "theirs"),
    ("hookyard-attempt", "99"),
];

async fn source_passing_on(tenant: &Tenant, names: &[&str]) -> harness::Source {
    let fields = json!({
        "name": "in", "provider": "generic", "verification": { "kind": "none" }, "forward_headers": names,
    });
    tenant.source_of(fields).await
}

async fn headers_that_a_source_names_are_passed_on(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let tenant = relay.tenant("acme").await;
    let source = source_passing_on(&tenant, &["x-a", "X-B", "webhook-signature", "webhook-id"]).await;
    let destination = tenant.destination(&receiver).await;
    tenant.subscribe(&destination, &["*"]).await;

    source.post_with(&SENT, event(APPROVED)).await.is(202);
    receiver.wait_for(1).await;
    relay.clock.advance(std::time::Duration::from_secs(7));

    for request in receiver.wait_for(2).await {
        let passed: Vec<_> = request
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-") || name.starts_with("hookyard-provider-"))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            passed,
            [
                ("x-b", "1"),
                ("x-b", "3"),
                ("x-a", "2"),
                ("hookyard-provider-webhook-id", "theirs"),
                ("hookyard-provider-webhook-signature", "v1,theirs"),
            ]
        );
        assert!(signature::is_signed(&request, &destination.signing_secret));
    }
}

async fn what_delivers_an_event_is_never_taken_from_its_provider(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = source_passing_on(&tenant, &["x-a"]).await;
    let destination = tenant.destination(&receiver).await;
    tenant.subscribe(&destination, &["*"]).await;

    let accepted = source.post_with(&SENT, event(APPROVED)).await.event_id();
    tenant.settled(&accepted).await;

    let request = &receiver.requests()[0];
    assert_eq!((request.one("x-a"), request.one("webhook-id")), ("2", accepted.as_str()));
    assert_eq!(request.one("hookyard-attempt"), "1");
    assert!(request.one("user-agent").starts_with("Hookyard/"));
    for name in ["x-b", "x-unnamed", "authorization", "cookie", "hookyard-provider-webhook-id"] {
        assert_eq!(request.header(name), None, "{name}");
    }
}

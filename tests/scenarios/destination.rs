//! What a destination sees, and what the API shows of it.

use std::collections::BTreeSet;

use harness::answer::{millis, text};
use harness::ondato::{APPROVED, event};
use harness::source::basic;
use harness::{Database, Receiver, Relay, Route, json, on_each_database, signature};

on_each_database![
    a_delivery_is_signed_and_says_what_it_is,
    a_destination_can_ask_for_a_password,
    a_password_does_not_follow_the_url_to_another_host,
    secrets_are_shown_once,
    an_ondato_event_is_understood,
    a_waldo_event_is_understood,
];

async fn a_delivery_is_signed_and_says_what_it_is(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, subscription } = relay.route(&receiver).await;

    let event = source.send(APPROVED).await;
    tenant.settled(&event).await;

    let arrived = &receiver.requests()[0];
    assert_eq!((arrived.method.as_str(), arrived.path.as_str()), ("POST", "/hook"));
    assert!(signature::is_signed(arrived, &destination.signing_secret), "{arrived:?}");
    let late = relay.clock.now_ms() / 1_000 - arrived.one("webhook-timestamp").parse::<i64>().unwrap();
    assert!((-1..60).contains(&late), "signed {late} s ago");
    for (name, value) in [
        ("webhook-id", event.as_str()),
        ("hookyard-event-type", APPROVED),
        ("hookyard-subscription", &subscription),
        ("hookyard-attempt", "1"),
        ("content-type", "application/json"),
    ] {
        assert_eq!(arrived.one(name), value, "{name}");
    }
    for name in ["hookyard-source", "hookyard-hops", "traceparent"] {
        assert!(!arrived.one(name).is_empty(), "{name}");
    }
}

async fn a_destination_can_ask_for_a_password(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let auth = json!({ "kind": "basic", "username": "relay", "password": "open sesame" });
    let destination = tenant.destination_of(json!({ "name": "out", "url": receiver.url(), "auth": auth })).await;
    tenant.subscribe(&destination, &["*"]).await;

    tenant.source().await.send(APPROVED).await;

    assert_eq!(receiver.wait_for(1).await[0].one("authorization"), basic("relay", "open sesame"));
    let shown = tenant.get(&format!("/destinations/{}", destination.id)).await.json(200);
    assert!(!shown.to_string().contains("open sesame"), "{shown:#}");
}

async fn a_password_does_not_follow_the_url_to_another_host(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let auth = json!({ "kind": "basic", "username": "relay", "password": "open sesame" });
    let destination = tenant.destination_of(json!({ "name": "out", "url": receiver.url(), "auth": auth })).await;
    let path = format!("/destinations/{}", destination.id);

    let refused = tenant.patch(&path, json!({ "url": elsewhere.url() })).await.json(422);
    assert_eq!(refused["errors"][0]["pointer"], "/auth", "{refused:#}");
    assert_eq!(tenant.get(&path).await.json(200)["url"], receiver.url());
    tenant.patch(&path, json!({ "url": format!("{}/other", receiver.url()) })).await.is(200);
    tenant.patch(&path, json!({ "url": elsewhere.url(), "auth": { "kind": "none" } })).await.is(200);
}

async fn secrets_are_shown_once(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let destination = tenant.destination(&Receiver::start().await).await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    let key = tenant.post("/api-keys", json!({ "name": "a key" })).await.json(201);

    let credentials = format!("/sources/{}/credentials", source.id);
    let generated = tenant.post(&credentials, json!({ "kind": "basic", "username": "made" })).await.json(201);
    let secrets = [
        destination.signing_secret.clone(),
        text(&key, "key"),
        text(&generated, "password"),
        "correct horse battery".to_owned(),
    ];
    let destination = format!("/destinations/{}", destination.id);
    for path in ["/destinations", "/api-keys", "/sources", &credentials, &destination] {
        let shown = tenant.get(path).await.is(200).text();
        assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{path}: {shown}");
    }
    assert!(source.as_user("made", &secrets[2]).post(event(APPROVED)).await.status == 202, "what was generated works");
}

async fn an_ondato_event_is_understood(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let newer =
        br#"{"Id":"a","CreatedUtc":"2022-07-26T07:16:41.873Z","Payload":{},"Type":"Form.Created","IsDelivered":false}"#;
    let older = br#"{"id":"c","createdUtc":"2022-07-26T07:16:41.873Z","payload":{},"type":"Form.Created"}"#;

    for (body, external_id) in [(&newer[..], "a"), (older, "c")] {
        let kept = tenant.event(&source.post(body).await.event_id()).await;
        assert_eq!(
            (text(&kept, "event_type"), text(&kept, "external_id")),
            ("Form.Created".to_owned(), external_id.to_owned())
        );
        assert_eq!(millis(&kept, "occurred_at"), 1_658_819_801_873);
        assert_eq!(kept["size"], body.len());
    }
}

async fn a_waldo_event_is_understood(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let open = json!({ "name": "in", "provider": "waldo", "verification": { "kind": "none" } });
    let source = tenant.source_of(open).await;
    tenant.subscribe(&tenant.destination(&receiver).await, &["*"]).await;
    let onboard = json!({ "event": "onboard", "customerId": "0123456789abcdef01234567", "requestId": "AbCdEf0123" });
    let evaluation = json!({ "event": "evaluation", "evaluation": { "type": "kyc", "status": "completed" } });

    let begun = tenant.event(&source.post(onboard.to_string()).await.event_id()).await;
    let judged = tenant.event(&source.post(evaluation.to_string()).await.event_id()).await;

    assert_eq!((&begun["event_type"], &begun["request_id"]), (&"onboard".into(), &"AbCdEf0123".into()));
    assert_eq!(
        (&judged["event_type"], &judged["derived_type"]),
        (&"evaluation".into(), &"evaluation.kyc.completed".into())
    );
    let arrived = receiver.wait_for(2).await;
    let request_ids: BTreeSet<_> = arrived.iter().map(|request| request.header("hookyard-request-id")).collect();
    assert_eq!(request_ids, BTreeSet::from([None, Some("AbCdEf0123")]));
}

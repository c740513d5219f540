//! Nothing runs in a circle: not through the relay itself, and not through others.

use harness::answer::text;
use harness::{Database, Receiver, Relay, json, on_each_database};

on_each_database![what_comes_around_too_often_is_sent_nowhere, the_relay_is_no_destination_of_its_own];

async fn what_comes_around_too_often_is_sent_nowhere(database: Database) {
    let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
    let route = relay.route(&receiver).await;
    // Each relay adds one to what the header says; a number that cannot be is a large one.
    for (said, arrives_as) in [
        (None, Some("1")),
        (Some("1"), Some("2")),
        (Some("3"), Some("4")),
        (Some("4"), None),
        (Some("99999999999999999999"), None),
    ] {
        let headers: Vec<_> = said.map(|said| ("hookyard-hops", said)).into_iter().collect();
        let event = route.source.post_with(&headers, r#"{"Type": "A.B"}"#).await.event_id();
        let ended = &route.tenant.settled(&event).await[0];
        let hops = receiver.requests().into_iter().find(|request| request.one("webhook-id") == event);
        assert_eq!(hops.as_ref().map(|request| request.one("hookyard-hops")), arrives_as, "{said:?}");
        let expected =
            if arrives_as.is_some() { (json!("delivered"), json!(null)) } else { (json!("failed"), json!("loop")) };
        assert_eq!((ended["state"].clone(), ended["reason"].clone()), expected, "{said:?}");
        assert_eq!(ended["attempts"], u8::from(arrives_as.is_some()));
    }
}

async fn the_relay_is_no_destination_of_its_own(database: Database) {
    let own = "http://hooks.example.com:8080".to_owned();
    let plan = Relay::plan(database.clone()).setting("HOOKYARD_PUBLIC_URL", own.clone());
    let relay = plan.start().await;
    let tenant = relay.tenant("acme").await;
    let source = text(&tenant.post("/sources", json!({ "name": "in", "provider": "ondato" })).await.json(201), "url");
    assert!(source.starts_with(&own), "{source}");
    for url in [source.clone(), format!("{own}/"), "http://HOOKS.example.com.:8080/x".to_owned()] {
        let refused = tenant.post("/destinations", json!({ "name": "out", "url": url })).await.problem(422);
        assert_eq!(refused["errors"][0]["pointer"], "/url", "{url}: {refused}");
    }
    // Who was there first is refused when it is tried.
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    for process in relay.processes() {
        process.terminate();
        process.ended().await;
    }
    let at = relay.clock.now_ms();
    let own = receiver.url_of("");
    let relay = Relay::plan(database).setting("HOOKYARD_PUBLIC_URL", own).at(at).start().await;
    let tenant = route.tenant.at(&relay.apis[0]);
    let event = route.source.at(&relay.apis[0]).post(r#"{"Type": "A.B"}"#).await.event_id();
    let delivery = tenant.delivery_waiting(&text(&tenant.delivery_of(&event).await, "id"), 1).await;
    let attempt = &delivery["attempt_log"][0];
    assert_eq!(attempt["outcome"], "refused", "{attempt}");
    assert!(text(attempt, "error").contains("is this relay itself"), "{attempt}");
    assert_eq!(receiver.count(), 0);
}

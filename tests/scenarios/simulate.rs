//! Simulated events: a provider's sample through the whole relay, without the provider.

use harness::answer::{items, millis, text};
use harness::ondato::APPROVED;
use harness::{Answer, Database, Receiver, Relay, Source, Tenant, Value, json, on_each_database, signature};
use reqwest::Method;

on_each_database![
    a_sample_goes_the_way_of_every_event,
    only_what_matches_is_delivered,
    each_simulation_is_an_event_of_its_own,
    a_source_finds_it_where_it_was_told_to_look,
    a_simulation_and_a_real_event_are_never_repeats,
    a_type_that_nobody_knows_is_refused,
    only_a_key_that_may_write_can_simulate,
];

async fn simulate(tenant: &Tenant, source: &Source, event_type: &str) -> Answer {
    tenant.post(&format!("/sources/{}/simulate", source.id), json!({ "event_type": event_type })).await
}

async fn a_sample_goes_the_way_of_every_event(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let (source, _) = tenant.guarded_source("ondato", "a password that nobody presents").await;
    let destination = tenant.destination(&receiver).await;
    let subscription = tenant.subscribe(&destination, &["KycIdentification.*"]).await;
    let before = relay.clock.now_ms();

    let id = simulate(&tenant, &source, APPROVED).await.event_id();
    let deliveries = tenant.settled(&id).await;

    assert_eq!(
        (deliveries[0]["state"].as_str(), deliveries[0]["subscription_id"].as_str()),
        (Some("delivered"), Some(&*subscription))
    );
    let request = &receiver.requests()[0];
    assert_eq!((request.one("hookyard-test"), request.one("webhook-id")), ("true", id.as_str()));
    assert_eq!((request.one("hookyard-event-type"), request.one("content-type")), (APPROVED, "application/json"));
    assert!(signature::is_signed(request, &destination.signing_secret));
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(text(&body, "Type"), APPROVED);
    assert!(text(&body, "Id").starts_with("simulated-"), "{body}");
    assert!(millis(&body, "CreatedUtc") >= before, "{body}");

    let event = tenant.event(&id).await;
    assert_eq!((&event["source_id"], &event["test"], &event["matched"]), (&json!(source.id), &json!(true), &json!(1)));
    assert_eq!((&event["event_type"], &event["external_id"]), (&body["Type"], &body["Id"]));
    assert_eq!((&event["occurred_at"], &event["remote_address"]), (&body["CreatedUtc"], &Value::Null));
    assert_eq!(tenant.get(&format!("/events/{id}/body")).await.is(200).body, request.body);
    assert_eq!(items(&tenant.get("/events?test=true").await.json(200)).len(), 1);
    assert_eq!(items(&tenant.get("/events?test=false").await.json(200)).len(), 0);
}

async fn only_what_matches_is_delivered(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let (wanted, unwanted) = (tenant.destination(&receiver).await, tenant.destination(&receiver).await);
    tenant.subscribe(&wanted, &["Form.Created"]).await;
    tenant.subscribe(&unwanted, &[APPROVED]).await;

    let form = simulate(&tenant, &source, "Form.Created").await.event_id();
    let consented = simulate(&tenant, &source, "IdentityVerification.Consented").await.event_id();

    let deliveries = tenant.settled(&form).await;
    assert_eq!(deliveries.iter().map(|it| text(it, "destination_id")).collect::<Vec<_>>(), [wanted.id]);
    assert_eq!(
        (tenant.event(&consented).await["matched"].as_u64(), tenant.deliveries(&consented).await.len()),
        (Some(0), 0)
    );
}

async fn each_simulation_is_an_event_of_its_own(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let path = tenant.path(&format!("/sources/{}/simulate", source.id));
    let once = async |key: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let body = json!({ "event_type": APPROVED }).to_string();
        tenant.client.ask(Method::POST, &path, &headers, body).await.event_id()
    };

    let (first, again, other) = (once("a").await, once("a").await, once("b").await);

    assert_eq!(first, again);
    assert_ne!(first, other);
    let events = items(&tenant.get("/events").await.json(200));
    assert_eq!(events.len(), 2, "{events:#?}");
    assert_ne!(events[0]["external_id"], events[1]["external_id"]);
}

async fn a_source_finds_it_where_it_was_told_to_look(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let extract = json!({ "event_type": "header:x-kind", "external_id": "query:id", "occurred_at": "json:/at/ms" });
    let fields = json!({ "name": "in", "provider": "ondato", "extract": extract });
    let source = tenant.source_of(fields).await;

    let id = simulate(&tenant, &source, APPROVED).await.event_id();

    let event = tenant.event(&id).await;
    assert_eq!((&event["event_type"], &event["occurred_at"]), (&json!(APPROVED), &event["received_at"]));
    assert_eq!(event["query"], json!(format!("id={}", text(&event, "external_id"))));
    let headers = event["headers"].as_array().unwrap();
    assert!(headers.contains(&json!(["x-kind", APPROVED])), "{event:#}");
}

/// Waldo's events have no id, so that repeats are told by their bodies; a simulated one is like the last.
async fn a_simulation_and_a_real_event_are_never_repeats(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let dedupe = json!({ "by": "body", "window_s": 3600 });
    let fields = json!({ "name": "in", "provider": "waldo", "verification": { "kind": "none" }, "dedupe": dedupe });
    let source = tenant.source_of(fields).await;

    let simulated = simulate(&tenant, &source, "flag").await.event_id();
    let body = tenant.get(&format!("/events/{simulated}/body")).await.is(200).body.clone();
    let real = source.post(body.clone()).await.event_id();
    let repeat = source.post(body).await.event_id();
    let again = simulate(&tenant, &source, "flag").await.event_id();

    assert_eq!(real, repeat);
    assert!(simulated != real && simulated != again && real != again, "{simulated} {real} {again}");
    assert_eq!(tenant.event(&real).await["test"], false);
}

async fn a_type_that_nobody_knows_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let fields = json!({ "name": "in", "provider": "generic", "verification": { "kind": "none" } });
    let generic = tenant.source_of(fields).await;

    simulate(&tenant, &source, "Form.Lost").await.problem_about(422, &["/event_type", "ondato", "Form.Created"]);
    simulate(&tenant, &source, "form.created").await.problem_about(422, &["/event_type"]);
    simulate(&tenant, &source, "").await.problem_about(422, &["/event_type"]);
    simulate(&tenant, &generic, "a").await.problem_about(422, &["/event_type", "generic"]);
    tenant.post(&format!("/sources/{}/simulate", source.id), json!({})).await.problem_about(422, &["event_type"]);

    assert_eq!(items(&tenant.get("/events").await.json(200)).len(), 0);
}

async fn only_a_key_that_may_write_can_simulate(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let reader = tenant.seen_by(&tenant.key(json!(["read", "payloads", "replay", "secrets"])).await);
    let writer = tenant.seen_by(&tenant.key(json!(["write"])).await);

    simulate(&reader, &source, APPROVED).await.problem_about(403, &["write"]);
    simulate(&writer, &source, APPROVED).await.is(202);
}

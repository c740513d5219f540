//! What a tenant began itself does not come back to it: events that answer to its own requests are filtered.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::answer::{items, millis, text};
use harness::{
    Database, Destination, Receiver, Relay, Source, Tenant, Value, eventually, json, on_each_database, on_postgres,
};

on_each_database![
    with_and_without_a_request_id_are_told_apart_when_an_event_is_accepted,
    what_answers_to_an_own_request_is_filtered_with_the_reason,
    an_event_that_overtakes_its_registration_waits_for_it,
    what_was_not_registered_in_time_is_delivered_once_and_stays_so,
    a_registration_holds_for_its_source_and_its_tenant_only,
    a_registration_ends_after_seven_days_unless_it_is_renewed,
    what_was_filtered_can_be_had_all_the_same,
    ids_of_any_length_and_number_are_registered_together,
    an_origin_and_its_wait_can_be_changed,
    what_is_no_origin_and_no_request_id_is_refused,
];
on_postgres![a_registration_at_one_api_holds_for_events_of_another];

/// Longer than any wait.
const MINUTE: Duration = Duration::from_secs(61);

/// A tenant with an open source of Waldo's, and somewhere for its events to go.
struct World {
    relay: Relay,
    receiver: Receiver,
    tenant: Tenant,
    source: Source,
    destination: Destination,
}

impl World {
    async fn new(database: Database) -> Self {
        Self::on(Relay::start(database).await).await
    }

    async fn on(relay: Relay) -> Self {
        let receiver = Receiver::start().await;
        let tenant = relay.tenant("acme").await;
        let (source, destination) = (waldo(&tenant).await, tenant.destination(&receiver).await);
        Self { relay, receiver, tenant, source, destination }
    }

    async fn subscribe(&self, fields: Value) -> String {
        subscribe(&self.tenant, &self.destination, fields).await
    }

    async fn let_a_minute_pass(&self) {
        self.relay.clock.advance(MINUTE);
        self.relay.clock_is_followed().await;
    }
}

async fn waldo(tenant: &Tenant) -> Source {
    tenant.source_of(json!({ "name": "in", "provider": "waldo", "verification": { "kind": "none" } })).await
}

async fn subscribe(tenant: &Tenant, destination: &Destination, fields: Value) -> String {
    let mut whole = json!({ "destination_id": destination.id, "event_types": ["*"] });
    whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    text(&tenant.post("/subscriptions", whole).await.json(201), "id")
}

/// What Waldo sends about an onboarding, begun through its API where there is a request.
async fn send(source: &Source, request: Option<&str>) -> String {
    let mut body = json!({ "event": "onboard", "customerId": "5f3e0c9a1b2c3d4e5f6a7b8c" });
    if let Some(request) = request {
        body["requestId"] = request.into();
    }
    source.post(body.to_string()).await.event_id()
}

async fn register(tenant: &Tenant, fields: Value) -> Value {
    tenant.post("/request-ids", fields).await.json(201)
}

/// The only delivery of an event, when it has ended: its state, reason and attempts.
async fn end(tenant: &Tenant, event: &str) -> (String, Value, Value) {
    tenant.settled(event).await;
    let delivery = tenant.delivery_of(event).await;
    (text(&delivery, "state"), delivery["reason"].clone(), delivery["attempts"].clone())
}

fn own() -> (String, Value, Value) {
    ("filtered".to_owned(), "own request".into(), 0.into())
}

fn delivered() -> (String, Value, Value) {
    ("delivered".to_owned(), Value::Null, 1.into())
}

async fn with_and_without_a_request_id_are_told_apart_when_an_event_is_accepted(database: Database) {
    let world = World::new(database).await;
    let any = world.subscribe(json!({})).await;
    let with = world.subscribe(json!({ "origin": "with_request_id" })).await;
    let without = world.subscribe(json!({ "origin": "without_request_id" })).await;

    let begun_by_api = send(&world.source, Some("a1B2c3D4e5")).await;
    let begun_by_hand = send(&world.source, None).await;

    for (event, wanted_by) in [(begun_by_api, [&any, &with]), (begun_by_hand, [&any, &without])] {
        let deliveries = world.tenant.settled(&event).await;
        assert_eq!(world.tenant.event(&event).await["matched"], 2);
        let subscriptions: BTreeSet<_> = deliveries.iter().map(|it| text(it, "subscription_id")).collect();
        assert_eq!(subscriptions, wanted_by.map(String::clone).into());
        assert!(deliveries.iter().all(|it| it["state"] == "delivered"), "{deliveries:#?}");
    }
}

async fn what_answers_to_an_own_request_is_filtered_with_the_reason(database: Database) {
    let world = World::new(database).await;
    let subscription = world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    let fields = json!({ "request_ids": ["mine", "mine", "mine too"] });
    let answer = world.tenant.post("/request-ids", fields).await;
    let registered = answer.json(201);
    assert_eq!(registered["registered"], 2);
    // By the relay's own clock: the id of the request tells when it came, a little before it was carried out.
    let asked = answer.header("request-id").unwrap().replace("req_", "evt_").parse::<relay::id::EventId>().unwrap();
    let kept_for = millis(&registered, "expires_at") - asked.millis();
    assert!((0..=60_000).contains(&(kept_for - 7 * 86_400_000)), "kept for {kept_for} ms");

    let own_event = send(&world.source, Some("mine")).await;
    let foreign = send(&world.source, Some("theirs")).await;
    let by_hand = send(&world.source, None).await;

    assert_eq!(end(&world.tenant, &own_event).await, own());
    assert_eq!(end(&world.tenant, &foreign).await, delivered());
    assert_eq!(end(&world.tenant, &by_hand).await, delivered());
    assert_eq!(world.receiver.ids(), [foreign, by_hand].into());
    let kept = world.tenant.event(&own_event).await;
    assert_eq!((&kept["matched"], &kept["request_id"]), (&1.into(), &"mine".into()));
    let filtered = items(&world.tenant.get("/deliveries?state=filtered").await.json(200));
    assert_eq!(filtered.len(), 1, "{filtered:#?}");
    assert_eq!(
        (text(&filtered[0], "event_id"), text(&filtered[0], "subscription_id"), &filtered[0]["reason"]),
        (own_event, subscription, &"own request".into())
    );
    assert!(filtered[0]["finished_at"].is_string() && filtered[0]["last_status"].is_null(), "{filtered:#?}");
}

async fn an_event_that_overtakes_its_registration_waits_for_it(database: Database) {
    let world = World::new(database).await;
    world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 60 })).await;

    let overtaking = send(&world.source, Some("mine")).await;
    let by_hand = send(&world.source, None).await;
    assert_eq!(end(&world.tenant, &by_hand).await, delivered());
    let waiting = world.tenant.delivery_of(&overtaking).await;
    assert_eq!((&waiting["state"], &waiting["attempts"]), (&"pending".into(), &0.into()), "{waiting:#}");
    let wait = millis(&waiting, "next_attempt_at") - millis(&world.tenant.event(&overtaking).await, "received_at");
    assert_eq!(wait, 60_000);
    register(&world.tenant, json!({ "request_ids": ["mine"] })).await;
    world.let_a_minute_pass().await;

    assert_eq!(end(&world.tenant, &overtaking).await, own());
    assert_eq!(world.receiver.ids(), [by_hand].into());
}

async fn what_was_not_registered_in_time_is_delivered_once_and_stays_so(database: Database) {
    let world = World::on(Relay::start(database).await).await;
    let slow = Receiver::answering([500]).await;
    let destination = world.tenant.destination_tried(&slow, &[0, 3_600]).await;
    subscribe(&world.tenant, &destination, json!({ "origin": "not_mine" })).await;

    let event = send(&world.source, Some("late")).await;
    let delivery = text(&world.tenant.delivery_of(&event).await, "id");
    let wait = millis(&world.tenant.delivery(&delivery).await, "next_attempt_at")
        - millis(&world.tenant.event(&event).await, "received_at");
    assert_eq!(wait, 5_000, "unless said otherwise");
    world.let_a_minute_pass().await;
    world.tenant.delivery_waiting(&delivery, 1).await;
    register(&world.tenant, json!({ "request_ids": ["late"] })).await;
    world.relay.clock.advance(Duration::from_hours(2));

    let delivered = world.tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!(delivered["attempts"], 2, "what the destination may have seen is tried on: {delivered:#}");
}

async fn a_registration_holds_for_its_source_and_its_tenant_only(database: Database) {
    let world = World::new(database).await;
    let other = world.relay.tenant("other").await;
    let (there, theirs) = (waldo(&world.tenant).await, waldo(&other).await);
    let out = other.destination(&world.receiver).await;
    world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    subscribe(&other, &out, json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    register(&world.tenant, json!({ "request_ids": ["here"], "source_id": world.source.id })).await;
    register(&world.tenant, json!({ "request_ids": ["anywhere"], "source_id": null })).await;
    register(&other, json!({ "request_ids": ["others"] })).await;

    for (tenant, source, request, expected) in [
        (&world.tenant, &world.source, "here", own()),
        (&world.tenant, &there, "here", delivered()),
        (&world.tenant, &world.source, "anywhere", own()),
        (&world.tenant, &there, "anywhere", own()),
        (&world.tenant, &world.source, "others", delivered()),
        (&other, &theirs, "others", own()),
        (&other, &theirs, "here", delivered()),
        (&other, &theirs, "anywhere", delivered()),
    ] {
        let event = send(source, Some(request)).await;
        assert_eq!(end(tenant, &event).await, expected, "{request} at {} of {}", source.id, tenant.slug);
    }
}

async fn a_registration_ends_after_seven_days_unless_it_is_renewed(database: Database) {
    let world = World::new(database).await;
    world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    register(&world.tenant, json!({ "request_ids": ["once", "renewed"] })).await;

    world.relay.clock.advance(Duration::from_hours(6 * 24));
    world.relay.clock_is_followed().await;
    let on_the_sixth_day = send(&world.source, Some("once")).await;
    assert_eq!(end(&world.tenant, &on_the_sixth_day).await, own());
    register(&world.tenant, json!({ "request_ids": ["renewed"] })).await;
    world.relay.clock.advance(Duration::from_hours(25));
    world.relay.clock_is_followed().await;

    let later = send(&world.source, Some("once")).await;
    assert_eq!(end(&world.tenant, &later).await, delivered());
    let renewed = send(&world.source, Some("renewed")).await;
    assert_eq!(end(&world.tenant, &renewed).await, own());
    eventually("what has expired to be forgotten", async || {
        (world.relay.database.number("SELECT count(*) FROM own_request").await == 1).then_some(())
    })
    .await;
}

async fn what_was_filtered_can_be_had_all_the_same(database: Database) {
    let world = World::new(database).await;
    world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    register(&world.tenant, json!({ "request_ids": ["mine"] })).await;
    let event = send(&world.source, Some("mine")).await;
    assert_eq!(end(&world.tenant, &event).await, own());
    let first = text(&world.tenant.delivery_of(&event).await, "id");
    let replay = async |fields: Value| {
        let made = world.tenant.post(&format!("/events/{event}/replay"), fields).await.json(202);
        text(&made["deliveries"][0], "id")
    };

    let again = replay(json!({})).await;
    world.tenant.delivery_in(&again, "filtered").await;
    assert_eq!(world.receiver.count(), 0, "where the event would go now is where it would not go");
    let forced = replay(json!({ "destination_ids": [world.destination.id] })).await;
    world.tenant.delivery_in(&forced, "delivered").await;
    let retried = world.tenant.act(&format!("/deliveries/{first}/retry")).await.json(202);
    world.tenant.delivery_in(&text(&retried, "id"), "delivered").await;
}

async fn ids_of_any_length_and_number_are_registered_together(database: Database) {
    let world = World::new(database).await;
    world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    let longest = "x".repeat(512);
    let awkward = ["'; --", "é 漢 \u{1f600}", r#"{"a": [1]}"#, "%", "\\x00", &longest];
    let many: Vec<_> = (0..994).map(|number| format!("request-{number}")).collect();
    let all: Vec<_> = awkward.iter().map(|id| (*id).to_owned()).chain(many).collect();

    assert_eq!(register(&world.tenant, json!({ "request_ids": all })).await["registered"], 1000);

    for request in awkward.into_iter().chain(["request-0", "request-993"]) {
        let event = send(&world.source, Some(request)).await;
        assert_eq!(end(&world.tenant, &event).await, own(), "{request}");
    }
    let event = send(&world.source, Some("request-994")).await;
    assert_eq!(end(&world.tenant, &event).await, delivered());
}

async fn an_origin_and_its_wait_can_be_changed(database: Database) {
    let world = World::new(database).await;
    let path = format!("/subscriptions/{}", world.subscribe(json!({})).await);
    let said = |shown: &Value| (shown["origin"].clone(), shown["origin_wait_s"].clone());
    assert_eq!(said(&world.tenant.get(&path).await.json(200)), ("any".into(), Value::Null));

    for (patch, origin, wait_s) in [
        (json!({ "origin": "not_mine" }), "not_mine", json!(5)),
        (json!({ "origin_wait_s": 60 }), "not_mine", json!(60)),
        (json!({ "enabled": true }), "not_mine", json!(60)),
        (json!({ "origin_wait_s": null }), "not_mine", json!(5)),
        (json!({ "origin": "with_request_id" }), "with_request_id", json!(null)),
        (json!({ "origin": "not_mine", "origin_wait_s": 0 }), "not_mine", json!(0)),
        (json!({ "origin": null }), "any", json!(null)),
        (json!({ "origin": "without_request_id", "origin_wait_s": null }), "without_request_id", json!(null)),
    ] {
        let shown = world.tenant.patch(&path, patch.clone()).await.json(200);
        assert_eq!(said(&shown), (origin.into(), wait_s.clone()), "{patch}");
        assert_eq!(said(&world.tenant.get(&path).await.json(200)), (origin.into(), wait_s), "{patch}");
    }
    world.tenant.patch(&path, json!({ "origin_wait_s": 5 })).await.problem_about(422, &["/origin_wait_s", "not_mine"]);

    let unwanted = send(&world.source, Some("r")).await;
    assert_eq!(world.tenant.event(&unwanted).await["matched"], 0, "the change holds");
}

async fn what_is_no_origin_and_no_request_id_is_refused(database: Database) {
    let world = World::new(database).await;
    for (fields, pointer) in [
        (json!({ "origin": "mine" }), "\"/origin\""),
        (json!({ "origin": "not_mine", "origin_wait_s": 61 }), "\"/origin_wait_s\""),
        (json!({ "origin": "not_mine", "origin_wait_s": -1 }), "\"/origin_wait_s\""),
        (json!({ "origin": "not_mine", "origin_wait_s": 1.5 }), "\"/origin_wait_s\""),
        (json!({ "origin": "any", "origin_wait_s": 5 }), "\"/origin_wait_s\""),
        (json!({ "origin_wait_s": 5 }), "\"/origin_wait_s\""),
    ] {
        let mut whole = json!({ "destination_id": world.destination.id, "event_types": ["*"] });
        whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        world.tenant.post("/subscriptions", whole).await.problem_about(422, &[pointer]);
    }
    let nobodys = "src_01h2xcejqtf2nbrexx3vqjhp41";
    for (fields, pointer) in [
        (json!({}), "\"/request_ids\""),
        (json!({ "request_ids": [] }), "\"/request_ids\""),
        (json!({ "request_ids": "one" }), "\"/request_ids\""),
        (json!({ "request_ids": vec!["x"; 1001] }), "\"/request_ids\""),
        (json!({ "request_ids": ["good", ""] }), "\"/request_ids/1\""),
        (json!({ "request_ids": ["x".repeat(513)] }), "\"/request_ids/0\""),
        (json!({ "request_ids": ["é".repeat(257)] }), "\"/request_ids/0\""),
        (json!({ "request_ids": ["a\u{7}"] }), "\"/request_ids/0\""),
        (json!({ "request_ids": ["a\u{0}"] }), "\"/request_ids/0\""),
        (json!({ "request_ids": [7] }), "\"/request_ids/0\""),
        (json!({ "request_ids": ["x"], "source_id": nobodys }), "\"/source_id\""),
        (json!({ "request_ids": ["x"], "source": world.source.id }), "\"/source\""),
    ] {
        world.tenant.post("/request-ids", fields).await.problem_about(422, &[pointer]);
    }
    let reader = world.tenant.seen_by(&world.tenant.key(json!(["read", "payloads", "replay"])).await);
    reader.post("/request-ids", json!({ "request_ids": ["x"] })).await.problem_about(403, &["write"]);
}

async fn a_registration_at_one_api_holds_for_events_of_another(database: Database) {
    let world = World::on(Relay::plan(database).apis(2).workers(2).start().await).await;
    world.subscribe(json!({ "origin": "not_mine", "origin_wait_s": 0 })).await;
    let [here, there] = [0, 1].map(|api| &world.relay.apis[api]);

    // By now both apis know the subscription, and events and registrations follow each other at once.
    for number in 0..20 {
        let request = format!("request-{number}");
        register(&world.tenant.at(here), json!({ "request_ids": [request] })).await;
        let event = send(&world.source.at(there), Some(&request)).await;
        assert_eq!(end(&world.tenant, &event).await, own(), "{request}");
    }
    assert_eq!(world.receiver.count(), 0);
}

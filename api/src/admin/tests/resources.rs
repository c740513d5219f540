use entity::ingest::{NewDelivery, NewEvent};
use relay::id::{DeliveryId, EventId, SourceId, SubscriptionId, TenantId};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_source_shows_its_url_once_and_to_who_may_read_secrets() {
    let world = World::new().await;
    let sources = format!("{}/sources", world.tenant);
    let made = world.post(&sources, json!({"name": "in", "provider": "ondato"})).await.is(201);
    assert_eq!(made["verification"], json!({"kind": "credentials"}));
    assert!(made["url"].as_str().unwrap().starts_with("https://hooks.example/in/acme/"));
    let path = format!("{sources}/{}", made["id"].as_str().unwrap());
    let plain = world.key(json!(["read"])).await;
    let shown = world.ask(Method::GET, &path, &[("authorization", &plain)], None).await.is(200);
    assert_eq!(shown.get("url"), None);
    assert_eq!(world.get(&path).await.is(200)["url"], made["url"]);

    let rotated = world.post(&format!("{path}/rotate-url"), json!({"overlap_s": 0})).await.is(200);
    assert_ne!(rotated["url"], made["url"]);
    assert_eq!(world.get(&path).await.is(200)["url"], rotated["url"]);
    world.post(&format!("{path}/rotate-url"), json!({"overlap_s": 2_592_001})).await.refuses(&["/overlap_s"]);
    let patched = world.patch(&path, json!({"verification": {"kind": "none"}, "enabled": false})).await.is(200);
    assert_eq!((&patched["verification"]["kind"], &patched["enabled"]), (&json!("none"), &json!(false)));
    let cleared = world.patch(&path, json!({"verification": null, "enabled": null})).await.is(200);
    assert_eq!((&cleared["verification"]["kind"], &cleared["enabled"]), (&json!("credentials"), &json!(true)));
    world.delete(&path).await.is(204);
    assert_eq!(world.number("SELECT count(*) FROM source_key").await, 0);
}

#[tokio::test]
async fn samples_are_shown_with_each_provider_and_say_its_types() {
    let world = World::new().await;
    for listed in world.get("/v1/providers").await.is(200)["items"].as_array().unwrap() {
        let shown = world.get(&format!("/v1/providers/{}", listed["name"].as_str().unwrap())).await.is(200);
        for (known, shown) in
            listed["event_types"].as_array().unwrap().iter().zip(shown["event_types"].as_array().unwrap())
        {
            assert_eq!((known["name"].as_str(), known.get("samples")), (shown["name"].as_str(), None));
            assert!(shown["samples"][0].is_string(), "{shown}");
        }
    }
    let twilio = world.get("/v1/providers/twilio").await.is(200);
    let queued = twilio["event_types"].as_array().unwrap().iter().find(|known| known["name"] == "queued").unwrap();
    let sample = queued["samples"][0].as_str().unwrap();
    assert!(sample.contains("MessageStatus=queued") && !sample.contains("delivered"), "{sample}");
}

#[tokio::test]
async fn a_credential_s_password_is_shown_only_if_we_made_it() {
    let world = World::new().await;
    let made =
        world.post(&format!("{}/sources", world.tenant), json!({"name": "in", "provider": "ondato"})).await.is(201);
    let path = format!("{}/sources/{}/credentials", world.tenant, made["id"].as_str().unwrap());
    let ours = world.post(&path, json!({"kind": "basic", "username": "u"})).await.is(201);
    assert!(ours["password"].is_string());
    let theirs = json!({"kind": "basic", "username": "u", "password": "p", "expires_at": "2999-01-01T00:00:00Z"});
    let theirs = world.post(&path, theirs).await.is(201);
    assert_eq!(theirs.get("password"), None);
    assert_eq!(theirs["expires_at"], "2999-01-01T00:00:00.000Z");
    world.post(&path, json!({"username": "u"})).await.refuses(&["/kind"]);
    assert_eq!(world.get(&path).await.is(200)["items"].as_array().unwrap().len(), 2);
    let one = format!("{path}/{}", ours["id"].as_str().unwrap());
    world.get(&one).await.is(200);
    world.delete(&one).await.is(204);
    world.get(&one).await.is(404);
}

#[tokio::test]
async fn a_destination_is_patched_paused_and_resumed() {
    let world = World::new().await;
    let path = world.destination().await;
    let set = json!({"auth": {"kind": "basic", "username": "u", "password": "p"}, "timeout_s": 5, "retry": {"schedule_s": [0, 1]}});
    let patched = world.patch(&path, set).await.is(200);
    assert_eq!(patched["auth"], json!({"kind": "basic", "username": "u"}));
    assert_eq!(
        (&patched["timeout_s"], &patched["retry"]),
        (&json!(5), &json!({"schedule_s": [0, 1], "statuses": null}))
    );
    let cleared = world.patch(&path, json!({"auth": null, "timeout_s": null, "retry": null})).await.is(200);
    assert_eq!((&cleared["auth"]["kind"], &cleared["timeout_s"]), (&json!("none"), &json!(15)));
    assert_eq!(cleared["retry"]["schedule_s"].as_array().unwrap().len(), 10);
    for (action, state) in [("pause", "paused"), ("pause", "paused"), ("resume", "active")] {
        let shown = world.ask(Method::POST, &format!("{path}/{action}"), &[], None).await.is(200);
        assert_eq!(shown["state"], state);
    }
}

#[tokio::test]
async fn lists_come_in_pages_that_only_their_tenant_can_turn() {
    let world = World::new().await;
    for _ in 0..5 {
        world.destination().await;
    }
    let list = format!("{}/destinations", world.tenant);
    let whole = world.get(&list).await.is(200);
    let first = world.get(&format!("{list}?limit=3")).await.is(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("{list}?limit=3&cursor={cursor}")).await.is(200);
    let turned: Vec<_> = [&first, &second].into_iter().flat_map(|page| page["items"].as_array().unwrap()).collect();
    assert_eq!(turned, whole["items"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(second["next_cursor"], json!(null));
    let other = world.tenant("other").await;
    world.get(&format!("{other}/destinations?cursor={cursor}")).await.refuses(&["cursor"]);
    world.get(&format!("{}/sources?cursor={cursor}", world.tenant)).await.refuses(&["cursor"]);
}

fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// An event of `acme` that nothing matched.
fn received(world: &World, source: SourceId, now: i64) -> NewEvent {
    NewEvent {
        tenant_id: id(&world.tenant).parse::<TenantId>().unwrap(),
        id: EventId::at(now),
        source_id: Some(source),
        event_type: Some("A.b".into()),
        derived_type: None,
        external_id: Some("x1".into()),
        request_id: None,
        occurred_at: None,
        received_at: now,
        method: "POST".into(),
        path: String::new(),
        query: None,
        remote_address: None,
        content_type: None,
        test: false,
        hops: 0,
        attributes: r#"{"kind":"kyc"}"#.into(),
        headers: r#"[["a","1"],["a","2"]]"#.into(),
        body: bytes::Bytes::from_static(b"\xff\x00 1.0"),
        sealed: None,
        dedupe: None,
        deliveries: Vec::new(),
    }
}

/// An event of `acme` with a pending delivery; their paths.
async fn event(world: &World, destination: &str, subscription: &str) -> (String, String) {
    let now = world.app.clock.now();
    let delivery = DeliveryId::at(now);
    let new = NewDelivery {
        order_key: None,
        id: delivery,
        subscription_id: id(subscription).parse::<SubscriptionId>().unwrap(),
        destination_id: id(destination).parse().unwrap(),
        due_at: now,
    };
    let new = NewEvent { deliveries: vec![new], ..received(world, SourceId::at(now), now) };
    let event = new.id;
    entity::ingest::ingest(&world.app.db, &world.app.clock, &[new]).await.unwrap();
    (format!("{}/events/{event}", world.tenant), format!("{}/deliveries/{delivery}", world.tenant))
}

async fn subscription(world: &World, destination: &str) -> String {
    let new = json!({"destination_id": destination.rsplit('/').next().unwrap(), "event_types": ["A.*"]});
    let made = world.post(&format!("{}/subscriptions", world.tenant), new).await.is(201);
    assert_eq!(made["source_ids"], json!(null));
    format!("{}/subscriptions/{}", world.tenant, made["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_simulated_event_does_not_hide_the_proxy_in_front() {
    let world = World::new().await;
    let sources = format!("{}/sources", world.tenant);
    let made = world.post(&sources, json!({"name": "in", "provider": "ondato"})).await.is(201);
    let path = format!("{sources}/{}", made["id"].as_str().unwrap());
    let (source, now) = (id(&path).parse().unwrap(), world.app.clock.now());
    let proxied = NewEvent { remote_address: Some("10.0.0.1".into()), ..received(&world, source, now - 1_000) };
    entity::ingest::ingest(&world.app.db, &world.app.clock, &[proxied]).await.unwrap();
    world.post(&format!("{path}/simulate"), json!({"event_type": "Form.Created"})).await.is(202);
    let listing = |cidr: &str| json!({"ip_allowlist": {"mode": "enforce", "cidrs": [cidr]}});
    world.patch(&path, listing("198.51.100.7")).await.refuses(&["/ip_allowlist/mode"]);
    world.patch(&path, listing("10.0.0.0/8")).await.is(200);
}

#[tokio::test]
async fn an_event_is_read_with_its_bytes_and_sent_again() {
    let world = World::new().await;
    let destination = world.destination().await;
    let subscription = subscription(&world, &destination).await;
    let (event, delivery) = event(&world, &destination, &subscription).await;
    let read = world.get(&event).await.is(200);
    assert_eq!(read["headers"], json!([["a", "1"], ["a", "2"]]));
    assert_eq!(read["deliveries"].as_array().unwrap().len(), 1);
    let request = Request::builder().uri(format!("{event}/body").parse().unwrap());
    let response = world.send(request.header("authorization", format!("Bearer {OPERATOR}")).finish()).await;
    assert_eq!(response.header("content-type"), Some("application/octet-stream"));
    assert_eq!(response.into_body().into_vec().await.unwrap(), b"\xff\x00 1.0");

    let replayed = world.ask(Method::POST, &format!("{event}/replay"), &[], None).await.is(202);
    assert_eq!(replayed["deliveries"][0]["subscription_id"], json!(subscription.rsplit('/').next().unwrap()));
    let named = json!({"destination_ids": [destination.rsplit('/').next().unwrap()]});
    let forced = world.post(&format!("{event}/replay"), named).await.is(202);
    assert_eq!(
        (&forced["deliveries"][0]["subscription_id"], &forced["deliveries"][0]["trigger"]),
        (&json!(null), &json!("replay"))
    );
    let foreign = json!({"destination_ids": ["dst_01h2xcejqtf2nbrexx3vqjhp41"]});
    world.post(&format!("{event}/replay"), foreign).await.refuses(&["/destination_ids/0"]);
    assert_eq!(world.get(&event).await.is(200)["deliveries"].as_array().unwrap().len(), 3);

    world.patch(&subscription, json!({"enabled": false})).await.is(200);
    assert_eq!(world.post(&format!("{event}/replay"), json!({})).await.is(202)["deliveries"], json!([]));
    world.ask(Method::POST, &format!("{destination}/pause"), &[], None).await.is(200);
    assert_eq!(world.get(&delivery).await.is(200)["state"], "held");
}

#[tokio::test]
async fn events_and_deliveries_are_narrowed() {
    let world = World::new().await;
    let destination = world.destination().await;
    let subscription = subscription(&world, &destination).await;
    let (event, _) = event(&world, &destination, &subscription).await;
    let id = event.rsplit('/').next().unwrap();
    let count = async |query: String| {
        world.get(&format!("{}{query}", world.tenant)).await.is(200)["items"].as_array().unwrap().len()
    };
    for (query, found) in [
        ("/events?event_type=A.b".to_owned(), 1),
        ("/events?event_type=A.c".to_owned(), 0),
        ("/events?external_id=x1&matched=true&test=false".to_owned(), 1),
        ("/events?matched=false".to_owned(), 0),
        ("/events?after=2999-01-01T00:00:00Z".to_owned(), 0),
        ("/events?before=2999-01-01T00:00:00Z".to_owned(), 1),
        (format!("/deliveries?event_id={id}"), 1),
        ("/deliveries?state=pending".to_owned(), 1),
        ("/deliveries?state=held".to_owned(), 0),
        ("/deliveries?state=delivered".to_owned(), 0),
        ("/deliveries?last_status=500".to_owned(), 0),
        (format!("/deliveries?destination_id={}", destination.rsplit('/').next().unwrap()), 1),
        (format!("/deliveries?subscription_id={}", subscription.rsplit('/').next().unwrap()), 1),
    ] {
        assert_eq!(count(query.clone()).await, found, "{query}");
    }
}

#[tokio::test]
async fn a_delivery_is_retried_and_cancelled() {
    let world = World::new().await;
    let destination = world.destination().await;
    let subscription = subscription(&world, &destination).await;
    let (_, delivery) = event(&world, &destination, &subscription).await;
    let commands = async || world.number("SELECT count(*) FROM command").await;
    let retried = world.ask(Method::POST, &format!("{delivery}/retry"), &[], None).await.is(202);
    assert_eq!((&retried["state"], commands().await), (&json!("pending"), 1));
    world.ask(Method::POST, &format!("{delivery}/cancel"), &[], None).await.is(202);
    assert_eq!(commands().await, 2);

    finish(&world).await;
    let read = world.get(&delivery).await.is(200);
    assert_eq!((&read["state"], &read["last_status"]), (&json!("delivered"), &json!(204)));
    assert_eq!(read["attempt_log"][0]["outcome"], "delivered");
    world.ask(Method::POST, &format!("{delivery}/cancel"), &[], None).await.is(409);
    let again = world.ask(Method::POST, &format!("{delivery}/retry"), &[], None).await.is(202);
    assert_eq!((&again["retry_of"], &again["trigger"]), (&read["id"], &json!("retry")));
    world.delete(&destination).await.is(204);
    assert_eq!(commands().await, 3);
    world.ask(Method::POST, &format!("{delivery}/retry"), &[], None).await.is(409);
}

/// What a worker does when it was delivered.
async fn finish(world: &World) {
    let move_it =
        "INSERT INTO delivery SELECT tenant_id, id, event_id, subscription_id, destination_id, 1, NULL, 1, 204, 7,
        due_at, '192.0.2.1', trigger, retry_of, due_at, 0, replay_id FROM pending";
    for text in [move_it, "DELETE FROM pending"] {
        world.app.db.write.execute_unprepared(text).await.unwrap();
    }
}

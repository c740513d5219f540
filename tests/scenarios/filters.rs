//! A subscription says what must hold of an event itself; what holds an event back is the reason that its delivery shows.

use std::collections::BTreeMap;

use harness::answer::text;
use harness::{Database, Destination, Receiver, Relay, Source, Tenant, Value, json, on_each_database};

on_each_database![
    what_does_not_hold_is_the_reason,
    a_filter_is_judged_before_the_first_attempt_and_where_nobody_asked_for_the_delivery,
    a_filter_can_be_changed_and_taken_away,
    what_is_no_filter_is_refused_where_it_is_wrong,
    a_filter_that_cannot_be_read_costs_its_own_deliveries_alone,
];

struct World {
    relay: Relay,
    receiver: Receiver,
    tenant: Tenant,
    source: Source,
    destination: Destination,
}

impl World {
    async fn new(database: Database) -> Self {
        let (relay, receiver) = (Relay::start(database).await, Receiver::start().await);
        let tenant = relay.tenant("acme").await;
        let fields = json!({
            "name": "in",
            "provider": "generic",
            "verification": { "kind": "none" },
            "extract": { "event_type": "json:/type", "attributes": { "country": "json:/from/country" } },
            "forward_headers": ["x-env"],
        });
        let (source, destination) = (tenant.source_of(fields).await, tenant.destination(&receiver).await);
        Self { relay, receiver, tenant, source, destination }
    }

    async fn subscribe(&self, filter: Value) -> String {
        let fields = json!({ "destination_id": self.destination.id, "event_types": ["*"], "filter": filter });
        text(&self.tenant.post("/subscriptions", fields).await.json(201), "id")
    }

    /// An order from Lithuania, on the live system.
    async fn send(&self, state: &str) -> String {
        let source = Source { path: format!("{}?region=eu", self.source.path), ..self.source.clone() };
        let body = json!({ "type": "order", "order": { "state": state, "total": 12.5 }, "from": { "country": "LT" } });
        source.post_with(&[("x-env", "live")], body.to_string()).await.event_id()
    }

    /// The state in which the only delivery of an event ends, and the reason.
    async fn end(&self, event: &str) -> (String, Value) {
        let deliveries = self.tenant.settled(event).await;
        assert_eq!(deliveries.len(), 1, "{deliveries:#?}");
        (text(&deliveries[0], "state"), deliveries[0]["reason"].clone())
    }
}

async fn what_does_not_hold_is_the_reason(database: Database) {
    let world = World::new(database).await;
    let mut expected = BTreeMap::new();
    for (filter, reason) in [
        (json!({ "body": { "/order/state": { "$in": ["paid", "sent"] } } }), None),
        (json!({ "body": { "/order/total": { "$gte": 12.5, "$lt": 13 } }, "headers": { "X-Env": "live" } }), None),
        (json!({ "query": { "region": "eu" }, "attributes": { "country": { "$startsWith": ["L", "E"] } } }), None),
        (json!({ "$or": [{ "query": { "region": "us" } }, { "body": { "/order/id": { "$exists": false } } }] }), None),
        (json!({ "body": { "/order/state": { "$ne": "paid" } } }), Some(r#"body /order/state $ne "paid""#)),
        (json!({ "headers": { "x-env": "test" } }), Some(r#"headers x-env $eq "test""#)),
        (json!({ "query": { "region": { "$nin": ["eu"] } } }), Some(r#"query region $nin ["eu"]"#)),
        (json!({ "attributes": { "country": { "$contains": "X" } } }), Some(r#"attributes country $contains "X""#)),
        (json!({ "$not": { "body": { "/from": { "$exists": true } } } }), Some("not: body /from $exists true")),
    ] {
        let state = if reason.is_none() { "delivered" } else { "filtered" };
        expected.insert(world.subscribe(filter).await, (state.to_owned(), reason.map(str::to_owned)));
    }
    let told = |it: &Value| (text(it, "state"), it["reason"].as_str().map(str::to_owned));
    let ends = world.tenant.settled(&world.send("paid").await).await;
    assert_eq!(ends.iter().map(|it| (text(it, "subscription_id"), told(it))).collect::<BTreeMap<_, _>>(), expected);
    assert_eq!(world.receiver.requests().len(), 4);
}

async fn a_filter_is_judged_before_the_first_attempt_and_where_nobody_asked_for_the_delivery(database: Database) {
    let world = World::new(database).await;
    world.subscribe(json!({ "body": { "/order/state": "paid" } })).await;
    let event = world.send("open").await;
    let held_back = world.tenant.delivery_of(&event).await;
    assert_eq!(world.end(&event).await.0, "filtered");

    // A replay is judged as the event was; a person who asks for this delivery, or names the destination, has it.
    let _ = world.tenant.act(&format!("/events/{event}/replay")).await.json(202);
    let states = async || -> Vec<String> {
        world.tenant.settled(&event).await.iter().map(|delivery| text(delivery, "state")).collect()
    };
    assert_eq!(states().await, ["filtered", "filtered"]);
    let _ = world.tenant.act(&format!("/deliveries/{}/retry", text(&held_back, "id"))).await.json(202);
    assert_eq!(states().await, ["delivered", "filtered", "filtered"]);
    let forced = json!({ "destination_ids": [world.destination.id] });
    let _ = world.tenant.post(&format!("/events/{event}/replay"), forced).await.json(202);
    assert_eq!(states().await, ["delivered", "delivered", "filtered", "filtered"]);
    assert_eq!(world.receiver.requests().len(), 2);
}

async fn a_filter_can_be_changed_and_taken_away(database: Database) {
    let world = World::new(database).await;
    let filter = json!({ "body": { "/a": { "$in": [1, "b", null, 0.1] } }, "$not": { "query": { "c": true } } });
    let subscription = world.subscribe(filter.clone()).await;
    let path = format!("/subscriptions/{subscription}");
    assert_eq!(world.tenant.get(&path).await.json(200)["filter"], filter);
    assert_eq!(world.tenant.patch(&path, json!({ "event_types": ["*"] })).await.json(200)["filter"], filter);
    assert_eq!(world.tenant.patch(&path, json!({ "filter": null })).await.json(200)["filter"], Value::Null);
    assert_eq!(world.end(&world.send("any").await).await.0, "delivered");
}

async fn what_is_no_filter_is_refused_where_it_is_wrong(database: Database) {
    let world = World::new(database).await;
    let subscription = world.subscribe(json!({ "query": { "a": "b" } })).await;
    for (filter, pointer) in [
        (json!([]), "/filter"),
        (json!({}), "/filter"),
        (json!({ "payload": { "/a": 1 } }), "/filter/payload"),
        (json!({ "body": { "a.b": 1 } }), "/filter/body/a.b"),
        (json!({ "body": { "/a": { "$regex": "x" } } }), "/filter/body/~1a/$regex"),
        (json!({ "headers": { "x": { "$gt": true } } }), "/filter/headers/x/$gt"),
    ] {
        let made = json!({ "destination_id": world.destination.id, "event_types": ["*"], "filter": filter });
        let refused = world.tenant.post("/subscriptions", made).await.problem(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
        let refused = world.tenant.patch(&format!("/subscriptions/{subscription}"), json!({ "filter": filter })).await;
        assert_eq!(refused.problem(422)["errors"][0]["pointer"], pointer);
    }
}

async fn a_filter_that_cannot_be_read_costs_its_own_deliveries_alone(database: Database) {
    let world = World::new(database).await;
    world.subscribe(json!({ "query": { "region": "eu" } })).await;
    let sql = r#"UPDATE subscription SET filter = '{"body": {"/a": {"$later": 1}}}'"#;
    world.relay.database.execute(sql).await;
    world.subscribe(json!({ "query": { "region": "eu" } })).await;
    let ends = world.tenant.settled(&world.send("paid").await).await;
    let mut ends: Vec<_> = ends.iter().map(|it| (text(it, "state"), it["reason"].as_str())).collect();
    ends.sort_unstable();
    let reason = "the subscription's filter cannot be read: /body/~1a/$later is no operator; there are ";
    assert_eq!(ends[0], ("delivered".to_owned(), None), "{ends:?}");
    assert!(ends[1].0 == "failed" && ends[1].1.is_some_and(|told| told.starts_with(reason)), "{ends:?}");
}

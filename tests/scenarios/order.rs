//! Destinations that want their events in order.

use std::time::{Duration, Instant};

use harness::ondato::APPROVED;
use harness::wait::HOLDS_WITHIN;
use harness::{
    Database, Destination, Receiver, Relay, Source, Tenant, Value, eventually, json, on_each_database, within,
};

on_each_database![
    one_that_fails_keeps_those_behind_it_waiting,
    whoever_is_given_up_lets_the_next_go,
    each_key_has_a_line_of_its_own,
    a_line_that_is_resumed_goes_on_where_it_stood,
    an_order_that_is_wanted_later_holds_from_then_on,
    an_order_outlives_its_worker,
];

async fn one_that_fails_keeps_those_behind_it_waiting(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500, 200, 500]).await;
    let (tenant, source, _) = in_order(&relay, &receiver, json!({ "retry": { "schedule_s": [0, 60] } })).await;

    let events = send(&source, 5).await;
    let first = tenant.delivery_of(&events[0]).await["id"].as_str().unwrap().to_owned();
    tenant.delivery_waiting(&first, 1).await;
    let held = tenant.delivery_of(&events[1]).await;
    assert_eq!((&held["state"], &held["attempts"]), (&"pending".into(), &0.into()), "it waits for its turn");
    relay.clock.advance(Duration::from_secs(75));
    tenant.delivery_waiting(held["id"].as_str().unwrap(), 1).await;
    relay.clock.advance(Duration::from_secs(75));

    receiver.wait_for(7).await;
    let arrived: Vec<_> = receiver.requests().iter().map(|it| it.one("webhook-id").to_owned()).collect();
    let expected = [0, 0, 1, 1, 2, 3, 4].map(|place: usize| events[place].clone());
    assert_eq!(arrived, expected);
    assert_eq!(receiver.most_at_once(), 1);
}

async fn whoever_is_given_up_lets_the_next_go(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500, 200]).await;
    let (tenant, source, _) = in_order(&relay, &receiver, json!({ "retry": { "schedule_s": [0] } })).await;

    let events = send(&source, 2).await;

    assert_eq!(tenant.settled(&events[0]).await[0]["state"], "failed");
    assert_eq!(tenant.settled(&events[1]).await[0]["state"], "delivered");
    assert_eq!(receiver.order(), events);
}

async fn each_key_has_a_line_of_its_own(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let told = json!({ "order": { "mode": "fifo", "key": "json:/person" }, "retry": { "schedule_s": [0, 600] } });
    let (tenant, source, _) = with(&relay, &receiver, told).await;

    let stuck = person(&source, "ada").await;
    receiver.wait_for(1).await;
    let behind = person(&source, "ada").await;
    let others = [person(&source, "grace").await, person(&source, "edsger").await, person(&source, "grace").await];
    for event in &others {
        tenant.settled(event).await;
    }
    let order = receiver.order();
    assert_eq!(order[0], stuck);
    assert!(!order.contains(&behind), "it overtook {stuck}");
    let place = |event: &String| order.iter().position(|other| other == event).unwrap();
    assert!(place(&others[0]) < place(&others[2]), "of grace");

    relay.clock.advance(Duration::from_secs(730));
    tenant.settled(&behind).await;
    let arrived: Vec<_> = receiver.requests().iter().map(|it| it.one("webhook-id").to_owned()).collect();
    assert_eq!(arrived[4..], [stuck, behind]);
}

async fn a_line_that_is_resumed_goes_on_where_it_stood(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let (tenant, source, destination) =
        in_order(&relay, &receiver, json!({ "retry": { "schedule_s": [0, 60] } })).await;
    let mut events = send(&source, 3).await;
    receiver.wait_for(1).await;
    tenant.act(&format!("{}/pause", destination.path())).await.succeeded();
    events.extend(send(&source, 3).await);
    relay.clock.advance(Duration::from_secs(75));

    let first = tenant.delivery_of(&events[0]).await["id"].as_str().unwrap().to_owned();
    tenant.delivery_in(&first, "held").await;
    tenant.act(&format!("{}/resume", destination.path())).await.succeeded();

    receiver.wait_for(7).await;
    assert_eq!(receiver.order(), events);
    assert_eq!(receiver.most_at_once(), 1);
}

async fn an_order_that_is_wanted_later_holds_from_then_on(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500, 500, 500]).await;
    let told = json!({ "retry": { "schedule_s": [0, 60] } });
    let (tenant, source, destination) = with(&relay, &receiver, told).await;
    let mut events = send(&source, 3).await;
    for event in &events {
        let delivery = tenant.delivery_of(event).await["id"].as_str().unwrap().to_owned();
        tenant.delivery_waiting(&delivery, 1).await;
    }

    let told = json!({ "order": { "mode": "fifo", "key": null } });
    tenant.patch(&destination.path(), told).await.succeeded();
    let changed = Instant::now();
    eventually("the change to hold", async || (changed.elapsed() > HOLDS_WITHIN).then_some(())).await;
    events.extend(send(&source, 3).await);
    relay.clock.advance(Duration::from_secs(75));

    receiver.wait_for(9).await;
    let arrived: Vec<_> = receiver.requests()[3..].iter().map(|it| it.one("webhook-id").to_owned()).collect();
    assert_eq!(arrived, events, "what waited before stands in line as well");
}

/// The worker that holds the destination dies in the middle of it: what was in flight is repeated, nothing overtakes.
async fn an_order_outlives_its_worker(database: Database) {
    const EVENTS: usize = 150;
    let relay = Relay::plan(database).workers(2).start().await;
    let receiver = Receiver::start().await;
    let told = json!({ "order": { "mode": "fifo", "key": null }, "max_in_flight": 5 });
    let (_, source, _) = with(&relay, &receiver, told).await;
    let events = send(&source, EVENTS / 2).await;
    let owner = relay.worker_behind(receiver.wait_for(10).await[9].sender);

    relay.workers[owner].kill();
    if relay.database.is_postgres() {
        relay.clock.advance(Duration::from_secs(20));
    } else {
        relay.start_again().await;
    }
    let source = source.at(&relay.apis[0]);
    let events = [events, send(&source, EVENTS / 2).await].concat();

    within(Duration::from_secs(60), "all of them to arrive", async || (receiver.ids().len() >= EVENTS).then_some(()))
        .await;
    assert_eq!(receiver.order(), events);
    assert_eq!(receiver.most_at_once(), 1);
    assert!(receiver.count() <= EVENTS + 2, "{} requests for {EVENTS} events", receiver.count());
}

async fn in_order(relay: &Relay, receiver: &Receiver, mut told: Value) -> (Tenant, Source, Destination) {
    told["order"] = json!({ "mode": "fifo", "key": null });
    with(relay, receiver, told).await
}

async fn with(relay: &Relay, receiver: &Receiver, told: Value) -> (Tenant, Source, Destination) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destination = tenant.destination_with(receiver, told).await;
    tenant.subscribe(&destination, &["*"]).await;
    (tenant, source, destination)
}

/// One after another, so that their order is known.
async fn send(source: &Source, count: usize) -> Vec<String> {
    source.send_many(count, 1, |_| APPROVED.to_owned()).await
}

async fn person(source: &Source, person: &str) -> String {
    let id = harness::ondato::event(APPROVED);
    let mut body: Value = serde_json::from_slice(&id).unwrap();
    body["person"] = json!(person);
    source.post(body.to_string()).await.event_id()
}

//! "We were down for six hours, send everything again."

use harness::answer::{items, millis, text};
use harness::ondato::APPROVED;
use harness::{
    Database, Destination, Receiver, Relay, Reply, Tenant, Value, eventually, on_each_database, on_postgres,
};
use serde_json::json;

on_each_database![
    what_was_not_delivered_is_sent_again_and_only_that,
    a_time_is_replayed_again_where_that_failed_too,
    a_new_destination_gets_what_came_before_it,
    events_go_where_they_are_wanted_now,
    a_paused_destination_gets_it_when_it_is_resumed,
    a_replay_is_cancelled_with_what_it_made,
    a_replay_keeps_to_its_rate,
    a_replay_lets_pass_what_is_new,
    a_replay_survives_a_crash,
    what_cannot_be_sent_is_counted,
    what_makes_no_sense_is_refused,
];
on_postgres![a_cancelled_replay_is_one_command];

async fn what_was_not_delivered_is_sent_again_and_only_that(database: Database) {
    let relay = Relay::start(database).await;
    let (well, down) = (Receiver::start().await, Receiver::always(503).await);
    let route = relay.route(&well).await;
    let (tenant, source) = (&route.tenant, &route.source);
    let destination = tenant.destination_tried(&down, &[0]).await;
    let subscription = tenant.subscribe(&destination, &["*"]).await;
    let sent = source.send_many(5, 1, |_| "a.b".to_owned()).await;
    for event in &sent {
        tenant.settled(event).await;
    }
    down.recover();
    let since = source.send("a.b").await;
    tenant.settled(&since).await;
    let first = failed_delivery(tenant, &sent[0]).await;
    let by_hand = text(&tenant.act(&format!("/deliveries/{first}/retry")).await.json(202), "id");
    tenant.delivery_in(&by_hand, "delivered").await;
    let (before, others) = (down.count(), well.count());

    let filter = json!({ "destination_id": destination.id, "state": "failed" });
    let counted = completed(tenant, json!({ "filter": filter, "dry_run": true })).await;
    assert_eq!(counted["planned"], json!({ "events": 4, "deliveries": 4 }));
    assert_eq!((&counted["sent"]["deliveries"], down.count()), (&json!(0), before));

    let replay = completed(tenant, json!({ "filter": filter })).await;
    assert_eq!(replay["planned"], json!({ "events": 4, "deliveries": 4 }));
    assert_eq!((&replay["sent"], &replay["skipped"]), (&replay["planned"], &json!(0)));
    assert_eq!(replay["outcomes"]["delivered"], 4);
    let mut again: Vec<_> =
        down.requests()[before..].iter().map(|request| request.one("webhook-id").to_owned()).collect();
    again.sort();
    assert_eq!(again, sent[1..], "with their own ids, and not what was asked for again since");
    assert_eq!(well.count(), others, "the healthy destination hears nothing");
    let made = items(&tenant.get(&format!("/deliveries?replay_id={}", text(&replay, "id"))).await.json(200));
    assert_eq!(made.len(), 4);
    for delivery in &made {
        let of = text(delivery, "event_id");
        assert_eq!(delivery["retry_of"], *failed_delivery(tenant, &of).await);
        assert_eq!((&delivery["trigger"], &delivery["subscription_id"]), (&json!("replay"), &json!(subscription)));
    }

    let nothing = completed(tenant, json!({ "filter": filter })).await;
    assert_eq!(nothing["sent"]["deliveries"], 0, "all of it was asked for again");
}

/// What was made by the first try lies behind the time that is asked for.
async fn a_time_is_replayed_again_where_that_failed_too(database: Database) {
    let relay = Relay::start(database).await;
    let down = Receiver::always(503).await;
    let route = relay.route_tried(&down, Some(&[0])).await;
    let tenant = &route.tenant;
    let sent = route.source.send_many(2, 1, |_| "a.b".to_owned()).await;
    for event in &sent {
        tenant.settled(event).await;
    }
    let until = time(millis(&tenant.event(&sent[1]).await, "received_at") + 1_000);
    relay.clock.advance(std::time::Duration::from_secs(60));
    relay.clock_is_followed().await;

    let asked = json!({ "filter": {
        "destination_id": route.destination.id, "subscription_id": route.subscription, "state": "failed", "before": until,
    } });
    for (state, count) in [("failed", 2), ("delivered", 2), ("delivered", 0)] {
        let id = started(tenant, asked.clone()).await;
        let replay = ended(&relay, tenant, &id).await;
        assert_eq!((&replay["sent"]["deliveries"], &replay["outcomes"][state]), (&json!(count), &json!(count)));
        down.recover();
    }
}

async fn a_new_destination_gets_what_came_before_it(database: Database) {
    let relay = Relay::start(database).await;
    let (well, new) = (Receiver::start().await, Receiver::start().await);
    let route = relay.route(&well).await;
    let (tenant, source) = (&route.tenant, &route.source);
    let early = source.send("a.b").await;
    tenant.settled(&early).await;
    relay.clock.advance(std::time::Duration::from_secs(60));
    relay.clock_is_followed().await;
    let sent = source.send_many(450, 50, |_| "a.b".to_owned()).await;
    well.wait_for(451).await;
    let destination = tenant.destination_with(&new, json!({ "order": { "mode": "fifo" } })).await;

    let since = time(millis(&tenant.event(&early).await, "received_at") + 1);
    let asked = json!({ "filter": { "after": since }, "destination_ids": [destination.id] });
    let replay = completed(tenant, asked).await;
    assert_eq!(replay["sent"], json!({ "events": 450, "deliveries": 450 }));
    let got = new.order();
    let mut sorted = got.clone();
    sorted.sort();
    assert_eq!(got, sorted, "oldest first");
    let mut expected = sent;
    expected.sort();
    assert_eq!(got, expected, "all of them, each once");
    assert_eq!(well.count(), 451);
}

async fn events_go_where_they_are_wanted_now(database: Database) {
    let relay = Relay::start(database).await;
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    let route = relay.route(&first).await;
    let (tenant, source) = (&route.tenant, &route.source);
    for event_type in ["a.b", "c.d"] {
        let event = source.send(event_type).await;
        tenant.settled(&event).await;
    }
    tenant.delete(&format!("/subscriptions/{}", route.subscription)).await.is(204);
    let destination = tenant.destination(&second).await;
    tenant.subscribe(&destination, &["c.*"]).await;

    let replay = completed(tenant, json!({ "filter": { "source_id": source.id } })).await;
    assert_eq!(replay["sent"], json!({ "events": 1, "deliveries": 1 }));
    assert_eq!((first.count(), second.requests()[0].one("hookyard-event-type")), (2, "c.d"));
}

async fn a_paused_destination_gets_it_when_it_is_resumed(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (tenant, destination) = (&route.tenant, &route.destination);
    let event = route.source.send("a.b").await;
    tenant.settled(&event).await;
    pause(&relay, tenant, destination).await;

    let id = started(tenant, json!({ "filter": {} })).await;
    let waits = eventually("it to be sent", async || {
        Some(read(tenant, &id).await).filter(|replay| replay["sent"]["deliveries"] == 1)
    })
    .await;
    assert_eq!((&waits["state"], &waits["outcomes"]["pending"]), (&json!("running"), &json!(1)));
    assert_eq!(receiver.count(), 1);

    tenant.act(&format!("{}/resume", destination.path())).await.is(200);
    receiver.wait_for(2).await;
    assert_eq!(ended(&relay, tenant, &id).await["outcomes"]["delivered"], 1);
}

async fn a_replay_is_cancelled_with_what_it_made(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (tenant, destination) = (&route.tenant, &route.destination);
    let sent = route.source.send_many(3, 1, |_| "a.b".to_owned()).await;
    receiver.wait_for(3).await;
    tenant.settled(&sent[2]).await;
    pause(&relay, tenant, destination).await;
    let id = started(tenant, json!({ "filter": {} })).await;
    eventually("it to be sent", async || (read(tenant, &id).await["sent"]["deliveries"] == 3).then_some(())).await;

    let cancelled = tenant.act(&format!("/replays/{id}/cancel")).await.json(202);
    assert_eq!(cancelled["state"], "cancelled");
    eventually("its deliveries to be cancelled", async || {
        (read(tenant, &id).await["outcomes"]["cancelled"] == 3).then_some(())
    })
    .await;
    let _ = tenant.act(&format!("/replays/{id}/cancel")).await.problem(409);
    tenant.act(&format!("{}/resume", destination.path())).await.is(200);
    let last = route.source.send("a.b").await;
    tenant.settled(&last).await;
    assert_eq!(receiver.count(), 4, "nothing of it was sent");

    let asked = json!({ "filter": { "state": "delivered", "destination_id": destination.id }, "dry_run": true });
    assert_eq!(completed(tenant, asked).await["planned"]["deliveries"], 4, "what was cancelled stands for nothing");
}

/// Whoever carries it out has one thing to do, however much was made.
async fn a_cancelled_replay_is_one_command(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    route.source.send_many(40, 10, |_| "a.b".to_owned()).await;
    receiver.wait_for(40).await;
    pause(&relay, tenant, &route.destination).await;
    let id = started(tenant, json!({ "filter": {} })).await;
    eventually("it to be sent", async || (read(tenant, &id).await["sent"]["deliveries"] == 40).then_some(())).await;

    relay.workers[0].freeze();
    tenant.act(&format!("/replays/{id}/cancel")).await.is(202);
    let commands = database.number("SELECT count(*) FROM command").await;
    relay.workers[0].thaw();
    assert_eq!(commands, 1);
    eventually("its deliveries to be cancelled", async || {
        (read(tenant, &id).await["outcomes"]["cancelled"] == 40).then_some(())
    })
    .await;
    assert_eq!(receiver.count(), 40);
}

async fn a_replay_keeps_to_its_rate(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    route.source.send_many(6, 1, |_| "a.b".to_owned()).await;
    receiver.wait_for(6).await;

    let id = started(tenant, json!({ "filter": {}, "rate": 1 })).await;
    ended(&relay, tenant, &id).await;
    let made = items(&tenant.get(&format!("/deliveries?replay_id={id}")).await.json(200));
    let mut at: Vec<i64> = made.iter().map(|delivery| millis(delivery, "created_at")).collect();
    at.sort_unstable();
    assert_eq!(at.len(), 6);
    // One that is late because the machine is busy is caught up with, by at most a second: however one looks at it, no more.
    for (first, last) in (0..6).flat_map(|first| (first + 1..6).map(move |last| (first, last))) {
        let apart = i64::try_from(last - first).unwrap();
        assert!(at[last] - at[first] >= (apart - 1) * 1_000, "{first} and {last} of {at:?}");
    }
}

async fn a_replay_lets_pass_what_is_new(database: Database) {
    const OLD: usize = 20;
    let relay = Relay::start(database).await;
    let script = [vec![Reply::status(200); OLD], vec![Reply::status(200).held()]].concat();
    let (busy, free) = (Receiver::answering(script).await, Receiver::start().await);
    let (tenant, other) = (relay.tenant("acme").await, relay.route(&free).await);
    let source = tenant.source().await;
    let destination = tenant.destination_with(&busy, json!({ "max_in_flight": 1 })).await;
    tenant.subscribe(&destination, &["*"]).await;
    let old = source.send_many(OLD, 4, |_| "a.b".to_owned()).await;
    busy.wait_for(OLD).await;
    let replay = started(&tenant, json!({ "filter": { "source_id": source.id } })).await;
    eventually("all of it to wait", async || (read(&tenant, &replay).await["sent"]["deliveries"] == OLD).then_some(()))
        .await;
    busy.wait_for(OLD + 1).await;

    let new = source.send("a.b").await;
    // Once what was accepted after it has been read, so has this.
    other.source.send(APPROVED).await;
    free.wait_for(1).await;
    busy.release();

    let arrived = busy.wait_for(2 * OLD + 1).await;
    let ids: Vec<_> = arrived.iter().map(|request| request.one("webhook-id")).collect();
    assert_eq!(ids[OLD + 1], new, "right behind the one that was under way");
    assert!(ids[OLD + 2..].iter().all(|id| old.iter().any(|old| old == id)));
}

async fn a_replay_survives_a_crash(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    let sent = route.source.send_many(300, 50, |_| "a.b".to_owned()).await;
    receiver.wait_for(300).await;
    for event in &sent {
        tenant.settled(event).await;
    }
    let id = started(tenant, json!({ "filter": {}, "rate": 200 })).await;
    eventually("it to have begun", async || (read(tenant, &id).await["sent"]["deliveries"] != 0).then_some(())).await;
    relay.kill();
    relay.start_again().await;

    let replay = ended(&relay, tenant, &id).await;
    assert_eq!((&replay["sent"]["deliveries"], &replay["outcomes"]["delivered"]), (&json!(300), &json!(300)));
    assert_eq!(receiver.ids().len(), 300);
}

async fn what_cannot_be_sent_is_counted(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    let sent = route.source.send_many(2, 1, |_| "a.b".to_owned()).await;
    for event in &sent {
        tenant.settled(event).await;
    }
    tenant.delete(&format!("/events/{}/body", sent[0])).await.is(204);

    let replay = completed(tenant, json!({ "filter": {} })).await;
    assert_eq!((&replay["sent"]["deliveries"], &replay["skipped"]), (&json!(1), &json!(1)));
    assert_eq!(
        receiver.requests()[2..].iter().map(|request| request.one("webhook-id")).collect::<Vec<_>>(),
        [&sent[1]]
    );
}

async fn what_makes_no_sense_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let theirs = other.destination(&receiver).await;
    for (body, word) in [
        (json!({}), "/filter"),
        (json!({ "filter": { "state": "pending" } }), "/filter/state"),
        (json!({ "filter": { "colour": "red" } }), "/filter/colour"),
        (json!({ "filter": {}, "rate": 0 }), "/rate"),
        (json!({ "filter": {}, "destination_ids": [] }), "/destination_ids"),
        (json!({ "filter": {}, "destination_ids": [theirs.id] }), "/destination_ids/0"),
        (json!({ "filter": { "matched": true, "state": "failed" } }), "/filter/matched"),
        (json!({ "filter": { "last_status": 503, "status_class": "4xx" } }), "/filter/last_status"),
        (json!({ "filter": { "after": "2026-01-02T00:00:00Z", "before": "2026-01-01T00:00:00Z" } }), "/filter/after"),
    ] {
        tenant.post("/replays", body).await.problem_about(422, &[word]);
    }
    assert!(items(&tenant.get("/replays").await.json(200)).is_empty());
    let destination = tenant.destination(&receiver).await;
    let source = tenant.source().await;
    tenant.subscribe(&destination, &["*"]).await;
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    source.send("a.b").await;
    for _ in 0..10 {
        started(&tenant, json!({ "filter": {} })).await;
    }
    tenant.post("/replays", json!({ "filter": {} })).await.problem_about(409, &["10 replays"]);
}

/// Holds it in every process: nobody goes by what was heard more than a second ago.
async fn pause(relay: &Relay, tenant: &Tenant, destination: &Destination) {
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    relay.clock.advance(std::time::Duration::from_secs(2));
    relay.clock_is_followed().await;
}

/// The id of a new replay.
async fn started(tenant: &Tenant, asked: Value) -> String {
    let answer = tenant.post("/replays", asked).await;
    text(&answer.json(202), "id")
}

async fn read(tenant: &Tenant, id: &str) -> Value {
    tenant.get(&format!("/replays/{id}")).await.json(200)
}

async fn completed(tenant: &Tenant, asked: Value) -> Value {
    let id = started(tenant, asked).await;
    eventually("the replay to be completed", async || {
        Some(read(tenant, &id).await).filter(|replay| replay["state"] == "completed")
    })
    .await
}

/// The same of one that waits for time to pass.
async fn ended(relay: &Relay, tenant: &Tenant, id: &str) -> Value {
    relay
        .pass_time_until("the replay to be completed", async || {
            Some(read(tenant, id).await).filter(|replay| replay["state"] == "completed")
        })
        .await
}

async fn failed_delivery(tenant: &Tenant, event: &str) -> String {
    let all = tenant.deliveries(event).await;
    let failed = all.iter().find(|delivery| delivery["state"] == "failed" && delivery["trigger"] == "event");
    text(failed.expect("one that failed"), "id")
}

fn time(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).expect("a time").to_rfc3339()
}

//! What is old is forgotten, bodies first, and never what is still to be delivered.

use std::time::{Duration, Instant};

use harness::answer::{items, text};
use harness::{
    Client, Database, Receiver, Relay, Reply, Source, Tenant, eventually, on_each_database, on_postgres, on_sqlite,
};
use sea_orm::{ConnectionTrait, TransactionTrait};
use serde_json::{Value, json};

on_each_database![
    bodies_are_forgotten_first_and_then_all_of_it,
    what_was_answered_is_forgotten_with_them,
    what_waits_for_too_long_expires,
    what_is_tried_for_too_long_expires,
    replays_are_forgotten_with_what_they_made,
    what_is_sent_again_is_kept_until_it_is_sent,
    how_long_is_said_by_the_operator,
    a_body_is_erased_when_somebody_says_so,
    operators_see_how_large_it_is,
    days_are_made_beside_whoever_reads_for_long,
];
on_sqlite![of_what_is_erased_no_byte_is_left_in_the_file];
on_postgres![who_forgets_a_day_takes_nothing_before_it_may];

const DAY: Duration = Duration::from_secs(86_400);
const BODY: &str = r#"{"event": "kept"}"#;
/// Whoever waited for a lock for too long has tried again by then.
const AFTER_A_LOCK: Duration = Duration::from_secs(700);

async fn bodies_are_forgotten_first_and_then_all_of_it(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (tenant, source) = (&route.tenant, &route.source);
    let old = source.post(BODY).await.event_id();
    let delivery = text(&tenant.settled(&old).await[0], "id");
    later(&relay, DAY * 20).await;
    let young = source.post(BODY).await.event_id();
    tenant.settled(&young).await;
    assert_eq!(body(tenant, &old).await, Some(BODY.to_owned()));

    later(&relay, DAY * 12).await;
    forgotten(tenant, &old).await;
    let kept = tenant.event(&old).await;
    assert_eq!((&kept["headers"], &kept["size"]), (&Value::Null, &json!(BODY.len())));
    assert_eq!(tenant.delivery(&delivery).await["state"], "delivered");
    assert_eq!(body(tenant, &young).await, Some(BODY.to_owned()));

    later(&relay, DAY * 60).await;
    eventually("the event to be forgotten", async || {
        (tenant.get(&format!("/events/{old}")).await.status == 404).then_some(())
    })
    .await;
    eventually("its delivery to be forgotten", async || {
        (tenant.get(&format!("/deliveries/{delivery}")).await.status == 404).then_some(())
    })
    .await;
    let listed = items(&tenant.get("/events").await.json(200));
    assert_eq!(listed.iter().map(|event| text(event, "id")).collect::<Vec<_>>(), [young.as_str()]);
    forgotten(tenant, &young).await;
}

/// It may repeat what was sent.
async fn what_was_answered_is_forgotten_with_them(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(Reply::status(200).header("x-said", "so").body("thanks for this")).await;
    let (tenant, source) = answered(&relay, &receiver).await;
    let (hasty, hastes) = answered(&relay, &receiver).await;
    hasty.patch("", json!({ "retention": { "payload_d": 2, "metadata_d": 90 } })).await.is(200);
    let (old, soon_old) = (ended(&tenant, &source, "delivered").await, ended(&hasty, &hastes, "delivered").await);
    later(&relay, DAY * 20).await;
    let young = ended(&tenant, &source, "delivered").await;
    unanswered(&hasty, &soon_old).await;
    for kept in [&old, &young] {
        let attempt = attempt(&tenant, kept).await;
        assert_eq!(attempt["response_body"], "thanks for this");
        assert!(attempt["response_headers"].to_string().contains("x-said"), "{attempt:#}");
    }

    later(&relay, DAY * 12).await;
    let left = unanswered(&tenant, &old).await;
    assert_eq!((&left["status"], &left["response_headers"]), (&json!(200), &Value::Null));
    assert_eq!(attempt(&tenant, &young).await["response_body"], "thanks for this");

    let event = text(&tenant.delivery(&young).await, "event_id");
    tenant.delete(&format!("/events/{event}/body")).await.is(204);
    assert_eq!(attempt(&tenant, &young).await["response_body"], Value::Null, "at once");
}

/// A tenant with a source whose events go to the receiver, which is to be quoted.
async fn answered(relay: &Relay, receiver: &Receiver) -> (Tenant, Source) {
    let tenant = relay.tenant("acme").await;
    let destination = tenant.destination_with(receiver, json!({ "keep_responses": true })).await;
    tenant.subscribe(&destination, &["*"]).await;
    let source = tenant.source().await;
    (tenant, source)
}

async fn what_waits_for_too_long_expires(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (tenant, source, destination) = (&route.tenant, &route.source, &route.destination);
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    let old = source.post(BODY).await.event_id();
    held(tenant, &old).await;
    later(&relay, DAY * 29).await;
    let young = source.post(BODY).await.event_id();
    held(tenant, &young).await;
    assert_eq!(body(tenant, &old).await, Some(BODY.to_owned()));

    later(&relay, DAY * 3).await;
    let ended = tenant.settled(&old).await;
    assert_eq!((&ended[0]["state"], &ended[0]["reason"]), (&json!("failed"), &json!("expired")));
    later(&relay, DAY).await;
    forgotten(tenant, &old).await;

    tenant.act(&format!("{}/resume", destination.path())).await.is(200);
    tenant.settled(&young).await;
    assert_eq!(receiver.order(), [young]);
}

/// Though nothing is parked, and its destination takes other things.
async fn what_is_tried_for_too_long_expires(database: Database) {
    const WEEK_S: u64 = 604_800;
    let relay = Relay::start(database).await;
    // In turn: the old one, which is never taken, and another.
    let receiver = Receiver::answering([500, 200].repeat(5)).await;
    let route = relay.route_tried(&receiver, Some(&[0, WEEK_S, WEEK_S, WEEK_S, WEEK_S, WEEK_S, WEEK_S])).await;
    let (tenant, source) = (&route.tenant, &route.source);
    let old = source.post(BODY).await.event_id();
    for attempts in 1..=4 {
        eventually("it to be tried", async || (tenant.delivery_of(&old).await["attempts"] == attempts).then_some(()))
            .await;
        let other = source.post(BODY).await.event_id();
        assert_eq!(tenant.settled(&other).await[0]["state"], "delivered");
        later(&relay, DAY * 8 + DAY / 2).await;
    }

    let ended = tenant.settled(&old).await;
    assert_eq!((&ended[0]["state"], &ended[0]["reason"]), (&json!("failed"), &json!("expired")));
    later(&relay, DAY).await;
    forgotten(tenant, &old).await;
}

async fn replays_are_forgotten_with_what_they_made(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    let replay = async || {
        let id = text(&tenant.post("/replays", json!({ "filter": {}, "dry_run": true })).await.json(202), "id");
        let is_counted =
            async || (tenant.get(&format!("/replays/{id}")).await.json(200)["state"] == "completed").then_some(());
        eventually("it to be counted", is_counted).await;
        id
    };
    let old = replay().await;
    later(&relay, DAY * 60).await;
    let young = replay().await;
    later(&relay, DAY * 32).await;
    eventually("the old one to be forgotten", async || {
        (tenant.get(&format!("/replays/{old}")).await.status == 404).then_some(())
    })
    .await;
    tenant.get(&format!("/replays/{young}")).await.is(200);
}

async fn what_is_sent_again_is_kept_until_it_is_sent(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (tenant, source, destination) = (&route.tenant, &route.source, &route.destination);
    let unwanted = source.post(BODY).await.event_id();
    tenant.settled(&unwanted).await;
    later(&relay, DAY).await;
    let event = source.post(BODY).await.event_id();
    tenant.settled(&event).await;
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    later(&relay, DAY * 20).await;
    let replay = tenant.post(&format!("/events/{event}/replay"), json!({})).await.json(202);
    let replay = replay["deliveries"][0]["id"].as_str().unwrap().to_owned();
    tenant.delivery_in(&replay, "held").await;

    later(&relay, DAY * 15).await;
    // So it was looked at.
    forgotten(tenant, &unwanted).await;
    assert_eq!(body(tenant, &event).await, Some(BODY.to_owned()));
    tenant.act(&format!("{}/resume", destination.path())).await.is(200);
    tenant.delivery_in(&replay, "delivered").await;
    assert_eq!(receiver.wait_for(3).await[2].body, BODY);
    later(&relay, DAY).await;
    forgotten(tenant, &event).await;
}

async fn how_long_is_said_by_the_operator(database: Database) {
    let plan = Relay::plan(database);
    let plan = plan.setting("HOOKYARD_RETENTION_PAYLOAD", "2d").setting("HOOKYARD_RETENTION_METADATA", "4d");
    let relay = plan.start().await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let event = route.source.post(BODY).await.event_id();
    route.tenant.settled(&event).await;
    later(&relay, DAY * 3).await;
    forgotten(&route.tenant, &event).await;
    assert_eq!(route.tenant.event(&event).await["id"], event.as_str());
    later(&relay, DAY * 2).await;
    eventually("the event to be forgotten", async || {
        (route.tenant.get(&format!("/events/{event}")).await.status == 404).then_some(())
    })
    .await;
}

async fn a_body_is_erased_when_somebody_says_so(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (tenant, source, destination) = (&route.tenant, &route.source, &route.destination);
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    let [erased, kept] = [source.post(BODY).await.event_id(), source.post(BODY).await.event_id()];
    held(tenant, &kept).await;
    let other = relay.tenant("other").await;
    let _ = other.delete(&format!("/events/{erased}/body")).await.problem(404);
    for _ in 0..2 {
        tenant.delete(&format!("/events/{erased}/body")).await.is(204);
    }
    let _ = tenant.get(&format!("/events/{erased}/body")).await.problem(410);
    assert_eq!(tenant.event(&erased).await["headers"], Value::Null);
    let _ = tenant.post(&format!("/events/{erased}/replay"), json!({})).await.problem(410);

    tenant.act(&format!("{}/resume", destination.path())).await.is(200);
    let ended = tenant.settled(&erased).await;
    assert_eq!((&ended[0]["state"], &ended[0]["reason"]), (&json!("failed"), &json!("payload expired")));
    tenant.settled(&kept).await;
    assert_eq!(receiver.order(), [kept]);
}

/// The bytes themselves, not only the row: of small bodies, which share a page with others, and of large ones, which have pages
/// of their own.
async fn of_what_is_erased_no_byte_is_left_in_the_file(database: Database) {
    const CANARY: &str = "a name, a date of birth, a number of a passport";
    let relay = Relay::start(database.clone()).await;
    // As one does that says what it did not like.
    let receiver = Receiver::always(Reply::status(503).body(CANARY.repeat(300))).await;
    let route = relay.route_tried(&receiver, Some(&[0])).await;
    let (tenant, source) = (&route.tenant, &route.source);
    for times in [1, 2, 2_000] {
        let event = source.post(json!({ "event": CANARY.repeat(times) }).to_string()).await.event_id();
        tenant.settled(&event).await;
        end(&relay).await;
        assert!(contents(&database).contains(CANARY), "this shows nothing");
        relay.start_again().await;
        tenant.delete(&format!("/events/{event}/body")).await.is(204);
        end(&relay).await;
        assert!(!contents(&database).contains(CANARY), "{times} times");
        relay.start_again().await;
    }
}

/// Sends an event and waits for the end of its delivery. Gives that.
async fn ended(tenant: &Tenant, source: &Source, state: &str) -> String {
    let event = source.post(BODY).await.event_id();
    let ended = tenant.settled(&event).await;
    assert_eq!(ended[0]["state"], state, "{ended:#?}");
    text(&ended[0], "id")
}

/// The only attempt of a delivery.
async fn attempt(tenant: &Tenant, delivery: &str) -> Value {
    let log = tenant.delivery(delivery).await["attempt_log"].clone();
    assert_eq!(log.as_array().map(Vec::len), Some(1), "{log:#}");
    log[0].clone()
}

/// Waits until the answer is forgotten. Gives what is left of the attempt.
async fn unanswered(tenant: &Tenant, delivery: &str) -> Value {
    eventually("the answer to be forgotten", async || {
        let attempt = attempt(tenant, delivery).await;
        attempt["response_body"].is_null().then_some(attempt)
    })
    .await
}

/// In order, so that nothing is left in the log.
async fn end(relay: &Relay) {
    let process = &relay.apis[0];
    process.terminate();
    assert!(process.ended().await.success());
}

/// Of all files of a database on SQLite.
fn contents(database: &Database) -> String {
    let path = database.url().trim_start_matches("sqlite://").to_owned();
    let files = ["", "-wal", "-journal"].map(|of| std::fs::read(format!("{path}{of}")).unwrap_or_default());
    String::from_utf8_lossy(&files.concat()).into_owned()
}

async fn operators_see_how_large_it_is(database: Database) {
    let relay = Relay::start(database).await;
    let told = if relay.is_one_process() { "all" } else { "pending" };
    eventually("the size of a table", async || {
        let page = Client::of(&relay.workers[0]).operations("/metrics").await.text();
        let value =
            page.lines().find_map(|line| line.strip_prefix(&format!("hookyard_table_bytes{{table=\"{told}\"}} ")));
        value.and_then(|bytes| bytes.parse::<f64>().ok()).filter(|bytes| *bytes >= 4096.0)
    })
    .await;
}

async fn days_are_made_beside_whoever_reads_for_long(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let reader = database.connection().await;
    let reading = reader.begin().await.unwrap();
    reading.execute_unprepared("SELECT count(*) FROM event").await.unwrap();

    later(&relay, DAY * 2).await;
    if database.is_postgres() {
        let last = chrono::DateTime::from_timestamp_millis(relay.clock.now_ms()).unwrap() + DAY * 14;
        let days = format!("SELECT count(*) FROM pg_class WHERE relname = 'attempt_{}'", last.format("%Y%m%d"));
        eventually("the days to be made", async || (database.number(&days).await == 1).then_some(())).await;
    }
    let event = route.source.post(BODY).await.event_id();
    route.tenant.settled(&event).await;
    reading.rollback().await.unwrap();
}

/// Statements that name all days lock the table first and then each of them. Whoever drops a day has to do the same: else it
/// has what they wait for, and waits for what they have.
async fn who_forgets_a_day_takes_nothing_before_it_may(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let event = route.source.post(BODY).await.event_id();
    route.tenant.settled(&event).await;
    let reader = database.connection().await;
    let reading = reader.begin().await.unwrap();
    reading.execute_unprepared("SELECT 1 FROM ONLY payload LIMIT 1").await.unwrap();

    relay.clock.advance(DAY * 32);
    let taken = "SELECT CASE WHEN count(DISTINCT waiting.pid) = 0 THEN -1 ELSE count(held.pid) END
        FROM pg_locks waiting LEFT JOIN pg_locks held
            ON held.pid = waiting.pid AND held.granted AND held.locktype = 'relation' AND held.mode = 'AccessExclusiveLock'
        WHERE waiting.relation = 'payload'::regclass AND NOT waiting.granted";
    let mut leapt = Instant::now();
    let taken = eventually("somebody to wait", async || {
        if leapt.elapsed() > Duration::from_secs(5) {
            relay.clock.advance(AFTER_A_LOCK);
            leapt = Instant::now();
        }
        let taken = database.number(taken).await;
        (taken >= 0).then_some(taken)
    })
    .await;
    assert_eq!(taken, 0, "what is taken already keeps others waiting");
    reading.rollback().await.unwrap();
    relay.clock.advance(AFTER_A_LOCK);
    relay
        .pass_time_until("the body to be forgotten", async || body(&route.tenant, &event).await.is_none().then_some(()))
        .await;
}

/// Days are made ahead for two weeks: after a longer leap nobody is ready before there are some again.
async fn later(relay: &Relay, by: Duration) {
    relay.clock.advance(by);
    relay.clock_is_followed().await;
    for process in relay.processes() {
        eventually("days to be there again", async || {
            (Client::of(process).operations("/readyz").await.status == 200).then_some(())
        })
        .await;
    }
}

/// What is kept of an event's body.
async fn body(tenant: &Tenant, event: &str) -> Option<String> {
    let answer = tenant.get(&format!("/events/{event}/body")).await;
    (answer.status == 200).then(|| answer.text())
}

async fn forgotten(tenant: &Tenant, event: &str) {
    eventually("the body to be forgotten", async || body(tenant, event).await.is_none().then_some(())).await;
    let _ = tenant.get(&format!("/events/{event}/body")).await.problem(410);
}

async fn held(tenant: &Tenant, event: &str) {
    eventually("it to be held", async || (tenant.deliveries(event).await.first()?["state"] == "held").then_some(()))
        .await;
}

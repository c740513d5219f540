//! Headers and bodies that are sealed at rest: nobody notices but whoever looks into the database.

use harness::answer::text;
use harness::metrics::Metrics;
use harness::ondato::APPROVED;
use harness::{
    Client, Database, Receiver, Relay, Reply, Tenant, Value, eventually, json, on_each_database, on_postgres,
};

on_each_database![
    nothing_of_what_came_stands_in_the_database,
    what_was_stored_otherwise_is_read_all_the_same,
    with_its_tenant_a_key_goes,
    what_cannot_be_opened_waits_and_holds_up_nobody,
    an_answer_that_cannot_be_opened_is_left_out,
    a_replay_of_many_leaves_out_what_cannot_be_opened,
];
on_postgres![two_processes_make_one_key];

const CANARY: &str = "a name, a date of birth, a number of a passport";

fn sealing(database: &Database, seals: bool) -> harness::relay::Plan {
    Relay::plan(database.clone()).setting("HOOKYARD_SEAL_PAYLOADS", seals.to_string())
}

async fn nothing_of_what_came_stands_in_the_database(database: Database) {
    let relay = sealing(&database, true).start().await;
    // The second attempt reads what is stored, wherever the first had it from.
    let asked = format!("what is {CANARY}?");
    let receiver = Receiver::answering([Reply::status(500).body(asked.clone()), Reply::status(200)]).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let told = json!({ "order": { "mode": "fifo", "key": "json:/person" }, "retry": { "schedule_s": [0, 1] } });
    let destination = tenant.destination_with(&receiver, told).await;
    tenant.subscribe(&destination, &["*"]).await;

    let body = format!("{{ \"Type\": \"{APPROVED}\",\t\"person\": \"{CANARY}\", \"n\": 1.0 }}");
    let event = source.post_with(&[("x-canary", CANARY)], body.clone()).await.event_id();
    relay.pass_time_until("it to arrive", async || (receiver.count() > 1).then_some(())).await;
    let delivery = text(&tenant.settled(&event).await[0], "id");
    let failed = &tenant.delivery(&delivery).await["attempt_log"][0];
    assert_eq!(failed["response_body"], asked);
    assert!(failed["response_headers"].is_array(), "{failed:#}");
    let replayed = tenant.post(&format!("/events/{event}/replay"), json!({})).await.json(202);
    tenant.delivery_in(&text(&replayed["deliveries"][0], "id"), "delivered").await;
    let bodies: Vec<_> = receiver.requests().iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, vec![body.clone(); 3]);
    assert_eq!(tenant.get(&format!("/events/{event}/body")).await.text(), body);
    let headers = tenant.event(&event).await["headers"].to_string();
    assert!(headers.contains(&format!(r#"["x-canary","{CANARY}"]"#)), "{headers}");
    let simulated = json!({ "event_type": APPROVED });
    let _ = tenant.post(&format!("/sources/{}/simulate", source.id), simulated).await.json(202);
    let _ = tenant.post(&format!("{}/test", destination.path()), json!({})).await.json(202);

    assert_eq!(database.number("SELECT count(*) FROM payload").await, 3);
    assert_eq!(database.number("SELECT count(*) FROM payload WHERE headers <> 'sealed'").await, 0);
    assert_eq!(database.number("SELECT count(*) FROM attempt WHERE response_headers = 'sealed'").await, 1);
    assert_eq!(database.columns_with(&[CANARY]).await, [] as [&str; 0]);
    // This sees it where it is.
    let columns = database.columns_with(&[&tenant.slug]).await;
    assert!(columns.contains(&"tenant.slug".to_owned()), "{columns:?}");
}

async fn what_was_stored_otherwise_is_read_all_the_same(database: Database) {
    let receiver = Receiver::start().await;
    let mut relay = sealing(&database, false).start().await;
    let route = relay.route(&receiver).await;
    let mut events = Vec::new();
    for (round, seals) in [false, true, false].into_iter().enumerate() {
        if round > 0 {
            for process in relay.processes() {
                process.terminate();
                process.ended().await;
            }
            relay = sealing(&database, seals).at(relay.clock.now_ms()).start().await;
        }
        let (tenant, source) = (route.tenant.at(&relay.apis[0]), route.source.at(&relay.apis[0]));
        events.push(source.post(body(round)).await.event_id());
        let is_sealed = database.number("SELECT count(*) FROM payload WHERE headers = 'sealed'").await;
        assert_eq!(is_sealed, i64::from(round > 0), "round {round}");
        let floor = "SELECT count(*) FROM schema_floor WHERE migration LIKE '%_payload_keys'";
        assert_eq!(database.number(floor).await, is_sealed, "older programs would send what they cannot open");
        for (number, event) in events.iter().enumerate() {
            tenant.settled(event).await;
            assert_eq!(tenant.get(&format!("/events/{event}/body")).await.text(), body(number));
            let replayed = tenant.post(&format!("/events/{event}/replay"), json!({})).await.json(202);
            tenant.delivery_in(&text(&replayed["deliveries"][0], "id"), "delivered").await;
            assert_eq!(receiver.requests().last().unwrap().body, body(number));
        }
    }
}

fn body(number: usize) -> String {
    json!({ "Type": APPROVED, "number": number }).to_string()
}

/// At once, however long it takes until the last of its rows is gone.
async fn with_its_tenant_a_key_goes(database: Database) {
    let relay = sealing(&database, true).start().await;
    let receiver = Receiver::start().await;
    let (gone, stays) = (relay.route(&receiver).await, relay.route(&receiver).await);
    let event = stays.source.post(body(1)).await.event_id();
    gone.tenant.settled(&gone.source.post(body(2)).await.event_id()).await;
    assert_eq!(database.number("SELECT count(*) FROM payload_key").await, 2);

    relay.operator().delete(&format!("/v1/tenants/{}", gone.tenant.id)).await.is(202);

    assert_eq!(database.number("SELECT count(*) FROM payload_key").await, 1);
    assert_eq!(stays.tenant.get(&format!("/events/{event}/body")).await.text(), body(1));
}

/// It is our fault, so it is not given up; and it says nothing of a destination.
async fn what_cannot_be_opened_waits_and_holds_up_nobody(database: Database) {
    let relay = sealing(&database, true).start().await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    tenant.act(&format!("{}/pause", route.destination.path())).await.is(200);
    let [hurt, whole] = [route.source.post(body(1)).await.event_id(), route.source.post(body(2)).await.event_id()];
    relay.kill();
    damage(&database, "payload", &hurt).await;
    relay.start_again().await;
    let tenant = &tenant.at(&relay.apis[0]);
    tenant.act(&format!("{}/resume", route.destination.path())).await.is(200);

    assert_eq!(tenant.settled(&whole).await[0]["state"], "delivered");
    eventually("it to be put off", async || {
        let page = Client::of(&relay.workers[0]).operations("/metrics").await.text();
        let put_off = Metrics::read(&page).one(r#"hookyard_attempts_put_off_total{reason="unusable"}"#);
        (put_off >= 1.0).then_some(())
    })
    .await;
    assert_pending(tenant, &hurt).await;
    let shown = tenant.event(&hurt).await;
    assert_eq!((&shown["id"], &shown["headers"]), (&json!(hurt), &Value::Null), "{shown:#}");
    assert_eq!(tenant.get(&format!("/events/{hurt}/body")).await.status, 500);
    let logged = relay.workers[0].logged();
    assert!(logged.contains(&hurt), "{logged}");

    // Whoever gives it up is told the truth.
    tenant.delete(&format!("/events/{hurt}/body")).await.is(204);
    let asked = async || (tenant.deliveries(&hurt).await[0]["state"] == "failed").then_some(());
    relay.pass_time_until("it to be given up", asked).await;
    assert_eq!(tenant.deliveries(&hurt).await[0]["reason"], "payload expired");
    assert_eq!(receiver.order(), [whole]);
}

async fn assert_pending(tenant: &Tenant, event: &str) {
    let delivery = tenant.delivery_of(event).await;
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("pending"), &json!(0)), "{delivery:#}");
}

/// What is known otherwise of the attempt is shown.
async fn an_answer_that_cannot_be_opened_is_left_out(database: Database) {
    let relay = sealing(&database, true).start().await;
    let receiver = Receiver::answering([Reply::status(500).body("why"), Reply::status(200)]).await;
    let route = relay.route_tried(&receiver, Some(&[0, 1])).await;
    let event = route.source.post(body(1)).await.event_id();
    relay.pass_time_until("it to arrive", async || (receiver.count() > 1).then_some(())).await;
    let delivery = text(&route.tenant.settled(&event).await[0], "id");
    assert_eq!(route.tenant.delivery(&delivery).await["attempt_log"][0]["response_body"], "why");

    damage(&database, "attempt", &delivery).await;

    let failed = &route.tenant.delivery(&delivery).await["attempt_log"][0];
    assert_eq!((&failed["status"], &failed["response_body"]), (&json!(500), &Value::Null), "{failed:#}");
}

/// Its line stands in it, and nobody knows behind what it would have to wait.
async fn a_replay_of_many_leaves_out_what_cannot_be_opened(database: Database) {
    let relay = sealing(&database, true).start().await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let told = json!({ "order": { "mode": "fifo", "key": "json:/Type" } });
    let destination = tenant.destination_with(&receiver, told).await;
    tenant.subscribe(&destination, &["*"]).await;
    let mut events = Vec::new();
    for number in 0..3 {
        events.push(source.post(body(number)).await.event_id());
        tenant.settled(&events[number]).await;
    }
    damage(&database, "payload", &events[1]).await;

    let replay = text(&tenant.post("/replays", json!({ "filter": {} })).await.json(202), "id");
    let replay = eventually("the replay to be completed", async || {
        let read = tenant.get(&format!("/replays/{replay}")).await.json(200);
        Some(read).filter(|replay| replay["state"] == "completed")
    })
    .await;
    assert_eq!((&replay["sent"]["deliveries"], &replay["skipped"]), (&json!(2), &json!(1)), "{replay:#}");
    eventually("the others to be sent again", async || (receiver.count() == 5).then_some(())).await;
    let again: Vec<_> = receiver.requests()[3..].iter().map(|it| it.one("webhook-id").to_owned()).collect();
    assert_eq!(again, [events[0].clone(), events[2].clone()]);
}

/// Whoever is first makes it for both.
async fn two_processes_make_one_key(database: Database) {
    let relay = sealing(&database, true).apis(2).start().await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    relay.changes_are_heard().await;
    let [one, other] = [0, 1].map(|api| route.source.at(&relay.apis[api]));

    let held = database.hold_writes_to("payload_key").await;
    let both_wait = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
            AND wait_event_type = 'Lock' AND query LIKE '%INSERT INTO payload_key%'";
        eventually("both to make one", async || (database.number(waiting).await == 2).then_some(())).await;
        held.release().await;
    };
    let (first, second, ()) = tokio::join!(one.post(body(0)), other.post(body(1)), both_wait);

    let of_theirs = format!("tenant_id = '{}'", route.tenant.id.parse::<relay::id::TenantId>().unwrap().uuid());
    let count = async |rows: &str| database.number(&format!("SELECT count(*) FROM {rows} AND {of_theirs}")).await;
    assert_eq!(count("payload_key WHERE true").await, 1);
    assert_eq!(count("payload WHERE headers = 'sealed'").await, 2);
    for (number, event) in [first.event_id(), second.event_id()].into_iter().enumerate() {
        assert_eq!(route.tenant.settled(&event).await[0]["state"], "delivered");
        for api in &relay.apis {
            let read = route.tenant.at(api).get(&format!("/events/{event}/body")).await;
            assert_eq!(read.text(), body(number));
        }
    }
}

/// As a disk or somebody's hand might do it, to a row of an event's payload or a delivery's attempt.
async fn damage(database: &Database, table: &str, of: &str) {
    let (column, body, id) = match table {
        "payload" => ("event_id", "body", of.parse::<relay::id::EventId>().unwrap().uuid()),
        _ => ("delivery_id", "response_body", of.parse::<relay::id::DeliveryId>().unwrap().uuid()),
    };
    let id = if database.is_postgres() { format!("'{id}'") } else { format!("x'{}'", id.simple()) };
    let cut = format!("substr({body}, 1, length({body}) - 1)");
    database.execute(&format!("UPDATE {table} SET {body} = {cut} WHERE {column} = {id}")).await;
}

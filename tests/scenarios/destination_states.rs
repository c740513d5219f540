//! Destinations that are paused, disabled, or well again: what becomes of their deliveries, and who is told.

use std::time::{Duration, Instant};

use harness::answer::{items, text};
use harness::ondato::APPROVED;
use harness::wait::PATIENCE;
use harness::{
    Database, Destination, Receiver, Relay, Reply, Source, Tenant, Value, eventually, json, on_each_database,
    signature, within,
};

on_each_database![
    after_a_pause_deliveries_begin_slowly_and_in_order,
    who_is_gone_is_asked_no_more,
    after_five_days_without_a_success_it_is_disabled_and_probed,
    a_success_in_between_begins_the_five_days_anew,
    what_is_not_sent_proves_nothing,
    a_person_is_believed,
    what_happens_to_destinations_is_an_event_like_any_other,
    the_built_in_source_is_as_it_is,
];

const HOUR: Duration = Duration::from_secs(3600);
const FIVE_DAYS: Duration = Duration::from_secs(120 * 3600);

async fn after_a_pause_deliveries_begin_slowly_and_in_order(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, free) = (Receiver::start().await, Receiver::start().await);
    let (tenant, source, destination) = watched(&relay, &receiver, &free, json!({})).await;
    act(&tenant, &destination, "pause").await;
    let events = source.send_many(30, 1, |_| APPROVED.to_owned()).await;
    held(&tenant, &events[29], &destination).await;
    let receiver = receiver.otherwise(Reply::status(200).held());

    act(&tenant, &destination, "resume").await;
    receiver.wait_for(1).await;
    source.send(APPROVED).await;
    // What is told of the destination comes to the other one as well.
    free.wait_for(2 + 31).await;
    assert_eq!((receiver.count(), &receiver.order()[0]), (1, &events[0]), "one at first, the oldest");
    receiver.release();

    receiver.wait_for(31).await;
    assert!(events.iter().all(|event| receiver.ids().contains(event)));
    assert_eq!(receiver.count(), 31);
}

async fn who_is_gone_is_asked_no_more(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, free) = (Receiver::answering([410]).await, Receiver::start().await);
    let (tenant, source, destination) = watched(&relay, &receiver, &free, json!({})).await;

    let event = source.send(APPROVED).await;
    let disabled = state(&tenant, &destination, "disabled").await;
    assert!(text(&disabled, "state_reason").starts_with("gone: "), "{disabled:#}");
    // Its state and the attempt are written by two hands.
    let delivery =
        delivery_when(&tenant, &event, &destination, |it| it["state"] == "held" && it["attempts"] == 1).await;
    assert_eq!(delivery["last_status"], 410);
    let later = source.send(APPROVED).await;
    held(&tenant, &later, &destination).await;
    relay.clock.advance(HOUR * 3);
    assert_eq!(receiver.count(), 1);
    assert_eq!(audited(&relay, "disable").await, 1);

    act(&tenant, &destination, "resume").await;
    receiver.wait_for(3).await;
    for event in [&event, &later] {
        assert!(tenant.settled(event).await.iter().all(|it| it["state"] == "delivered"));
    }
}

async fn after_five_days_without_a_success_it_is_disabled_and_probed(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, free) = (Receiver::always(500).await, Receiver::start().await);
    let told = json!({ "retry": { "schedule_s": [0] } });
    let (tenant, source, destination) = watched(&relay, &receiver, &free, told).await;
    source.send(APPROVED).await;
    failing(&tenant, &destination).await;
    relay.clock.advance(FIVE_DAYS - HOUR);
    relay.clock_is_followed().await;
    let early = source.send(APPROVED).await;
    assert_eq!(ended(&tenant, &early, &destination).await["state"], "failed");
    assert_eq!(tenant.get(&destination.path()).await.json(200)["state"], "active", "not yet");

    relay.clock.advance(HOUR);
    relay.clock_is_followed().await;
    source.send(APPROVED).await;
    let disabled = state(&tenant, &destination, "disabled").await;
    assert!(text(&disabled, "state_reason").starts_with("failing: "), "{disabled:#}");
    let waiting = source.send(APPROVED).await;
    let delivery = held(&tenant, &waiting, &destination).await;
    assert_eq!(receiver.count(), 3);

    // Probes that fail are no attempts.
    for count in [4, 5] {
        probed(&relay, &receiver, count).await;
    }
    assert_eq!(tenant.delivery(&text(&delivery, "id")).await, delivery);
    receiver.recover();
    probed(&relay, &receiver, 6).await;

    let healed = state(&tenant, &destination, "active").await;
    assert_eq!((&healed["state_reason"], &healed["failing_since"]), (&Value::Null, &Value::Null));
    let delivered = tenant.delivery_in(&text(&delivery, "id"), "delivered").await;
    assert_eq!(delivered["attempts"], 1);
    assert!(
        receiver.requests()[3..].iter().all(|request| request.one("webhook-id") == waiting),
        "the oldest that waits"
    );
    assert_eq!((audited(&relay, "disable").await, audited(&relay, "heal").await), (1, 1));
    // That it fails is told after an hour of it, when somebody looks.
    let heard = operational(&free).into_iter().filter(|it| it["type"] != "destination.failing").collect::<Vec<_>>();
    assert_eq!(
        heard.iter().map(|it| text(it, "type")).collect::<Vec<_>>(),
        ["destination.disabled", "destination.healed"]
    );
    assert_eq!(heard[0]["data"]["destination_id"], destination.id.as_str());
}

/// Lets hours pass until it was probed so often: who loses its shards in the leap and takes them again waits for the next.
async fn probed(relay: &Relay, receiver: &Receiver, count: usize) {
    let mut leapt: Option<Instant> = None;
    within(PATIENCE * 2, "a probe", async || {
        if leapt.is_none_or(|leapt| leapt.elapsed() > Duration::from_secs(5)) {
            relay.clock.advance(HOUR + Duration::from_secs(1));
            leapt = Some(Instant::now());
        }
        (receiver.count() >= count).then_some(())
    })
    .await;
}

async fn a_success_in_between_begins_the_five_days_anew(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, free) = (Receiver::answering([500, 200, 500]).await, Receiver::start().await);
    let told = json!({ "retry": { "schedule_s": [0] } });
    let (tenant, source, destination) = watched(&relay, &receiver, &free, told).await;
    source.send(APPROVED).await;
    failing(&tenant, &destination).await;
    relay.clock.advance(FIVE_DAYS / 2);
    relay.clock_is_followed().await;
    tenant.settled(&source.send(APPROVED).await).await;
    eventually("it to be well", async || {
        tenant.get(&destination.path()).await.json(200)["failing_since"].is_null().then_some(())
    })
    .await;
    // Whoever takes the shard over goes by what was written.
    relay.kill();
    relay.start_again().await;
    relay.clock.advance(FIVE_DAYS);
    let (tenant, source) = (tenant.at(&relay.apis[0]), source.at(&relay.apis[0]));
    relay.clock_is_followed().await;

    let failed = source.send(APPROVED).await;
    assert_eq!(ended(&tenant, &failed, &destination).await["state"], "failed");
    failing(&tenant, &destination).await;
    assert_eq!(tenant.get(&destination.path()).await.json(200)["state"], "active");
}

/// The oldest that waits is to find out whether the destination is well again; if it is held back by a filter, the next is.
async fn what_is_not_sent_proves_nothing(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, free) = (Receiver::always(500).await, Receiver::start().await);
    let told = json!({ "retry": { "schedule_s": [0] } });
    let (tenant, source, destination) = watched(&relay, &receiver, &free, told).await;
    tenant.settled(&source.send(APPROVED).await).await;
    failing(&tenant, &destination).await;
    relay.clock.advance(FIVE_DAYS + HOUR);
    relay.clock_is_followed().await;
    source.send(APPROVED).await;
    state(&tenant, &destination, "disabled").await;
    let subscriptions = items(&tenant.get("/subscriptions").await.json(200));
    let own = subscriptions.iter().find(|it| it["destination_id"] == destination.id.as_str()).unwrap();
    let filter = json!({ "filter": { "headers": { "x-wanted": "yes" } } });
    tenant.patch(&format!("/subscriptions/{}", text(own, "id")), filter).await.succeeded();
    let unwanted = source.send_many(3, 1, |_| APPROVED.to_owned()).await;
    let wanted = source.post_with(&[("x-wanted", "yes")], harness::ondato::event(APPROVED)).await.event_id();
    held(&tenant, &wanted, &destination).await;
    receiver.recover();
    relay.clock.advance(HOUR);

    state(&tenant, &destination, "active").await;
    assert_eq!(ended(&tenant, &wanted, &destination).await["state"], "delivered");
    for event in unwanted {
        assert_eq!(ended(&tenant, &event, &destination).await["state"], "filtered");
    }
}

/// Whoever resumes a destination, or gives it another URL, says that it is well.
async fn a_person_is_believed(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, free) = (Receiver::always(500).await, Receiver::start().await);
    let told = json!({ "retry": { "schedule_s": [0] } });
    let (tenant, source, destination) = watched(&relay, &receiver, &free, told).await;
    for change in ["resume", "url"] {
        // No attempt may still be on its way when five days pass.
        tenant.settled(&source.send(APPROVED).await).await;
        failing(&tenant, &destination).await;
        relay.clock.advance(FIVE_DAYS + HOUR);
        relay.clock_is_followed().await;
        if change == "resume" {
            source.send(APPROVED).await;
            state(&tenant, &destination, "disabled").await;
            act(&tenant, &destination, "resume").await;
        } else {
            let url = receiver.url_of("/another");
            tenant.patch(&destination.path(), json!({ "url": url })).await.succeeded();
        }
        // A worker that has not heard of the change yet has it from the attempt of an hour ago that it fails.
        eventually("the failure to be noted", async || {
            tenant.settled(&source.send(APPROVED).await).await;
            let shown = tenant.get(&destination.path()).await.json(200);
            assert_eq!(shown["state"], "active", "{change}");
            (!shown["failing_since"].is_null()).then_some(())
        })
        .await;
    }
}

async fn what_happens_to_destinations_is_an_event_like_any_other(database: Database) {
    let relay = Relay::start(database).await;
    let (receiver, told, named, stranger) =
        (Receiver::start().await, Receiver::start().await, Receiver::answering([500]).await, Receiver::start().await);
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let own = tenant.destination_with(&receiver, json!({ "operational": true })).await;
    tenant.subscribe(&own, &["*"]).await;
    let other = tenant.destination_with(&told, json!({ "operational": true })).await;
    tenant.subscribe(&other, &["*"]).await;
    let by_name = tenant.destination_tried(&named, &[0, 1]).await;
    let built_in = text(&items(&tenant.get("/sources").await.json(200))[1], "id");
    let wanted =
        json!({ "destination_id": by_name.id, "source_ids": [built_in], "event_types": ["destination.paused"] });
    tenant.post("/subscriptions", wanted).await.succeeded();
    let quiet = tenant.destination(&stranger).await;
    tenant.subscribe(&quiet, &["*"]).await;
    let neighbour = relay.route(&stranger).await;

    act(&tenant, &own, "pause").await;
    act(&tenant, &own, "pause").await;
    act(&tenant, &own, "resume").await;

    told.wait_for(2).await;
    let paused = named.wait_for(1).await[0].clone();
    relay.clock.advance(Duration::from_secs(2));
    assert!(named.wait_for(2).await.iter().all(|it| it.one("webhook-id") == paused.one("webhook-id")), "tried again");
    assert!(signature::is_signed(&paused, &by_name.signing_secret));
    assert_eq!(paused.one("hookyard-event-type"), "destination.paused");
    let body: Value = serde_json::from_slice(&paused.body).unwrap();
    assert_eq!((&body["data"]["destination_id"], &body["data"]["state"]), (&json!(own.id), &json!("paused")));
    let event = tenant.event(paused.one("webhook-id")).await;
    assert_eq!((&event["source_id"], &event["attributes"]["state"]), (&json!(built_in), &json!("paused")));

    // Nobody else hears of it: what was sent after it has arrived everywhere.
    let sentinels = [source.send(APPROVED).await, neighbour.source.send(APPROVED).await];
    stranger.wait_for(2).await;
    receiver.wait_for(1).await;
    assert_eq!(stranger.ids(), sentinels.clone().into());
    assert_eq!(receiver.order(), sentinels[..1], "no destination hears of itself");
    let (mut types, expected) = (heard_types(&told), ["destination.paused", "destination.resumed"]);
    types.sort();
    assert_eq!(types, expected);
}

async fn the_built_in_source_is_as_it_is(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let receiver = Receiver::start().await;
    let destination = tenant.destination_with(&receiver, json!({ "operational": true })).await;
    tenant.subscribe(&destination, &["*"]).await;
    let sources = items(&tenant.get("/sources").await.json(200));
    let (path, id) = (format!("/sources/{}", text(&sources[0], "id")), text(&sources[0], "id"));
    assert_eq!((sources.len(), &sources[0]["provider"]), (1, &json!("hookyard")));
    assert_eq!(tenant.get(&path).await.json(200)["id"], id.as_str());

    let told = "This source is built in";
    let credential = json!({ "kind": "basic", "username": "u", "password": "correct horse battery" });
    for refused in [
        tenant.patch(&path, json!({ "enabled": false })).await,
        tenant.delete(&path).await,
        tenant.act(&format!("{path}/rotate-url")).await,
        tenant.post(&format!("{path}/credentials"), credential).await,
    ] {
        assert!(text(&refused.problem(409), "detail").starts_with(told), "{refused}");
    }
    let another = json!({ "name": "in", "provider": "hookyard", "verification": { "kind": "none" } });
    assert_eq!(tenant.post("/sources", another).await.problem(422)["errors"][0]["pointer"], "/provider");

    let simulation = json!({ "event_type": "destination.disabled" });
    let simulated = tenant.post(&format!("{path}/simulate"), simulation).await.json(202);
    let arrived = receiver.wait_for(1).await[0].clone();
    assert_eq!(
        (arrived.one("webhook-id"), arrived.one("hookyard-test")),
        (text(&simulated, "event_id").as_str(), "true")
    );
}

/// A tenant whose events go to two destinations, of which the second hears what happens to the first.
async fn watched(relay: &Relay, receiver: &Receiver, free: &Receiver, told: Value) -> (Tenant, Source, Destination) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let destination = tenant.destination_with(receiver, told).await;
    tenant.subscribe(&destination, &["*"]).await;
    let other = tenant.destination_with(free, json!({ "operational": true })).await;
    tenant.subscribe(&other, &["*"]).await;
    (tenant, source, destination)
}

async fn act(tenant: &Tenant, destination: &Destination, action: &str) {
    tenant.act(&format!("{}/{action}", destination.path())).await.succeeded();
}

/// Waits until the destination is in this state, and shows it.
async fn state(tenant: &Tenant, destination: &Destination, state: &str) -> Value {
    eventually(&format!("it to be {state}"), async || {
        let shown = tenant.get(&destination.path()).await.json(200);
        (shown["state"] == state).then_some(shown)
    })
    .await
}

/// Waits until it is noted that the destination fails.
async fn failing(tenant: &Tenant, destination: &Destination) {
    eventually("the failure to be noted", async || {
        let shown = tenant.get(&destination.path()).await.json(200);
        (!shown["failing_since"].is_null()).then_some(())
    })
    .await;
}

/// Waits until the event's delivery to this destination is held.
async fn held(tenant: &Tenant, event: &str, destination: &Destination) -> Value {
    delivery_when(tenant, event, destination, |it| it["state"] == "held").await
}

async fn ended(tenant: &Tenant, event: &str, destination: &Destination) -> Value {
    delivery_when(tenant, event, destination, |it| it["state"] != "pending" && it["state"] != "held").await
}

async fn delivery_when(
    tenant: &Tenant,
    event: &str,
    destination: &Destination,
    is: impl Fn(&Value) -> bool + Copy,
) -> Value {
    let deliveries = tenant.deliveries(event).await;
    let delivery = deliveries.iter().find(|it| it["destination_id"] == destination.id.as_str()).unwrap();
    tenant.delivery_when(&text(delivery, "id"), "as it is waited for", is).await
}

/// The bodies of what was told of destinations.
fn operational(receiver: &Receiver) -> Vec<Value> {
    let told = |request: &harness::receiver::Request| request.one("hookyard-event-type").starts_with("destination.");
    let requests = receiver.requests().into_iter().filter(told);
    requests.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

fn heard_types(receiver: &Receiver) -> Vec<String> {
    operational(receiver).iter().map(|it| text(it, "type")).collect()
}

/// How often the audit log says that this was done.
async fn audited(relay: &Relay, action: &str) -> i64 {
    relay.database.number(&format!("SELECT count(*) FROM audit WHERE action = '{action}' AND actor IS NULL")).await
}

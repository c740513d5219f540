//! What an attempt can come to when the receiver misbehaves.

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Reply, Tenant, Value, json, on_each_database};

on_each_database![
    nobody_there_is_unreachable,
    no_answer_in_time_is_timed_out,
    a_redirect_is_not_followed,
    of_a_huge_answer_16_kib_are_kept,
];

/// Tried once, and then not before an hour is over.
const ONCE: [u64; 2] = [0, 3_600];

async fn nobody_there_is_unreachable(database: Database) {
    let relay = Relay::start(database).await;
    let attempt = first_attempt(&relay, json!({ "url": Receiver::closed().url() })).await;
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&"unreachable".into(), &Value::Null));
}

async fn no_answer_in_time_is_timed_out(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(Reply::status(200).held()).await;
    let attempt = first_attempt(&relay, json!({ "url": receiver.url(), "timeout_s": 1 })).await;
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&"timed_out".into(), &Value::Null));
    let duration = attempt["duration_ms"].as_u64().unwrap();
    assert!((900..5_000).contains(&duration), "took {duration} ms");
}

async fn a_redirect_is_not_followed(database: Database) {
    let relay = Relay::start(database).await;
    let elsewhere = Receiver::start().await;
    let receiver = Receiver::always(Reply::status(302).header("location", &elsewhere.url())).await;
    let attempt = first_attempt(&relay, json!({ "url": receiver.url() })).await;
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&"rejected".into(), &302.into()));
    assert_eq!(elsewhere.count(), 0);
}

async fn of_a_huge_answer_16_kib_are_kept(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(Reply::status(500).body(vec![b'x'; 1 << 20])).await;
    let attempt = first_attempt(&relay, json!({ "url": receiver.url() })).await;
    assert_eq!((&attempt["outcome"], &attempt["status"]), (&"rejected".into(), &500.into()));
    assert_eq!(text(&attempt, "response_body").len(), 16 * 1024);
}

/// What became of the first attempt at a destination with these fields.
async fn first_attempt(relay: &Relay, mut fields: Value) -> Value {
    let tenant: Tenant = relay.tenant("acme").await;
    fields["name"] = "out".into();
    fields["retry"] = json!({ "schedule_s": ONCE });
    let destination = tenant.destination_of(fields).await;
    tenant.subscribe(&destination, &["*"]).await;
    let event = tenant.source().await.send(APPROVED).await;
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    tenant.delivery_waiting(&delivery, 1).await["attempt_log"][0].clone()
}

//! `Idempotency-Key`: a POST of the admin API that may be repeated.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::answer::{items, text};
use harness::{Answer, Database, Receiver, Relay, Tenant, Value, eventually, json, on_each_database};
use reqwest::Method;
use tokio::task::JoinSet;

on_each_database![
    the_same_post_with_the_same_key_is_done_once,
    another_body_with_the_same_key_is_refused,
    many_at_once_are_done_once,
    a_key_is_forgotten_after_a_day,
    a_refusal_can_be_corrected,
];

async fn the_same_post_with_the_same_key_is_done_once(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let fields = destination().await;

    let first = post(&tenant, "once", &fields).await;
    let second = post(&tenant, "once", &fields).await;
    let other = post(&tenant, "twice", &fields).await;

    assert_eq!(first.json(201), second.json(201), "with its secret, which is shown once");
    assert_ne!(first.json(201)["id"], other.json(201)["id"]);
    assert_eq!(destinations(&tenant).await, 2);
}

async fn another_body_with_the_same_key_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    post(&tenant, "once", &destination().await).await.is(201);

    let _ = post(&tenant, "once", &destination().await).await.problem(422);

    assert_eq!(destinations(&tenant).await, 1);
}

async fn many_at_once_are_done_once(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let tenant = relay.tenant("acme").await;
    let fields = destination().await;

    let mut posts = JoinSet::new();
    for api in relay.apis.iter().cycle().take(20) {
        let (tenant, fields) = (tenant.at(api), fields.clone());
        posts.spawn(async move { post(&tenant, "once", &fields).await });
    }

    let answers = posts.join_all().await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.iter().map(|answer| text(&answer.json(201), "id")).collect::<BTreeSet<_>>().len(), 1);
    for answer in refused {
        let _ = answer.problem(409);
    }
    assert_eq!(destinations(&tenant).await, 1);
}

async fn a_key_is_forgotten_after_a_day(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let fields = destination().await;
    let first = post(&tenant, "once", &fields).await.json(201);

    relay.clock.advance(Duration::from_hours(25));

    eventually("the key to be forgotten", async || {
        (post(&tenant, "once", &fields).await.json(201)["id"] != first["id"]).then_some(())
    })
    .await;
    assert_eq!(destinations(&tenant).await, 2);
}

async fn a_refusal_can_be_corrected(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;

    let _ = post(&tenant, "first", &json!({ "name": "out", "url": "nonsense" })).await.problem(422);
    post(&tenant, "second", &destination().await).await.is(201);

    assert_eq!(destinations(&tenant).await, 1);
}

async fn post(tenant: &Tenant, key: &str, fields: &Value) -> Answer {
    tenant.client.ask_json(Method::POST, &tenant.path("/destinations"), &[("idempotency-key", key)], fields).await
}

/// Fields like no others.
async fn destination() -> Value {
    json!({ "name": "out", "url": Receiver::start().await.url() })
}

async fn destinations(tenant: &Tenant) -> usize {
    items(&tenant.get("/destinations").await.json(200)).len()
}

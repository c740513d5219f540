//! When a tail ends: after its time, with its key, its tenant, and its process.

use std::time::{Duration, Instant};

use harness::answer::text;
use harness::wait::HOLDS_WITHIN;
use harness::{Client, Database, Relay, Tenant, eventually, json, on_each_database};

on_each_database![
    it_ends_when_its_key_is_revoked_or_expires,
    it_ends_when_its_tenant_is_deleted,
    it_ends_after_its_time,
    it_ends_with_the_process,
    a_tenant_has_so_many_tails,
];

/// It looks around twice a second.
const LOOK: Duration = Duration::from_millis(500);

async fn it_ends_when_its_key_is_revoked_or_expires(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let tenant = relay.tenant("acme").await;
    let other = relay.apis.last().unwrap();
    let (holder, id) = key(&tenant, None).await;
    let mut tail = tenant.seen_by(&holder).at(other).tail("").await;
    tenant.delete(&format!("/api-keys/{id}")).await.is(204);
    let revoked = Instant::now();
    assert_eq!(tail.rest().await, []);
    assert!(revoked.elapsed() < HOLDS_WITHIN + LOOK, "{:?}", revoked.elapsed());
    let _ = holder.at(other).get(&tenant.path("/tail")).await.problem(401);

    let (holder, _) = key(&tenant, Some(relay.clock.now_ms() + 60_000)).await;
    let mut tail = tenant.seen_by(&holder).tail("").await;
    relay.clock.advance(Duration::from_secs(61));
    assert_eq!(tail.rest().await, []);
}

async fn it_ends_when_its_tenant_is_deleted(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    // An operator's key stays good.
    let mut tail = tenant.tail("").await;
    relay.operator().delete(&tenant.path("")).await.is(202);
    assert_eq!(tail.rest().await, []);
}

/// A key that may read, and its id.
async fn key(tenant: &Tenant, expires_at: Option<i64>) -> (Client, String) {
    let expires_at = expires_at.and_then(chrono::DateTime::from_timestamp_millis).map(|time| time.to_rfc3339());
    let fields = json!({ "name": "a watcher's", "scopes": ["read"], "expires_at": expires_at });
    let made = tenant.post("/api-keys", fields).await.json(201);
    (tenant.client.with_key(&text(&made, "key")), text(&made, "id"))
}

async fn it_ends_after_its_time(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let (mut short, mut long) = (tenant.tail("?duration_s=60").await, tenant.tail("").await);
    relay.clock.advance(Duration::from_secs(61));
    assert_eq!(short.rest().await, []);
    relay.clock.advance(Duration::from_secs(3_540));
    assert_eq!(long.rest().await, [], "an hour is the longest");
}

async fn it_ends_with_the_process(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let mut tail = tenant.tail("").await;
    let api = &relay.apis[0];
    let told = Instant::now();
    api.terminate();
    assert_eq!(tail.rest().await, []);
    assert!(told.elapsed() < Duration::from_secs(1), "{:?}", told.elapsed());
    let status = api.ended().await;
    assert!(status.success(), "{status}\n{}", api.log());
}

async fn a_tenant_has_so_many_tails(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let mut tails = Vec::new();
    for _ in 0..5 {
        tails.push(tenant.tail("").await);
    }
    let refused = tenant.get("/tail").await;
    let _ = refused.problem(429);
    assert!(refused.header("retry-after").is_some(), "{refused}");
    let _other = other.tail("").await;

    tails.pop();
    let path = tenant.path("/tail?duration_s=1");
    eventually("the place to be free again", async || (tenant.client.get(&path).await.status == 200).then_some(()))
        .await;
}

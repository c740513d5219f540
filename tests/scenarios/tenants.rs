//! Tenants that keep less than others, and tenants that are deleted with all that they had.

use std::time::Duration;

use harness::answer::{items, text};
use harness::{Client, Database, Receiver, Relay, Route, Tenant, Value, eventually, on_each_database};

use reqwest::Method;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::json;

on_each_database![
    a_tenant_may_keep_less_and_never_longer,
    what_waits_for_longer_than_its_tenant_keeps_it_expires,
    a_deleted_tenant_is_frozen_at_once,
    nothing_of_a_deleted_tenant_is_left,
    an_erasure_goes_on_after_a_crash,
];

const DAY: Duration = Duration::from_secs(86_400);

async fn a_tenant_may_keep_less_and_never_longer(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let (short, long) = (relay.route(&receiver).await, relay.route(&receiver).await);
    let usual = relay.operator().get(&path(&short.tenant)).await.json(200);
    assert_eq!(usual["retention"], json!({ "payload_d": 30, "metadata_d": 90 }));
    for (told, word) in [
        (json!({ "payload_d": 31, "metadata_d": 90 }), "/retention/payload_d"),
        (json!({ "payload_d": 30, "metadata_d": 91 }), "/retention/metadata_d"),
        (json!({ "payload_d": 5, "metadata_d": 4 }), "/retention/metadata_d"),
        (json!({ "payload_d": 0, "metadata_d": 4 }), "/retention/payload_d"),
        (json!({ "payload_d": 1 }), "/retention"),
    ] {
        let asked = json!({ "retention": told });
        relay.operator().patch(&path(&short.tenant), asked).await.problem_about(422, &[word]);
    }
    let told = json!({ "payload_d": 2, "metadata_d": 4 });
    let shown = relay.operator().patch(&path(&short.tenant), json!({ "retention": told })).await.json(200);
    assert_eq!(shown["retention"], told);

    let mut sent = Vec::new();
    for route in [&short, &long] {
        let event = route.source.send("a.b").await;
        route.tenant.settled(&event).await;
        sent.push(event);
    }
    relay.clock.advance(DAY * 3);
    relay.clock_is_followed().await;
    gone(&short.tenant, &format!("/events/{}/body", sent[0]), 410).await;
    assert_eq!(short.tenant.event(&sent[0]).await["id"], *sent[0]);
    relay.clock.advance(DAY * 2);
    relay.clock_is_followed().await;
    gone(&short.tenant, &format!("/events/{}", sent[0]), 404).await;
    assert!(items(&short.tenant.get("/deliveries").await.json(200)).is_empty());
    long.tenant.get(&format!("/events/{}/body", sent[1])).await.is(200);
}

async fn what_waits_for_longer_than_its_tenant_keeps_it_expires(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;
    let told = json!({ "retention": { "payload_d": 2, "metadata_d": 90 } });
    relay.operator().patch(&path(&tenant), told).await.is(200);
    tenant.act(&format!("{}/pause", destination.path())).await.is(200);
    let event = source.send("a.b").await;
    eventually("it to be held", async || (tenant.delivery_of(&event).await["state"] == "held").then_some(())).await;

    relay.clock.advance(DAY * 3);
    relay.clock_is_followed().await;
    let ended = tenant.settled(&event).await;
    assert_eq!((&ended[0]["state"], &ended[0]["reason"]), (&json!("failed"), &json!("expired")));
}

async fn a_deleted_tenant_is_frozen_at_once(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let Route { tenant, source, .. } = relay.route_tried(&receiver, Some(&[0, 60, 60])).await;
    let key = tenant.key(json!(["read"])).await;
    let event = source.send("a.b").await;
    tenant.delivery_waiting(&text(&tenant.delivery_of(&event).await, "id"), 1).await;
    let asked = path(&tenant);
    key.get(&asked).await.is(200);
    let _ = key.delete(&asked).await.problem(403);

    let shown = relay.operator().delete(&asked).await.json(202);
    assert!(shown["deletion"]["asked_at"].is_string(), "{shown:#}");
    eventually("its URL to be nobody's", async || (source.post("{}").await.status == 404).then_some(())).await;
    eventually("its key to be nobody's", async || (key.get(&asked).await.status == 401).then_some(())).await;
    let refused = tenant.get("/destinations").await.status;
    assert!([404, 409].contains(&refused), "{refused}");
    let tried = receiver.count();
    relay.clock.advance(Duration::from_secs(90));
    erased(&relay, &tenant).await;
    assert_eq!(receiver.count(), tried, "nothing is sent any more");
    let again = json!({ "name": "Again", "slug": tenant.slug });
    relay.operator().post("/v1/tenants", again).await.problem_about(409, &["slug"]);
}

async fn nothing_of_a_deleted_tenant_is_left(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let receiver = Receiver::always(503).await;
    let (gone, stays) = (full(&relay, &receiver).await, full(&relay, &receiver).await);
    let before = counts(&database, &stays).await;
    assert!(before.contains(&("idempotency".to_owned(), 1)), "{before:?}");
    assert!(
        counts(&database, &gone).await.iter().filter(|(_, rows)| *rows > 0).count() > 10,
        "there is something to erase"
    );

    relay.operator().delete(&path(&gone)).await.is(202);
    let shown = erased(&relay, &gone).await;

    let left: Vec<_> = counts(&database, &gone).await.into_iter().filter(|(_, rows)| *rows > 0).collect();
    assert_eq!(left, [("audit".to_owned(), 1)], "that it was deleted");
    assert_eq!(shown["name"], "");
    assert!(shown["deletion"]["erased_rows"].as_i64() > Some(10), "{shown:#}");
    // Rejections and statistics are noted a moment later.
    let is_late = |table: &str| table.starts_with("rejection") || table == "stat";
    let kept = |counts: Vec<(String, i64)>| counts.into_iter().filter(|(table, _)| !is_late(table));
    let after = counts(&database, &stays).await;
    assert_eq!(kept(after).collect::<Vec<_>>(), kept(before).collect::<Vec<_>>());
    let _ = relay.operator().get(&format!("{}/events", path(&gone))).await.problem(404);

    // Whatever is still known of it in memory would be written at the latest now.
    relay.clock.advance(Duration::from_secs(2 * 3_600));
    relay.clock_is_followed().await;
    for process in relay.processes() {
        process.terminate();
        assert!(process.ended().await.success());
    }
    let left: Vec<_> = counts(&database, &gone).await.into_iter().filter(|(_, rows)| *rows > 0).collect();
    assert_eq!(left, [("audit".to_owned(), 1)], "nothing came after it");
}

async fn an_erasure_goes_on_after_a_crash(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    source.send_many(50, 10, |_| "a.b".to_owned()).await;
    relay.operator().delete(&path(&tenant)).await.is(202);
    relay.kill();
    relay.start_again().await;
    erased(&relay, &tenant).await;
}

fn path(tenant: &Tenant) -> String {
    format!("/v1/tenants/{}", tenant.id)
}

/// The tenant when nothing of it is left.
async fn erased(relay: &Relay, tenant: &Tenant) -> Value {
    let operator: Client = relay.operator();
    relay
        .pass_time_until("the tenant to be erased", async || {
            let shown = operator.get(&path(tenant)).await.json(200);
            (!shown["deletion"]["finished_at"].is_null()).then_some(shown)
        })
        .await
}

async fn gone(tenant: &Tenant, path: &str, status: u16) {
    eventually(&format!("{path} to be gone"), async || (tenant.get(path).await.status == status).then_some(())).await;
}

/// A tenant that has something in every table.
async fn full(relay: &Relay, receiver: &Receiver) -> Tenant {
    let route = relay.route_tried(receiver, Some(&[0, 86_400])).await;
    let tenant = route.tenant;
    let (source, credential) = tenant.guarded_source("ondato", "correct horse battery").await;
    tenant.post(&format!("/sources/{}/credentials", source.id), json!({ "kind": "oauth2_client" })).await.is(201);
    assert!(!credential.is_empty());
    let asked = json!({ "request_ids": ["AbCdEf0123"], "source_id": source.id });
    tenant.post("/request-ids", asked).await.succeeded();
    let failed = tenant.destination_tried(receiver, &[0]).await;
    tenant.subscribe(&failed, &["*"]).await;
    // An answer that is kept, with a key in it.
    let (keys, new) = (tenant.path("/api-keys"), json!({ "name": "kept", "scopes": ["read"] }));
    tenant.client.ask_json(Method::POST, &keys, &[("idempotency-key", "once")], &new).await.is(201);
    let event = source.send("a.b").await;
    let waits = format!("/deliveries?event_id={event}&state=pending&last_outcome=rejected");
    for list in [waits, format!("/deliveries?event_id={event}&state=failed")] {
        eventually(&list, async || (!items(&tenant.get(&list).await.json(200)).is_empty()).then_some(())).await;
    }
    route.source.as_user("nobody", "wrong").post("{}").await.succeeded();
    source.as_user("nobody", "wrong").post("{}").await.is(401);
    tenant.act(&format!("{}/pause", route.destination.path())).await.is(200);
    let replay = text(&tenant.post("/replays", json!({ "filter": { "state": "failed" } })).await.json(202), "id");
    eventually("the replay to be completed", async || {
        (tenant.get(&format!("/replays/{replay}")).await.json(200)["state"] == "completed").then_some(())
    })
    .await;
    // What is known of a source that is gone.
    let former = tenant.source().await;
    former.send("a.b").await;
    former.post(r#"{"id": "an id of theirs", "type": "a.b"}"#).await.succeeded();
    tenant.delete(&format!("/sources/{}", former.id)).await.is(204);
    let rejections = format!("/sources/{}/rejections", source.id);
    eventually("the rejection to be noted", async || {
        (!tenant.get(&rejections).await.json(200)["totals"].as_array()?.is_empty()).then_some(())
    })
    .await;
    tenant
}

/// The rows of a tenant in each table that has any tenant's.
async fn counts(database: &Database, tenant: &Tenant) -> Vec<(String, i64)> {
    let id: relay::id::TenantId = tenant.id.parse().unwrap();
    let (tables, literal) = if database.is_postgres() {
        let text = "SELECT c.table_name FROM information_schema.columns c JOIN pg_class t ON t.relname = c.table_name
            WHERE c.column_name = 'tenant_id' AND NOT t.relispartition AND t.relkind IN ('r', 'p') ORDER BY 1";
        (text, format!("'{}'", id.uuid()))
    } else {
        let text = "SELECT t.name FROM sqlite_master t JOIN pragma_table_info(t.name) c
            WHERE t.type = 'table' AND c.name = 'tenant_id' ORDER BY 1";
        (text, format!("x'{}'", id.uuid().simple()))
    };
    let db = database.connection().await;
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), tables)).await.unwrap();
    let mut counts = Vec::new();
    for row in rows {
        let table: String = row.try_get_by_index(0).unwrap();
        let rows = database.number(&format!("SELECT count(*) FROM {table} WHERE tenant_id = {literal}")).await;
        counts.push((table, rows));
    }
    counts
}

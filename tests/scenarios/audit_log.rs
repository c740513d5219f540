//! Who changed what, as a tenant can read it.

use std::time::Duration;

use harness::answer::{items, text};
use harness::{Database, Operator, Receiver, Relay, on_each_database};
use serde_json::{Value, json};

on_each_database![
    a_change_is_told_with_before_and_after,
    the_log_is_narrowed_and_read_by_pages,
    an_operator_reads_of_everybody_and_of_who_is_gone,
];

async fn a_change_is_told_with_before_and_after(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let (_, key) = (tenant.source().await, tenant.key(json!(["read", "write"])).await);
    let destination = tenant.destination(&receiver).await;
    let by_key = tenant.seen_by(&key);
    relay.clock.advance(Duration::from_millis(10));
    relay.clock_is_followed().await;
    let answer = by_key.patch(&destination.path(), json!({ "name": "renamed" })).await;
    answer.is(200);

    let log = items(&tenant.get("/audit-log?object=destination").await.json(200));
    let [update, create] = log.as_slice() else { panic!("{log:#?}") };
    assert_eq!((&update["action"], &create["action"]), (&json!("update"), &json!("create")));
    for entry in [update, create] {
        assert_eq!((&entry["object"], &entry["object_id"]), (&json!("destination"), &json!(destination.id)));
        assert!(text(entry, "id").starts_with("aud_") && entry["remote_address"] == "127.0.0.1", "{entry:#}");
    }
    assert_eq!(create["before"], Value::Null);
    assert_eq!(update["before"], create["after"]);
    assert_eq!(update["after"]["name"], "renamed");
    assert_eq!((&create["actor"], &create["api_key_id"]), (&json!("operator"), &Value::Null));
    assert_eq!(update["actor"], "api_key");
    assert!(text(update, "api_key_id").starts_with("key_"), "{update:#}");
    assert_eq!(update["request_id"].as_str(), answer.header("request-id"));

    let whole = tenant.get("/audit-log").await.text();
    assert!(!whole.contains("whsec_") && !whole.contains("hky_"), "{whole}");
    let _ = by_key.get("/audit-log").await.problem(403);
    let other = relay.tenant("other").await;
    assert!(!other.get("/audit-log").await.text().contains(&destination.id));
}

async fn the_log_is_narrowed_and_read_by_pages(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let destination = tenant.destination(&receiver).await;
    for number in 0..5 {
        relay.clock.advance(Duration::from_millis(10));
        relay.clock_is_followed().await;
        tenant.patch(&destination.path(), json!({ "name": format!("name {number}") })).await.is(200);
    }
    let mut seen = Vec::new();
    let mut next = "/audit-log?action=update&limit=2".to_owned();
    loop {
        let page = tenant.get(&next).await.json(200);
        seen.extend(items(&page).into_iter().map(|entry| text(&entry["after"], "name")));
        // A change meanwhile moves nothing.
        tenant.patch(&destination.path(), json!({ "name": "later" })).await.is(200);
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("/audit-log?action=update&limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["name 4", "name 3", "name 2", "name 1", "name 0"]);
    let long_ago = "/audit-log?before=2020-01-01T00:00:00.000Z";
    assert!(items(&tenant.get(long_ago).await.json(200)).is_empty());
    let _ = tenant.get("/audit-log?object_id=x").await.problem(422);
}

async fn an_operator_reads_of_everybody_and_of_who_is_gone(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let all = other.key(json!(["read", "write", "payloads", "replay", "secrets", "keys", "audit"])).await;
    let made = Operator::at(&relay).reads(&["keys", "create", "--operator", "--name", "on call"]).await;
    tenant.delete("").await.succeeded();

    let operator = relay.operator();
    let read = async |query: &str| items(&operator.get(&format!("/v1/audit-log?{query}")).await.json(200));
    let deleted = &read("object=tenant&action=delete").await[0];
    let said = ["tenant_id", "object_id", "actor"].map(|field| text(deleted, field));
    assert_eq!(said, [&*tenant.id, &tenant.id, "operator"]);
    let [keys, of_other] = &read("object=api-key&action=create").await[..] else { panic!("two keys were made") };
    assert_eq!((&keys["tenant_id"], &keys["object_id"]), (&Value::Null, &made["id"]), "{keys:#}");
    assert_eq!(of_other["tenant_id"], *other.id);
    let _ = all.get("/v1/audit-log").await.problem(403);
}

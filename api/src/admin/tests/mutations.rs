use serde_json::json;

use super::*;

#[tokio::test]
async fn the_same_post_is_done_once_and_answered_exactly_again() {
    let world = World::new().await;
    let path = format!("{}/destinations", world.tenant);
    let new = json!({"name": "out", "url": "https://receiver.hookyard.dev/"});
    let once = [("idempotency-key", "once")];
    let first = world.ask(Method::POST, &path, &once, Some(new.clone())).await;
    let second = world.ask(Method::POST, &path, &once, Some(new.clone())).await;
    assert_eq!((first.etag(), &first.headers["location"]), (second.etag(), &second.headers["location"]));
    assert_eq!(
        (first.headers.get("idempotency-replayed"), &second.headers["idempotency-replayed"]),
        (None, &"true".parse().unwrap())
    );
    assert_ne!(first.headers["request-id"], second.headers["request-id"]);
    let (first, second) = (first.is(201), second.is(201));
    assert!(first["signing_secret"].is_string());
    assert_eq!(first, second);
    assert_eq!(world.number("SELECT count(*) FROM destination").await, 1);

    let other = json!({"name": "other", "url": "https://receiver.hookyard.dev/"});
    let reused = world.ask(Method::POST, &path, &once, Some(other)).await.is(422);
    assert_eq!(reused["type"], "urn:hookyard:problem:idempotency-key-reused");
    let key = world.key(json!(["write"])).await;
    let stranger = [("idempotency-key", "once"), ("authorization", key.as_str())];
    let own = world.ask(Method::POST, &path, &stranger, Some(new)).await.is(201);
    assert_ne!(own["id"], first["id"]);
    let sealed = world.number("SELECT count(*) FROM idempotency WHERE answer LIKE '%whsec_%'").await;
    assert_eq!(sealed, 0);
}

#[tokio::test]
async fn a_refusal_is_not_kept_and_twins_are_done_once() {
    let world = World::new().await;
    let path = format!("{}/destinations", world.tenant);
    let once = [("idempotency-key", "once")];
    world.ask(Method::POST, &path, &once, Some(json!({"name": "out", "url": "nonsense"}))).await.refuses(&["/url"]);
    let new = Some(json!({"name": "out", "url": "https://receiver.hookyard.dev/"}));
    let twins =
        futures_util::future::join_all((0..8).map(|_| world.ask(Method::POST, &path, &once, new.clone()))).await;
    assert!(twins.iter().all(|twin| [201, 409].contains(&twin.status.as_u16())));
    assert!(twins.iter().any(|twin| twin.status == 201));
    assert_eq!(world.number("SELECT count(*) FROM destination").await, 1);
    world.ask(Method::POST, &path, &[("idempotency-key", "")], new).await.refuses(&["Idempotency-Key"]);
}

#[tokio::test]
async fn a_change_of_what_was_not_seen_is_refused() {
    let world = World::new().await;
    let path = world.destination().await;
    let seen = world.get(&path).await.etag();
    let change = Some(json!({"name": "changed"}));
    let changed = world.ask(Method::PATCH, &path, &[("if-match", &seen)], change.clone()).await;
    assert_eq!(changed.etag(), world.get(&path).await.etag());
    changed.is(200);
    world.ask(Method::PATCH, &path, &[("if-match", &seen)], change).await.is(412);
    world.ask(Method::DELETE, &path, &[("if-match", &seen)], None).await.is(412);
    world.ask(Method::DELETE, &path, &[("if-match", "*")], None).await.is(204);
    world.get(&path).await.is(404);
}

#[tokio::test]
async fn every_mutation_leaves_an_audit_row_without_secrets() {
    let world = World::new().await;
    let rows = async || world.number("SELECT count(*) FROM audit").await;
    assert_eq!(rows().await, 1, "the tenant");
    let path = world.destination().await;
    let auth = json!({"auth": {"kind": "basic", "username": "u", "password": "hunter2"}});
    world.patch(&path, auth).await.is(200);
    world.ask(Method::POST, &format!("{path}/pause"), &[], None).await.is(200);
    world.delete(&path).await.is(204);
    assert_eq!(rows().await, 5);
    world.patch(&path, json!({})).await.is(404);
    world.get(&world.tenant).await.is(200);
    assert_eq!(rows().await, 5, "what changed nothing is no mutation");
    for secret in ["hunter2", "whsec_"] {
        let text = format!("SELECT count(*) FROM audit WHERE before LIKE '%{secret}%' OR after LIKE '%{secret}%'");
        assert_eq!(world.number(&text).await, 0, "{secret}");
    }
    assert_eq!(world.number("SELECT count(*) FROM audit WHERE request_id LIKE 'req_%'").await, 5);
    assert_eq!(world.number("SELECT count(*) FROM audit WHERE actor IS NULL AND tenant_id IS NOT NULL").await, 5);
}

#[tokio::test]
async fn a_deleted_key_opens_nothing_at_once() {
    let world = World::new().await;
    let keys = format!("{}/api-keys", world.tenant);
    let made = world.post(&keys, json!({"name": "k"})).await.is(201);
    let key = format!("Bearer {}", made["key"].as_str().unwrap());
    let read = async || world.ask(Method::GET, &world.tenant, &[("authorization", &key)], None).await;
    read().await.is(200);
    world.delete(&format!("{keys}/{}", made["id"].as_str().unwrap())).await.is(204);
    read().await.is(401);
}

#[tokio::test]
async fn when_a_key_was_used_is_written_beside_the_requests() {
    let world = World::new().await;
    let key = world.key(json!(["keys"])).await;
    let keys = format!("{}/api-keys", world.tenant);
    let read = async || world.ask(Method::GET, &keys, &[("authorization", &key)], None).await.is(200);
    assert_eq!(read().await["items"][0]["last_used_at"], json!(null));
    let stopped = tokio_util::sync::CancellationToken::new();
    stopped.cancel();
    world.uses.clone().keep(world.app.db.clone(), stopped).await;
    assert!(read().await["items"][0]["last_used_at"].is_string());
}

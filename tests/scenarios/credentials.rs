//! What providers present at a source: each kind of credential, how it is shown, and what is never shown.

use std::time::Duration;

use harness::answer::{items, text};
use harness::ondato::{APPROVED, event};
use harness::source::basic;
use harness::{Database, Relay, Source, Tenant, Value, json, on_each_database, on_each_database_alone};

on_each_database![
    each_kind_is_made_and_shows_no_secret_again,
    a_key_in_a_header_opens_the_source_and_is_not_stored,
    a_bearer_key_opens_the_source,
    several_are_live_and_each_ends_when_it_is_told,
    who_is_refused_hears_how_to_authenticate,
    what_cannot_be_presented_is_refused_where_it_is_wrong,
    a_source_has_room_for_twenty,
    a_kind_that_nothing_looks_at_is_refused,
];
on_each_database_alone![a_guesser_at_one_tenant_keeps_no_other_waiting];

const ED25519: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

async fn guarded(relay: &Relay) -> (Tenant, Source, String) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(json!({ "name": "in", "provider": "ondato" })).await;
    let path = format!("/sources/{}/credentials", source.id);
    (tenant, source, path)
}

fn presenting(source: &Source, authorization: impl Into<String>) -> Source {
    Source { authorization: Some(authorization.into()), ..source.clone() }
}

async fn each_kind_is_made_and_shows_no_secret_again(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    // A source that takes every kind: what its provider may send, and what it asks for besides.
    let source = json!({ "name": "in", "provider": "generic", "verification": { "kind": "paypal" } });
    let path = format!("/sources/{}/credentials", tenant.source_of(source).await.id);
    let chosen = "chosen by a person";

    for (new, shown, once) in [
        (json!({ "kind": "basic", "username": "u" }), json!({ "username": "u" }), Some("password")),
        (json!({ "kind": "basic", "username": "u", "password": chosen }), json!({ "username": "u" }), None),
        (json!({ "kind": "oauth2_client" }), json!({}), Some("client_secret")),
        (json!({ "kind": "api_key", "header": "X-Key" }), json!({ "header": "x-key" }), Some("key")),
        (json!({ "kind": "api_key", "header": "x-key", "key": chosen }), json!({ "header": "x-key" }), None),
        (json!({ "kind": "bearer" }), json!({}), Some("token")),
        (json!({ "kind": "bearer", "token": chosen }), json!({}), None),
        (json!({ "kind": "hmac", "secret": chosen }), json!({}), None),
        (json!({ "kind": "public_key", "key": ED25519 }), json!({ "key": ED25519 }), None),
        (json!({ "kind": "verify_token" }), json!({}), Some("token")),
        (json!({ "kind": "verify_token", "token": chosen }), json!({}), None),
        (json!({ "kind": "external", "id": "WH-1" }), json!({ "external_id": "WH-1" }), None),
    ] {
        let mut made = tenant.post(&path, new.clone()).await.json(201);
        let secret = once.map(|field| text(&made, field));
        let fields = made.as_object_mut().unwrap();
        once.map(|field| fields.remove(field));
        let id = text(&made, "id");
        for (name, value) in shown.as_object().unwrap() {
            assert_eq!(made[name], *value, "{made:#}");
        }
        assert_eq!(made["kind"], new["kind"]);
        if new["kind"] == "oauth2_client" {
            assert_eq!(text(&made, "client_id"), id);
        }
        let read = tenant.get(&format!("{path}/{id}")).await.json(200);
        assert_eq!(read, made, "what was made, without the secret");
        let everything = format!("{}{}", tenant.get(&path).await.text(), logged(&relay).await);
        assert!(!everything.contains(chosen), "{everything}");
        assert!(secret.is_none_or(|secret| secret.len() >= 32 && !everything.contains(&secret)), "{everything}");
    }
}

/// What the audit log and the sealed answers hold.
async fn logged(relay: &Relay) -> String {
    use sea_orm::{ConnectionTrait, DbBackend, Statement};
    let connection = relay.database.connection().await;
    let backend = if relay.database.is_postgres() { DbBackend::Postgres } else { DbBackend::Sqlite };
    let text = "SELECT coalesce(after, '') || coalesce(before, '') FROM audit
        UNION ALL SELECT stored FROM credential UNION ALL SELECT answer FROM idempotency";
    let rows = connection.query_all_raw(Statement::from_string(backend, text)).await.unwrap();
    let texts = rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect();
    connection.close().await.unwrap();
    texts
}

async fn a_key_in_a_header_opens_the_source_and_is_not_stored(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source, path) = guarded(&relay).await;
    let in_own = json!({ "kind": "api_key", "header": "X-Provider-Key", "key": "a key of theirs" });
    let as_it_is = json!({ "kind": "api_key", "header": "authorization", "key": "as it is" });
    tenant.post(&path, in_own).await.is(201);
    tenant.post(&path, as_it_is).await.is(201);

    let id = source.post_with(&[("x-provider-key", "a key of theirs")], event(APPROVED)).await.event_id();
    presenting(&source, "as it is").send(APPROVED).await;
    for wrong in [
        vec![("x-provider-key", "another key")],
        vec![("x-provider-key", "")],
        vec![("x-other-key", "a key of theirs")],
        vec![("x-provider-key", "a key of theirs"), ("x-provider-key", "a key of theirs")],
        vec![],
    ] {
        let _ = source.post_with(&wrong, event(APPROVED)).await.problem(401);
    }

    let seen = tenant.event(&id).await;
    assert!(seen["headers"].to_string().contains(r#"["x-provider-key","[redacted]"]"#), "{seen:#}");
}

async fn a_bearer_key_opens_the_source(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source, path) = guarded(&relay).await;
    let made = tenant.post(&path, json!({ "kind": "bearer" })).await.json(201);
    tenant.post(&path, json!({ "kind": "bearer", "token": "chosen" })).await.is(201);

    presenting(&source, format!("Bearer {}", text(&made, "token"))).send(APPROVED).await;
    presenting(&source, "bearer chosen").send(APPROVED).await;
    for wrong in ["Bearer other", "Bearer", "Basic chosen", "chosen", &basic("chosen", "chosen")] {
        let _ = presenting(&source, wrong).post(event(APPROVED)).await.problem(401);
    }
}

async fn several_are_live_and_each_ends_when_it_is_told(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source, path) = guarded(&relay).await;
    let new = |password: &str| json!({ "kind": "basic", "username": "u", "password": password });
    let old = text(&tenant.post(&path, new("old")).await.json(201), "id");
    tenant.post(&path, new("new")).await.is(201);
    let in_a_day = relay.clock.now_ms() + 86_400_000;
    let ends = json!({ "expires_at": chrono::DateTime::from_timestamp_millis(in_a_day).unwrap().to_rfc3339() });
    let patched = tenant.patch(&format!("{path}/{old}"), ends).await.json(200);
    assert!(patched["expires_at"].is_string(), "{patched:#}");

    source.as_user("u", "old").send(APPROVED).await;
    source.as_user("u", "new").send(APPROVED).await;
    relay.clock.advance(Duration::from_secs(86_401));
    relay.clock_is_followed().await;
    let _ = source.as_user("u", "old").post(event(APPROVED)).await.problem(401);
    source.as_user("u", "new").send(APPROVED).await;

    tenant.patch(&format!("{path}/{old}"), json!({ "expires_at": null })).await.is(200);
    source.as_user("u", "old").send(APPROVED).await;
    let past = json!({ "expires_at": "2020-01-01T00:00:00Z" });
    tenant.patch(&format!("{path}/{old}"), past).await.problem_about(422, &["/expires_at"]);
    tenant.patch(&format!("{path}/{old}"), json!({ "username": "x" })).await.problem_about(422, &["/username"]);
}

async fn who_is_refused_hears_how_to_authenticate(database: Database) {
    let relay = Relay::start(database).await;
    let challenges = async |kinds: &[Value], authorization: Option<&str>| {
        let (tenant, source, path) = guarded(&relay).await;
        for kind in kinds {
            tenant.post(&path, kind.clone()).await.is(201);
        }
        let answer = Source { authorization: authorization.map(str::to_owned), ..source }.post(event(APPROVED)).await;
        let _ = answer.problem(401);
        let values = answer.headers.get_all("www-authenticate").iter();
        values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let password = json!({ "kind": "basic", "username": "u" });
    let (bearer, oauth) = (json!({ "kind": "bearer" }), json!({ "kind": "oauth2_client" }));
    let (as_basic, as_bearer) = (r#"Basic realm="webhooks", charset="UTF-8""#, r#"Bearer realm="webhooks""#);
    let invalid = r#"Bearer realm="webhooks", error="invalid_token""#;

    assert_eq!(challenges(std::slice::from_ref(&password), None).await, [as_basic]);
    assert_eq!(challenges(std::slice::from_ref(&oauth), None).await, [as_bearer]);
    assert_eq!(challenges(&[password.clone(), oauth], None).await, [as_basic, as_bearer]);
    assert_eq!(challenges(&[password.clone(), bearer], Some("Bearer x")).await, [invalid]);
    assert_eq!(challenges(&[password], Some("Bearer x")).await, [as_basic]);
}

async fn what_cannot_be_presented_is_refused_where_it_is_wrong(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, _, path) = guarded(&relay).await;
    let long = "x".repeat(1_025);

    for (new, pointer) in [
        (json!({ "kind": "magic" }), "/kind"),
        (json!({ "kind": "basic" }), "/username"),
        (json!({ "kind": "basic", "username": "a:b" }), "/username"),
        (json!({ "kind": "basic", "username": "u", "password": "" }), "/password"),
        (json!({ "kind": "basic", "username": "u", "password": long }), "/password"),
        (json!({ "kind": "basic", "username": "u", "header": "x" }), "/header"),
        (json!({ "kind": "oauth2_client", "client_secret": "mine" }), "/client_secret"),
        (json!({ "kind": "api_key" }), "/header"),
        (json!({ "kind": "api_key", "header": "x y" }), "/header"),
        (json!({ "kind": "api_key", "header": "Content-Length" }), "/header"),
        (json!({ "kind": "api_key", "header": "host" }), "/header"),
        (json!({ "kind": "api_key", "header": "x-key", "key": " x" }), "/key"),
        (json!({ "kind": "bearer", "token": "x\ny" }), "/token"),
        (json!({ "kind": "hmac" }), "/secret"),
        (json!({ "kind": "hmac", "secret": "" }), "/secret"),
        (json!({ "kind": "hmac", "secret": long }), "/secret"),
        (json!({ "kind": "public_key" }), "/key"),
        (json!({ "kind": "public_key", "key": "nonsense" }), "/key"),
        (json!({ "kind": "external", "id": "" }), "/id"),
        (json!({ "kind": "external", "id": "x".repeat(256) }), "/id"),
        (json!({ "kind": "verify_token", "expires_at": "2020-01-01T00:00:00Z" }), "/expires_at"),
    ] {
        tenant.post(&path, new).await.problem_about(422, &[pointer]);
    }
}

async fn a_source_has_room_for_twenty(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, _, path) = guarded(&relay).await;
    let mut last = String::new();
    for _ in 0..20 {
        last = text(&tenant.post(&path, json!({ "kind": "bearer" })).await.json(201), "id");
    }
    tenant
        .post(&path, json!({ "kind": "bearer" }))
        .await
        .problem_about(409, &["limit-reached", "20", "limits.credentials_per_source"]);
    tenant.delete(&format!("{path}/{last}")).await.is(204);
    tenant.post(&path, json!({ "kind": "bearer" })).await.is(201);
}

async fn a_kind_that_nothing_looks_at_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source, path) = guarded(&relay).await;
    let hmac = json!({ "kind": "hmac", "secret": "what they sign with" });

    let refused = tenant.post(&path, hmac.clone()).await;
    refused.problem_about(422, &["/kind", "basic, oauth2_client, api_key, bearer"]);
    assert_eq!(items(&tenant.get(&path).await.json(200)), [] as [Value; 0]);
    let signature = json!({ "from": "header", "name": "x-s", "parse": { "kind": "raw" }, "encoding": "hex" });
    let signed = json!({ "kind": "hmac", "signature": signature, "algorithm": "hmac-sha256", "signed": "{body}" });
    tenant.patch(&format!("/sources/{}", source.id), json!({ "verification": signed })).await.is(200);

    tenant.post(&path, hmac).await.is(201);
    tenant.post(&path, json!({ "kind": "basic", "username": "u" })).await.is(201);
    tenant.post(&path, json!({ "kind": "bearer" })).await.problem_about(422, &["/kind", "basic, oauth2_client, hmac"]);
}

/// So many guesses at once have room in the line of the whole process, where they would keep everybody waiting.
async fn a_guesser_at_one_tenant_keeps_no_other_waiting(database: Database) {
    let relay = Relay::start(database).await;
    let (guessed, _) = relay.tenant("acme").await.guarded_source("ondato", "correct horse battery").await;
    let (other, _) = relay.tenant("other").await.guarded_source("ondato", "another password").await;

    let mut guesses = tokio::task::JoinSet::new();
    for number in 0..16 {
        let guess = guessed.as_user("ondato", &format!("guess {number}"));
        guesses.spawn(async move { guess.post(event(APPROVED)).await.status });
    }
    other.send(APPROVED).await;

    let answers = guesses.join_all().await;
    assert!(answers.iter().all(|status| [401, 503].contains(status)), "{answers:?}");
    assert!(answers.contains(&503), "nobody was sent away: {answers:?}");
    guessed.send(APPROVED).await;
}

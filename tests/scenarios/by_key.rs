//! Declarative set-ups: `PUT …/by-key/{key}` has a thing as the body says, however often it is said.

use std::time::Duration;

use harness::answer::{items, text};
use harness::ondato::APPROVED;
use harness::{Answer, Authority, Database, Receiver, Relay, Route, Tenant, Value, json, on_each_database};
use reqwest::Method;
use tokio::task::JoinSet;

on_each_database![
    a_set_up_is_applied_and_delivers,
    the_same_again_changes_nothing,
    what_is_no_longer_said_is_as_usual,
    what_never_changes_is_refused,
    a_credential_keeps_its_secret_and_may_end,
    a_key_is_its_tenants_and_is_free_again,
    preconditions_hold,
    many_at_once_make_one,
    what_is_no_key_is_told_the_rule,
];

/// Everything by its key, as a set-up has it. Gives the answers: a source, its credential, a destination, a subscription.
async fn apply(tenant: &Tenant, receiver: &Receiver) -> [Answer; 4] {
    let source = tenant.put("/sources/by-key/ondato", json!({ "name": "Ondato", "provider": "ondato" })).await;
    let id = text(&source.json(source.status), "id");
    let credential = json!({ "kind": "basic", "username": "ondato", "password": "correct horse battery" });
    let credential = tenant.put(&format!("/sources/{id}/credentials/by-key/first"), credential).await;
    let destination = json!({ "name": "Risk", "url": receiver.url(), "signing": { "v1a": true } });
    let destination = tenant.put("/destinations/by-key/risk", destination).await;
    let to = text(&destination.json(destination.status), "id");
    let subscription = json!({ "destination_id": to, "source_ids": [id], "event_types": ["KycIdentification.*"] });
    let subscription = tenant.put("/subscriptions/by-key/ondato-to-risk", subscription).await;
    [source, credential, destination, subscription]
}

async fn a_set_up_is_applied_and_delivers(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;

    let [source, credential, ..] = apply(&tenant, &receiver).await;

    assert_eq!(credential.json(201)["by_key"], "first");
    let url = text(&source.json(201), "url");
    let path = url[url.find("/in/").unwrap()..].to_owned();
    let provider = relay.anybody();
    let source = harness::Source { id: text(&source.json(201), "id"), path, provider, authorization: None };
    let event = source.as_user("ondato", "correct horse battery").send(APPROVED).await;
    assert_eq!(tenant.settled(&event).await[0]["state"], "delivered");
    let again = apply(&tenant, &receiver).await;
    assert!(again.iter().all(|answer| answer.status == 200), "{again:?}");
}

async fn the_same_again_changes_nothing(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let [authority, clients] = [Authority::new(), Authority::new()];
    let shown = clients.certificate("relay");
    let source = tenant.put("/sources/by-key/s", json!({ "name": "in", "provider": "stripe" })).await.json(201);
    let credentials = format!("/sources/{}/credentials/by-key", text(&source, "id"));
    let generic = json!({ "name": "any", "provider": "generic", "verification": { "kind": "credentials" } });
    let any = text(&tenant.put("/sources/by-key/any", generic.clone()).await.json(201), "id");
    let destination = tenant.put("/destinations/by-key/other", json!({ "name": "d", "url": url(1) })).await.json(201);

    for (rest, body, secrets) in [
        ("/sources/by-key/full".to_owned(), full_source(), &["url"] as &[_]),
        ("/sources/by-key/any".to_owned(), generic, &[]),
        ("/destinations/by-key/plain".to_owned(), json!({ "name": "d", "url": url(1) }), &["signing_secret"]),
        (
            "/destinations/by-key/full".to_owned(),
            full_destination(&json!({
                "ca": authority.pem, "client_certificate": shown.pem, "client_key": shown.key
            })),
            &["signing_secret"],
        ),
        ("/destinations/by-key/oauth2".to_owned(), with_oauth2(), &["signing_secret"]),
        (
            "/subscriptions/by-key/s".to_owned(),
            json!({
                "destination_id": destination["id"], "source_ids": [any, source["id"]], "event_types": ["a", "b.*"],
                "origin": "not_mine", "origin_wait_s": 7, "filter": { "body": { "/a": { "$gte": 1 } } }
            }),
            &[],
        ),
        (format!("{credentials}/c"), json!({ "kind": "hmac", "secret": "whsec_theirs" }), &[]),
        (
            format!("/sources/{any}/credentials/by-key/chosen"),
            json!({ "kind": "basic", "username": "u", "password": "chosen by a person" }),
            &[],
        ),
        (format!("/sources/{any}/credentials/by-key/made"), json!({ "kind": "bearer" }), &["token"]),
        (format!("/sources/{any}/credentials/by-key/client"), json!({ "kind": "oauth2_client" }), &["client_secret"]),
    ] {
        let made = tenant.put(&rest, body.clone()).await;
        let is_new = rest != "/sources/by-key/any";
        made.is(if is_new { 201 } else { 200 });
        assert!(!is_new || made.header("location").is_some(), "{made}");
        let before = marks(&relay).await;

        let again = tenant.put(&rest, body.clone()).await;

        assert_eq!(marks(&relay).await, before, "{rest}");
        assert_eq!(again.header("etag"), made.header("etag"), "{rest}");
        let mut expected = made.json(made.status);
        for secret in secrets {
            assert!(expected.as_object_mut().unwrap().remove(*secret).is_some(), "no {secret} in {made}");
        }
        assert_eq!(again.json(200), expected, "{rest}");
    }
}

/// How many changes were audited and announced.
async fn marks(relay: &Relay) -> (i64, i64) {
    let audited = relay.database.number("SELECT count(*) FROM audit").await;
    (audited, relay.database.number("SELECT n FROM change_head").await)
}

fn url(number: u16) -> String {
    format!("http://127.0.0.1:{}/", 9_000 + number)
}

fn full_source() -> Value {
    json!({
        "name": "in", "provider": "ondato", "verification": { "kind": "none" },
        "extract": { "attributes": { "b": "json:/b", "a": "json:/a" } },
        "ip_allowlist": { "mode": "report", "cidrs": ["198.51.100.7", "203.0.113.0/24"] },
        "dedupe": { "by": "body" }, "max_body_bytes": 1000, "response": { "status": 200, "body": "ok" },
        "rate_limit": { "per_second": 5 }, "forward_headers": ["x-b", "x-a"], "enabled": false
    })
}

fn full_destination(tls: &Value) -> Value {
    json!({
        "name": "out", "url": url(2), "auth": { "kind": "basic", "username": "u", "password": "p" },
        "signing": { "v1a": true, "github_header": true }, "headers": { "X-B": "{event_id}", "x-a": "1" },
        "timeout_s": 5, "retry": { "schedule_s": [0, 5], "statuses": [429, "5xx"] }, "rate_limit": { "per_second": 0.5 },
        "max_in_flight": 2, "order": { "mode": "fifo", "key": "json:/id" }, "tls": tls, "keep_responses": true
    })
}

fn with_oauth2() -> Value {
    let auth = json!({
        "kind": "oauth2_client_credentials", "token_url": url(3), "client_id": "id", "client_secret": "s", "scope": "a b"
    });
    json!({ "name": "out", "url": url(3), "auth": auth })
}

async fn what_is_no_longer_said_is_as_usual(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let plain = json!({ "name": "out", "url": url(1) });
    let usual = tenant.put("/destinations/by-key/usual", plain.clone()).await.json(201);
    let made = tenant.put("/destinations/by-key/d", full_destination(&json!(null))).await;
    let destination = text(&made.json(201), "id");
    tenant.act(&format!("/destinations/{destination}/pause")).await.is(200);

    let changed = tenant.put("/destinations/by-key/d", plain).await;

    assert_ne!(changed.header("etag"), made.header("etag"));
    let (changed, mut expected) = (changed.json(200), usual);
    assert_eq!((&changed["id"], &changed["state"]), (&made.json(201)["id"], &json!("paused")), "what it is, not how");
    for own in ["id", "key", "state", "state_since", "created_at"] {
        expected[own] = changed[own].clone();
    }
    expected.as_object_mut().unwrap().remove("signing_secret");
    assert_eq!(changed, expected);

    let source = tenant.put("/sources/by-key/s", full_source()).await.json(201);
    let plain = json!({ "name": "renamed", "provider": "ondato" });
    let changed = tenant.put("/sources/by-key/s", plain).await.json(200);
    assert_eq!((&changed["id"], &changed["name"]), (&source["id"], &json!("renamed")));
    assert_eq!(changed["verification"], json!({ "kind": "credentials" }));
    assert_eq!(
        (&changed["enabled"], &changed["response"], &changed["rate_limit"]),
        (&json!(true), &json!(null), &json!(null))
    );
    assert_eq!(changed["ip_allowlist"]["mode"], "report", "what the provider publishes, as in a new one");
    let log = items(&tenant.get("/audit-log?object=source").await.json(200));
    let actions: Vec<_> = log.iter().map(|entry| text(entry, "action")).collect();
    assert_eq!(actions, ["update", "create"]);
    assert_eq!((&log[0]["before"]["name"], &log[0]["after"]["name"]), (&json!("in"), &json!("renamed")));
}

async fn what_never_changes_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let [source, credential, destination, subscription] = apply(&tenant, &receiver).await.map(|it| it.json(201));
    let other = tenant.destination(&receiver).await;
    let credentials = format!("/sources/{}/credentials", text(&source, "id"));
    let before = marks(&relay).await;

    for (rest, body, words) in [
        ("/sources/by-key/ondato", json!({ "name": "x", "provider": "stripe" }), ["/provider", "ondato"]),
        (
            "/subscriptions/by-key/ondato-to-risk",
            json!({ "destination_id": other.id, "event_types": ["*"] }),
            ["/destination_id", &text(&destination, "id")],
        ),
        (&format!("{credentials}/by-key/first"), json!({ "kind": "oauth2_client" }), ["/kind", "basic"]),
        (&format!("{credentials}/by-key/first"), json!({ "kind": "basic", "username": "x" }), ["/username", "ondato"]),
        (
            &format!("{credentials}/by-key/first"),
            json!({ "kind": "basic", "username": "ondato", "password": "another" }),
            ["/password", "a key of its own"],
        ),
        ("/sources/by-key/a", json!({ "key": "b", "name": "x", "provider": "ondato" }), ["/key", "path"]),
        (&format!("{credentials}/by-key/a"), json!({ "by_key": "b", "kind": "bearer" }), ["/by_key", "path"]),
    ] {
        tenant.put(rest, body).await.problem_about(422, &words);
    }
    for (rest, body) in [
        (format!("/sources/{}", text(&source, "id")), json!({ "key": "x" })),
        (format!("/destinations/{}", text(&destination, "id")), json!({ "key": "x" })),
        (format!("/subscriptions/{}", text(&subscription, "id")), json!({ "key": "x" })),
        (format!("{credentials}/{}", text(&credential, "id")), json!({ "by_key": "x" })),
    ] {
        tenant.patch(&rest, body).await.problem_about(422, &["key", "unknown"]);
    }
    assert_eq!(marks(&relay).await, before);
}

async fn a_credential_keeps_its_secret_and_may_end(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(json!({ "key": "in", "name": "in", "provider": "ondato" })).await;
    let path = format!("/sources/{}/credentials/by-key/one", source.id);
    let ends = chrono::DateTime::from_timestamp_millis(relay.clock.now_ms() + 3_600_000).unwrap().to_rfc3339();
    let (live, ending) =
        (json!({ "kind": "basic", "username": "u" }), json!({ "kind": "basic", "username": "u", "expires_at": ends }));
    let made = tenant.put(&path, live.clone()).await.json(201);
    let provider = source.as_user("u", &text(&made, "password"));
    provider.send(APPROVED).await;

    let told = tenant.put(&path, ending.clone()).await;
    assert!(told.json(200)["expires_at"].is_string() && told.json(200)["password"].is_null(), "{told}");
    provider.send(APPROVED).await;
    relay.clock.advance(Duration::from_secs(3_601));
    relay.clock_is_followed().await;
    let _ = provider.post(harness::ondato::event(APPROVED)).await.problem(401);

    let before = marks(&relay).await;
    assert_eq!(tenant.put(&path, ending).await.json(200), told.json(200), "it has ended, as was said");
    assert_eq!(marks(&relay).await, before);
    tenant.put(&path, live).await.is(200);
    provider.send(APPROVED).await;
    let past = json!({ "kind": "basic", "username": "u", "expires_at": "2020-01-01T00:00:00Z" });
    tenant.put(&path, past).await.problem_about(422, &["/expires_at"]);
}

async fn a_key_is_its_tenants_and_is_free_again(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let made = apply(&tenant, &receiver).await.map(|answer| text(&answer.json(201), "id"));
    let theirs = apply(&other, &receiver).await.map(|answer| text(&answer.json(201), "id"));
    assert!(made.iter().zip(&theirs).all(|(one, other)| one != other));

    let new = json!({ "key": "risk", "name": "another", "url": receiver.url() });
    tenant.post("/destinations", new.clone()).await.problem_about(409, &["destination", "by-key"]);
    let credential = json!({ "by_key": "first", "kind": "bearer" });
    tenant.post(&format!("/sources/{}/credentials", made[0]), credential).await.problem_about(409, &["credential"]);
    for (list, key, id) in [
        ("/sources", "ondato", &made[0]),
        ("/destinations", "risk", &made[2]),
        ("/subscriptions", "ondato-to-risk", &made[3]),
    ] {
        let found = items(&tenant.get(&format!("{list}?key={key}")).await.json(200));
        assert_eq!(
            found.iter().map(|it| (text(it, "id"), text(it, "key"))).collect::<Vec<_>>(),
            [(id.clone(), key.to_owned())]
        );
        assert!(items(&tenant.get(&format!("{list}?key=unknown")).await.json(200)).is_empty());
    }

    tenant.delete(&format!("/destinations/{}", made[2])).await.is(204);
    tenant.delete(&format!("/sources/{}", made[0])).await.is(204);
    let anew = apply(&tenant, &receiver).await.map(|answer| text(&answer.json(201), "id"));
    assert!(made.iter().zip(&anew).all(|(one, other)| one != other));
    tenant.delete(&format!("/destinations/{}", anew[2])).await.is(204);
    assert_eq!(tenant.post("/destinations", new).await.json(201)["key"], "risk");
    assert_eq!(other.get(&format!("/destinations/{}", theirs[2])).await.json(200)["key"], "risk");
}

async fn preconditions_hold(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    let credentials = format!("/sources/{}/credentials/by-key/k", source.id);
    let destination =
        text(&tenant.put("/destinations/by-key/to", json!({ "name": "d", "url": url(1) })).await.json(201), "id");

    for (rest, body, other) in [
        (
            "/sources/by-key/k",
            json!({ "name": "a", "provider": "ondato" }),
            json!({ "name": "b", "provider": "ondato" }),
        ),
        ("/destinations/by-key/k", json!({ "name": "a", "url": url(1) }), json!({ "name": "b", "url": url(1) })),
        (
            "/subscriptions/by-key/k",
            json!({ "destination_id": destination, "event_types": ["a"] }),
            json!({ "destination_id": destination, "event_types": ["b"] }),
        ),
        (
            &credentials,
            json!({ "kind": "basic", "username": "u" }),
            json!({ "kind": "basic", "username": "u", "expires_at": "2999-01-01T00:00:00Z" }),
        ),
    ] {
        let put = async |header: (&str, &str), body: &Value| {
            tenant.client.ask_json(Method::PUT, &tenant.path(rest), &[header], body).await
        };
        put(("if-match", "*"), &body).await.problem_about(412, &["if-match"]);
        let made = put(("if-none-match", "*"), &body).await;
        let seen = made.is(201).header("etag").unwrap().to_owned();
        put(("if-none-match", "*"), &body).await.problem_about(412, &["if-none-match"]);
        let changed = put(("if-match", &seen), &other).await;
        assert_ne!(changed.is(200).header("etag"), Some(&*seen), "{rest}");
        put(("if-match", &seen), &body).await.problem_about(412, &["if-match"]);
        put(("if-match", &seen), &other).await.problem_about(412, &["if-match"]);
        put(("if-match", "*"), &body).await.is(200);
    }
}

async fn many_at_once_make_one(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(json!({ "name": "in", "provider": "ondato" })).await;
    let to = tenant.put("/destinations/by-key/to", json!({ "name": "d", "url": url(1) })).await.json(201);
    let credentials = format!("/sources/{}/credentials", source.id);

    for (list, body) in [
        ("/sources", json!({ "name": "n", "provider": "ondato" })),
        ("/destinations", json!({ "name": "n", "url": url(1) })),
        ("/subscriptions", json!({ "destination_id": to["id"], "event_types": ["*"] })),
        (&credentials, json!({ "kind": "basic", "username": "u" })),
    ] {
        let mut puts = JoinSet::new();
        for api in relay.apis.iter().cycle().take(12) {
            let (tenant, rest, body) = (tenant.at(api), format!("{list}/by-key/one"), body.clone());
            puts.spawn(async move { tenant.put(&rest, body).await });
        }
        let answers = puts.join_all().await;
        let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(made.len(), 1, "{list}: {answers:#?}");
        let id = text(&made[0].json(201), "id");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            if answer.status == 200 {
                assert_eq!(text(&answer.json(200), "id"), id);
            } else {
                let _ = answer.problem(409);
            }
        }
        let there = items(&tenant.get(list).await.json(200));
        let called = |it: &&Value| it["key"] == "one" || it["by_key"] == "one";
        assert_eq!(there.iter().filter(called).count(), 1, "{list}");
    }
}

async fn what_is_no_key_is_told_the_rule(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let fields = json!({ "name": "in", "provider": "ondato" });
    let rule = "1 to 64 of a-z, A-Z, 0-9";

    for bad in ["-a", "a%20b", "%2e%2e%2f", &"k".repeat(65)] {
        tenant
            .put(&format!("/sources/by-key/{bad}"), fields.clone())
            .await
            .problem_about(422, &["\"parameter\":\"key\"", rule]);
    }
    let mut named = fields.clone();
    named["key"] = json!("a/b");
    tenant.post("/sources", named).await.problem_about(422, &["/key", rule]);
    tenant.get("/sources?key=a%20b").await.problem_about(422, &["\"parameter\":\"key\"", rule]);
    for good in ["a", "A.b_c-9", &"k".repeat(64)] {
        tenant.put(&format!("/sources/by-key/{good}"), fields.clone()).await.is(201);
    }
    let _ = tenant.get("/sources/by-key/a").await.problem(405);
}

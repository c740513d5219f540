//! Who may use the admin API, and for what.

use std::time::Duration;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{Client, Database, Receiver, Relay, Reply, Tenant, eventually, json, on_each_database};
use reqwest::Method;

on_each_database![
    without_a_key_or_with_a_wrong_one_it_is_401,
    the_operator_reaches_every_tenant_and_a_tenant_only_itself,
    a_key_can_do_what_its_scopes_say,
    what_was_sent_and_answered_is_seen_with_payloads_only,
    a_key_cannot_make_a_wider_one,
    a_key_expires,
    the_catalogue_of_providers_needs_no_key,
];

async fn without_a_key_or_with_a_wrong_one_it_is_401(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let anybody = relay.anybody();

    for client in [anybody.clone(), anybody.with_key("nonsense"), anybody.with_key(&"x".repeat(1_000))] {
        for path in ["/v1/tenants", &tenant.path(""), &tenant.path("/sources"), "/v1/tenants/ten_unknown/sources"] {
            let answer = client.get(path).await;
            let _ = answer.problem(401);
            assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Bearer")), "{answer}");
        }
    }
}

async fn the_operator_reaches_every_tenant_and_a_tenant_only_itself(database: Database) {
    let relay = Relay::start(database).await;
    let (acme, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let made = acme.post("/api-keys", json!({ "name": "all scopes" })).await.json(201);
    let key = relay.anybody().with_key(&text(&made, "key"));

    acme.get("/sources").await.is(200);
    other.get("/sources").await.is(200);
    acme.seen_by(&key).get("/sources").await.is(200);
    let _ = other.seen_by(&key).get("/sources").await.problem(404);
    let refused = key.post("/v1/tenants", json!({ "name": "mine", "slug": "mine" })).await;
    assert!([403, 404].contains(&refused.status), "{refused}");
    let listed = key.get("/v1/tenants").await.text();
    assert!(!listed.contains(&other.id), "{listed}");
}

async fn a_key_can_do_what_its_scopes_say(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;
    let event = route.source.send(APPROVED).await;
    tenant.settled(&event).await;
    let body = format!("/events/{event}/body");
    let replay = format!("/events/{event}/replay");

    let asks = [
        (Method::GET, "/sources", "read"),
        (Method::POST, "/sources", "write"),
        (Method::GET, &body, "payloads"),
        (Method::POST, &replay, "replay"),
        (Method::GET, "/api-keys", "keys"),
    ];
    for granted in ["read", "write", "payloads", "replay", "keys"] {
        let holder = tenant.seen_by(&tenant.key(json!([granted])).await);
        for (method, rest, needed) in &asks {
            let answer = ask(&holder, method, rest).await;
            if granted == *needed {
                answer.succeeded();
            } else {
                let _ = answer.problem(403);
            }
        }
    }
}

async fn what_was_sent_and_answered_is_seen_with_payloads_only(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([Reply::status(422)]).await;
    let route = relay.route_tried(&receiver, Some(&[0])).await;
    let tenant = &route.tenant;
    let event = route.source.send(APPROVED).await;
    let delivery = text(&tenant.settled(&event).await[0], "id");

    for (scopes, is_shown) in [(json!(["read"]), false), (json!(["read", "payloads"]), true)] {
        let holder = tenant.seen_by(&tenant.key(scopes).await);
        let seen = holder.get(&format!("/events/{event}")).await.json(200);
        assert_eq!(seen["headers"].is_array(), is_shown, "{seen:#}");
        let tried = &holder.get(&format!("/deliveries/{delivery}")).await.json(200)["attempt_log"][0];
        assert_eq!(tried["status"], 422);
        assert_eq!((tried["response_headers"].is_array(), tried["response_body"].is_string()), (is_shown, is_shown));
    }
}

async fn a_key_cannot_make_a_wider_one(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let narrow = tenant.seen_by(&tenant.key(json!(["read", "keys"])).await);

    narrow.post("/api-keys", json!({ "name": "as narrow", "scopes": ["read"] })).await.is(201);
    let wider = narrow.post("/api-keys", json!({ "name": "wider", "scopes": ["read", "write"] })).await;
    assert!([403, 422].contains(&wider.status), "{wider}");
    tenant.post("/api-keys", json!({ "name": "x", "scopes": ["everything"] })).await.problem_about(422, &["scopes"]);
}

async fn a_key_expires(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let in_an_hour = chrono::DateTime::from_timestamp_millis(relay.clock.now_ms() + 3_600_000).unwrap();
    let fields = json!({ "name": "for an hour", "expires_at": in_an_hour.to_rfc3339() });
    let made = tenant.post("/api-keys", fields).await.json(201);
    let holder = tenant.seen_by(&relay.anybody().with_key(&text(&made, "key")));
    holder.get("/sources").await.is(200);

    relay.clock.advance(Duration::from_secs(3_601));

    eventually("the key to expire", async || (holder.get("/sources").await.status == 401).then_some(())).await;
}

async fn the_catalogue_of_providers_needs_no_key(database: Database) {
    let relay = Relay::start(database).await;
    let listed = relay.anybody().get("/v1/providers").await.json(200).to_string();
    assert!(["ondato", "waldo", "generic"].iter().all(|name| listed.contains(name)), "{listed}");
    let ondato = relay.anybody().get("/v1/providers/ondato").await.json(200).to_string();
    assert!(
        ["KycIdentification.Approved", "Form.Created", "20.31.227.231"].iter().all(|word| ondato.contains(word)),
        "{ondato}"
    );
    let _ = relay.anybody().get("/v1/providers/nobody").await.problem(404);
}

async fn ask(holder: &Tenant, method: &Method, rest: &str) -> harness::Answer {
    let client: &Client = &holder.client;
    let fields = json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" } });
    match (method, rest) {
        (&Method::POST, "/sources") => client.post(&holder.path(rest), fields).await,
        (&Method::POST, _) => client.post(&holder.path(rest), json!({})).await,
        _ => client.get(&holder.path(rest)).await,
    }
}

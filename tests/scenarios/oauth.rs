//! Providers that authenticate by OAuth2: our token server, and its tokens at the source's URL.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::answer::{items, text};
use harness::ondato::{APPROVED, event};
use harness::wait::HOLDS_WITHIN;
use harness::{Answer, Client, Database, Relay, Source, Tenant, eventually, json, on_each_database, within};
use reqwest::Method;

on_each_database![
    a_client_gets_a_token_in_either_way_and_sends_with_it,
    a_provider_may_fetch_a_token_before_each_event,
    what_is_wrong_with_a_request_is_said_as_the_rfc_has_it,
    an_unknown_client_and_a_wrong_secret_are_told_alike,
    a_token_that_is_none_or_no_longer_is_refused_as_invalid,
    tokens_open_their_own_source_only,
    a_revoked_client_is_refused_everywhere_within_a_second,
    a_client_that_ends_takes_its_tokens_along,
    a_disabled_source_gives_no_tokens,
    tokens_outlive_a_restart,
    expired_tokens_are_forgotten,
];

const GRANT: &str = "grant_type=client_credentials";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// An OAuth2 client of one source.
#[derive(Debug, Clone)]
struct Oauth {
    source: Source,
    id: String,
    secret: String,
    /// The path of its credential below the tenant's.
    path: String,
}

impl Oauth {
    async fn of(tenant: &Tenant, source: &Source) -> Self {
        let path = format!("/sources/{}/credentials", source.id);
        let made = tenant.post(&path, json!({ "kind": "oauth2_client" })).await.json(201);
        assert!(text(&made, "token_url").ends_with("/oauth/token"), "{made:#}");
        let path = format!("{path}/{}", text(&made, "id"));
        Self { source: source.clone(), id: text(&made, "client_id"), secret: text(&made, "client_secret"), path }
    }

    /// The same client, talking to another process.
    fn at(&self, process: &harness::Process) -> Self {
        Self { source: self.source.at(process), ..self.clone() }
    }

    async fn ask(&self) -> Answer {
        let body = format!("{GRANT}&client_id={}&client_secret={}", self.id, self.secret);
        ask(&self.source.provider, &[FORM], &body).await
    }

    async fn token(&self) -> String {
        text(&self.ask().await.json(200), "access_token")
    }

    fn basic(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.id, self.secret)))
    }
}

async fn ask(client: &Client, headers: &[(&str, &str)], body: &str) -> Answer {
    client.ask(Method::POST, "/oauth/token", headers, body.to_owned()).await
}

fn bearing(source: &Source, token: &str) -> Source {
    Source { authorization: Some(format!("Bearer {token}")), ..source.clone() }
}

/// A tenant, and a client of its source, which asks for credentials.
async fn client(relay: &Relay) -> (Tenant, Oauth) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(json!({ "name": "in", "provider": "ondato" })).await;
    let oauth = Oauth::of(&tenant, &source).await;
    (tenant, oauth)
}

#[track_caller]
fn is_an_error(answer: &Answer, status: u16, error: &str) {
    let body = answer.json(status);
    assert_eq!(body["error"], error, "{answer}");
    assert!(body.as_object().unwrap().keys().all(|name| name.starts_with("error")), "{answer}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer}");
    let challenge = answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic realm="));
    assert_eq!(challenge, status == 401, "{answer}");
}

#[track_caller]
fn is_an_invalid_token(answer: &Answer) {
    let _ = answer.problem(401);
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="webhooks", error="invalid_token""#),
        "{answer}"
    );
}

async fn a_client_gets_a_token_in_either_way_and_sends_with_it(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, oauth) = client(&relay).await;
    let basic = oauth.basic();
    let encoded = format!("Basic {}", STANDARD.encode(format!("{}:{}", oauth.id.replace('_', "%5F"), oauth.secret)));
    let provider = &oauth.source.provider;

    let in_body = oauth.ask().await;
    let in_header = ask(provider, &[FORM, ("authorization", &basic)], GRANT).await;
    let as_the_rfc_has_it = ask(provider, &[FORM, ("authorization", &encoded)], GRANT).await;
    let with_more = format!("{GRANT}&scope=webhooks%20all&audience=x&audience=y&client_id={}", oauth.id);
    let with_more = ask(provider, &[FORM, ("authorization", &basic)], &with_more).await;

    let mut tokens = Vec::new();
    for answer in [in_body, in_header, as_the_rfc_has_it, with_more] {
        let mut body = answer.json(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("pragma"), Some("no-cache"));
        tokens.push(text(&body, "access_token"));
        body.as_object_mut().unwrap().remove("access_token");
        assert_eq!(body, json!({ "token_type": "Bearer", "expires_in": 3600 }));
    }
    // All of them at once: to issue one revokes no other.
    for token in &tokens {
        bearing(&oauth.source, token).send(APPROVED).await;
    }
    let stored = items(&tenant.get("/events").await.json(200));
    assert_eq!(stored.len(), tokens.len());
    let one = tenant.event(&text(&stored[0], "id")).await;
    assert!(one["headers"].to_string().contains(r#"["authorization","[redacted]"]"#), "{one:#}");
    eventually("its use to be noted", async || {
        let shown = tenant.get(&oauth.path).await.json(200);
        assert!(shown.get("client_secret").is_none(), "{shown:#}");
        shown["last_used_at"].is_string().then_some(())
    })
    .await;
}

async fn a_provider_may_fetch_a_token_before_each_event(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let (tenant, oauth) = client(&relay).await;

    for number in 0..200 {
        let (here, there) = (&relay.apis[number % relay.apis.len()], &relay.apis[(number + 1) % relay.apis.len()]);
        let token = oauth.at(here).token().await;
        bearing(&oauth.source.at(there), &token).send(APPROVED).await;
    }

    let page = tenant.get("/events?limit=250").await.json(200);
    assert_eq!(items(&page).len(), 200);
}

async fn what_is_wrong_with_a_request_is_said_as_the_rfc_has_it(database: Database) {
    let relay = Relay::start(database).await;
    let (_, oauth) = client(&relay).await;
    let provider = &oauth.source.provider;
    let basic = oauth.basic();
    let whole = format!("{GRANT}&client_id={}&client_secret={}", oauth.id, oauth.secret);
    let asked = json!({ "grant_type": "client_credentials", "client_id": oauth.id, "client_secret": oauth.secret });
    let json_type = ("content-type", "application/json");

    for (headers, body, status, error) in [
        (vec![json_type], asked.to_string(), 400, "invalid_request"),
        (vec![FORM], whole.replace(GRANT, ""), 400, "invalid_request"),
        (vec![FORM], format!("{whole}&client_id={}", oauth.id), 400, "invalid_request"),
        (vec![FORM, ("authorization", &basic)], whole.clone(), 400, "invalid_request"),
        (vec![FORM], format!("{whole}&x={}", "x".repeat(8_192)), 400, "invalid_request"),
        (vec![FORM], whole.replace("client_credentials", "authorization_code"), 400, "unsupported_grant_type"),
        (vec![FORM], GRANT.to_owned(), 401, "invalid_client"),
        (vec![FORM, ("authorization", "Basic nonsense")], GRANT.to_owned(), 401, "invalid_client"),
        (vec![FORM, ("authorization", "Bearer nonsense")], GRANT.to_owned(), 401, "invalid_client"),
    ] {
        is_an_error(&ask(provider, &headers, &body).await, status, error);
    }
    let in_query = provider.ask(Method::POST, &format!("/oauth/token?{whole}"), &[FORM], GRANT).await;
    is_an_error(&in_query, 400, "invalid_request");
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = provider.ask(method, "/oauth/token", &[FORM], whole.clone()).await;
        is_an_error(&answer, 405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("POST"), "{answer}");
    }
    ask(provider, &[FORM], &whole).await.is(200);
}

async fn an_unknown_client_and_a_wrong_secret_are_told_alike(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, oauth) = client(&relay).await;
    let path = format!("/sources/{}/credentials", oauth.source.id);
    let other_kind = tenant.post(&path, json!({ "kind": "basic", "username": "u" })).await.json(201);
    oauth.token().await;

    let mut answers = Vec::new();
    for (id, secret) in [
        (oauth.id.clone(), "wrong".to_owned()),
        (oauth.id.clone(), oauth.secret.to_uppercase()),
        (relay::id::CredentialId::at(relay.clock.now_ms()).to_string(), oauth.secret.clone()),
        ("nonsense".to_owned(), oauth.secret.clone()),
        (text(&other_kind, "id"), text(&other_kind, "password")),
    ] {
        let answer = Oauth { id, secret, ..oauth.clone() }.ask().await;
        is_an_error(&answer, 401, "invalid_client");
        answers.push(answer.text());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

async fn a_token_that_is_none_or_no_longer_is_refused_as_invalid(database: Database) {
    let relay = Relay::start(database).await;
    let (_, oauth) = client(&relay).await;
    let token = oauth.token().await;
    let source = bearing(&oauth.source, &token);
    source.send(APPROVED).await;

    let mut other = token.clone();
    other.replace_range(10..14, if &token[10..14] == "aaaa" { "bbbb" } else { "aaaa" });
    for wrong in [other.as_str(), "nonsense", &token.to_uppercase(), &format!("{token}a"), ""] {
        is_an_invalid_token(&bearing(&oauth.source, wrong).post(event(APPROVED)).await);
    }
    // A minute more than it says: clocks differ.
    relay.clock.advance(Duration::from_secs(3_600 + 30));
    relay.clock_is_followed().await;
    source.send(APPROVED).await;
    relay.clock.advance(Duration::from_secs(31));
    relay.clock_is_followed().await;
    is_an_invalid_token(&source.post(event(APPROVED)).await);
    bearing(&oauth.source, &oauth.token().await).send(APPROVED).await;

    let bare = oauth.source.post(event(APPROVED)).await;
    assert_eq!(bare.header("www-authenticate"), Some(r#"Bearer realm="webhooks""#), "{bare}");
}

async fn tokens_open_their_own_source_only(database: Database) {
    let relay = Relay::start(database).await;
    let ((tenant, oauth), (_, stranger)) = (client(&relay).await, client(&relay).await);
    let sibling = tenant.source_of(json!({ "name": "sibling", "provider": "ondato" })).await;
    let sibling = Oauth::of(&tenant, &sibling).await;
    let token = oauth.token().await;

    bearing(&oauth.source, &token).send(APPROVED).await;
    for other in [&stranger, &sibling] {
        is_an_invalid_token(&bearing(&other.source, &token).post(event(APPROVED)).await);
        bearing(&other.source, &other.token().await).send(APPROVED).await;
    }
    let without_clients = tenant.source_of(json!({ "name": "without", "provider": "ondato" })).await;
    let _ = bearing(&without_clients, &token).post(event(APPROVED)).await.problem(401);
}

async fn a_revoked_client_is_refused_everywhere_within_a_second(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let (tenant, oauth) = client(&relay).await;
    let spare = Oauth::of(&tenant, &oauth.source).await;
    let (token, spared) = (oauth.token().await, spare.token().await);
    let clients: Vec<_> = relay.apis.iter().map(|api| oauth.at(api)).collect();
    for client in &clients {
        client.token().await;
        bearing(&client.source, &token).send(APPROVED).await;
    }

    tenant.delete(&oauth.path).await.is(204);

    within(HOLDS_WITHIN, "client and token to be refused", async || {
        let mut refused = 0;
        for client in &clients {
            let used = bearing(&client.source, &token).post(event(APPROVED)).await.status == 401;
            refused += usize::from(used && client.ask().await.status == 401);
        }
        (refused == clients.len()).then_some(())
    })
    .await;
    for client in &clients {
        is_an_invalid_token(&bearing(&client.source, &token).post(event(APPROVED)).await);
        is_an_error(&client.ask().await, 401, "invalid_client");
        bearing(&client.source, &spared).send(APPROVED).await;
    }
}

async fn a_client_that_ends_takes_its_tokens_along(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, oauth) = client(&relay).await;
    let source = bearing(&oauth.source, &oauth.token().await);
    let soon = chrono::DateTime::from_timestamp_millis(relay.clock.now_ms() + 600_000).unwrap().to_rfc3339();
    tenant.patch(&oauth.path, json!({ "expires_at": soon })).await.is(200);
    source.send(APPROVED).await;

    relay.clock.advance(Duration::from_secs(601));
    relay.clock_is_followed().await;

    is_an_error(&oauth.ask().await, 401, "invalid_client");
    let _ = source.post(event(APPROVED)).await.problem(401);
    tenant.patch(&oauth.path, json!({ "expires_at": null })).await.is(200);
    source.send(APPROVED).await;
    oauth.token().await;
}

async fn a_disabled_source_gives_no_tokens(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, oauth) = client(&relay).await;
    oauth.token().await;
    let path = format!("/sources/{}", oauth.source.id);

    tenant.patch(&path, json!({ "enabled": false })).await.is(200);
    is_an_error(&oauth.ask().await, 401, "invalid_client");
    tenant.patch(&path, json!({ "enabled": true })).await.is(200);
    oauth.token().await;
    tenant.delete(&path).await.is(204);
    is_an_error(&oauth.ask().await, 401, "invalid_client");
}

async fn tokens_outlive_a_restart(database: Database) {
    let relay = Relay::start(database).await;
    let (_, oauth) = client(&relay).await;
    let source = bearing(&oauth.source, &oauth.token().await);
    // A commit that waits for the disk, behind the token's, which does not.
    source.send(APPROVED).await;

    relay.kill();
    relay.start_again().await;

    source.send(APPROVED).await;
}

async fn expired_tokens_are_forgotten(database: Database) {
    let relay = Relay::start(database).await;
    let (_, oauth) = client(&relay).await;
    for _ in 0..3 {
        oauth.token().await;
    }
    assert_eq!(relay.database.number("SELECT count(*) FROM access_token").await, 3);

    relay.clock.advance(Duration::from_secs(3_600 + 61));
    eventually("the expired ones to go", async || {
        (relay.database.number("SELECT count(*) FROM access_token").await == 0).then_some(())
    })
    .await;
}

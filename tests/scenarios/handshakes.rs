//! Providers try a URL before they send events there: each hears what its documents ask for, nothing is stored, and
//! nobody else hears anything.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::{Answer, Client, Database, Relay, Source, Tenant, Value, json, on_each_database};
use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use sha2::Sha256;

on_each_database![
    each_provider_hears_what_it_asks_for,
    a_handshake_that_proves_nothing_is_refused,
    a_challenge_that_could_be_something_else_is_refused,
    the_same_words_to_another_provider_are_an_event,
];

const SECRET: &str = "a secret of the provider's";
const CHALLENGE: &str = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P";

/// One try of a URL, and what is to be heard.
struct Try {
    preset: &'static str,
    credential: Value,
    method: Method,
    query: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
    heard: String,
}

impl Try {
    fn new(preset: &'static str, credential: Value) -> Self {
        let (headers, body, heard) = (Vec::new(), String::new(), String::new());
        Self { preset, credential, method: Method::POST, query: "", headers, body, status: 200, heard }
    }

    fn hears(mut self, heard: &impl ToString) -> Self {
        self.heard = heard.to_string();
        self
    }
}

async fn each_provider_hears_what_it_asks_for(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    for it in tries(relay.clock.now_ms() / 1000) {
        let source = open(&tenant, &it).await;
        let answer = ask(&relay.anybody(), &source, &it, &it.body).await;
        assert_eq!((answer.status, answer.text()), (it.status, it.heard.clone()), "{}: {answer}", it.preset);
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{}", it.preset);
        let is_html = answer.header("content-type").is_some_and(|it| it.contains("html"));
        assert!(!is_html, "{}: {answer}", it.preset);
    }
    assert_eq!(tenant.get("/events").await.json(200)["items"], json!([]));
}

async fn a_handshake_that_proves_nothing_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    for mut it in tries(relay.clock.now_ms() / 1000) {
        // These prove nothing by design: what they hear is what they said, or a signature of what can be no body.
        if ["ms-graph", "cloudevents", "x"].contains(&it.preset) {
            continue;
        }
        it.query = if it.query.is_empty() { "" } else { "hub.mode=subscribe&hub.verify_token=guessed&hub.challenge=1" };
        for (_, value) in &mut it.headers {
            *value = value.replace(SECRET, "guessed").replace("sha256=", "sha256=0").replace("v0=", "v0=0");
        }
        let source = open(&tenant, &it).await;
        let answer = ask(&relay.anybody(), &source, &it, &it.body.replace("challenge", "challengf")).await;
        answer.is(401);
        assert!(!answer.text().contains("3eZbrw"), "{answer}");
    }
    assert_eq!(tenant.get("/events").await.json(200)["items"], json!([]));
}

async fn a_challenge_that_could_be_something_else_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    for (preset, credential, query) in [
        (
            "meta",
            token(),
            "hub.mode=subscribe&hub.verify_token=a%20secret%20of%20the%20provider's&hub.challenge=%3Cb%3E",
        ),
        ("x", hmac(), "crc_token=%7B%22a%22%3A1%7D"),
        ("x", hmac(), "crc_token=123"),
        ("ms-graph", token(), "validationToken=%3Cscript%3E"),
    ] {
        let it = Try { query, method: Method::GET, ..Try::new(preset, credential) };
        let source = open(&tenant, &it).await;
        let answer = ask(&relay.anybody(), &source, &it, "").await;
        answer.is(401);
        assert!(!answer.text().contains('<') && !answer.text().contains("response_token"), "{answer}");
    }
    assert_eq!(tenant.get("/events").await.json(200)["items"], json!([]));
}

async fn the_same_words_to_another_provider_are_an_event(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source =
        tenant.source_of(json!({ "name": "in", "provider": "generic", "verification": { "kind": "none" } })).await;
    for it in tries(relay.clock.now_ms() / 1000) {
        if it.method != Method::OPTIONS {
            ask(&relay.anybody(), &source, &it, &it.body).await.is(202);
        }
    }
}

async fn open(tenant: &Tenant, it: &Try) -> Source {
    let source = tenant.source_of(json!({ "name": it.preset, "provider": it.preset })).await;
    tenant.post(&format!("/sources/{}/credentials", source.id), it.credential.clone()).await.is(201);
    source
}

async fn ask(provider: &Client, source: &Source, it: &Try, body: &str) -> Answer {
    let path = if it.query.is_empty() { source.path.clone() } else { format!("{}?{}", source.path, it.query) };
    let headers: Vec<(&str, &str)> = it.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    provider.ask(it.method.clone(), &path, &headers, body.to_owned()).await
}

/// As the providers' documents show them, signed at this second.
fn tries(now: i64) -> Vec<Try> {
    vec![slack(now), zoom(now), twitch(now), meta(), x(), ms_graph(), event_grid(), cloudevents(), okta()]
}

fn slack(now: i64) -> Try {
    let body = json!({ "type": "url_verification", "challenge": CHALLENGE }).to_string();
    let signature = format!("v0={}", hex(&format!("v0:{now}:{body}")));
    Try {
        headers: vec![("x-slack-request-timestamp", now.to_string()), ("x-slack-signature", signature)],
        body,
        ..Try::new("slack", hmac()).hears(&CHALLENGE)
    }
}

fn zoom(now: i64) -> Try {
    let token = "qgg8vlvZRS6UYooatFL8Aw";
    let body = json!({ "event": "endpoint.url_validation", "payload": { "plainToken": token } }).to_string();
    let signature = format!("v0={}", hex(&format!("v0:{now}:{body}")));
    Try {
        headers: vec![("x-zm-request-timestamp", now.to_string()), ("x-zm-signature", signature)],
        body,
        ..Try::new("zoom", hmac()).hears(&json!({ "encryptedToken": hex(token), "plainToken": token }))
    }
}

fn twitch(now: i64) -> Try {
    let id = "e76c6bd4-55c9-4987-8304-da1588d8988b";
    let at = chrono::DateTime::from_timestamp(now, 0).unwrap().to_rfc3339();
    let body = json!({ "challenge": CHALLENGE, "subscription": { "id": "1" } }).to_string();
    let signature = format!("sha256={}", hex(&format!("{id}{at}{body}")));
    Try {
        headers: vec![
            ("twitch-eventsub-message-type", "webhook_callback_verification".to_owned()),
            ("twitch-eventsub-message-id", id.to_owned()),
            ("twitch-eventsub-message-timestamp", at),
            ("twitch-eventsub-message-signature", signature),
        ],
        body,
        ..Try::new("twitch", hmac()).hears(&CHALLENGE)
    }
}

fn meta() -> Try {
    Try {
        method: Method::GET,
        query: "hub.mode=subscribe&hub.verify_token=a%20secret%20of%20the%20provider%27s&hub.challenge=1158201444",
        ..Try::new("meta", token()).hears(&"1158201444")
    }
}

fn x() -> Try {
    let response = format!("sha256={}", STANDARD.encode(mac("OTliNzNhY2I")));
    Try {
        method: Method::GET,
        query: "crc_token=OTliNzNhY2I",
        ..Try::new("x", hmac()).hears(&json!({ "response_token": response }))
    }
}

fn ms_graph() -> Try {
    Try {
        query: "validationToken=Validation%3A+Testing+client+application+reachability",
        ..Try::new("ms-graph", token()).hears(&"Validation: Testing client application reachability")
    }
}

fn event_grid() -> Try {
    let code = "512d38b6-c7b8-40c8-89fe-f46f9e9622b6";
    let body = json!([{ "id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": { "validationCode": code } }]);
    Try {
        headers: vec![("aeg-event-type", "SubscriptionValidation".to_owned()), ("x-key", SECRET.to_owned())],
        body: body.to_string(),
        ..Try::new("event-grid", key("x-key", SECRET)).hears(&json!({ "validationResponse": code }))
    }
}

fn cloudevents() -> Try {
    Try {
        method: Method::OPTIONS,
        headers: vec![("webhook-request-origin", "eventemitter.example.com".to_owned())],
        ..Try::new("cloudevents", key("x-key", SECRET))
    }
}

fn okta() -> Try {
    let secret = format!("Basic {SECRET}");
    Try {
        method: Method::GET,
        headers: vec![("x-okta-verification-challenge", CHALLENGE.to_owned()), ("authorization", secret.clone())],
        ..Try::new("okta", key("authorization", &secret)).hears(&json!({ "verification": CHALLENGE }))
    }
}

fn hmac() -> Value {
    json!({ "kind": "hmac", "secret": SECRET })
}

fn token() -> Value {
    json!({ "kind": "verify_token", "token": SECRET })
}

fn key(header: &str, key: &str) -> Value {
    json!({ "kind": "api_key", "header": header, "key": key })
}

fn mac(message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(message: &str) -> String {
    mac(message).iter().map(|byte| format!("{byte:02x}")).collect()
}

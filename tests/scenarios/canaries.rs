//! Secrets and payloads are planted wherever somebody can put them, everything is done with them that can be done, and then
//! they are looked for where they do not belong.

use harness::answer::{items, text};
use harness::certificate::Certificate;
use harness::relay::{OPERATOR_KEY, master_keys};
use harness::signature::hex_hmac;
use harness::source::basic;
use harness::{
    Client, Collector, Database, Receiver, Relay, Reply, Source, Tenant, Value, eventually, on_each_database,
};
use reqwest::Method;
use serde_json::json;

on_each_database![
    nothing_that_was_planted_is_found_where_it_does_not_belong,
    nor_where_payloads_are_sealed_and_then_not_in_the_database_either,
];

/// Nobody reads these anywhere, once they were given; nor those that are made.
const SECRETS: [&str; 13] = [
    OPERATOR_KEY,
    "canary-basic-password-7c1f",
    "canary-api-key-value-8d2e",
    "canary-hmac-secret-9e3d",
    "canary-bearer-token-af4c",
    "canary-destination-token-b05b",
    "canary-destination-header-c16a",
    "canary-destination-password-d279",
    "canary-client-secret-e388",
    "canary-collector-key-f497",
    "canary-verify-token-05a6",
    "canary-fetched-token-16b5",
    DATABASE_PASSWORD,
];
const DATABASE_PASSWORD: &str = "canary-database-password-27c4";
/// These are read only by who may read payloads.
const PAYLOADS: [&str; 8] = [
    "canary-body-1a2b",
    "canary-header-2b3c",
    "canary-answer-body-3c4d",
    "canary-answer-header-4d5e",
    "canary-wrong-password-5e6f",
    "canary-explained-body-6f70",
    "canary-refused-body-7081",
    "canary-cookie-8192",
];
/// These its own tenant reads, and nobody else does; the last of them nobody.
const FACTS: [&str; 8] = [
    "canary-query-92a3",
    "canary-attribute-a3b4",
    "canary-external-id-b4c5",
    "canary-path-c5d6",
    "canary-source-d6e7",
    "canary-destination-e7f8",
    "canary-header-of-its-own-f809",
    "canary-idempotency-key-091a",
];

async fn nothing_that_was_planted_is_found_where_it_does_not_belong(database: Database) {
    search(&database, false).await;
}

async fn nor_where_payloads_are_sealed_and_then_not_in_the_database_either(database: Database) {
    search(&database, true).await;
}

async fn search(database: &Database, seals: bool) {
    let collector = Collector::start().await;
    let relay = Relay::plan(database.clone())
        .setting("HOOKYARD_DATABASE_URL", with_password(database))
        .setting("HOOKYARD_SEAL_PAYLOADS", seals.to_string())
        .setting("HOOKYARD_OTLP_ENDPOINT", collector.endpoint())
        .setting("HOOKYARD_OTLP_HEADERS", format!("x-key={}", SECRETS[9]))
        .setting("HOOKYARD_LOG", "info,api=trace,worker=trace,relay=trace,entity=trace,hookyard=trace")
        .setting("HOOKYARD_LOG_FORMAT", "json")
        .start()
        .await;
    let refusal = Reply::status(503).header("x-canary", PAYLOADS[3]).body(PAYLOADS[2]);
    let receiver = Receiver::always(refusal).await;
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let reader = tenant.key(json!(["read", "keys", "audit"])).await;
    let stranger = other.key(json!(["read", "write", "payloads", "replay", "secrets", "keys", "audit"])).await;
    let mut tail = tenant.seen_by(&reader).tail("").await;
    let mut planted = Planted::new(&tenant);
    planted.plant(&receiver).await;
    let secrets = planted.secrets;
    misuse(&tenant, &relay.anybody()).await;
    collector.heard("attempt", 1).await;
    let _ = other.destination(&Receiver::start().await).await;
    other.source().await.post(json!({ "type": "of another" }).to_string()).await.is(202);

    let of_payloads: Vec<&str> = secrets.iter().map(String::as_str).chain(PAYLOADS).collect();
    let all: Vec<&str> = of_payloads.iter().copied().chain(FACTS).collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    for path in everything(&tenant).await {
        is_clean(&path, &reader.get(&path).await.is(200).text(), &of_payloads);
        is_clean(&path, &stranger.get(&path).await.is(404).text(), &all);
        // Who may read everything reads the payloads and the URLs, and no secret.
        let read = relay.operator().get(&path).await.is(200).text();
        is_clean(&path, &read, &secrets.iter().copied().filter(|it| !it.starts_with("/in/")).collect::<Vec<_>>());
    }
    for path in everything(&other).await {
        is_clean(&path, &stranger.get(&path).await.is(200).text(), &all);
    }
    let rejected = tail.until(|news| news.kind == "rejection").await;
    assert!(rejected.iter().any(|news| news.kind == "delivery"), "{rejected:#?}");
    is_clean("the tail", &rejected.iter().map(|news| news.data.to_string()).collect::<String>(), &of_payloads);

    for process in relay.processes() {
        is_clean("the metrics", &Client::of(process).operations("/metrics").await.text(), &all);
        is_clean("the readiness", &Client::of(process).operations("/readyz").await.text(), &all);
        is_clean("the log", &process.logged(), &all);
    }
    for posted in collector.receiver().requests() {
        is_clean("a trace", &String::from_utf8_lossy(&posted.body), &all);
    }
    is_kept_as_it_should_be(database, &secrets, seals).await;
}

/// No secret stands in the database, and payloads do unless they are sealed.
async fn is_kept_as_it_should_be(database: &Database, secrets: &[&str], seals: bool) {
    assert_eq!(database.columns_with(secrets).await, [] as [&str; 0]);
    if !database.is_postgres() {
        let file = database.url().replace("sqlite://", "");
        for suffix in ["", "-wal"] {
            let bytes = std::fs::read(format!("{file}{suffix}")).unwrap_or_default();
            is_clean("the database's file", &String::from_utf8_lossy(&bytes), secrets);
        }
    }
    // What is refused, or only asked about, is never kept; and that the rest is kept shows that it was planted.
    let is_kept = |canary: &&str| !["wrong", "explained", "refused", "cookie"].iter().any(|it| canary.contains(it));
    for payload in PAYLOADS {
        let columns = database.columns_with(&[payload]).await;
        assert_eq!(columns.is_empty(), seals || !is_kept(&payload), "{payload} stands in {columns:?}");
    }
    for fact in &FACTS[..7] {
        assert_ne!(database.columns_with(&[fact]).await, [] as [&str; 0], "{fact} was not planted");
    }
}

/// Where PostgreSQL asks for none, it is known all the same.
fn with_password(database: &Database) -> String {
    database.url().replacen('@', &format!(":{DATABASE_PASSWORD}@"), usize::from(database.is_postgres()))
}

#[track_caller]
fn is_clean(place: &str, text: &str, planted: &[&str]) {
    for canary in planted {
        assert!(!text.contains(canary), "{canary} stands in {place}: {}", around(text, canary));
    }
}

fn around(text: &str, canary: &str) -> String {
    let at = text.find(canary).unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(200)).take(500).collect()
}

/// One of everything that holds a secret, and events that go through all of it.
struct Planted<'a> {
    tenant: &'a Tenant,
    /// Those that were given, as they are sent, and those that were made.
    secrets: Vec<String>,
}

impl<'a> Planted<'a> {
    fn new(tenant: &'a Tenant) -> Self {
        let mut secrets: Vec<String> = SECRETS.into_iter().map(str::to_owned).collect();
        secrets.push(master_keys().rsplit(':').next().unwrap().to_owned());
        for (user, password) in [("ondato", SECRETS[1]), ("u", SECRETS[7]), ("c", SECRETS[8])] {
            secrets.push(basic(user, password).replace("Basic ", ""));
        }
        Self { tenant, secrets }
    }

    async fn plant(&mut self, receiver: &Receiver) {
        let fields = json!({
            "name": FACTS[4],
            "provider": "ondato",
            "verification": { "kind": "none" },
            "extract": { "external_id": "json:/external", "attributes": { "note": "json:/attribute" } },
        });
        let open = self.tenant.source_of(fields).await;
        self.secrets.push(open.path.clone());
        self.destinations(receiver).await;

        let body = json!({
            "note": PAYLOADS[0], "type": "KycIdentification.Approved", "attribute": FACTS[1], "external": FACTS[2],
        });
        let asked = Source { path: format!("{}/{}?note={}", open.path, FACTS[3], FACTS[0]), ..open.clone() };
        let headers = [
            ("content-type", "application/json"),
            ("x-canary", PAYLOADS[1]),
            ("cookie", &format!("a={}", PAYLOADS[7])),
        ];
        let event = asked.post_with(&headers, body.to_string()).await.event_id();
        let failed = format!("/deliveries?event_id={event}&state=failed");
        eventually("what was sent to fail", async || {
            (items(&self.tenant.get(&failed).await.json(200)).len() == 4).then_some(())
        })
        .await;
        let fetched = format!("Bearer {}", SECRETS[11]);
        let sent = receiver.requests();
        assert!(sent.iter().any(|it| it.header("authorization") == Some(fetched.as_str())), "{sent:#?}");
        let found = self.tenant.event(&event).await.to_string();
        assert!(FACTS[..4].iter().all(|fact| found.contains(fact)), "{found}");

        self.providers().await;
        self.tenant.post("/replays", json!({ "filter": { "state": "failed" } })).await.is(202);
        let explained = json!({ "source_id": open.id, "headers": [["x-canary", PAYLOADS[1]]], "body": PAYLOADS[5] });
        let explained = self.tenant.post("/subscriptions/explain", explained).await;
        let secrets: Vec<&str> = self.secrets.iter().map(String::as_str).collect();
        is_clean("what would become of a request", &explained.is(200).text(), &secrets);
        let key = self.tenant.post("/api-keys", json!({ "name": "made", "scopes": ["read"] })).await.json(201);
        self.secrets.push(text(&key, "key"));
        let rotated = self.tenant.post(&format!("/sources/{}/rotate-url", open.id), json!({})).await.json(200);
        let url = text(&rotated, "url");
        self.secrets.push(url[url.find("/in/").unwrap()..].to_owned());
    }

    /// One for each way to authenticate, all of which get everything; and one that shows a certificate.
    async fn destinations(&mut self, receiver: &Receiver) {
        let token = json!({ "access_token": SECRETS[11], "token_type": "Bearer", "expires_in": 3_600 });
        receiver.publish("/token", token.to_string());
        for auth in [
            json!({ "kind": "bearer", "token": SECRETS[5] }),
            json!({ "kind": "header", "name": "x-canary", "value": SECRETS[6] }),
            json!({ "kind": "basic", "username": "u", "password": SECRETS[7] }),
            json!({
                "kind": "oauth2_client_credentials", "token_url": receiver.url_of("/token"), "client_id": "c",
                "client_secret": SECRETS[8],
            }),
        ] {
            let told = json!({
                "name": FACTS[5], "auth": auth, "retry": { "schedule_s": [0] }, "keep_responses": true,
                "headers": { "x-own": FACTS[6] },
            });
            let destination = self.tenant.destination_with(receiver, told).await;
            self.tenant.subscribe(&destination, &["*"]).await;
            self.secrets.push(destination.signing_secret);
        }
        let shown = Certificate::of_this_machine();
        self.secrets.push(shown.key.lines().nth(1).unwrap().to_owned());
        let told = json!({
            "name": "shown", "url": receiver.url(), "signing": { "v1a": true },
            "tls": { "client_certificate": shown.pem, "client_key": shown.key },
        });
        let path = self.tenant.path("/destinations");
        let once = [("idempotency-key", FACTS[7])];
        let made = self.tenant.client.ask_json(Method::POST, &path, &once, &told).await.json(201);
        let path = format!("/destinations/{}", text(&made, "id"));
        self.tenant.act(&format!("{path}/test")).await.is(202);
        let rotated = self.tenant.post(&format!("{path}/secrets"), json!({ "overlap_s": 60 })).await.json(200);
        self.secrets.extend([&made, &rotated].map(|it| text(it, "signing_secret")));
    }

    /// One for each way to prove who one is, each of which is let in once; and one that is not.
    async fn providers(&mut self) {
        let (guarded, _) = self.tenant.guarded_source("ondato", SECRETS[1]).await;
        let path = format!("/sources/{}/credentials", guarded.id);
        for credential in [
            json!({ "kind": "api_key", "header": "x-api-key", "key": SECRETS[2] }),
            json!({ "kind": "bearer", "token": SECRETS[4] }),
        ] {
            self.tenant.post(&path, credential).await.is(201);
        }
        let client = self.tenant.post(&path, json!({ "kind": "oauth2_client" })).await.json(201);
        let (id, secret) = (text(&client, "client_id"), text(&client, "client_secret"));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let grant = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let token = guarded.provider.ask(Method::POST, "/oauth/token", &form, grant).await.json(200);
        let token = text(&token, "access_token");
        let by = |headers: Vec<(&'static str, String)>, number: u8| {
            let open = Source { authorization: None, ..guarded.clone() };
            async move {
                let headers = headers.iter().map(|(name, value)| (*name, value.as_str()));
                let headers: Vec<_> = headers.chain([("content-type", "application/json")]).collect();
                open.post_with(&headers, json!({ "type": "proven", "n": number }).to_string()).await.is(202);
            }
        };
        by(vec![("authorization", guarded.authorization.clone().unwrap())], 0).await;
        by(vec![("x-api-key", SECRETS[2].to_owned())], 1).await;
        by(vec![("authorization", format!("Bearer {}", SECRETS[4]))], 2).await;
        by(vec![("authorization", format!("Bearer {token}"))], 3).await;
        guarded.as_user("ondato", PAYLOADS[4]).post(PAYLOADS[6]).await.is(401);
        self.secrets.extend([secret, token, guarded.path]);

        let signature = json!({ "from": "header", "name": "x-s", "parse": { "kind": "raw" }, "encoding": "hex" });
        let hmac = json!({ "kind": "hmac", "signature": signature, "algorithm": "hmac-sha256", "signed": "{body}" });
        let signed = self.proven_by(hmac, json!({ "kind": "hmac", "secret": SECRETS[3] })).await;
        let body = json!({ "type": "signed" }).to_string();
        let signature = hex_hmac(SECRETS[3].as_bytes(), &[body.as_bytes()]);
        signed.post_with(&[("x-s", &signature)], body).await.is(202);

        let in_query = json!({ "kind": "token", "from": "query:token" });
        let asked = self.proven_by(in_query, json!({ "kind": "verify_token", "token": SECRETS[10] })).await;
        let asked = Source { path: format!("{}?token={}", asked.path, SECRETS[10]), ..asked };
        asked.post(json!({ "type": "asked" }).to_string()).await.is(202);
    }

    async fn proven_by(&mut self, verification: Value, credential: Value) -> Source {
        let fields = json!({ "name": "proven", "provider": "generic", "verification": verification });
        let source = self.tenant.source_of(fields).await;
        self.tenant.post(&format!("/sources/{}/credentials", source.id), credential).await.is(201);
        self.secrets.push(source.path.clone());
        source
    }
}

/// What is sent wrongly is named by its place, and not repeated.
async fn misuse(tenant: &Tenant, anybody: &Client) {
    let source = text(&items(&tenant.get("/sources").await.json(200))[0], "id");
    for (path, body) in [
        (
            "/destinations".to_owned(),
            json!({ "name": 1, "url": "x", "auth": { "kind": "bearer", "token": SECRETS[5], "x": 1 } }),
        ),
        (
            format!("/sources/{source}/credentials"),
            json!({ "kind": "basic", "username": "a:b", "password": SECRETS[1] }),
        ),
        (format!("/sources/{source}/credentials"), json!({ "kind": "unknown", "secret": SECRETS[3] })),
    ] {
        let refused = tenant.post(&path, body).await;
        assert_eq!(refused.status, 422, "{refused}");
        is_clean("a refusal", &refused.text(), &SECRETS);
    }
    let refused = anybody.with_key(SECRETS[4]).get(&tenant.path("/events")).await;
    is_clean("a refusal", &refused.is(401).text(), &SECRETS);
}

/// The paths of all that a tenant can read, but bodies.
async fn everything(tenant: &Tenant) -> Vec<String> {
    let mut paths = vec![tenant.path(""), tenant.path("/stats")];
    for list in ["api-keys", "sources", "destinations", "subscriptions", "events", "deliveries", "replays", "audit-log"]
    {
        let path = tenant.path(&format!("/{list}"));
        paths.push(format!("{path}?limit=250"));
        if list == "audit-log" {
            continue;
        }
        for item in items(&tenant.get(&format!("/{list}?limit=250")).await.json(200)) {
            let one = format!("{path}/{}", text(&item, "id"));
            if list == "sources" {
                let credentials = tenant.get(&format!("/{list}/{}/credentials", text(&item, "id"))).await.json(200);
                paths.extend(items(&credentials).iter().map(|it| format!("{one}/credentials/{}", text(it, "id"))));
                paths.extend(["credentials", "rejections"].map(|of| format!("{one}/{of}")));
            }
            paths.push(one);
        }
    }
    paths
}

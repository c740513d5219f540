//! The keys that seal secrets are changed while the relay runs, and no process starts without one that is needed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::answer::{Answer, items, text};
use harness::metrics::Metrics;
use harness::ondato::APPROVED;
use harness::program::{Program, words};
use harness::relay::settings_of;
use harness::signature::is_signed;
use harness::source::basic;
use harness::{Client, Database, Receiver, Relay, Source, Tenant, Value, eventually, json, on_each_database};
use reqwest::Method;

on_each_database![
    keys_are_changed_without_losing_a_secret,
    a_process_without_a_key_that_is_needed_does_not_start,
    a_key_that_still_seals_is_not_given_up,
    a_damaged_secret_stops_its_own_destination_alone,
    a_damaged_credential_refuses_nobody_for_good,
];

fn key(id: &str, byte: u8) -> String {
    format!("{id}:{}", STANDARD.encode([byte; 32]))
}

async fn first(database: &Database, given: &[&str]) -> Relay {
    plan(database, given).start().await
}

/// On the same database, from this time on.
async fn then(database: &Database, given: &[&str], at_ms: i64) -> Relay {
    plan(database, given).at(at_ms).start().await
}

fn plan(database: &Database, given: &[&str]) -> harness::relay::Plan {
    let plan = Relay::plan(database.clone()).setting("HOOKYARD_MASTER_KEYS", given.join(","));
    plan.setting("HOOKYARD_SEAL_PAYLOADS", "true")
}

/// Ends every process as an operator would.
async fn ended(relay: Relay) -> i64 {
    for process in relay.processes() {
        process.terminate();
        process.ended().await;
    }
    relay.clock.now_ms()
}

/// Whether it succeeded, and what it said.
async fn reseal(relay: &Relay, given: &[&str]) -> (bool, String) {
    let mut settings = settings_of(Program::Hookyard, &relay.database, &relay.clock);
    settings.retain(|name, _| ["HOOKYARD_DATABASE_URL", "HOOKYARD_TEST_CLOCK"].contains(name));
    settings.insert("HOOKYARD_MASTER_KEYS", given.join(","));
    let output = Program::Hookyard.run(&["reseal"], &settings, &relay.database.directory()).await;
    (output.status.success(), words(&output))
}

/// How many texts this key has sealed, wherever such stand.
async fn sealed_with(database: &Database, id: &str) -> i64 {
    let columns = [
        ("source_key", "sealed"),
        ("credential", "stored"),
        ("destination", "auth"),
        ("destination", "signing_secrets"),
        ("destination", "tls_key"),
        ("idempotency", "answer"),
        ("payload_key", "sealed"),
        ("sealing_key", "canary"),
    ];
    let mut count = 0;
    for (table, column) in columns {
        count += database.number(&format!("SELECT count(*) FROM {table} WHERE {column} LIKE 'v1|{id}|%'")).await;
    }
    count
}

const SILENT: std::time::Duration = std::time::Duration::from_secs(181);

async fn keys_are_changed_without_losing_a_secret(database: Database) {
    let (old, new) = (key("old", 1), key("new", 2));
    let relay = first(&database, &[&old]).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let identity = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    let told = json!({
        "auth": { "kind": "basic", "username": "me", "password": "a-password-of-mine" },
        "tls": { "client_certificate": identity.cert.pem(), "client_key": identity.signing_key.serialize_pem() },
    });
    let (source, _) = signed_source(&tenant).await;
    let mut destination = json!({ "name": "out", "url": receiver.url() });
    destination.as_object_mut().unwrap().extend(told.as_object().unwrap().clone());
    let once = [("idempotency-key", "once")];
    let path = tenant.path("/destinations");
    let made = tenant.client.ask_json(Method::POST, &path, &once, &destination).await.json(201);
    let subscription = json!({ "destination_id": made["id"], "event_types": ["*"] });
    let _ = tenant.post("/subscriptions", subscription).await.json(201);
    let url = tenant.get(&format!("/sources/{}", source.id)).await.json(200)["url"].clone();
    let earlier = post(&source).await.event_id();
    tenant.settled(&earlier).await;

    // The new key comes behind the old one, then before it.
    let at = ended(relay).await;
    let relay = then(&database, &[&old, &new], at).await;
    let at = ended(relay).await;
    let relay = then(&database, &[&new, &old], at).await;
    relay.clock.advance(SILENT);
    relay.clock_is_followed().await;
    assert!(sealed_with(&database, "old").await >= 7);
    let (success, said) = reseal(&relay, &[&new, &old]).await;
    assert!(success && said.contains("7 secrets sealed anew") && said.contains("`old` is needed no more"), "{said}");
    assert_eq!((sealed_with(&database, "old").await, sealed_with(&database, "new").await), (0, 8));

    // The old one is gone, and everything that was sealed with it is there.
    let at = ended(relay).await;
    let relay = then(&database, &[&new], at).await;
    let (tenant, source) = (tenant.at(&relay.apis[0]), source.at(&relay.apis[0]));
    let again = tenant.client.ask_json(Method::POST, &path, &once, &destination).await.json(201);
    assert_eq!(again, made);
    let port = |url: &Value| url.as_str().unwrap().rsplit("/in/").next().unwrap().to_owned();
    assert_eq!(port(&tenant.get(&format!("/sources/{}", source.id)).await.json(200)["url"]), port(&url));
    assert_eq!(tenant.get(&format!("/events/{earlier}/body")).await.text(), order());
    let event = post(&source).await.event_id();
    let delivered = tenant.settled(&event).await;
    assert_eq!(delivered[0]["state"], "delivered", "{delivered:#?}");
    let request = receiver.wait_for(2).await.remove(1);
    assert_eq!(request.one("authorization"), basic("me", "a-password-of-mine"));
    assert!(is_signed(&request, &text(&made, "signing_secret")));
}

async fn a_process_without_a_key_that_is_needed_does_not_start(database: Database) {
    let (old, new) = (key("old", 1), key("new", 2));
    let relay = first(&database, &[&old]).await;
    relay.tenant("acme").await.source().await;
    let at = ended(relay).await;
    let clock = harness::clock::Clock::beginning_at(&database.directory(), at);
    for (given, words_of_it) in [
        (new.clone(), "lack `old`"),
        (
            format!("{},{new}", key("old", 9)),
            "key `old` (in HOOKYARD_MASTER_KEYS, or hookyard.keys without it) is another",
        ),
    ] {
        for program in [Program::Hookyard, Program::Api, Program::Worker] {
            if database.is_postgres() == (program == Program::Hookyard) {
                continue;
            }
            let mut settings = settings_of(program, &database, &clock);
            settings.insert("HOOKYARD_MASTER_KEYS", given.clone());
            let output = program.run(&[], &settings, &database.directory()).await;
            assert!(!output.status.success() && words(&output).contains(words_of_it), "{}", words(&output));
        }
    }
    // A key that was refused is not needed from then on.
    let relay = then(&database, &[&old], at).await;
    relay.tenant("other").await.source().await;
}

async fn a_key_that_still_seals_is_not_given_up(database: Database) {
    let (old, new) = (key("old", 1), key("new", 2));
    let relay = first(&database, &[&old]).await;
    let tenant = relay.tenant("acme").await;
    tenant.source().await;
    // The relay has the old one first and does not know the other, however often one reseals, and says so each minute.
    for _ in 0..2 {
        let (success, said) = reseal(&relay, &[&new, &old]).await;
        assert!(!success && said.contains("a process had another key in the first place: `old`"), "{said}");
        assert_eq!(sealed_with(&database, "new").await, 0, "nothing was changed");
        tenant.source().await;
        relay.clock.advance(SILENT);
        relay.clock_is_followed().await;
        harness::eventually("the minute's word", async || {
            let sealing = "SELECT max(sealing_at) FROM sealing_key WHERE id = 'old'";
            (database.number(sealing).await > relay.clock.now_ms() - 100_000).then_some(())
        })
        .await;
    }
    let at = ended(relay).await;
    let relay = then(&database, &[&new, &old], at).await;
    assert!(!reseal(&relay, &[&new, &old]).await.0, "it is three minutes since");
    relay.clock.advance(SILENT);
    let (success, said) = reseal(&relay, &[&new, &old]).await;
    assert!(success && said.contains("3 secrets sealed anew"), "{said}");
}

/// Nothing goes out unsigned, nothing is lost, everybody else goes on, and new secrets mend it.
async fn a_damaged_secret_stops_its_own_destination_alone(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let (ill, well) = (Receiver::start().await, Receiver::start().await);
    let (hurt, whole) = (relay.route(&ill).await, relay.route(&well).await);
    let auth = json!({ "auth": { "kind": "bearer", "token": "one" } });
    hurt.tenant.patch(&hurt.destination.path(), auth).await.is(200);
    damage(&database, "destination", "signing_secrets", &format!("url = '{}'", ill.url())).await;

    let waits = hurt.source.send(APPROVED).await;
    for _ in 0..5 {
        assert_eq!(whole.tenant.settled(&whole.source.send(APPROVED).await).await[0]["state"], "delivered");
    }
    eventually("it to be put off", async || {
        let page = Client::of(&relay.workers[0]).operations("/metrics").await.text();
        let put_off = Metrics::read(&page).one(r#"hookyard_attempts_put_off_total{reason="unusable"}"#);
        (put_off >= 1.0).then_some(())
    })
    .await;
    let delivery = hurt.tenant.delivery_of(&waits).await;
    assert_eq!((&delivery["state"], &delivery["attempts"]), (&json!("pending"), &json!(0)), "{delivery:#}");
    let logged = relay.workers[0].logged();
    assert!(logged.contains(&format!("destination {} cannot be used", hurt.destination.id)), "{logged}");

    // Who looks sees it, and everything else.
    damage(&database, "destination", "auth", &format!("url = '{}'", ill.url())).await;
    let shown = items(&hurt.tenant.get("/destinations").await.json(200));
    assert_eq!((shown.len(), &shown[0]["auth"]), (1, &json!({ "kind": "unreadable" })));
    let auth = json!({ "auth": { "kind": "bearer", "token": "another" } });
    hurt.tenant.patch(&hurt.destination.path(), auth).await.is(200);

    let signing = json!({ "signing": { "v1a": true } });
    hurt.tenant.patch(&hurt.destination.path(), signing).await.problem_about(409, &["/secrets"]);
    let path = format!("{}/secrets", hurt.destination.path());
    let rotated = hurt.tenant.post(&path, json!({ "overlap_s": 0 })).await.json(200);
    relay.pass_time_until("it to arrive", async || (ill.count() > 0).then_some(())).await;
    let request = &ill.requests()[0];
    assert!(is_signed(request, &text(&rotated, "signing_secret")));
    assert_eq!(request.one("authorization"), "Bearer another");
    assert_eq!(hurt.tenant.settled(&waits).await[0]["attempts"], 1);
}

/// It is our fault: the provider comes again, and other sources go on.
async fn a_damaged_credential_refuses_nobody_for_good(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let tenant = relay.tenant("acme").await;
    let (hurt, credential) = signed_source(&tenant).await;
    let (whole, _) = signed_source(&tenant).await;
    damage(&database, "credential", "stored", "id = (SELECT id FROM credential ORDER BY id LIMIT 1)").await;

    let refused = post(&hurt).await;
    assert_eq!(refused.status, 500, "{}", refused.text());
    post(&whole).await.is(202);
    let logged = relay.apis[0].logged();
    assert!(logged.contains(&hurt.id), "{logged}");

    let path = format!("/sources/{}/credentials", hurt.id);
    tenant.delete(&format!("{path}/{credential}")).await.is(204);
    let _ = tenant.post(&path, secret()).await.json(201);
    eventually("it to be taken", async || (post(&hurt).await.status == 202).then_some(())).await;
}

const SIGNED_WITH: &[u8] = b"what they sign with";

fn order() -> String {
    json!({ "type": "order" }).to_string()
}

async fn post(source: &Source) -> Answer {
    let signature = harness::signature::hex_hmac(SIGNED_WITH, &[order().as_bytes()]);
    source.post_with(&[("x-signature", &signature)], order()).await
}

fn secret() -> Value {
    json!({ "kind": "hmac", "secret": String::from_utf8_lossy(SIGNED_WITH) })
}

/// A source whose provider signs, and the credential that it signs with.
async fn signed_source(tenant: &Tenant) -> (Source, String) {
    let source = json!({
        "name": "in",
        "provider": "generic",
        "verification": {
            "kind": "hmac",
            "signature": { "from": "header", "name": "x-signature", "parse": { "kind": "raw" }, "encoding": "hex" },
            "algorithm": "hmac-sha256",
            "signed": "{body}",
        },
    });
    let source = tenant.source_of(source).await;
    let made = tenant.post(&format!("/sources/{}/credentials", source.id), secret()).await.json(201);
    (source, text(&made, "id"))
}

/// As a disk or somebody's hand might do it. The processes read it at the next change.
async fn damage(database: &Database, table: &str, column: &str, which: &str) {
    let cut = format!("substr({column}, 1, length({column}) - 8) || 'AAAAAAAA'");
    database.execute(&format!("UPDATE {table} SET {column} = {cut} WHERE {which}")).await;
}

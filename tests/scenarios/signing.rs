//! What deliveries are signed with, before, during and after a rotation.

use std::time::Duration;

use harness::answer::{millis, text};
use harness::ondato::APPROVED;
use harness::receiver::Request;
use harness::{Database, Receiver, Relay, Route, json, on_each_database, signature};

on_each_database![
    old_and_new_secrets_sign_while_a_rotation_overlaps,
    a_rotation_without_overlap_ends_the_old_secret_at_once,
    a_public_key_is_all_that_a_receiver_needs,
    other_styles_of_signatures_are_there_where_they_are_wanted,
    eleven_live_secrets_are_too_many,
];

async fn old_and_new_secrets_sign_while_a_rotation_overlaps(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;
    let path = format!("/destinations/{}", destination.id);

    let before = relay.clock.now_ms();
    let rotated = tenant.post(&format!("{path}/secrets"), json!({ "overlap_s": 3_600 })).await.json(200);
    let new = text(&rotated, "signing_secret");
    assert_ne!(new, destination.signing_secret);
    assert!((3_590_000..3_700_000).contains(&(millis(&rotated, "old_secrets_expire_at") - before)), "{rotated:#}");

    tenant.settled(&source.send(APPROVED).await).await;
    relay.clock.advance(Duration::from_secs(3_700));
    relay.clock_is_followed().await;
    tenant.settled(&source.send(APPROVED).await).await;

    let [during, after] = &receiver.requests()[..] else { panic!("two requests") };
    let signs = |request: &Request, secret: &str| signature::is_signed(request, secret);
    assert!(signs(during, &destination.signing_secret) && signs(during, &new));
    assert!(!signs(after, &destination.signing_secret) && signs(after, &new));
    assert!(!tenant.get(&path).await.text().contains(&new), "shown once");
}

async fn a_rotation_without_overlap_ends_the_old_secret_at_once(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;
    tenant.settled(&source.send(APPROVED).await).await;
    let path = format!("/destinations/{}/secrets", destination.id);
    let new = text(&tenant.post(&path, json!({ "overlap_s": 0 })).await.json(200), "signing_secret");
    // A change holds in every process within a second.
    relay.clock.advance(Duration::from_secs(2));
    tenant.settled(&source.send(APPROVED).await).await;
    let [before, after] = &receiver.requests()[..] else { panic!("two requests") };
    assert!(signature::is_signed(before, &destination.signing_secret));
    assert!(signature::is_signed(after, &new) && !signature::is_signed(after, &destination.signing_secret));
}

async fn a_public_key_is_all_that_a_receiver_needs(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;
    let path = format!("/destinations/{}", destination.id);
    let shown = tenant.patch(&path, json!({ "signing": { "v1a": true } })).await.json(200);
    let old = text(&shown, "public_key");
    relay.clock.advance(Duration::from_secs(2));
    tenant.settled(&source.send(APPROVED).await).await;

    let rotated = tenant.post(&format!("{path}/secrets"), json!({ "overlap_s": 60 })).await.json(200);
    let new = text(&rotated, "public_key");
    let keys = tenant.get(&path).await.json(200)["public_keys"].clone();
    assert_eq!((text(&keys[0], "public_key"), &keys[0]["expires_at"]), (new.clone(), &harness::Value::Null));
    assert_eq!(text(&keys[1], "public_key"), old);
    relay.clock.advance(Duration::from_secs(2));
    tenant.settled(&source.send(APPROVED).await).await;
    relay.clock.advance(Duration::from_secs(70));
    tenant.settled(&source.send(APPROVED).await).await;

    let signed = |key: &str| -> Vec<bool> {
        receiver.requests().iter().map(|request| signature::is_signed_with_key(request, key)).collect()
    };
    assert_eq!(signed(&old), [true, true, false]);
    assert_eq!(signed(&new), [false, true, true]);
    let shown = tenant.patch(&path, json!({ "signing": null })).await.json(200);
    assert_eq!((&shown["public_key"], &shown["public_keys"]), (&json!(null), &json!([])));
}

async fn other_styles_of_signatures_are_there_where_they_are_wanted(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let signing = json!({ "github_header": true, "stripe_header": true });
    let fields = json!({ "name": "out", "url": receiver.url(), "signing": signing });
    let destination = tenant.destination_of(fields).await;
    tenant.subscribe(&destination, &["*"]).await;
    tenant.settled(&tenant.source().await.send(APPROVED).await).await;

    let arrived = &receiver.requests()[0];
    let secret = destination.signing_secret.as_bytes();
    let github = signature::hex_hmac(secret, &[&arrived.body]);
    assert_eq!(arrived.one("x-hub-signature-256"), format!("sha256={github}"));
    let time = arrived.one("webhook-timestamp");
    let stripe = signature::hex_hmac(secret, &[time.as_bytes(), b".", &arrived.body]);
    assert_eq!(arrived.one("stripe-signature"), format!("t={time},v1={stripe}"));
    assert!(signature::is_signed(arrived, &destination.signing_secret));
}

async fn eleven_live_secrets_are_too_many(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, destination, .. } = relay.route(&receiver).await;
    let path = format!("/destinations/{}/secrets", destination.id);
    for _ in 0..9 {
        tenant.act(&path).await.is(200);
    }
    tenant.act(&path).await.problem_about(409, &["overlap_s: 0"]);
    tenant.post(&path, json!({ "overlap_s": 0 })).await.is(200);
}

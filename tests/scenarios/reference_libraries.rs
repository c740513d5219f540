//! The reference libraries of Standard Webhooks in Python and JavaScript, as they are published, verify deliveries.
//!
//! No reference library verifies `v1a`: beside each of them that is done with Ed25519 of a library of the same language, as
//! the standard says. What the reference libraries show is that `v1a` does not confuse them.

use std::time::Duration;

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::receiver::Request;
use harness::reference_library::{LANGUAGES, NO_SIGNATURE, TOO_OLD, VERIFIED};
use harness::{Database, Receiver, Relay, json, on_each_database, signature};

on_each_database![the_live_secrets_and_keys_verify_what_was_sent_and_nothing_else];

/// The libraries go by the machine's clock, and take what is five minutes old.
const TOO_LONG_AGO: Duration = Duration::from_mins(10);

async fn the_live_secrets_and_keys_verify_what_was_sent_and_nothing_else(database: Database) {
    let now_ms = chrono::Utc::now().timestamp_millis();
    let relay = Relay::plan(database).at(now_ms - i64::try_from(TOO_LONG_AGO.as_millis()).unwrap()).start().await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let destination = tenant.destination_with(&receiver, json!({ "signing": { "v1a": true } })).await;
    tenant.subscribe(&destination, &["*"]).await;
    let source = tenant.source().await;
    let deliver = async || tenant.settled(&source.send(APPROVED).await).await;
    let let_pass = async |time| {
        relay.clock.advance(time);
        relay.clock_is_followed().await;
    };

    deliver().await;
    let_pass(TOO_LONG_AGO).await;
    deliver().await;
    let secrets = format!("{}/secrets", destination.path());
    let rotated = tenant.post(&secrets, json!({ "overlap_s": 60 })).await.json(200);
    // A change holds in every process within a second.
    let_pass(Duration::from_secs(2)).await;
    deliver().await;
    let_pass(Duration::from_secs(70)).await;
    deliver().await;

    let [stale, before, during, after] = &receiver.requests()[..] else { panic!("four requests") };
    let (old_key, new_key) = (text(&destination.created, "public_key"), text(&rotated, "public_key"));
    let new_secret = text(&rotated, "signing_secret");
    let keys = [destination.signing_secret.as_str(), &old_key, &new_secret, &new_key];
    assert!(signature::is_signed(stale, keys[0]), "only its age is wrong");
    assert_eq!(versions(during), ["v1", "v1", "v1a", "v1a"]);
    let altered = [&during.body[..during.body.len() - 1], b" "].concat().into();
    let all = [
        (stale.clone(), [TOO_OLD; 4]),
        (before.clone(), [VERIFIED, VERIFIED, NO_SIGNATURE, NO_SIGNATURE]),
        (during.clone(), [VERIFIED; 4]),
        (after.clone(), [NO_SIGNATURE, NO_SIGNATURE, VERIFIED, VERIFIED]),
        (Request { body: altered, ..during.clone() }, [NO_SIGNATURE; 4]),
        (with(during, "webhook-id", "evt_other"), [NO_SIGNATURE; 4]),
        (with(during, "webhook-timestamp", &(during.signed_at() + 1).to_string()), [NO_SIGNATURE; 4]),
        (signed_by(during, &["v1a", "v1"]), [VERIFIED; 4]),
        (signed_by(during, &["v1a"]), [NO_SIGNATURE, VERIFIED, NO_SIGNATURE, VERIFIED]),
        (signed_by(during, &["v1"]), [VERIFIED, NO_SIGNATURE, VERIFIED, NO_SIGNATURE]),
    ];
    let questions: Vec<_> = all.iter().flat_map(|(request, _)| keys.map(|key| (request, key))).collect();
    for language in LANGUAGES {
        let verdicts = language.verdicts(&questions).await;
        for ((request, expected), verdicts) in all.iter().zip(verdicts.chunks(keys.len())) {
            assert_eq!(verdicts, expected, "{language:?} of {request:?}");
        }
    }
}

/// Of which versions its signatures are.
fn versions(request: &Request) -> Vec<&str> {
    request.one("webhook-signature").split(' ').map(|item| item.split_once(',').unwrap().0).collect()
}

/// The same, with its signatures of these versions only, in this order.
fn signed_by(request: &Request, versions: &[&str]) -> Request {
    let mut chosen = Vec::new();
    for version in versions {
        let of_it = |item: &&str| item.split_once(',').unwrap().0 == *version;
        chosen.extend(request.one("webhook-signature").split(' ').filter(of_it));
    }
    with(request, "webhook-signature", &chosen.join(" "))
}

/// The same, with another value of this header.
fn with(request: &Request, name: &str, value: &str) -> Request {
    let mut altered = request.clone();
    let header = altered.headers.iter_mut().find(|(header, _)| header == name).unwrap();
    value.clone_into(&mut header.1);
    altered
}

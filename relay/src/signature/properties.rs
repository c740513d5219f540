use http::HeaderMap;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use tokio::runtime::Builder;

use super::*;
use crate::id::CredentialId;
use crate::inbound::Inbound;
use crate::preset;
use crate::property::{nearly, of_each};
use crate::verification::{Key, Keys, Presented, Remote};

#[derive(Debug, Clone)]
struct Sent {
    id: String,
    timestamp: String,
    body: Vec<u8>,
    signature: String,
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NOW_S: i64 = 1_790_000_000;

fn signed(id: &str, timestamp_s: i64, body: &[u8]) -> String {
    sign(&[SigningSecret::generate(), SECRET.parse().unwrap()], &[], id, timestamp_s, body)
}

/// Signed, and nearly so: with one part of it written anew.
fn sent() -> impl Strategy<Value = (Sent, Sent)> {
    let whole = ("[a-z0-9_]{1,9}", NOW_S - 300..=NOW_S + 300, vec(any::<u8>(), 0..20)).prop_map(|(id, time, body)| {
        let (timestamp, signature) = (time.to_string(), signed(&id, time, &body));
        Sent { id, timestamp, body, signature }
    });
    whole.prop_flat_map(|sent| {
        let texts = [&sent.id, &sent.timestamp, &sent.signature].map(|text| nearly(Just(text.clone())));
        let body = vec(any::<u8>(), 0..20);
        (Just(sent), 0..5, texts, body).prop_map(|(sent, part, [id, timestamp, signature], body)| {
            let changed = match part {
                0 => Sent { id, ..sent.clone() },
                1 => Sent { timestamp, ..sent.clone() },
                2 => Sent { signature, ..sent.clone() },
                3 => Sent { body, ..sent.clone() },
                _ => sent.clone(),
            };
            (sent, changed)
        })
    })
}

/// As a source of the preset does.
fn is_let_in(sent: &Sent) -> bool {
    let keys = Keys { hmac: vec![Key { id: CredentialId::at(1), value: SECRET.into() }], ..Keys::default() };
    let mut headers = HeaderMap::new();
    for (name, text) in [("id", &sent.id), ("timestamp", &sent.timestamp), ("signature", &sent.signature)] {
        let Ok(value) = http::HeaderValue::from_str(text) else { return false };
        headers.insert(http::HeaderName::try_from(format!("webhook-{name}")).unwrap(), value);
    }
    let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body: &sent.body };
    let request = Presented { inbound, url: "https://relay.example/in/acme/key", now: NOW_S * 1_000 };
    let remote = Remote::publishing(Vec::new(), None);
    let scheme = preset::find("standard-webhooks").unwrap().default_schemes().next().unwrap();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(scheme.verify(&request, &keys, &remote)).is_ok()
}

#[test]
fn what_we_sign_is_verified_and_nothing_else() {
    let secret: SigningSecret = SECRET.parse().unwrap();
    of_each(sent(), |(sent, changed)| {
        let ours = sent.signature.split(' ').nth(1).unwrap();
        let is_same = (&sent.id, &sent.timestamp, &sent.body) == (&changed.id, &changed.timestamp, &changed.body);
        let is_good = is_same && changed.signature.split(' ').any(|signature| signature == ours);
        let Sent { id, timestamp, body, signature } = &changed;
        assert_eq!(verify(&secret, id, timestamp, body, signature), is_good);
        assert!(is_let_in(&sent));
        // Some senders leave the padding out.
        let bare = |signature: &str| signature.trim_end_matches('=').to_owned();
        let is_nearly_good = is_same && signature.split(' ').any(|signature| bare(signature) == bare(ours));
        assert!(!is_let_in(&changed) || is_nearly_good);
    });
}

#[test]
fn whatever_is_read_as_a_secret_is_the_one_way_to_write_it() {
    of_each(nearly(Just(SECRET.to_owned())), |text| {
        if let Ok(secret) = text.parse::<SigningSecret>() {
            assert_eq!(secret.expose().expose_secret(), text);
        }
    });
}

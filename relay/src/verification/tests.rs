//! What providers publish, and what their own libraries made, verifies; with a byte changed it does not.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::*;
use crate::preset;

/// A request, for the tests of this module.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) headers: HeaderMap,
    pub(super) url: String,
    pub(super) path: String,
    pub(super) query: Option<String>,
    pub(super) body: Vec<u8>,
    pub(super) now: i64,
}

/// The present of a request that says nothing else.
pub(super) const NOW_S: i64 = 1_700_000_000;

impl Sent {
    pub(super) fn new(headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let url = "https://relay.example/in/acme/key".to_owned();
        Self { headers: map, url, path: String::new(), query: None, body: body.to_vec(), now: NOW_S * 1000 }
    }

    pub(super) fn presented(&self) -> Presented<'_> {
        let Self { headers, url, path, query, body, now } = self;
        let inbound = Inbound { method: "POST", headers, path, query: query.as_deref(), body };
        Presented { inbound, url, now: *now }
    }
}

/// Credentials of every kind with these values.
pub(super) fn keys(values: &[&str]) -> Keys {
    let of_a_kind = || values.iter().map(|value| key(value)).collect();
    Keys { hmac: of_a_kind(), public: of_a_kind(), tokens: of_a_kind(), external: of_a_kind() }
}

pub(super) fn key(value: &str) -> Key {
    Key { id: CredentialId::at(1), value: SecretString::from(value) }
}

pub(super) fn parsed(verification: Value) -> Verification {
    serde_json::from_value(verification).unwrap()
}

/// By a kind that needs nobody else's keys.
pub(super) fn verify(verification: &Verification, sent: &Sent, keys: &Keys) -> Result<CredentialId, Failure> {
    let request = sent.presented();
    match verification {
        Verification::Token(token) => token.verify(&request, keys),
        Verification::Hmac(hmac) => hmac.verify(&request, keys),
        Verification::Ed25519(key) => key.verify_ed25519(&request, keys),
        Verification::Ecdsa(key) => key.verify_ecdsa(&request, keys),
        Verification::Twilio(twilio) => twilio.verify(&request, keys),
        other => panic!("{other:?}"),
    }
}

fn needs_nobody_else(verification: &Verification) -> bool {
    use Verification::{Ecdsa, Ed25519, Hmac, Token, Twilio};
    matches!(verification, Token(_) | Hmac(_) | Ed25519(_) | Ecdsa(_) | Twilio(_))
}

/// The kinds of credentials that sign, or stand where a signature would.
const OURS: [&str; 4] = ["hmac", "public_key", "verify_token", "external"];

/// A request of the file, and what it has to be verified by.
struct Vector {
    name: String,
    verifications: Vec<Verification>,
    credentials: Vec<(String, String)>,
    sent: Sent,
    is_valid: bool,
    /// Whether one of its signatures or secrets can be spoilt without loss.
    has_spare: bool,
}

impl Vector {
    fn read(vector: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let verifications: Vec<Verification> = match &vector["verification"] {
            Value::Null => preset::find(&text(&vector["preset"])).unwrap().default_schemes().cloned().collect(),
            // Beside its own members, this has what the issuer publishes.
            own if own["kind"] == "jwt" => return None,
            own => vec![parsed(own.clone())],
        };
        let verifications: Vec<_> = verifications.into_iter().filter(needs_nobody_else).collect();
        if verifications.is_empty() {
            return None;
        }
        let headers = vector["headers"].as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1])));
        let headers: Vec<_> = headers.collect();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let body = vector["body_base64"].as_str().map(|body| STANDARD.decode(body).unwrap());
        let sent = Sent {
            path: text(&vector["path"]),
            query: vector["query"].as_str().map(str::to_owned),
            body: body.unwrap_or_else(|| text(&vector["body"]).into_bytes()),
            now: DateTime::parse_from_rfc3339(vector["at"].as_str().unwrap()).unwrap().timestamp_millis(),
            ..Sent::new(&headers, b"")
        };
        let value_of = |credential: &Value| {
            ["secret", "key", "token", "id"].iter().find_map(|name| credential.get(name).map(text)).unwrap_or_default()
        };
        let credentials = vector["credentials"].as_array().unwrap().iter();
        let credentials: Vec<_> = credentials.map(|it| (text(&it["kind"]), value_of(it))).collect();
        if credentials.iter().any(|(kind, _)| !OURS.contains(&kind.as_str())) {
            return None;
        }
        let note = vector["note"].as_str().unwrap_or_default();
        let has_spare =
            ["several signatures", "two live", "twice", "rolled", "rotated"].iter().any(|word| note.contains(word));
        Some(Self {
            name: format!("{} ({}, {note})", vector["scheme"], vector["origin"]),
            verifications,
            credentials,
            sent,
            is_valid: vector["valid"].as_bool().unwrap(),
            has_spare: has_spare || vector["origin"].as_str().unwrap().contains("multi-signature"),
        })
    }

    fn keys(&self) -> Keys {
        let mut keys = Keys::default();
        for (kind, value) in &self.credentials {
            let of_kind = match kind.as_str() {
                "hmac" => &mut keys.hmac,
                "public_key" => &mut keys.public,
                "verify_token" => &mut keys.tokens,
                _ => &mut keys.external,
            };
            of_kind.push(key(value));
        }
        keys
    }

    fn verify(&self, sent: &Sent, keys: &Keys) -> Result<CredentialId, Failure> {
        let mut tried = self.verifications.iter().map(|verification| verify(verification, sent, keys));
        tried.clone().find(Result::is_ok).or_else(|| tried.next()).unwrap()
    }
}

fn vectors() -> Vec<Vector> {
    let file: Vec<Value> = serde_json::from_str(include_str!("../../../tests/data/vectors.json")).unwrap();
    let vectors: Vec<_> = file.iter().filter_map(Vector::read).collect();
    assert!(vectors.len() > 120, "{}", vectors.len());
    vectors
}

#[test]
fn every_vector_is_as_valid_as_it_says() {
    for vector in vectors() {
        let verdict = vector.verify(&vector.sent, &vector.keys());
        assert_eq!(verdict.is_ok(), vector.is_valid, "{}: {verdict:?}", vector.name);
        let nobody = vector.verify(&vector.sent, &Keys::default());
        assert_eq!(nobody, Err(Failure::NoCredential), "{}", vector.name);
    }
}

#[test]
fn no_byte_of_what_is_signed_can_be_changed() {
    for vector in vectors().iter().filter(|vector| vector.is_valid && !vector.has_spare) {
        let Vector { name, sent, credentials, .. } = vector;
        let fails = |sent: &Sent, keys: &Keys, what: &str, place: usize| {
            assert!(vector.verify(sent, keys).is_err(), "{name}: byte {place} of {what}");
        };
        for header in sent.headers.keys().filter(|header| needs(vector, header)) {
            for (place, value) in flipped(sent.headers[header].as_bytes()) {
                let mut sent = sent.clone();
                sent.headers.insert(header, HeaderValue::from_bytes(&value).unwrap());
                fails(&sent, &vector.keys(), header.as_str(), place);
            }
        }
        for (place, body) in flipped(&sent.body).filter(|(place, _)| is_signed(vector, *place)) {
            fails(&Sent { body, ..sent.clone() }, &vector.keys(), "the body", place);
        }
        for (place, query) in flipped(sent.query.as_deref().unwrap_or_default().as_bytes()) {
            fails(&Sent { query: String::from_utf8(query).ok(), ..sent.clone() }, &vector.keys(), "the query", place);
        }
        for (index, (_, secret)) in credentials.iter().enumerate() {
            for (place, secret) in flipped(secret.as_bytes()) {
                let mut keys = credentials.clone();
                keys[index].1 = String::from_utf8(secret).unwrap();
                fails(sent, &Vector { credentials: keys, ..with_all_of(vector) }.keys(), "a credential", place);
            }
        }
    }
}

fn with_all_of(vector: &Vector) -> Vector {
    Vector {
        name: vector.name.clone(),
        verifications: vector.verifications.clone(),
        credentials: vector.credentials.clone(),
        sent: vector.sent.clone(),
        ..*vector
    }
}

/// Each byte in turn as another one: never the same letter in the other case, nor out of ASCII.
fn flipped(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..bytes.len()).map(|place| {
        let mut bytes = bytes.to_vec();
        bytes[place] ^= 1;
        (place, bytes)
    })
}

fn needs(vector: &Vector, header: &HeaderName) -> bool {
    let mut sent = vector.sent.clone();
    sent.headers.remove(header);
    header != "content-type" && vector.verify(&sent, &vector.keys()).is_err()
}

/// All of the body; of Mailgun's only what proves that Mailgun sent something.
fn is_signed(vector: &Vector, place: usize) -> bool {
    match &vector.verifications[0] {
        Verification::Hmac(hmac) if hmac.signature.from == From::Json => {
            let values = ["timestamp", "token", "signature"].map(|name| format!("/signature/{name}"));
            values.iter().any(|pointer| {
                let value = crate::json::read(&vector.sent.body, &[pointer]).pop().flatten().unwrap();
                let start = String::from_utf8_lossy(&vector.sent.body).find(&value).unwrap();
                (start..start + value.len()).contains(&place)
            })
        }
        _ => true,
    }
}

#[test]
fn a_header_that_must_be_there_once_is_neither_missing_nor_repeated() {
    for vector in vectors().iter().filter(|vector| vector.is_valid && vector.verifications.len() == 1) {
        for header in vector.sent.headers.keys().filter(|header| needs(vector, header)) {
            let mut sent = vector.sent.clone();
            sent.headers.append(header, vector.sent.headers[header].clone());
            assert_eq!(vector.verify(&sent, &vector.keys()), Err(Failure::Repeated), "{} {header}", vector.name);
            sent.headers.remove(header);
            assert_eq!(vector.verify(&sent, &vector.keys()), Err(Failure::Missing), "{} {header}", vector.name);
        }
    }
}

#[test]
fn a_verification_knows_all_its_members() {
    for verification in vectors().into_iter().flat_map(|vector| vector.verifications) {
        let known = serde_json::to_value(&verification).unwrap();
        for inner in ["", "/signature", "/signature/parse", "/timestamp", "/also_equal/0"] {
            let mut unknown = known.clone();
            let Some(inside) = unknown.pointer_mut(inner) else { continue };
            inside["surprise"] = json!(1);
            assert!(serde_json::from_value::<Verification>(unknown).is_err(), "{known} {inner}");
        }
        assert_eq!(parsed(known), verification);
    }
    for kind in ["none", "credentials", "provider", "paypal"] {
        assert!(serde_json::from_value::<Verification>(json!({"kind": kind})).is_ok(), "{kind}");
        assert!(serde_json::from_value::<Verification>(json!({"kind": kind, "surprise": 1})).is_err(), "{kind}");
    }
}

#[test]
fn a_tenant_may_ask_for_what_cannot_be_read_in_two_ways() {
    let refused = ["twitch-eventsub", "mailgun", "discord", "sendgrid-event"];
    for vector in vectors() {
        for verification in &vector.verifications {
            let is_refused = refused.iter().any(|name| vector.name.contains(name));
            assert_eq!(verification.check().is_err(), is_refused, "{}: {:?}", vector.name, verification.check());
        }
    }
}

#[test]
fn nothing_hostile_verifies_or_panics() {
    let long = "v1=,t;. ".repeat(8_192);
    let odd = "\u{e9}\u{1f600}";
    let texts = ["", ",", "=", " ", ",,,===", "t=,v1=", "sha256=", "v1,", odd, "t=9223372036854775808,v1=00", &long];
    let mut seen = std::collections::BTreeSet::new();
    for vector in vectors().iter().filter(|vector| vector.is_valid) {
        if !seen.insert(vector.name.split(' ').next().unwrap().to_owned()) {
            continue;
        }
        let Vector { name, sent, .. } = vector;
        for text in texts {
            for header in sent.headers.keys().filter(|header| needs(vector, header)) {
                let mut sent = sent.clone();
                sent.headers.insert(header, HeaderValue::from_bytes(text.as_bytes()).unwrap());
                assert!(vector.verify(&sent, &vector.keys()).is_err(), "{name} {header}");
                assert!(vector.verify(&sent, &keys(&[text])).is_err(), "{name} {header}");
            }
            if !is_signed(vector, sent.body.len() / 2) {
                continue;
            }
            for body in [text.as_bytes().to_vec(), vec![0; 64], vec![0xff; 64], format!("[{text}").into_bytes()] {
                assert!(vector.verify(&Sent { body, ..sent.clone() }, &vector.keys()).is_err(), "{name}");
            }
        }
    }
}

#[test]
fn strange_headers_and_templates_are_read() {
    let alphabet = b"t=1,v1 ;:sha256=0aF/+-_.\x00\xc3\xa9";
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let parsers = [
        Parse::Raw {},
        Parse::Prefix { prefix: "sha256=".into() },
        Parse::List { item: " ".into(), version: "v1,".into() },
        Parse::Kv { pair: ",".into(), kv: "=".into(), sig: vec!["v1".into()].into(), ts: Some("t".into()), sets: None },
        Parse::Kv { pair: ";".into(), kv: ":".into(), sig: vec!["1".into()].into(), ts: None, sets: Some(" ".into()) },
    ];
    let (mut signatures, mut templates) = (0, 0);
    for _ in 0..50_000 {
        let text: Vec<u8> = (0..random(40)).map(|_| alphabet[random(alphabet.len())]).collect();
        let text = String::from_utf8_lossy(&text);
        for encoding in [Encoding::Hex, Encoding::Base64, Encoding::Base64url] {
            if let Ok(sets) = parsers[random(parsers.len())].read(&text, encoding) {
                assert!(!sets.is_empty() && sets.iter().all(|set| !set.signatures.is_empty()), "{text}");
                signatures += sets.len();
            }
        }
        let template = text.replace(['v', 'h'], "{").replace('t', "}").replace('s', "{body}").replace('F', "{{");
        if let Ok(template) = Template::try_from(template) {
            let sent = Sent::new(&[], text.as_bytes());
            template.read(&sent.presented(), None).0.feed("", &mut |part| templates += part.len());
        }
    }
    assert!(signatures > 500 && templates > 1000, "{signatures} {templates}");
}

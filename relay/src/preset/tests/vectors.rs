//! Requests as providers send them verify by the presets' own schemes, and no longer once their body is another.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use super::super::find;
use crate::id::CredentialId;
use crate::inbound::Inbound;
use crate::verification::{Key, Keys, Presented, Remote, Verification};

/// One of the file, ready to be tried.
struct Vector {
    name: String,
    verifications: Vec<Verification>,
    keys: Keys,
    remote: Remote,
    headers: HeaderMap,
    path: String,
    query: Option<String>,
    now: i64,
}

#[tokio::test]
async fn every_vector_verifies_as_it_says() {
    let file: Vec<Value> = serde_json::from_str(include_str!("../../../../tests/data/vectors.json")).unwrap();
    let mut presets = std::collections::BTreeSet::new();
    for said in file.iter().filter(|said| is_signed(said)) {
        let (vector, body) = (Vector::of(said), body(said));
        let is_valid = said["valid"].as_bool().unwrap();
        assert_eq!(vector.verifies(&body).await, is_valid, "{}", vector.name);
        if is_valid && let Some(changed) = with_another_byte(said, &body) {
            assert!(!vector.verifies(&changed).await, "{}", vector.name);
        }
        presets.insert(text(&said["preset"]));
    }
    assert!(presets.len() >= 28, "{presets:?}");
}

/// Whether it is about signatures; credentials that a sender presents are for whoever keeps them.
fn is_signed(said: &Value) -> bool {
    let presented = ["basic", "api_key", "bearer"].map(|kind| json!(kind));
    said["verification"]["kind"] != "credentials"
        && !list(&said["credentials"]).any(|it| presented.contains(&it["kind"]))
}

/// Mailgun signs no more of the body than the token, and a signed token of an issuer nothing unless it says so.
fn with_another_byte(said: &Value, body: &[u8]) -> Option<Vec<u8>> {
    let is_jwt = said["verification"]["kind"] == "jwt" && said["verification"]["body_claim"].is_null();
    let at = match () {
        () if is_jwt || body.is_empty() => return None,
        () if said["preset"] == "mailgun" => body.windows(8).position(|window| window == br#""token":"#).unwrap() + 12,
        () => body.len() / 2,
    };
    let mut changed = body.to_vec();
    changed[at] ^= 1;
    Some(changed)
}

impl Vector {
    fn of(said: &Value) -> Self {
        let own = said["verification"].as_object().cloned();
        let verifications = match own {
            None => find(&text(&said["preset"])).unwrap().default_schemes().cloned().collect(),
            Some(mut own) => {
                own.remove("jwks");
                vec![serde_json::from_value(own.into()).unwrap()]
            }
        };
        let header = |pair: &Value| {
            let (name, value) = (text(&pair[0]), text(&pair[1]));
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        let mut headers = HeaderMap::new();
        for (name, value) in list(&said["headers"]).map(header) {
            headers.append(name, value);
        }
        Self {
            name: format!("{} ({}): {}", said["preset"], said["scheme"], said["note"]),
            verifications,
            keys: keys(said),
            remote: remote(said),
            headers,
            path: text(&said["path"]),
            query: said["query"].as_str().map(str::to_owned),
            now: DateTime::parse_from_rfc3339(&text(&said["at"])).unwrap().timestamp_millis(),
        }
    }

    async fn verifies(&self, body: &[u8]) -> bool {
        let Self { verifications, keys, remote, headers, path, query, now, .. } = self;
        let inbound = Inbound { method: "POST", headers, path, query: query.as_deref(), body };
        let request = Presented { inbound, url: "https://relay.example/in/acme/key", now: *now };
        for verification in verifications {
            if verification.verify(&request, keys, remote).await.is_ok() {
                return true;
            }
        }
        false
    }
}

fn keys(said: &Value) -> Keys {
    let of_kind = |kind: &str, member: &str| {
        let found = list(&said["credentials"]).filter(|it| it["kind"] == kind);
        found.map(|it| Key { id: CredentialId::at(1), value: text(&it[member]).into() }).collect()
    };
    Keys {
        hmac: of_kind("hmac", "secret"),
        public: of_kind("public_key", "key"),
        tokens: of_kind("verify_token", "token"),
        external: of_kind("external", "id"),
    }
}

/// What others publish: PayPal its certificates, an issuer its keys.
fn remote(said: &Value) -> Remote {
    let root = said["roots"].as_str().map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
    let certificates = said["remote"].as_object().into_iter().flatten();
    let mut documents: Vec<_> = certificates.map(|(url, pem)| (url.as_str(), text(pem).into_bytes())).collect();
    if let Some(url) = said["verification"]["jwks_url"].as_str() {
        documents.push((url, said["verification"]["jwks"].to_string().into_bytes()));
    }
    Remote::publishing(documents, root.as_deref())
}

fn body(said: &Value) -> Vec<u8> {
    let encoded = said["body_base64"].as_str().map(|encoded| STANDARD.decode(encoded).unwrap());
    encoded.unwrap_or_else(|| text(&said["body"]).into_bytes())
}

fn text(said: &Value) -> String {
    said.as_str().unwrap().to_owned()
}

fn list(said: &Value) -> impl Iterator<Item = &Value> {
    said.as_array().unwrap().iter()
}

//! Whatever strangers send, and whatever is published instead of keys: nothing panics, and nobody is let in.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::select;
use serde_json::json;
use tokio::runtime::Builder;

use super::*;
use crate::preset;
use crate::property::{nearly, of_each};

const KEY_SET: &str = "https://issuer.example.com/jwks.json";
const CERTIFICATE: &str = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1";
const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":
    "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM","use":"sig","kid":"a"},{"kty":"OKP","crv":"Ed25519","x":
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx",
    "e":"AQAB","alg":"RS256"}]}"#;
/// Of RFC 8032.
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const NOW: i64 = 1_790_000_000_000;

static PEM: LazyLock<String> =
    LazyLock::new(|| rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap().cert.pem());

/// A request, and what is published at the URLs that keys are fetched from.
#[derive(Debug)]
struct Sent {
    headers: Vec<(String, String)>,
    query: String,
    body: Vec<u8>,
    url: String,
    published: String,
}

/// What the presets ask for, and what only tenants do.
fn schemes() -> Vec<Verification> {
    let published =
        json!({ "kind": "jwt", "jwks_url": KEY_SET, "issuer": "issuer", "audience": "us", "body_claim": "b" });
    let tenants = [published, json!({ "kind": "twilio" }), json!({ "kind": "paypal" })];
    let tenants = tenants.map(|scheme| serde_json::from_value(scheme).unwrap());
    preset::all().flat_map(preset::Preset::default_schemes).cloned().chain(tenants).collect()
}

/// The headers that they look at.
fn names(schemes: &[Verification]) -> Vec<String> {
    let signed = schemes.iter().filter_map(|scheme| match scheme {
        Verification::Hmac(Hmac { signature, .. })
        | Verification::Ed25519(PublicKey { signature, .. })
        | Verification::Ecdsa(PublicKey { signature, .. }) => Some(signature.name.to_ascii_lowercase()),
        _ => None,
    });
    let others = [
        "authorization",
        "content-type",
        "webhook-id",
        "webhook-timestamp",
        "x-slack-request-timestamp",
        "x-twilio-signature",
        "paypal-transmission-id",
        "paypal-transmission-time",
        "paypal-transmission-sig",
        "paypal-cert-url",
        "paypal-auth-algo",
    ];
    signed.filter(|name| HeaderName::try_from(name).is_ok()).chain(others.map(str::to_owned)).collect()
}

fn token() -> impl Strategy<Value = String> {
    let algorithm = select(vec!["RS256", "PS512", "ES256", "ES384", "EdDSA", "HS256", "none"]);
    (algorithm, "[ab]?", any::<i64>(), vec(any::<u8>(), 0..70)).prop_map(|(algorithm, key, expires, signature)| {
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = part(json!({ "alg": algorithm, "kid": key }));
        let claims = part(json!({ "iss": "issuer", "aud": ["us"], "exp": expires, "b": "x" }));
        format!("Bearer {header}.{claims}.{}", URL_SAFE_NO_PAD.encode(signature))
    })
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        nearly("t=[0-9]{9,14},v1=[0-9a-f]{64}(,v0=[0-9a-f]{0,8})?"),
        nearly("(sha256=|sha1=|v0=|v1,|v1a,)?[0-9a-fA-F]{40,64}"),
        nearly("(v1,|v1a,)?([A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==)"),
        nearly(token()),
        nearly("179[0-9]{7}(000)?"),
        nearly("20[0-9]{2}-[01][0-9]-[0-3][0-9]T00:00:00Z"),
        select(vec![CERTIFICATE, "SHA256withRSA", "application/x-www-form-urlencoded"]).prop_map(str::to_owned),
    ]
}

fn sent(names: Vec<String>) -> impl Strategy<Value = Sent> {
    let body = prop_oneof![
        vec(any::<u8>(), 0..30),
        nearly(r#"\{"(id|timestamp|signature)":"[a-z0-9]{0,9}"\}"#).prop_map(String::into_bytes)
    ];
    let published = prop_oneof![nearly(Just(KEYS.to_owned())), nearly(Just(PEM.clone())), Just(String::new())];
    let url = nearly("https?://([a-z]{1,3}@)?[a-z0-9.\\[\\]:]{1,9}(:[0-9]{0,5})?(/[a-z]{0,3})?");
    let query = nearly("(bodySHA256=[0-9a-f]{0,64}|[a-z]{0,3}=[a-z]{0,3})?");
    (vec((select(names), value()), 0..8), query, body, url, published)
        .prop_map(|(headers, query, body, url, published)| Sent { headers, query, body, url, published })
}

#[test]
fn nobody_is_let_in_who_does_not_know_the_secret() {
    let schemes = schemes();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    of_each(sent(names(&schemes)), |sent| {
        let key = |value: &str| vec![Key { id: CredentialId::at(1), value: value.into() }];
        let keys = Keys {
            hmac: key("a secret that nobody has"),
            public: key(PUBLIC_KEY),
            tokens: key("a token that nobody has"),
            external: key("WH-1"),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &sent.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(HeaderName::try_from(name).unwrap(), value);
            }
        }
        let inbound =
            Inbound { method: "POST", headers: &headers, path: "", query: Some(&sent.query), body: &sent.body };
        let request = Presented { inbound, url: &sent.url, now: NOW };
        let documents = [KEY_SET, CERTIFICATE].map(|url| (url, sent.published.clone().into_bytes()));
        let remote = runtime.block_on(async { Remote::publishing(documents, None) });
        for scheme in &schemes {
            let judged = runtime.block_on(scheme.verify(&request, &keys, &remote));
            assert!(judged.is_err(), "{scheme:?}");
        }
    });
}

#[test]
fn what_is_nearly_a_public_key_breaks_nothing() {
    let keys = prop_oneof![Just(PUBLIC_KEY.to_owned()), Just(PEM.clone()), "whpk_[A-Za-z0-9+/]{43}="];
    of_each(nearly(keys), |text| {
        // In hex every letter counts, but for its case.
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(!is_hex || is_public_key(&text), "{text}");
    });
}

#[test]
fn a_template_has_a_brace_for_each_brace() {
    let part =
        "\\{(body|body_escaped|ts|public_url|header:[A-Za-z-]{1,4}|json:/[a-z]{0,3})\\}|[a-z.:]{1,3}|\\{\\{|\\}\\}";
    let read = std::cell::Cell::new(0);
    of_each(nearly(vec(part, 0..5).prop_map(|parts| parts.concat())), |text| {
        if text.parse::<Template>().is_ok() {
            read.set(read.get() + 1);
            let bare = text.replace("{{", "").replace("}}", "");
            assert_eq!(bare.matches('{').count(), bare.matches('}').count(), "{text}");
        }
    });
    assert!(read.get() > 20, "only {} of them were templates", read.get());
}

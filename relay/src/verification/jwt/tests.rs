//! An issuer with keys of each kind, and those who would like to be it.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

use super::*;
use crate::clock::Clock;
use crate::inbound::Inbound;
use crate::verification::paypal::tests::no_paypal;
use crate::verification::remote::tests::Publisher;

const URL: &str = "https://issuer.example.com/jwks.json";
const NOW: i64 = 1_800_000_000;
const BODY: &[u8] = br#"{"a": 1}"#;

enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

impl Pair {
    fn rsa(pem: &str) -> Self {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap())
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap(), curve)
    }

    fn ed() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap())
    }

    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Self::Rsa(pair) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "n": base64(&public.n), "e": base64(&public.e)})
            }
            Self::Ec(pair, curve) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(if *curve == "P-256" { 32 } else { 48 });
                json!({"kty": "EC", "crv": curve, "x": base64(x), "y": base64(y)})
            }
            Self::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(pair.public_key().as_ref())}),
        };
        if !kid.is_empty() {
            jwk["kid"] = json!(kid);
        }
        jwk
    }

    /// Signs as the algorithm says, where it says anything about the hash.
    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut made = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut made).unwrap();
                made
            }
            Self::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa() -> Pair {
    Pair::rsa(include_str!("../../../../tests/data/rsa-a.pem"))
}

fn p256() -> Pair {
    Pair::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
}

fn p384() -> Pair {
    Pair::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
}

fn claims() -> Value {
    json!({"iss": "issuer", "aud": "us", "exp": NOW + 60, "iat": NOW, "nbf": NOW})
}

fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}", base64(header.to_string().as_bytes()), base64(claims.to_string().as_bytes()))
}

fn token(pair: &Pair, header: &Value, claims: &Value) -> String {
    let message = unsigned(header, claims);
    format!("{message}.{}", base64(&pair.sign(header["alg"].as_str().unwrap(), message.as_bytes())))
}

fn jwt() -> Jwt {
    Jwt { jwks_url: URL.into(), issuer: "issuer".into(), audience: "us".into(), header: None, body_claim: None }
}

struct World {
    publisher: Arc<Publisher>,
    clock: Clock,
    remote: Remote,
}

impl World {
    fn publishing(keys: &[Value]) -> Self {
        let (publisher, clock) = (Arc::new(Publisher::default()), Clock::start());
        let remote = Remote::with(Arc::clone(&publisher) as Arc<_>, clock.clone(), no_paypal());
        let world = Self { publisher, clock, remote };
        world.publish(keys);
        world
    }

    fn publish(&self, keys: &[Value]) {
        self.publisher.publish(URL, json!({ "keys": keys }).to_string());
    }

    async fn verify(&self, jwt: &Jwt, headers: &[(&str, &str)]) -> Result<(), Failure> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let inbound = Inbound { method: "POST", headers: &map, path: "", query: None, body: BODY };
        jwt.verify(&Presented { inbound, url: "", now: NOW * 1000 }, &self.remote).await
    }

    async fn judge(&self, token: &str) -> Result<(), Failure> {
        self.verify(&jwt(), &[("authorization", &format!("Bearer {token}"))]).await
    }
}

#[tokio::test]
async fn each_algorithm_is_verified_to_the_last_bit() {
    for (pair, algorithms) in [
        (rsa(), &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..]),
        (p256(), &["ES256"]),
        (p384(), &["ES384"]),
        (Pair::ed(), &["EdDSA"]),
    ] {
        let world = World::publishing(&[pair.jwk("1")]);
        for algorithm in algorithms {
            let good = token(&pair, &json!({"alg": algorithm, "kid": "1", "typ": "JWT"}), &claims());
            assert_eq!(world.judge(&good).await, Ok(()), "{algorithm}");
            let (message, signature) = good.rsplit_once('.').unwrap();
            let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
            for place in [0, signature.len() / 2, signature.len() - 1] {
                let mut flipped = signature.clone();
                flipped[place] ^= 1;
                let forged = format!("{message}.{}", base64(&flipped));
                assert_eq!(world.judge(&forged).await, Err(Failure::Mismatch), "{algorithm} {place}");
            }
            for other in [json!({"sub": "someone"}), json!({"exp": NOW + 61})] {
                let mut claims = claims();
                claims.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
                let changed = unsigned(&json!({"alg": algorithm, "kid": "1", "typ": "JWT"}), &claims);
                let forged = format!("{changed}.{}", base64(&signature));
                assert_eq!(world.judge(&forged).await, Err(Failure::Mismatch), "{algorithm} {other}");
            }
        }
    }
}

#[tokio::test]
async fn an_algorithm_is_what_the_key_allows_and_never_what_the_token_wishes() {
    let (rsa, p256, p384, ed) = (rsa(), p256(), p384(), Pair::ed());
    let with = |mut key: Value, name: &str, value: &str| {
        key[name] = json!(value);
        key
    };
    let only_rs256 = with(rsa.jwk("only-rs256"), "alg", "RS256");
    let for_secrets = with(rsa.jwk("enc"), "use", "enc");
    let secret = json!({"kty": "oct", "kid": "oct", "k": base64(b"secret")});
    let keys = [rsa.jwk("rsa"), p256.jwk("p256"), p384.jwk("p384"), ed.jwk("ed"), only_rs256, for_secrets, secret];
    let world = World::publishing(&keys);
    for (pair, made_as, said, kid, verdict) in [
        (&rsa, "RS256", "RS256", "only-rs256", Ok(())),
        (&rsa, "PS256", "PS256", "only-rs256", Err(Failure::Mismatch)),
        (&rsa, "RS512", "RS512", "only-rs256", Err(Failure::Mismatch)),
        (&rsa, "PS256", "RS256", "rsa", Err(Failure::Mismatch)),
        (&rsa, "RS256", "PS256", "rsa", Err(Failure::Mismatch)),
        (&rsa, "RS256", "RS384", "rsa", Err(Failure::Mismatch)),
        (&rsa, "RS256", "RS256", "enc", Err(Failure::KeysAway)),
        (&rsa, "RS256", "RS256", "p256", Err(Failure::Mismatch)),
        (&p256, "ES256", "RS256", "p256", Err(Failure::Mismatch)),
        (&p256, "ES256", "ES384", "p256", Err(Failure::Mismatch)),
        (&p256, "ES256", "ES256", "p384", Err(Failure::Mismatch)),
        (&p384, "ES384", "ES256", "p384", Err(Failure::Mismatch)),
        (&ed, "EdDSA", "ES256", "ed", Err(Failure::Mismatch)),
        (&rsa, "RS256", "ES512", "rsa", Err(Failure::Malformed)),
        (&rsa, "RS256", "RS1", "rsa", Err(Failure::Malformed)),
        (&rsa, "RS256", "rs256", "rsa", Err(Failure::Malformed)),
    ] {
        let message = unsigned(&json!({"alg": said, "kid": kid}), &claims());
        let token = format!("{message}.{}", base64(&pair.sign(made_as, message.as_bytes())));
        assert_eq!(world.judge(&token).await, verdict, "{made_as} as {said} by {kid}");
    }
}

#[tokio::test]
async fn nothing_public_is_a_secret_and_no_signature_is_none() {
    use ::hmac::{Hmac, KeyInit, Mac};
    let rsa = rsa();
    let Pair::Rsa(pair) = &rsa else { unreachable!() };
    let world = World::publishing(&[rsa.jwk("1"), json!({"kty": "oct", "kid": "1", "k": base64(b"k")})]);
    let components = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    for key in [pair.public().as_ref(), &components.n, rsa.jwk("1").to_string().as_bytes(), b"k", b""] {
        let message = unsigned(&json!({"alg": "HS256", "kid": "1"}), &claims());
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap().chain_update(&message).finalize().into_bytes();
        assert_eq!(world.judge(&format!("{message}.{}", base64(&mac))).await, Err(Failure::Malformed));
    }
    for none in ["none", "None", "NONE", ""] {
        let message = unsigned(&json!({"alg": none, "kid": "1"}), &claims());
        assert_eq!(world.judge(&format!("{message}.")).await, Err(Failure::Malformed), "{none}");
    }
    for algorithm in ["RS256", "ES256", "EdDSA"] {
        let message = unsigned(&json!({"alg": algorithm, "kid": "1"}), &claims());
        assert_eq!(world.judge(&format!("{message}.")).await, Err(Failure::Mismatch), "{algorithm}");
    }
}

#[tokio::test]
async fn the_key_is_the_issuers_whatever_the_token_brings() {
    let (ours, stranger) = (p256(), p256());
    for (header, is_strange) in [
        (json!({"alg": "ES256", "kid": "ours"}), false),
        (json!({"alg": "ES256"}), true),
        (json!({"alg": "ES256", "kid": "ours", "jwk": stranger.jwk("ours")}), false),
        (json!({"alg": "ES256", "kid": "stranger", "jku": "https://stranger.example.com/"}), true),
        (json!({"alg": "ES256", "kid": "../../dev/null"}), true),
        (json!({"alg": "ES256", "kid": "' OR 1=1 --"}), true),
        (json!({"alg": "ES256", "kid": ""}), true),
    ] {
        let world = World::publishing(&[ours.jwk("ours")]);
        let forged = token(&stranger, &header, &claims());
        let at_first = if is_strange { Failure::KeysAway } else { Failure::Mismatch };
        assert_eq!(world.judge(&forged).await, Err(at_first), "{header}");
        assert_eq!(world.publisher.asked(), 1, "{header}");
        world.clock.advance(std::time::Duration::from_mins(1));
        assert_eq!(world.judge(&forged).await, Err(Failure::Mismatch), "{header}");
        assert_eq!(world.publisher.asked(), 1 + usize::from(is_strange), "{header}");
    }
}

#[tokio::test]
async fn a_key_is_found_by_its_id_or_among_those_that_may_be_meant() {
    let (a, b) = (p256(), p256());
    let sign = |pair: &Pair, kid: Option<&str>| {
        let header = kid.map_or(json!({"alg": "ES256"}), |kid| json!({"alg": "ES256", "kid": kid}));
        token(pair, &header, &claims())
    };
    let many = |count: usize| [vec![a.jwk(""); count], vec![b.jwk("")]].concat();
    for (keys, pair, kid, verdict) in [
        (vec![a.jwk("a"), b.jwk("b")], &b, Some("b"), Ok(())),
        (vec![a.jwk("a"), b.jwk("b")], &b, Some("a"), Err(Failure::Mismatch)),
        (vec![a.jwk("a"), b.jwk("b")], &b, None, Ok(())),
        (vec![a.jwk("a"), b.jwk("b")], &b, Some("c"), Err(Failure::KeysAway)),
        (vec![a.jwk("same"), b.jwk("same")], &b, Some("same"), Ok(())),
        (vec![a.jwk(""), b.jwk("")], &b, Some("b"), Ok(())),
        (vec![a.jwk("b"), b.jwk("")], &b, Some("b"), Err(Failure::Mismatch)),
        (vec![a.jwk(""), b.jwk("b")], &b, Some("a"), Err(Failure::KeysAway)),
        (many(19), &b, None, Ok(())),
        (many(20), &b, None, Err(Failure::KeysAway)),
        (vec![], &b, None, Err(Failure::KeysAway)),
    ] {
        let world = World::publishing(&keys);
        assert_eq!(world.judge(&sign(pair, kid)).await, verdict, "{kid:?} among {}", keys.len());
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_used_and_a_made_up_one_once_a_minute() {
    let (old, new) = (p256(), p256());
    let world = World::publishing(&[old.jwk("old")]);
    let minute = std::time::Duration::from_mins(1);
    assert_eq!(world.judge(&token(&old, &json!({"alg": "ES256", "kid": "old"}), &claims())).await, Ok(()));
    world.clock.advance(minute);
    for number in 0..100 {
        let made_up = token(&new, &json!({"alg": "ES256", "kid": number.to_string()}), &claims());
        // Once it was looked for in vain; then nobody can tell until the next look.
        let verdict = if number == 0 { Failure::Mismatch } else { Failure::KeysAway };
        assert_eq!(world.judge(&made_up).await, Err(verdict), "{number}");
    }
    assert_eq!(world.publisher.asked(), 2);
    world.publish(&[old.jwk("old"), new.jwk("new")]);
    let signed = token(&new, &json!({"alg": "ES256", "kid": "new"}), &claims());
    assert_eq!(world.judge(&signed).await, Err(Failure::KeysAway));
    world.clock.advance(minute);
    assert_eq!(world.judge(&signed).await, Ok(()));
    assert_eq!(world.publisher.asked(), 3);
    // A wrong signature by a key that is there is no reason to look.
    world.clock.advance(minute);
    let wrong = token(&old, &json!({"alg": "ES256", "kid": "new"}), &claims());
    assert_eq!(world.judge(&wrong).await, Err(Failure::Mismatch));
    assert_eq!(world.publisher.asked(), 3);
    // Nor does a publisher who is away make a mismatch of what may be signed by a newer key.
    world.publisher.withdraw(URL);
    let strange = token(&new, &json!({"alg": "ES256", "kid": "newer"}), &claims());
    assert_eq!(world.judge(&strange).await, Err(Failure::KeysAway));
    assert_eq!(world.publisher.asked(), 4);
}

#[tokio::test]
async fn without_keys_nothing_passes() {
    let pair = p256();
    let world = World::publishing(&[pair.jwk("1")]);
    world.publisher.withdraw(URL);
    let signed = token(&pair, &json!({"alg": "ES256", "kid": "1"}), &claims());
    assert_eq!(world.judge(&signed).await, Err(Failure::KeysAway));
    // What cannot be read is refused without asking.
    assert_eq!(world.judge("a.b.c").await, Err(Failure::Malformed));
    assert_eq!(world.publisher.asked(), 1);
}

#[tokio::test]
async fn claims_must_be_right() {
    let pair = p256();
    let world = World::publishing(&[pair.jwk("1")]);
    let ok = Ok(());
    let [missing, malformed] = [Err(Failure::Missing), Err(Failure::Malformed)];
    let [stale, not_equal] = [Err(Failure::Stale), Err(Failure::NotEqual)];
    for (claim, value, verdict) in [
        ("exp", json!(NOW - 59), ok),
        ("exp", json!(NOW - 60), stale),
        ("exp", json!(0), stale),
        ("exp", json!(-1), stale),
        ("exp", json!(NOW as f64 + 0.5), ok),
        ("exp", json!(null), missing),
        ("exp", json!(NOW.to_string()), malformed),
        ("exp", json!(1e300), ok),
        ("nbf", json!(NOW + 300), ok),
        ("nbf", json!(NOW + 301), stale),
        ("nbf", json!(null), ok),
        ("nbf", json!("soon"), malformed),
        ("iat", json!(NOW + 300), ok),
        ("iat", json!(NOW + 301), stale),
        ("iat", json!(null), ok),
        ("iss", json!("issuer "), not_equal),
        ("iss", json!("Issuer"), not_equal),
        ("iss", json!(null), not_equal),
        ("iss", json!(["issuer"]), malformed),
        ("aud", json!(["us"]), ok),
        ("aud", json!(["them", "us"]), ok),
        ("aud", json!(["them"]), not_equal),
        ("aud", json!([]), not_equal),
        ("aud", json!("them"), not_equal),
        ("aud", json!("us,them"), not_equal),
        ("aud", json!(null), not_equal),
        ("aud", json!({"us": true}), malformed),
    ] {
        let mut claims = claims();
        claims[claim] = value;
        let signed = token(&pair, &json!({"alg": "ES256", "kid": "1"}), &claims);
        assert_eq!(world.judge(&signed).await, verdict, "{claim} {}", claims[claim]);
    }
    let twice = format!(r#"{{"iss":"them","iss":"issuer","aud":"us","exp":{}}}"#, NOW + 60);
    let message = format!("{}.{}", base64(br#"{"alg":"ES256","kid":"1"}"#), base64(twice.as_bytes()));
    let signed = format!("{message}.{}", base64(&pair.sign("ES256", message.as_bytes())));
    assert_eq!(world.judge(&signed).await, malformed);
}

#[tokio::test]
async fn the_body_is_the_one_that_was_signed() {
    let pair = p256();
    let world = World::publishing(&[pair.jwk("1")]);
    let demanding = Jwt { body_claim: Some("request_body_sha256".into()), ..jwt() };
    let hash = Sha256::digest(BODY);
    for (value, verdict) in [
        (json!(URL_SAFE_NO_PAD.encode(hash)), Ok(())),
        (json!(STANDARD.encode(hash)), Ok(())),
        (json!(URL_SAFE_NO_PAD.encode(Sha256::digest(b"{\"a\": 2}"))), Err(Failure::NotEqual)),
        (json!(URL_SAFE_NO_PAD.encode(&hash[..31])), Err(Failure::NotEqual)),
        (json!(data_encoding::HEXLOWER.encode(&hash)), Err(Failure::NotEqual)),
        (json!(""), Err(Failure::NotEqual)),
        (json!(null), Err(Failure::NotEqual)),
        (json!([URL_SAFE_NO_PAD.encode(hash)]), Err(Failure::NotEqual)),
    ] {
        let mut claims = claims();
        claims["request_body_sha256"] = value;
        let bearer = format!("Bearer {}", token(&pair, &json!({"alg": "ES256", "kid": "1"}), &claims));
        let verified = world.verify(&demanding, &[("authorization", &bearer)]).await;
        assert_eq!(verified, verdict, "{claims}");
        assert_eq!(world.verify(&jwt(), &[("authorization", &bearer)]).await, Ok(()), "{claims}");
    }
}

#[tokio::test]
async fn a_token_is_read_where_it_stands() {
    let pair = p256();
    let world = World::publishing(&[pair.jwk("1")]);
    let good = token(&pair, &json!({"alg": "ES256", "kid": "1"}), &claims());
    let named = Jwt { header: Some("X-Token".into()), ..jwt() };
    let also_authorization = Jwt { header: Some("Authorization".into()), ..jwt() };
    let (bearer, basic) = (format!("Bearer {good}"), format!("Basic {good}"));
    let [missing, malformed] = [Err(Failure::Missing), Err(Failure::Malformed)];
    let lower = bearer.replace("Bearer", "bearer");
    let (long, padded) = (format!("{good}{}", "A".repeat(16 * 1024)), format!("{good}="));
    let (two, four) = (good.rsplit_once('.').unwrap().0.to_owned(), format!("{good}.{good}"));
    for (jwt, headers, verdict) in [
        (jwt(), vec![("authorization", &bearer)], Ok(())),
        (jwt(), vec![("authorization", &lower)], Ok(())),
        (jwt(), vec![("authorization", &good)], missing),
        (jwt(), vec![("authorization", &basic)], missing),
        (jwt(), vec![("x-token", &good)], missing),
        (jwt(), vec![], missing),
        (jwt(), vec![("authorization", &bearer), ("authorization", &bearer)], Err(Failure::Repeated)),
        (also_authorization.clone(), vec![("authorization", &bearer)], Ok(())),
        (also_authorization, vec![("authorization", &good)], missing),
        (named.clone(), vec![("x-token", &good)], Ok(())),
        (named.clone(), vec![("x-token", &bearer)], Ok(())),
        (named.clone(), vec![("authorization", &bearer)], missing),
        (named.clone(), vec![("x-token", &good), ("x-token", &good)], Err(Failure::Repeated)),
        (named.clone(), vec![("x-token", &long)], malformed),
        (named.clone(), vec![("x-token", &padded)], malformed),
        (named.clone(), vec![("x-token", &two)], malformed),
        (named.clone(), vec![("x-token", &four)], malformed),
        (named, vec![("x-token", &basic)], malformed),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let starts: Vec<_> = headers.iter().map(|(name, value)| (name, &value[..value.len().min(10)])).collect();
        assert_eq!(world.verify(&jwt, &headers).await, verdict, "{:?} {starts:?}", jwt.header);
    }
}

#[tokio::test]
async fn what_must_be_understood_is_refused() {
    let pair = p256();
    let world = World::publishing(&[pair.jwk("1")]);
    for header in [
        json!({"alg": "ES256", "kid": "1", "crit": ["b64"], "b64": false}),
        json!({"alg": "ES256", "kid": "1", "crit": []}),
        json!({"alg": ["ES256"], "kid": "1"}),
        json!({"kid": "1"}),
        json!({"alg": "ES256", "kid": 1}),
        json!("ES256"),
    ] {
        let message = unsigned(&header, &claims());
        let signed = format!("{message}.{}", base64(&pair.sign("ES256", message.as_bytes())));
        assert_eq!(world.judge(&signed).await, Err(Failure::Malformed), "{header}");
    }
}

#[test]
fn a_tenants_mistakes_are_named() {
    let long = "x".repeat(2049);
    let (jwks, issuer, audience) = (
        |text: &str| Jwt { jwks_url: text.to_owned().into(), ..jwt() },
        |text: &str| Jwt { issuer: text.to_owned().into(), ..jwt() },
        |text: &str| Jwt { audience: text.to_owned().into(), ..jwt() },
    );
    let header = |text: &str| Jwt { header: Some(text.to_owned().into()), ..jwt() };
    let claim = |text: &str| Jwt { body_claim: Some(text.to_owned().into()), ..jwt() };
    for (jwt, pointer) in [
        (jwt(), None),
        (jwks("http://10.0.0.1:8080/keys?a=b"), None),
        (jwks(&format!("https://a.example/{}", "x".repeat(2030))), None),
        (jwks(&format!("https://a.example/{}", "x".repeat(2031))), Some("/jwks_url")),
        (jwks("https://user@a.example/"), Some("/jwks_url")),
        (jwks("https://:password@a.example/"), Some("/jwks_url")),
        (jwks("https://a.example/#b"), Some("/jwks_url")),
        (jwks("ftp://a.example/"), Some("/jwks_url")),
        (jwks("file:///etc/passwd"), Some("/jwks_url")),
        (jwks("/keys"), Some("/jwks_url")),
        (jwks(""), Some("/jwks_url")),
        (issuer(""), Some("/issuer")),
        (issuer(&long), Some("/issuer")),
        (issuer(&long[1..]), None),
        (audience(""), Some("/audience")),
        (audience(&long), Some("/audience")),
        (header("X-Signature-JWT"), None),
        (header(""), Some("/header")),
        (header("X Token"), Some("/header")),
        (claim("request_body_sha256"), None),
        (claim(""), Some("/body_claim")),
        (claim("exp"), Some("/body_claim")),
        (claim(&long), Some("/body_claim")),
    ] {
        assert_eq!(jwt.check().err().map(|fault| fault.pointer), pointer, "{jwt:?}");
    }
}

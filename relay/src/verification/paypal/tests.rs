//! A PayPal of our own: an authority, certificates, and what is signed with them.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PKCS_RSA_SHA256, SanType, date_time_ymd,
};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use secrecy::SecretString;

use super::certificate::Trust;
use super::*;
use crate::clock::Clock;
use crate::verification::Key;
use crate::verification::remote::tests::Publisher;

const ORIGIN: &str = "https://api.paypal.com";
const URL: &str = "https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-1";
const NAME: &str = "messageverificationcerts.paypal.com";
const BODY: &[u8] = br#"{"id": "WH-1"}"#;
/// The body's, as another program has it.
const CRC_OF_BODY: &str = "606402450";
const TIME: &str = "2026-06-01T00:00:00Z";
/// The same.
const NOW: i64 = 1_780_272_000_000;

/// A PayPal that nobody is.
pub(in crate::verification) fn no_paypal() -> Trust {
    Authority::new("nobody").trust()
}

struct Authority {
    certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let (key, params) = (KeyPair::generate().unwrap(), Self::params(name));
        Self { certificate: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    fn below(above: &Self, name: &str) -> Self {
        let (key, params) = (KeyPair::generate().unwrap(), Self::params(name));
        Self { certificate: params.signed_by(&key, &above.issuer).unwrap(), issuer: Issuer::new(params, key) }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    }

    fn trust(&self) -> Trust {
        Trust::new(ORIGIN, self.certificate.der()).unwrap()
    }

    fn certify(&self, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, NAME);
        params.subject_alt_names = vec![SanType::DnsName(NAME.try_into().unwrap())];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        change(&mut params);
        params.signed_by(&certified_key(OURS), &self.issuer).unwrap().pem()
    }
}

const OURS: &str = include_str!("../../../../tests/data/rsa-a.pem");
const STRANGERS: &str = include_str!("../../../../tests/data/rsa-b.pem");

fn certified_key(pem: &str) -> KeyPair {
    KeyPair::from_pkcs8_pem_and_sign_algo(pem, &PKCS_RSA_SHA256).unwrap()
}

fn signed(pem: &str, encoding: &'static dyn RsaEncoding, message: &str) -> String {
    let key = RsaKeyPair::from_pkcs8(&certified_key(pem).serialize_der()).unwrap();
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    STANDARD.encode(signature)
}

struct World {
    publisher: Arc<Publisher>,
    clock: Clock,
    remote: Remote,
}

impl World {
    fn new(authority: &Authority) -> Self {
        let (publisher, clock) = (Arc::new(Publisher::default()), Clock::start());
        let remote = Remote::with(Arc::clone(&publisher) as Arc<_>, clock.clone(), authority.trust());
        Self { publisher, clock, remote }
    }

    /// Of a root's own certificate, served alone.
    fn plain() -> Self {
        let authority = Authority::new("root");
        let world = Self::new(&authority);
        world.publisher.publish(URL, authority.certify(|_| ()));
        world
    }

    async fn judge(&self, request: &Request, now: i64) -> Result<CredentialId, Failure> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body: &request.body };
        let ids = (1..).map(|id| CredentialId::from(uuid::Uuid::from_u128(id << 80)));
        let key = |(id, webhook): (_, &&str)| Key { id, value: SecretString::from(*webhook) };
        let external = ids.zip(&request.webhooks).map(key).collect();
        let keys = Keys { external, ..Keys::default() };
        verify(&Presented { inbound, url: "", now }, &keys, &self.remote).await
    }

    async fn accepts(&self, request: &Request) -> Result<(), Failure> {
        self.judge(request, NOW).await.map(drop)
    }

    /// What comes of a good request if this is served as the certificate.
    async fn accepts_by(&self, served: &str) -> Result<(), Failure> {
        self.publisher.publish(URL, served);
        self.accepts(&Request::good()).await
    }
}

#[derive(Clone)]
struct Request {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    webhooks: Vec<&'static str>,
}

impl Request {
    fn good() -> Self {
        Self::signed(|message| signed(OURS, &RSA_PKCS1_SHA256, message))
    }

    fn signed(sign: impl FnOnce(&str) -> String) -> Self {
        let id = "69cd13f0-d67a-11e5-baa3-778b53f4ae55";
        let headers = [
            ("paypal-transmission-id", id),
            ("paypal-transmission-time", TIME),
            ("paypal-transmission-sig", &sign(&format!("{id}|{TIME}|WEBHOOK-1|{CRC_OF_BODY}"))),
            ("paypal-cert-url", URL),
            ("paypal-auth-algo", "SHA256withRSA"),
            ("paypal-auth-version", "v2"),
        ];
        let headers = headers.map(|(name, value)| (name, value.to_owned())).to_vec();
        Self { headers, body: BODY.to_vec(), webhooks: vec!["WEBHOOK-1"] }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.iter_mut().find(|(found, _)| *found == name).unwrap().1 = value.to_owned();
        self
    }
}

#[tokio::test]
async fn a_request_of_paypal_names_its_webhook() {
    let world = World::plain();
    for (webhooks, verdict) in [
        (vec!["WEBHOOK-1"], Ok(CredentialId::at(1))),
        (vec!["WEBHOOK-0", "WEBHOOK-1"], Ok(CredentialId::at(2))),
        (vec!["WEBHOOK-0"], Err(Failure::Mismatch)),
        (vec!["webhook-1"], Err(Failure::Mismatch)),
        (vec![""], Err(Failure::Mismatch)),
        (vec![], Err(Failure::NoCredential)),
    ] {
        let found = world.judge(&Request { webhooks: webhooks.clone(), ..Request::good() }, NOW).await;
        let seen = (found.map(CredentialId::millis), verdict.map(CredentialId::millis));
        assert_eq!(seen.0, seen.1, "{webhooks:?}");
    }
    assert_eq!(world.publisher.asked(), 1);
}

#[tokio::test]
async fn nothing_that_is_signed_can_be_changed() {
    let world = World::plain();
    let good = Request::good();
    assert_eq!(world.accepts(&good).await, Ok(()));
    for byte in 0..BODY.len() {
        let mut changed = good.clone();
        changed.body[byte] ^= 1;
        assert_eq!(world.accepts(&changed).await, Err(Failure::Mismatch), "{byte}");
    }
    let shorter = Request { body: BODY[1..].to_vec(), ..good.clone() };
    assert_eq!(world.accepts(&shorter).await, Err(Failure::Mismatch));
    for (name, value) in [
        ("paypal-transmission-id", "69cd13f0-d67a-11e5-baa3-778b53f4ae56"),
        ("paypal-transmission-time", "2026-06-01T00:00:01Z"),
        ("paypal-transmission-time", "2026-06-01T00:00:00+00:00"),
    ] {
        assert_eq!(world.accepts(&good.clone().with(name, value)).await, Err(Failure::Mismatch), "{value}");
    }
}

#[tokio::test]
async fn only_the_certified_key_signs_and_only_as_it_must() {
    let world = World::plain();
    for (key, encoding) in
        [(STRANGERS, &RSA_PKCS1_SHA256 as &'static dyn RsaEncoding), (OURS, &RSA_PKCS1_SHA384), (OURS, &RSA_PSS_SHA256)]
    {
        let request = Request::signed(|message| signed(key, encoding, message));
        assert_eq!(world.accepts(&request).await, Err(Failure::Mismatch));
    }
    for change in [0, 128, 255] {
        let request = Request::signed(|message| {
            let mut signature = STANDARD.decode(signed(OURS, &RSA_PKCS1_SHA256, message)).unwrap();
            signature[change] ^= 1;
            STANDARD.encode(signature)
        });
        assert_eq!(world.accepts(&request).await, Err(Failure::Mismatch));
    }
}

#[tokio::test]
async fn each_header_stands_there_once_and_can_be_read() {
    let world = World::plain();
    for place in 0..5 {
        let mut request = Request::good();
        let (name, value) = request.headers.remove(place);
        assert_eq!(world.accepts(&request).await, Err(Failure::Missing), "{name}");
        request.headers.extend([(name, value.clone()), (name, value)]);
        assert_eq!(world.accepts(&request).await, Err(Failure::Repeated), "{name}");
    }
    for (name, value) in [
        ("paypal-transmission-id", ""),
        ("paypal-transmission-id", "a|b"),
        ("paypal-transmission-time", ""),
        ("paypal-transmission-time", "1780272000"),
        ("paypal-transmission-time", "2026-06-01"),
        ("paypal-transmission-sig", "?"),
        ("paypal-auth-algo", "SHA1withRSA"),
        ("paypal-auth-algo", "sha256withrsa"),
        ("paypal-auth-algo", "none"),
        ("paypal-auth-algo", ""),
    ] {
        let request = Request::good().with(name, value);
        assert_eq!(world.accepts(&request).await, Err(Failure::Malformed), "{name} {value}");
    }
    let unsigned = Request::good().with("paypal-transmission-sig", "");
    assert_eq!(world.accepts(&unsigned).await, Err(Failure::Mismatch));
}

#[tokio::test]
async fn a_transmission_is_four_days_old_at_most() {
    let world = World::plain();
    for (now, verdict) in [
        (NOW + 4 * 86_400_000, Ok(())),
        (NOW + 4 * 86_400_000 + 1, Err(Failure::Stale)),
        (NOW - 300_000, Ok(())),
        (NOW - 300_001, Err(Failure::Stale)),
    ] {
        assert_eq!(world.judge(&Request::good(), now).await.map(drop), verdict, "{now}");
    }
}

#[tokio::test]
async fn only_paypals_urls_are_fetched() {
    let world = World::plain();
    let long = format!("{ORIGIN}/v1/notifications/certs/{}", "a".repeat(101));
    for url in [
        "http://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com:8443/v1/notifications/certs/CERT-1",
        "https://api.paypal.com.example.com/v1/notifications/certs/CERT-1",
        "https://api.paypal.com@example.com/v1/notifications/certs/CERT-1",
        "https://user@api.paypal.com/v1/notifications/certs/CERT-1",
        "https://example.com/https://api.paypal.com/v1/notifications/certs/CERT-1",
        "https://www.paypal.com/v1/notifications/certs/CERT-1",
        "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1",
        "https://127.0.0.1/v1/notifications/certs/CERT-1",
        "https://api.paypal.com/v1/notifications/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/",
        "https://api.paypal.com/v1/notifications/certs/..",
        "https://api.paypal.com/v1/notifications/certs/../../oauth2",
        "https://api.paypal.com/v1/notifications/certs/%2e%2e/x",
        "https://api.paypal.com/v1/notifications/certs/a/b",
        "https://api.paypal.com/v1/notifications/certs/a\\b",
        "https://api.paypal.com/v1/notifications/certs/CERT-1?a",
        "https://api.paypal.com/v1/notifications/certs/CERT-1#a",
        "https://api.paypal.com/v1/notifications/certs/CERT-1 ",
        "//api.paypal.com/v1/notifications/certs/CERT-1",
        "",
        &long,
    ] {
        let request = Request::good().with("paypal-cert-url", url);
        assert_eq!(world.accepts(&request).await, Err(Failure::Malformed), "{url}");
    }
    assert_eq!(world.publisher.asked(), 0);
}

#[test]
fn in_production_two_hosts_serve_them() {
    let trust = Trust::of_this_system();
    for (url, serves) in [
        ("https://api.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-b0d12406", true),
        ("https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-90621ecd", true),
        ("https://api-m.paypal.com/v1/notifications/certs/CERT-1", false),
        ("http://api.paypal.com/v1/notifications/certs/CERT-1", false),
    ] {
        assert_eq!(trust.serves(url), serves, "{url}");
    }
}

#[tokio::test]
async fn a_certificate_is_made_out_to_paypal_and_valid_now() {
    let authority = Authority::new("root");
    let named = |name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        authority.certify(|params| params.subject_alt_names = vec![name])
    };
    let only_for = |purpose| authority.certify(|params| params.extended_key_usages = vec![purpose]);
    for (what, certificate, verdict) in [
        ("good", authority.certify(|_| ()), Ok(())),
        ("the sandbox's", named("messageverificationcerts.sandbox.paypal.com"), Ok(())),
        ("a wildcard", named("*.paypal.com"), Ok(())),
        ("another name", named("api.paypal.com"), Err(Failure::Mismatch)),
        ("a stranger's", named("messageverificationcerts.paypal.com.example.com"), Err(Failure::Mismatch)),
        ("too wide", named("*.com"), Err(Failure::Mismatch)),
        ("only a common name", authority.certify(|params| params.subject_alt_names.clear()), Err(Failure::Mismatch)),
        ("expired", authority.certify(|params| params.not_after = date_time_ymd(2026, 5, 31)), Err(Failure::Mismatch)),
        (
            "too early",
            authority.certify(|params| params.not_before = date_time_ymd(2026, 6, 2)),
            Err(Failure::Mismatch),
        ),
        ("for anything", authority.certify(|params| params.extended_key_usages.clear()), Ok(())),
        ("for servers", only_for(ExtendedKeyUsagePurpose::ServerAuth), Ok(())),
        ("for clients", only_for(ExtendedKeyUsagePurpose::ClientAuth), Err(Failure::Mismatch)),
        ("for mail", only_for(ExtendedKeyUsagePurpose::EmailProtection), Err(Failure::Mismatch)),
        ("by a namesake of the root", Authority::new("root").certify(|_| ()), Err(Failure::Mismatch)),
        ("by another root", Authority::new("other").certify(|_| ()), Err(Failure::Mismatch)),
        (
            "no certificate",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned(),
            Err(Failure::KeysAway),
        ),
        ("a page", "<html>".to_owned(), Err(Failure::KeysAway)),
        ("nothing", String::new(), Err(Failure::KeysAway)),
    ] {
        assert_eq!(World::new(&authority).accepts_by(&certificate).await, verdict, "{what}");
    }
    assert_eq!(World::new(&authority).accepts(&Request::good()).await, Err(Failure::KeysAway));
}

#[tokio::test]
async fn an_issuer_between_comes_along_or_is_fetched_from_where_the_certificate_says() {
    let root = Authority::new("root");
    let between = Authority::below(&root, "between");
    let (pem, der) = (between.certificate.pem(), between.certificate.der().to_vec());
    let alone = between.certify(|_| ());
    let pointing = between.certify(|params| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], access()));
    });
    assert_eq!(World::new(&root).accepts_by(&format!("{alone}{pem}")).await, Ok(()));
    assert_eq!(World::new(&root).accepts_by(&alone).await, Err(Failure::Mismatch));
    let strangers = Authority::below(&Authority::new("other"), "between").certificate.der().to_vec();
    for (what, served, verdict) in [
        ("der", Some(der), Ok(())),
        ("pem", Some(pem.into_bytes()), Ok(())),
        ("a stranger's", Some(strangers), Err(Failure::Mismatch)),
        ("nothing", None, Err(Failure::KeysAway)),
    ] {
        let world = World::new(&root);
        if let Some(served) = served {
            world.publisher.publish("https://authority.example.com/between.crt", served);
        }
        for _ in 0..2 {
            assert_eq!(world.accepts_by(&pointing).await, verdict, "{what}");
        }
        assert_eq!(world.publisher.asked(), 2, "{what}");
    }
}

/// Says that the issuer's certificate is at `http://authority.example.com/between.crt`.
fn access() -> Vec<u8> {
    let url = b"http://authority.example.com/between.crt";
    let element = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let way =
        |id: u8, url: &[u8]| element(0x30, &[element(6, &[0x2b, 6, 1, 5, 5, 7, 48, id]), element(0x86, url)].concat());
    element(0x30, &[way(1, b"http://ocsp.example.com"), way(2, url)].concat())
}

#[tokio::test]
async fn made_up_urls_are_fetched_five_times_a_minute_for_a_webhook_and_no_more() {
    let world = World::plain();
    assert_eq!(world.accepts(&Request::good()).await, Ok(()));
    let made_up = |number: usize| {
        Request::good().with("paypal-cert-url", &format!("{ORIGIN}/v1/notifications/certs/CERT-{number}"))
    };
    for number in 0..100 {
        assert_eq!(world.accepts(&made_up(number)).await, Err(Failure::KeysAway), "{number}");
    }
    assert_eq!(world.publisher.asked(), 1 + 5);
    // What was had before may be had again, also when it is no longer fresh.
    world.clock.advance(std::time::Duration::from_mins(10));
    for number in 100..110 {
        assert_eq!(world.accepts(&made_up(number)).await, Err(Failure::KeysAway), "{number}");
    }
    assert_eq!(world.accepts(&Request::good()).await, Ok(()));
    assert_eq!(world.publisher.asked(), 1 + 5 + 5 + 1);
}

//! TLS at the listener itself.

use std::path::PathBuf;
use std::time::Duration;

use harness::certificate::Certificate;
use harness::clock::Clock;
use harness::program::{Program, words};
use harness::relay::{OPERATOR_KEY, migrate, settings_of};
use harness::{Database, Relay, eventually, json, on_each_database, proxy_header, raw};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

on_each_database![
    webhooks_come_in_over_tls,
    http_1_is_all_that_is_agreed_to,
    the_proxy_header_comes_before_tls,
    a_renewed_certificate_is_taken_and_a_broken_one_is_not,
    a_pair_that_cannot_be_used_stops_the_start,
    whoever_stalls_the_handshake_is_closed_while_others_are_served,
];

const PROTOCOLS: &[&str] = &["http/1.1"];

async fn webhooks_come_in_over_tls(database: Database) {
    let (relay, certificate) = start(database).await;
    let said = relay.apis[0].said();
    assert!(said.contains("listening on https://127.0.0.1:"), "{said}");

    let tenant = ask(&relay, &certificate, "/v1/tenants", json!({ "name": "acme", "slug": "acme" })).await.json(201);
    let sources = format!("/v1/tenants/{}/sources", tenant["id"].as_str().unwrap());
    let fields = json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" } });
    let source = ask(&relay, &certificate, &sources, fields).await.json(201);
    let origin = format!("https://{}", relay.apis[0].address());
    let path = source["url"].as_str().unwrap().strip_prefix(&origin).expect("the URL that is handed out");
    assert_eq!(ask(&relay, &certificate, path, json!({ "type": "Form.Created" })).await.status, 202);
}

async fn http_1_is_all_that_is_agreed_to(database: Database) {
    let (relay, certificate) = start(database).await;
    let address = relay.apis[0].address();
    let both = certificate.connect(address, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    certificate.connect(address, &[]).await.unwrap();
    certificate.connect(address, &["h2"]).await.unwrap_err();
    // A stranger's certificate would be taken for this one if nobody looked.
    Certificate::of_this_machine().connect(address, PROTOCOLS).await.unwrap_err();

    let plain = raw::text_over(TcpStream::connect(address).await.unwrap(), raw::request("GET", "/", &[], b"")).await;
    assert!(!plain.contains("HTTP"), "{plain:?}");
    let (handshake, alert) = (0x16, 0x15);
    for (minor, answer) in [(3, handshake), (2, alert)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&hello(minor)).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), answer, "TLS 1.{}", minor - 1);
    }
}

async fn the_proxy_header_comes_before_tls(database: Database) {
    let (certificate, settings) = certified(&database);
    let plan = settings.into_iter().fold(Relay::plan(database), |plan, (name, value)| plan.setting(name, value));
    let relay = plan.setting("HOOKYARD_PROXY_PROTOCOL", "true").start().await;
    let mut stream = TcpStream::connect(relay.apis[0].address()).await.unwrap();
    stream.write_all(&proxy_header::from("198.51.100.7:1".parse().unwrap())).await.unwrap();
    let stream = certificate.begin(stream, PROTOCOLS).await.unwrap();
    assert_eq!(raw::exchange_over(stream, raw::request("GET", "/nowhere", &[], b"")).await.status, 404);
}

async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not(database: Database) {
    let [certificate_file, key_file] = files(&database);
    let (relay, first) = start(database).await;
    let (api, second, third) = (&relay.apis[0], Certificate::of_this_machine(), Certificate::of_this_machine());
    let shown = async |certificate: &Certificate| certificate.connect(api.address(), PROTOCOLS).await.is_ok();
    assert!(shown(&first).await);

    second.write(&certificate_file, &key_file);
    eventually("the second certificate", async || shown(&second).await.then_some(())).await;

    // Of the third one only half is there.
    std::fs::write(&certificate_file, &third.pem).unwrap();
    eventually("a word about it", async || api.log().contains("is not the key of").then_some(())).await;
    assert!(shown(&second).await && !shown(&third).await);

    std::fs::write(&key_file, &third.key).unwrap();
    eventually("the third certificate", async || shown(&third).await.then_some(())).await;

    std::fs::remove_file(&key_file).unwrap();
    eventually("a word about it", async || api.log().contains("cannot be read").then_some(())).await;
    assert!(shown(&third).await);
}

async fn a_pair_that_cannot_be_used_stops_the_start(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    let program = if database.is_postgres() { Program::Api } else { Program::Hookyard };
    if database.is_postgres() {
        migrate(&database, &clock).await;
    }
    let file = |name: &str, content: &str| {
        let file = database.directory().join(name);
        std::fs::write(&file, content).unwrap();
        file.display().to_string()
    };
    let (one, other) = (Certificate::of_this_machine(), Certificate::of_this_machine());
    let (certificate, key) = (file("one.pem", &one.pem), file("one.key", &one.key));
    let (strange, text) = (file("other.key", &other.key), file("text.pem", "-----BEGIN WORDS-----\ncanary\n"));
    let (cut, nowhere) = (file("cut.pem", &one.pem[..200]), "/nowhere/at-all.pem".to_owned());
    for (certificate, key, named) in [
        (Some(&certificate), None, ["HOOKYARD_TLS_KEY", "--tls-key"]),
        (None, Some(&key), ["HOOKYARD_TLS_CERTIFICATE", "--tls-certificate"]),
        (Some(&nowhere), Some(&key), ["HOOKYARD_TLS_CERTIFICATE", &nowhere]),
        (Some(&certificate), Some(&nowhere), ["HOOKYARD_TLS_KEY", &nowhere]),
        (Some(&text), Some(&key), ["HOOKYARD_TLS_CERTIFICATE", &text]),
        (Some(&cut), Some(&key), ["HOOKYARD_TLS_CERTIFICATE", &cut]),
        (Some(&key), Some(&key), ["HOOKYARD_TLS_CERTIFICATE", &key]),
        (Some(&certificate), Some(&text), ["HOOKYARD_TLS_KEY", &text]),
        (Some(&certificate), Some(&certificate), ["HOOKYARD_TLS_KEY", &certificate]),
        (Some(&certificate), Some(&strange), ["HOOKYARD_TLS_KEY", &strange]),
    ] {
        let mut settings = settings_of(program, &database, &clock);
        settings.extend(certificate.map(|file| ("HOOKYARD_TLS_CERTIFICATE", file.clone())));
        settings.extend(key.map(|file| ("HOOKYARD_TLS_KEY", file.clone())));
        let output = program.run(&[], &settings, &database.directory()).await;
        let said = words(&output);
        assert!(!output.status.success(), "it starts with {certificate:?} and {key:?}");
        assert!(named.iter().all(|name| said.contains(name)), "{named:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("canary"), "{said}");
    }
}

async fn whoever_stalls_the_handshake_is_closed_while_others_are_served(database: Database) {
    let (relay, certificate) = start(database).await;
    let address = relay.apis[0].address();
    let mut clients = JoinSet::new();
    for first in [&b""[..], b"\x16", &hello(3)[..20]] {
        let first = first.to_vec();
        clients.spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            timeout(Duration::from_secs(18), raw::text_over(stream, first)).await.expect("an end")
        });
    }
    let mut served = 0;
    while !clients.is_empty() {
        let stream = certificate.connect(address, PROTOCOLS).await.unwrap();
        assert_eq!(raw::exchange_over(stream, raw::request("GET", "/nowhere", &[], b"")).await.status, 404);
        served += 1;
        if let Ok(Some(answer)) = timeout(Duration::from_millis(200), clients.join_next()).await {
            assert_eq!(answer.unwrap(), "");
        }
    }
    assert!(served > 10, "{served}");
}

async fn start(database: Database) -> (Relay, Certificate) {
    let (certificate, settings) = certified(&database);
    let plan = settings.into_iter().fold(Relay::plan(database), |plan, (name, value)| plan.setting(name, value));
    (plan.start().await, certificate)
}

/// A certificate, and what the relay is told of it.
fn certified(database: &Database) -> (Certificate, [(&'static str, String); 2]) {
    let (certificate, files) = (Certificate::of_this_machine(), files(database));
    certificate.write(&files[0], &files[1]);
    let [certificate_file, key_file] = files.map(|file| file.display().to_string());
    (certificate, [("HOOKYARD_TLS_CERTIFICATE", certificate_file), ("HOOKYARD_TLS_KEY", key_file)])
}

fn files(database: &Database) -> [PathBuf; 2] {
    ["tls.pem", "tls.key"].map(|name| database.directory().join(name))
}

/// The operator's request.
async fn ask(relay: &Relay, certificate: &Certificate, path: &str, body: harness::Value) -> raw::RawAnswer {
    let key = format!("Bearer {OPERATOR_KEY}");
    let headers = [("authorization", &*key), ("content-type", "application/json")];
    let stream = certificate.connect(relay.apis[0].address(), PROTOCOLS).await.unwrap();
    raw::exchange_over(stream, raw::request("POST", path, &headers, body.to_string().as_bytes())).await
}

/// What a client says first that knows TLS up to 1.2 (minor version 3) or 1.1 (2).
fn hello(minor: u8) -> Vec<u8> {
    let sized = |content: &[u8]| [&u16::try_from(content.len()).unwrap().to_be_bytes()[..], content].concat();
    // The signatures, curves and points that go with ECDHE-ECDSA-AES128-GCM-SHA256.
    let extensions = [&[0, 13, 0, 4, 0, 2, 4, 3][..], &[0, 10, 0, 4, 0, 2, 0, 23], &[0, 11, 0, 2, 1, 0]].concat();
    let fixed = [&[3, minor][..], &[7; 32], &[0], &[0, 2, 0xc0, 0x2b], &[1, 0]].concat();
    let handshake = [&[1, 0][..], &sized(&[fixed, sized(&extensions)].concat())].concat();
    [&[0x16, 3, 1][..], &sized(&handshake)].concat()
}

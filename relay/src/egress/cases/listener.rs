//! What a server says once its connection stands: a TLS listener on this machine that counts its connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Case, of_layer};
use crate::egress::{ClientTls, Egress, EgressSettings, Guard, LookingUp, Lookup, Outgoing, Response, SendError};

pub(in crate::egress) const NAME: &str = "public.example.org";

/// Where the connections of a case end up, and how many names were looked up for it.
struct World {
    port: u16,
    connections: Arc<AtomicUsize>,
    lookups: Arc<AtomicUsize>,
    trusted: String,
}

/// Every name is this machine's; each look-up is counted.
struct Here(Arc<AtomicUsize>);

impl Lookup for Here {
    fn lookup(&self, _: &str) -> LookingUp {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::ready(Ok(vec![[127, 0, 0, 1].into()])))
    }
}

/// A certificate authority, and a certificate of its as the case wants it: right, unless it says otherwise.
pub(in crate::egress) fn certificate(wrong: Option<&str>) -> (String, ServerConfig) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let name = if wrong == Some("wrong-host") { "another.example.org" } else { NAME };
    let mut leaf = CertificateParams::new([name.to_owned()]).unwrap();
    if wrong == Some("expired") {
        (leaf.not_before, leaf.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
    }
    let key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&key, &authority).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let chain: Vec<CertificateDer<'static>> = vec![leaf.der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (authority.pem(), config.with_no_client_auth().with_single_cert(chain, key).unwrap())
}

impl World {
    async fn of(case: &Case) -> Self {
        let (trusted, config) = certificate(case.tls.as_deref());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = Self {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            lookups: Arc::default(),
            trusted,
        };
        let answer = world.answer(case);
        let (acceptor, connections) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&world.connections));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answer) = (acceptor.clone(), answer.clone());
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut request = [0; 4096];
                    while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        world
    }

    /// What it points elsewhere points back here: another connection or look-up would show that it was followed.
    fn answer(&self, case: &Case) -> String {
        let Some(answer) = &case.response else { return "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned() };
        let mut text = format!("HTTP/1.1 {} As told\r\ncontent-length: 0\r\n", answer.status);
        if let Some(location) = &answer.location {
            text += &format!("location: {location}\r\n");
        }
        for (name, value) in &answer.headers {
            text += &format!("{name}: {}\r\n", value.replace("127.0.0.1:443", &format!("127.0.0.1:{}", self.port)));
        }
        text + "\r\n"
    }

    async fn send(&self, url: &str, times: usize) -> Vec<Result<Response, SendError>> {
        let settings = EgressSettings { allow: vec!["127.0.0.0/8".parse().unwrap()], ..EgressSettings::default() };
        let guard = Arc::new(Guard::new(&settings, Vec::new()));
        let egress = Egress::new(&settings, guard, Arc::new(Here(Arc::clone(&self.lookups)))).unwrap();
        let mut answers = Vec::new();
        for _ in 0..times {
            let request = Outgoing {
                url: url.replace(NAME, &format!("{NAME}:{}", self.port)),
                headers: HeaderMap::new(),
                body: Bytes::from_static(b"{}"),
                tls: Some(ClientTls::parse(Some(&self.trusted), None).unwrap()),
                timeout: Duration::from_secs(10),
                may_write: Arc::new(|| true),
                begun: None,
            };
            answers.push(egress.send(request).await);
        }
        answers
    }

    fn counted(&self) -> (usize, usize) {
        (self.connections.load(Ordering::SeqCst), self.lookups.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn no_redirect_is_followed_wherever_it_leads() {
    for case in of_layer("redirect") {
        let world = World::of(&case).await;
        let answers = world.send(&case.url, 1).await;
        let status = case.response.as_ref().unwrap().status;
        assert!(matches!(&answers[0], Ok(answer) if answer.status == status), "{}: {answers:?}", case.id);
        assert_eq!(world.counted(), (1, 1), "{}: connections and look-ups", case.id);
    }
}

#[tokio::test]
async fn no_other_service_is_tried_that_an_answer_names() {
    for case in of_layer("response") {
        let world = World::of(&case).await;
        let answers = world.send(&case.url, 2).await;
        assert!(answers.iter().all(|answer| matches!(answer, Ok(answer) if answer.status == 200)), "{answers:?}");
        assert_eq!(world.counted(), (1, 1), "{}: the one connection serves both", case.id);
    }
}

#[tokio::test]
async fn no_body_goes_to_a_server_that_cannot_prove_its_name() {
    for case in of_layer("tls") {
        let world = World::of(&case).await;
        let answers = world.send(&case.url, 1).await;
        let told = match &answers[0] {
            Err(SendError::Unreachable(text)) => text.clone(),
            other => panic!("{}: {other:?}", case.id),
        };
        assert!(told.contains("certificate"), "{}: {told}", case.id);
        assert_eq!(world.counted(), (1, 1), "{}: connections and look-ups", case.id);
    }
}

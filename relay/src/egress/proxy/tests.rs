//! A proxy on this machine, well or not, and a receiver behind it.

#![expect(clippy::disallowed_methods, reason = "a proxy has connections of its own")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::egress::cases::listener::{NAME, certificate};
use crate::egress::{
    ClientTls, Egress, EgressSettings, Guard, LookingUp, Lookup, LookupError, Outgoing, Refusal, Response, SendError,
};

/// How the proxy takes a request for a tunnel.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// It opens one to the receiver, whatever name was asked for.
    Opens,
    Answers(&'static str),
    /// It answers what is not about a tunnel, and nothing else.
    Waits,
    Hangs,
    Closes,
}

/// What the proxy was asked, and how many connections the receiver had.
#[derive(Default)]
struct Seen {
    asked: Mutex<Vec<String>>,
    received: AtomicUsize,
}

struct Setup {
    egress: Egress,
    trusted: String,
    seen: Arc<Seen>,
}

/// Nobody but the proxy may look names up.
struct Never;

impl Lookup for Never {
    fn lookup(&self, name: &str) -> LookingUp {
        panic!("{name} was looked up here")
    }
}

/// A TLS receiver that answers 200, or hangs up after the handshake.
async fn receiver(seen: &Arc<Seen>, answers: bool) -> (u16, String) {
    let (trusted, config) = certificate(None);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(seen));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.received.fetch_add(1, Ordering::SeqCst);
            let mut stream = acceptor.accept(stream).await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            if answers {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
        }
    });
    (port, trusted)
}

async fn proxy(seen: &Arc<Seen>, manner: Manner, receiver: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::clone(seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap() == 0 {
                        return;
                    }
                }
                let head = String::from_utf8(head).unwrap();
                let is_tunnel = head.starts_with("CONNECT ");
                seen.asked.lock().unwrap().push(head);
                match manner {
                    Manner::Opens if is_tunnel => {
                        let mut there = TcpStream::connect(("127.0.0.1", receiver)).await.unwrap();
                        stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
                        let _ = copy_bidirectional(&mut stream, &mut there).await;
                    }
                    Manner::Answers(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
                    Manner::Waits if !is_tunnel => {
                        stream.write_all(b"HTTP/1.1 405 No\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                    }
                    Manner::Waits | Manner::Hangs => std::future::pending().await,
                    Manner::Opens | Manner::Closes => {}
                }
            });
        }
    });
    port
}

impl Setup {
    async fn of(manner: Manner) -> Self {
        Self::with(manner, true).await
    }

    async fn with(manner: Manner, answers: bool) -> Self {
        let seen = Arc::new(Seen::default());
        let (receiver, trusted) = receiver(&seen, answers).await;
        let port = proxy(&seen, manner, receiver).await;
        Self { egress: egress(&format!("http://relay:p%40ss@127.0.0.1:{port}")), trusted, seen }
    }

    async fn send(&self) -> Result<Response, SendError> {
        let request = Outgoing {
            url: format!("https://{NAME}/hook"),
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"{}"),
            tls: Some(ClientTls::parse(Some(&self.trusted), None).unwrap()),
            timeout: Duration::from_secs(1),
            may_write: Arc::new(|| true),
            begun: None,
        };
        self.egress.send(request).await
    }

    fn asked(&self) -> Vec<String> {
        self.seen.asked.lock().unwrap().clone()
    }
}

fn egress(proxy: &str) -> Egress {
    let settings = EgressSettings { proxy: Some(proxy.into()), ..EgressSettings::default() };
    Egress::new(&settings, Arc::new(Guard::new(&settings, Vec::new())), Arc::new(Never)).unwrap()
}

#[tokio::test]
async fn every_request_goes_through_a_tunnel_with_who_we_are() {
    let setup = Setup::of(Manner::Opens).await;
    let answer = setup.send().await.unwrap();
    assert_eq!((answer.status, answer.remote_address), (200, None), "the address would be the proxy's");
    let asked = setup.asked();
    assert!(asked.len() == 1 && asked[0].starts_with(&format!("CONNECT {NAME}:443 HTTP/1.1\r\n")), "{asked:?}");
    let password = STANDARD.encode("relay:p@ss");
    assert!(
        asked[0].to_lowercase().contains(&format!("proxy-authorization: basic {}", password.to_lowercase())),
        "{asked:?}"
    );
    assert_eq!(setup.seen.received.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_fault_of_the_proxy_is_no_destinations() {
    for (manner, why) in [
        (Manner::Answers("HTTP/1.1 407 Who\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"), "(407)"),
        (Manner::Answers("HTTP/1.1 302 There\r\ncontent-length: 0\r\n\r\n"), "it answered 302"),
        (Manner::Answers("SSH-2.0-OpenSSH\r\n\r\n"), "it does not speak HTTP"),
        (Manner::Closes, "it does not speak HTTP"),
        (Manner::Hangs, "it does not answer"),
    ] {
        let setup = Setup::of(manner).await;
        let error = setup.send().await.unwrap_err();
        assert!(matches!(&error, SendError::NoWayOut(text) if text.contains(why)), "{manner:?}: {error:?}");
        assert_eq!(setup.seen.received.load(Ordering::SeqCst), 0, "{manner:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_no_destinations_fault() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let setup = Setup { egress: egress(&format!("http://{closed}")), ..Setup::of(Manner::Opens).await };
    let error = setup.send().await.unwrap_err();
    assert!(matches!(error, SendError::NoWayOut(_)), "{error:?}");
}

#[tokio::test]
async fn what_the_proxy_says_of_a_destination_is_the_destinations() {
    let answer = |line: &'static str| Manner::Answers(line);
    for (manner, outcome) in [
        (
            answer("HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n"),
            "the relay's proxy (HOOKYARD_EGRESS_PROXY) does not let",
        ),
        (
            answer("HTTP/1.1 407 Denied\r\ncontent-length: 0\r\n\r\n"),
            "the relay's proxy (HOOKYARD_EGRESS_PROXY) does not let",
        ),
        (
            answer("HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n"),
            "the relay's proxy does not reach it: it answered 502",
        ),
        (answer("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n"), "it answered 500"),
        (answer("HTTP/1.1 404 Who\r\ncontent-length: 0\r\n\r\n"), "it answered 404"),
        (answer("HTTP/1.1 504 Late\r\ncontent-length: 0\r\n\r\n"), "it answered 504"),
        (Manner::Waits, "no complete answer in time"),
    ] {
        let setup = Setup::of(manner).await;
        let error = setup.send().await.unwrap_err();
        assert!(error.to_string().contains(outcome), "{manner:?}: {error:?}");
        let is_refused = matches!(&error, SendError::Refused(Refusal::Proxy(_)));
        assert_eq!(is_refused, outcome.ends_with("does not let"), "{manner:?}: {error:?}");
        assert!(!matches!(error, SendError::NoWayOut(_)), "{manner:?}");
    }
}

#[tokio::test]
async fn what_breaks_in_the_tunnel_is_the_destinations() {
    let setup = Setup::with(Manner::Opens, false).await;
    let error = setup.send().await.unwrap_err();
    assert!(matches!(error, SendError::Unreachable(_)), "{error:?}");
    let asked = setup.asked();
    assert_eq!(asked.len(), 2, "the proxy was asked whether it works: {asked:?}");
}

#[tokio::test]
async fn literal_addresses_and_names_are_judged_before_the_proxy_is_asked() {
    let setup = Setup::of(Manner::Opens).await;
    for url in ["https://127.0.0.1/", "https://localhost/", "https://10.0.0.1:8443/", "https://example.com:22/"] {
        let request = Outgoing {
            url: url.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            tls: None,
            timeout: Duration::from_secs(1),
            may_write: Arc::new(|| true),
            begun: None,
        };
        assert!(matches!(setup.egress.send(request).await, Err(SendError::Refused(_))), "{url}");
    }
    assert!(setup.asked().is_empty());
}

#[test]
fn what_is_no_proxy_is_refused_without_repeating_it() {
    for (text, good) in [
        ("http://10.0.0.1:3128", true),
        ("http://proxy.internal", true),
        ("http://user:p%40ss@[fd00::1]:3128/", true),
        ("https://proxy.internal:3128", false),
        ("socks5://10.0.0.1:1080", false),
        ("10.0.0.1:3128", false),
        ("http://", false),
        ("http://user:canary@10.0.0.1:3128/path", false),
        ("http://10.0.0.1:3128?canary", false),
        ("", false),
    ] {
        let parsed = Proxy::parse(&text.into());
        assert_eq!(parsed.is_ok(), good, "{text}");
        assert!(!format!("{parsed:?}").contains("canary") && !NotAProxy.to_string().contains("canary"));
    }
    let both = EgressSettings { proxy: Some("http://10.0.0.1:3128".into()), http: true, ..EgressSettings::default() };
    let error = Egress::new(&both, Arc::new(Guard::new(&both, Vec::new())), Arc::new(Never)).unwrap_err();
    assert!(error.to_string().contains("HOOKYARD_EGRESS_HTTP"), "{error}");
    assert_eq!(LookupError::NoAddress.to_string(), "the name has no address");
}

//! The client against listeners on this machine.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::egress::{EgressSettings, LookingUp};

/// Takes one request after the other and gives each the same answer.
pub(in crate::egress) struct Receiver {
    pub(in crate::egress) url: String,
    requests: Arc<Mutex<Vec<String>>>,
    pub(in crate::egress) connections: Arc<AtomicUsize>,
}

/// Ends an answer after which nothing more comes, and no end either.
const UNFINISHED: &[u8] = b"\0";

impl Receiver {
    pub(in crate::egress) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let receiver = Self { url, requests: Arc::default(), connections: Arc::default() };
        let (requests, connections) = (Arc::clone(&receiver.requests), Arc::clone(&receiver.connections));
        let answer = answer.into();
        let (answer, is_finished) =
            answer.strip_suffix(UNFINISHED).map_or((answer.clone(), true), |start| (start.to_vec(), false));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::SeqCst);
                if let Some(request) = read(&mut stream).await {
                    requests.lock().unwrap().push(request);
                    stream.write_all(&answer).await.unwrap();
                }
                if !is_finished {
                    std::future::pending::<()>().await;
                }
            }
        });
        receiver
    }

    pub(in crate::egress) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn port(&self) -> u16 {
        Url::parse(&self.url).unwrap().port().unwrap()
    }
}

/// A request with the body that its length promises; nothing if none comes.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return (!request.is_empty()).then(|| String::from_utf8_lossy(&request).into_owned()),
            Ok(length) => request.extend_from_slice(&chunk[..length]),
        }
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if body.len() >= length {
            return Some(text);
        }
    }
}

/// Names lead to these addresses.
struct Names(Vec<IpAddr>);

impl Lookup for Names {
    fn lookup(&self, _: &str) -> LookingUp {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

pub(in crate::egress) fn egress(allow: &[&str], names: &[&str]) -> Egress {
    let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
    let settings = EgressSettings { allow, http: true, ..EgressSettings::default() };
    let names = Names(names.iter().map(|address| address.parse().unwrap()).collect());
    Egress::new(&settings, Arc::new(Guard::new(&settings, Vec::new())), Arc::new(names)).unwrap()
}

pub(in crate::egress) fn local() -> Egress {
    egress(&["127.0.0.0/8"], &["127.0.0.1"])
}

fn outgoing(url: &str) -> Outgoing {
    let mut headers = HeaderMap::new();
    headers.insert("webhook-id", http::HeaderValue::from_static("evt_1"));
    Outgoing {
        url: url.to_owned(),
        headers,
        body: Bytes::from_static(b"{\"a\": 1}"),
        tls: None,
        timeout: Duration::from_secs(10),
        may_write: Arc::new(|| true),
        begun: None,
    }
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given_and_so_does_its_answer() {
    let answer = "HTTP/1.1 503 Busy\r\nretry-after: 7\r\nx-many: 1\r\nx-many: 2\r\ncontent-length: 4\r\n\r\nbusy";
    let receiver = Receiver::answering(answer).await;

    let response = local().send(outgoing(&receiver.url)).await.unwrap();

    let requests = receiver.requests();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nwebhook-id: evt_1"), "{head}");
    assert!(head.contains("\r\ncontent-length: 8") && !head.contains("transfer-encoding"), "{head}");
    assert!(!head.contains("accept-encoding") && !head.contains("referer"), "{head}");
    assert_eq!(body, r#"{"a": 1}"#);
    assert_eq!(response.status, 503);
    assert_eq!(response.retry_after.as_deref(), Some("7"));
    assert_eq!(response.headers[1..3], [("x-many".to_owned(), b"1".to_vec()), ("x-many".to_owned(), b"2".to_vec())]);
    assert_eq!((&response.body[..], response.truncated), (&b"busy"[..], false));
    assert_eq!(response.remote_address.unwrap().port(), receiver.port());
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let target = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!("HTTP/1.1 {status} Away\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.url);
        let receiver = Receiver::answering(answer).await;
        assert_eq!(local().send(outgoing(&receiver.url)).await.unwrap().status, status);
    }
    assert_eq!(target.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_an_answer_16_kib_are_kept_and_the_status_stands() {
    let body = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
    let broken_off = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nnonsense";
    for (answer, kept, truncated) in [
        (body(0), 0, false),
        (body(16 * 1024), 16 * 1024, false),
        (body(16 * 1024 + 1), 16 * 1024, true),
        (body(1024 * 1024), 16 * 1024, true),
        (broken_off.to_owned(), 3, true),
    ] {
        let receiver = Receiver::answering(answer).await;
        let response = local().send(outgoing(&receiver.url)).await.unwrap();
        assert_eq!((response.status, response.body.len(), response.truncated), (200, kept, truncated));
    }
}

#[tokio::test]
async fn of_the_headers_16_kib_are_kept() {
    let long = "y".repeat(6 * 1024);
    let answer = format!("HTTP/1.1 200 OK\r\na: {long}\r\nb: {long}\r\nc: {long}\r\nd: 1\r\ncontent-length: 0\r\n\r\n");
    let receiver = Receiver::answering(answer).await;
    let response = local().send(outgoing(&receiver.url)).await.unwrap();
    assert_eq!(response.headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let receiver =
        Receiver::answering("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x0babc").await;
    assert_eq!(&local().send(outgoing(&receiver.url)).await.unwrap().body[..], b"\x1f\x0bab");
}

#[tokio::test]
async fn the_deadline_covers_the_answer_to_its_last_byte() {
    let answered = async |answer| {
        let receiver = Receiver::answering(answer).await;
        local().send(Outgoing { timeout: Duration::from_millis(200), ..outgoing(&receiver.url) }).await
    };
    for answer in ["\0", "HTTP/1.1 200 OK\r\n\0"] {
        let error = answered(answer).await.unwrap_err();
        assert!(matches!(error, SendError::TimedOut), "{answer:?} {error:?}");
    }
    // Its status was said in time.
    let stalled = answered("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc\0").await.unwrap();
    assert_eq!((stalled.status, &stalled.body[..], stalled.truncated), (200, &b"abc"[..], true));
}

#[tokio::test]
async fn a_forbidden_address_is_never_dialled() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let port = receiver.port();
    let literal = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
    ];
    for url in literal {
        let error = egress(&[], &["127.0.0.1"]).send(outgoing(&url)).await.unwrap_err();
        assert!(matches!(error, SendError::Refused(Refusal::Address { .. })), "{url} {error:?}");
    }
    for names in [&["127.0.0.1"][..], &["93.184.216.34", "127.0.0.1"]] {
        // Once by the client of the listed ports, once by the other.
        for (allow, url) in
            [(&[][..], "http://example.com/".to_owned()), (&["10.0.0.0/8"], format!("http://example.com:{port}/"))]
        {
            let error = egress(allow, names).send(outgoing(&url)).await.unwrap_err();
            assert!(matches!(error, SendError::Refused(_)), "{names:?} {url} {error:?}");
        }
    }
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_reaches_an_odd_port_only_in_an_allowed_network() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let url = format!("http://receiver:{}/", receiver.port());
    assert_eq!(local().send(outgoing(&url)).await.unwrap().status, 200);
    let error = egress(&["127.0.0.0/8"], &["93.184.216.34"]).send(outgoing(&url)).await.unwrap_err();
    assert!(matches!(error, SendError::Refused(Refusal::Port(port)) if port == receiver.port()), "{error:?}");
}

#[tokio::test]
async fn each_new_connection_is_judged_by_its_own_look_up() {
    struct Rebinding(AtomicUsize);
    impl Lookup for Rebinding {
        fn lookup(&self, _: &str) -> LookingUp {
            let first = self.0.fetch_add(1, Ordering::SeqCst) == 0;
            Box::pin(std::future::ready(Ok(vec![if first { [127, 0, 0, 1] } else { [10, 0, 0, 1] }.into()])))
        }
    }
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
    let settings =
        EgressSettings { allow: vec!["127.0.0.0/8".parse().unwrap()], http: true, ..EgressSettings::default() };
    let lookup = Arc::new(Rebinding(AtomicUsize::new(0)));
    let guard = Arc::new(Guard::new(&settings, Vec::new()));
    let egress = Egress::new(&settings, guard, Arc::clone(&lookup) as Arc<dyn Lookup>).unwrap();
    let url = format!("http://receiver:{}/", receiver.port());
    assert_eq!(egress.send(outgoing(&url)).await.unwrap().status, 200);
    let error = egress.send(outgoing(&url)).await.unwrap_err();
    assert!(matches!(error, SendError::Refused(Refusal::LeadsInside)), "{error:?}");
    assert!(!error.to_string().contains("10.0.0"), "{error}");
    assert_eq!(lookup.0.load(Ordering::SeqCst), 2);
}

/// Keeps every connection open that its peer keeps open, and counts those.
async fn patient() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, open) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
    let counted = Arc::clone(&open);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let open = Arc::clone(&counted);
            open.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                while read(&mut stream).await.is_some() {
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    (port, open)
}

#[tokio::test]
async fn idle_connections_are_bounded_however_many_names_there_are() {
    const NAMES: usize = 1_100;
    let (port, open) = patient().await;
    let egress = local();
    for number in 0..NAMES {
        let url = format!("http://receiver-{number}.example.com:{port}/");
        assert_eq!(egress.send(outgoing(&url)).await.unwrap().status, 200);
    }
    // Connections that are not kept are closed by a task of the client's.
    while open.load(Ordering::SeqCst) > 1_024 {
        tokio::task::yield_now().await;
    }
    assert!(open.load(Ordering::SeqCst) > 1_000, "those of known names are kept");
    let known = format!("http://receiver-7.example.com:{port}/");
    let before = open.load(Ordering::SeqCst);
    egress.send(outgoing(&known)).await.unwrap();
    assert_eq!(open.load(Ordering::SeqCst), before, "and used again");
}

#[tokio::test]
async fn a_body_that_may_no_longer_be_written_is_not() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    for body in ["{}", ""] {
        let request = Outgoing { body: Bytes::from(body), may_write: Arc::new(|| false), ..outgoing(&receiver.url) };
        assert!(matches!(local().send(request).await, Err(SendError::Fenced)), "{body}");
    }
    // Connections are taken in order: what came before this one would have been read by now.
    assert_eq!(local().send(outgoing(&receiver.url)).await.unwrap().status, 200);
    assert_eq!(receiver.requests().len(), 1);
}

#[tokio::test]
async fn an_empty_body_is_sent_as_one() {
    let receiver = Receiver::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let request = Outgoing { body: Bytes::new(), ..outgoing(&receiver.url) };
    assert_eq!(local().send(request).await.unwrap().status, 200);
    assert!(receiver.requests()[0].ends_with("\r\n\r\n"));
    assert!(!receiver.requests()[0].contains("chunked"));
}

#[tokio::test]
async fn an_unreachable_destination_says_why_and_never_its_url() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let cut = Receiver::answering("").await;
    let hangs_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_tls = hangs_up.local_addr().unwrap();
    tokio::spawn(async move { while hangs_up.accept().await.is_ok() {} });
    for (url, names, part) in [
        (
            format!("http://{closed}/secret?key=secret"),
            &["127.0.0.1"][..],
            std::io::Error::from(ErrorKind::ConnectionRefused).to_string(),
        ),
        ("http://example.com/secret?key=secret".to_owned(), &[], "the name has no address".to_owned()),
        (cut.url.replace("hook", "secret"), &["127.0.0.1"], String::new()),
        (format!("https://{no_tls}/secret"), &["127.0.0.1"], String::new()),
    ] {
        let error = egress(&["127.0.0.0/8"], names).send(outgoing(&url)).await.unwrap_err();
        let is_refused = url.contains(&closed.to_string());
        let text = match error {
            SendError::NotSent(text) if is_refused => text,
            SendError::Unreachable(text) if !is_refused => text,
            other => panic!("{url} {other:?}"),
        };
        assert!(text.to_lowercase().contains(&part) && !text.contains("secret") && !text.is_empty(), "{url}: {text}");
    }
}

#[test]
fn proxies_of_the_environment_are_ignored() {
    let with_proxies = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "egress::client::tests::a_request_arrives_as_it_was_given_and_so_does_its_answer"])
        .envs(
            ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
                .map(|name| (name, "http://127.0.0.1:9")),
        )
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&with_proxies.stdout);
    assert!(with_proxies.status.success() && told.contains("1 passed"), "{told}");
}

#[tokio::test]
async fn a_machine_without_root_certificates_starts() {
    let without = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "egress::client::tests::a_request_arrives_as_it_was_given_and_so_does_its_answer"])
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&without.stdout);
    assert!(without.status.success() && told.contains("1 passed"), "{told}");
}

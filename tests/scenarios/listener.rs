//! Whoever is slow, greedy or ambiguous is refused, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use harness::answer::items;
use harness::relay::OPERATOR_KEY;
use harness::{Database, Relay, Source, Tenant, eventually, on_each_database, on_each_database_alone, raw, system};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

on_each_database![
    whoever_stalls_is_closed_while_others_are_served,
    who_breaks_off_within_a_body_leaves_nothing,
    one_request_is_one_request,
    what_is_ambiguous_is_refused,
    http_2_is_not_spoken,
];
on_each_database_alone![as_many_as_there_are_places_keep_nobody_out, without_descriptors_it_waits_and_then_goes_on,];

/// The longest that any of them may hold on is ten seconds, and the machine may be busy.
const STALLED_FOR: Duration = Duration::from_secs(18);
/// What is posted by those who do nothing wrong.
const IN_TIME: &[u8] = b"in time";

async fn whoever_stalls_is_closed_while_others_are_served(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source) = open(&relay).await;
    let path = &source.path;
    let head = |length: &str| format!("POST {path} HTTP/1.1\r\nHost: relay\r\n{length}\r\n\r\n");
    let stalling = [
        // Says nothing.
        (String::new(), "", vec![]),
        // Half a header, a header that never ends, one that comes a byte a second.
        (format!("POST {path} HTTP/1.1\r\nHost: rel"), "", vec![]),
        (format!("POST {path} HTTP/1.1\r\nHost: relay\r\n"), "X-Slow: y\r\n", vec![]),
        (String::new(), "P", vec![]),
        // A body that stops, or comes a byte a second, or never comes, or ends within a chunk.
        (format!("{}abc", head("Content-Length: 10")), "", vec![408]),
        (head("Content-Length: 1000"), "x", vec![408]),
        (head("Content-Length: 10\r\nExpect: 100-continue"), "", vec![100, 408]),
        (format!("{}5\r\nabc", head("Transfer-Encoding: chunked")), "", vec![408]),
        // Answered, and silent from there on.
        (format!("{}abc", head("Content-Length: 3")), "", vec![202]),
    ];
    let address = relay.apis[0].address();
    let mut clients = JoinSet::new();
    for (first, then, statuses) in stalling {
        clients.spawn(async move {
            let answer = timeout(STALLED_FOR, stall(address, first.clone(), then)).await;
            let answer = answer.unwrap_or_else(|_| panic!("still open: {first:?}, then {then:?}"));
            assert_eq!(statuses_in(&answer), statuses, "{first:?}, then {then:?}: {answer}");
        });
    }

    let mut served = 0;
    while !clients.is_empty() {
        accepts(&relay, &source).await;
        served += 1;
        if let Ok(Some(ended)) = timeout(Duration::from_millis(200), clients.join_next()).await {
            ended.unwrap();
        }
    }
    assert!(served > 10, "{served}");
    let kept = items(&tenant.get("/events?limit=250").await.json(200));
    assert!(kept.iter().all(|event| event["size"] == 3 || event["size"] == IN_TIME.len()), "{kept:?}");
}

/// However the length was said, and whatever of the body has come: half a webhook is none.
async fn who_breaks_off_within_a_body_leaves_nothing(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source) = open(&relay).await;
    let head = |length: &str| format!("POST {} HTTP/1.1\r\nHost: relay\r\n{length}\r\n\r\n", source.path);
    let (whole, chunked) = (head("Content-Length: 10"), head("Transfer-Encoding: chunked"));
    for begun in [
        whole.clone(),
        format!("{whole}abc"),
        chunked.clone(),
        format!("{chunked}5\r\nabc"),
        format!("{chunked}3\r\nabc\r\n"),
        format!("{chunked}3\r\nabc\r\n0\r\n"),
    ] {
        for waits in [true, false] {
            let mut stream = TcpStream::connect(relay.apis[0].address()).await.unwrap();
            stream.write_all(begun.as_bytes()).await.unwrap();
            if waits {
                stream.shutdown().await.unwrap();
                let said = raw::read_all(&mut stream).await;
                assert!(statuses_in(&said).iter().all(|status| *status >= 400), "{begun:?}: {said}");
            }
        }
    }
    relay.let_requests_arrive().await;
    accepts(&relay, &source).await;
    let kept = items(&tenant.get("/events?limit=250").await.json(200));
    assert_eq!(kept.iter().map(|event| &event["size"]).collect::<Vec<_>>(), [IN_TIME.len()]);
}

/// Each of these says one thing to us and might say another to a proxy in front. What is hidden behind it (a request for
/// all tenants) must never be answered on its own.
async fn one_request_is_one_request(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source) = open(&relay).await;
    let hidden = format!("GET /v1/tenants HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {OPERATOR_KEY}\r\n\r\n");
    let post = format!("POST {} HTTP/1.1\r\nHost: relay\r\n", source.path);
    let length = hidden.len();
    let once = format!("{post}Connection: close\r\n");
    let in_chunks = |chunks: &str| format!("{post}Transfer-Encoding: chunked\r\n\r\n{chunks}\r\n0\r\n\r\n{hidden}");
    for (request, statuses) in [
        // The length that stands beside chunks does not count, and the connection ends after them.
        (in_chunks("3\r\nabc").replace("chunked\r\n", "chunked\r\nContent-Length: 3\r\n"), vec![202]),
        (in_chunks("3\r\nabc").replace("Transfer", "Content-Length: 3\r\nTransfer"), vec![202]),
        // A length that covers it, where a body is looked for and where none is; and two that are too short.
        (format!("{once}Content-Length: {length}\r\n\r\n{hidden}"), vec![202]),
        (
            format!("{once}Content-Length: {length}\r\n\r\n{hidden}").replace("POST", "GET").replace("/in/", "/"),
            vec![404],
        ),
        (format!("{once}Content-Length: 3\r\n\r\nabcdef{hidden}"), vec![202]),
        (format!("{post}Content-Length: 3\r\n\r\nabcdef\0{hidden}"), vec![202, 400]),
        // A single LF ends a line, as RFC 9112 allows, so there is one way to read it; never in the lines of chunks.
        (format!("{once}Content-Length: 3\r\n\r\nabc").replace("\r\n", "\n"), vec![202]),
        (in_chunks("3\nabc"), vec![400]),
        (in_chunks("3;\nx\r\nabc"), vec![400]),
        // Sizes of chunks that are too small, beyond all numbers, below all numbers.
        (in_chunks("3\r\nabcdef"), vec![400]),
        (in_chunks("fffffffffffffffff\r\nabc"), vec![400]),
        (in_chunks("-3\r\nabc"), vec![400]),
    ] {
        let answer = said_to(&relay, request.clone().into_bytes()).await;
        assert_eq!(statuses_in(&answer), statuses, "{request:?}: {answer}");
        assert!(!answer.contains(&tenant.slug), "{request:?}: {answer}");
    }
    let mut sizes: Vec<_> =
        items(&tenant.get("/events").await.json(200)).iter().map(|it| it["size"].as_u64().unwrap()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [3, 3, 3, 3, 3, length as u64]);
}

async fn what_is_ambiguous_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, source) = open(&relay).await;
    let line = format!("POST {} HTTP/1.1\r\n", source.path);
    let many: String = (0..101).map(|number| format!("X-{number}: y\r\n")).collect();
    for (status, head) in [
        (431, format!("{line}Host: relay\r\n{many}\r\n")),
        (431, format!("{line}Host: relay\r\nX-Long: {}\r\n\r\n", "y".repeat(33 << 10))),
        (400, format!("{line}\r\n")),
        (400, format!("{line}Host: relay\r\nHost: relay\r\n\r\n")),
        (400, format!("{line}Host: relay\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")),
        (400, format!("{line}Host: relay\r\nContent-Length: 3, 4\r\n\r\nabcd")),
        (400, format!("{line}Host: relay\r\nContent-Length: +3\r\n\r\nabc")),
        (400, format!("{line}Host: relay\r\nContent-Length: -3\r\n\r\nabc")),
        (400, format!("{line}Host: relay\r\nContent-Length: 0x3\r\n\r\nabc")),
        (400, format!("{line}Host: relay\r\nContent-Length: 99999999999999999999\r\n\r\nabc")),
        (400, format!("{line}Host: relay\r\nContent-Length: \r\n\r\nabc")),
        (400, format!("{line}Host: relay\r\nContent-Length : 3\r\n\r\nabc")),
        (400, format!("{line}Host: relay\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n")),
        (400, format!("{line}Host: relay\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")),
        (400, format!("{line}Host: relay\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n")),
        (400, format!("POST {} HTTP/1.0\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", source.path)),
        (400, format!("{line}Host: relay\r\nX-Folded: a\r\n b\r\n\r\n")),
        (400, format!("{line} Host: relay\r\n\r\n")),
        (400, format!("{line}Host: relay\r\nX-Nul: a\0b\r\n\r\n")),
        (400, format!("{line}Host: relay\r\nX-Cr: a\rb\r\n\r\n")),
        (400, format!("{line}Host: relay\r\nno colon\r\n\r\n")),
        (400, format!("POST  {} HTTP/1.1\r\nHost: relay\r\n\r\n", source.path)),
        (400, format!("POST {} HTTP/1.1 \r\nHost: relay\r\n\r\n", source.path)),
        (400, format!("POST {}\r\nHost: relay\r\n\r\n", source.path)),
        (400, "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03\r\n\r\n".to_owned()),
    ] {
        // Whoever is refused is not listened to any more.
        let request = format!("{head}GET /nowhere HTTP/1.1\r\nHost: relay\r\nConnection: close\r\n\r\n");
        let answer = said_to(&relay, request.into_bytes()).await;
        assert_eq!(statuses_in(&answer), [status], "{head:?}: {answer}");
    }
    assert!(items(&tenant.get("/events").await.json(200)).is_empty());
    accepts(&relay, &source).await;
}

async fn http_2_is_not_spoken(database: Database) {
    let relay = Relay::start(database).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let answer = said_to(&relay, preface).await;
    assert!(answer.is_empty() || statuses_in(&answer)[0] >= 400, "{answer:?}");

    let upgrade =
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")];
    let answer = raw::exchange(relay.apis[0].address(), raw::request("GET", "/nowhere", &upgrade, b"")).await;
    assert!(answer.status == 404 && answer.text.starts_with("HTTP/1.1 "), "{}", answer.text);
}

async fn as_many_as_there_are_places_keep_nobody_out(database: Database) {
    let descriptors = usize::try_from(system::raise_descriptors()).unwrap_or(usize::MAX);
    // The relay has half as many places, at most 10,000; some are for those who do nothing wrong.
    let count = (descriptors / 2).min(10_000).saturating_sub(200);
    let relay = Relay::start(database).await;
    let (_, source) = open(&relay).await;
    let address = relay.apis[0].address();

    let mut silent = Vec::with_capacity(count);
    while silent.len() < count {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    for _ in 0..10 {
        accepts(&relay, &source).await;
    }
    let open = silent.iter().filter(|stream| stream.try_read(&mut [0]).is_err()).count();
    assert!(open > count / 2, "of {count} only {open} were still open");
}

async fn without_descriptors_it_waits_and_then_goes_on(database: Database) {
    let relay = Relay::start(database).await;
    let (_, source) = open(&relay).await;
    let api = &relay.apis[0];
    accepts(&relay, &source).await;

    system::allow_descriptors(api.pid(), system::descriptors(api.pid()) + 10);
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(TcpStream::connect(api.address()).await.unwrap());
    }
    eventually("a word about it", async || api.log().contains("connections are not accepted").then_some(())).await;
    let (used, seconds) = (system::processor_time(api.pid()), 1);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = system::processor_time(api.pid()) - used;
    assert!(used < Duration::from_millis(500), "{used:?} of a processor in {seconds} s");
    let lines = api.log().matches("connections are not accepted").count();
    assert!(lines <= 2, "{lines} lines about it:\n{}", api.log());

    drop(waiting);
    accepts(&relay, &source).await;
}

/// Sends `first`, then `then` every second, and gives what was said until the relay closed.
async fn stall(address: SocketAddr, first: String, then: &'static str) -> String {
    let (mut reading, mut writing) = TcpStream::connect(address).await.unwrap().into_split();
    let writer = tokio::spawn(async move {
        let _ = writing.write_all(first.as_bytes()).await;
        while !then.is_empty() && writing.write_all(then.as_bytes()).await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        writing
    });
    let text = raw::read_all(&mut reading).await;
    writer.abort();
    text
}

async fn said_to(relay: &Relay, bytes: Vec<u8>) -> String {
    raw::text_over(TcpStream::connect(relay.apis[0].address()).await.unwrap(), bytes).await
}

/// A webhook over a connection of its own.
async fn accepts(relay: &Relay, source: &Source) {
    let answer = raw::exchange(relay.apis[0].address(), raw::post(&source.path, IN_TIME)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
}

/// Of all answers that came over one connection.
fn statuses_in(text: &str) -> Vec<u16> {
    text.split("HTTP/1.").skip(1).map(|answer| answer[2..5].parse().unwrap()).collect()
}

async fn open(relay: &Relay) -> (Tenant, Source) {
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    (tenant, source)
}

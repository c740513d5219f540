//! Receivers that do what no receiver should. Each ends its attempt in an outcome that is named, in time, over one
//! connection.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use harness::certificate::Certificate;
use harness::{Authority, Beast, Database, Relay, Visit, on_each_database, on_each_database_alone};

mod cage;
mod http_2;
mod memory;

use cage::Then::{Closes, Drips, Holds, Murmurs, Repeats, Resets};
use cage::{
    Cage, DELIVERED, REJECTED, SLACK_MS, TIMED_OUT, TIMEOUT_S, attempts_at, delivered, first_attempts, unreachable,
};

on_each_database![
    who_is_slow_or_endless_is_left_in_time,
    what_is_no_answer_is_named,
    a_reset_counts_by_what_was_said_before,
    who_cannot_prove_its_name_reads_nothing,
    a_redirect_leads_nowhere,
    what_comes_after_an_answer_is_no_answer_to_the_next,
];

on_each_database_alone![who_keeps_a_thread_busy_is_left_in_time];

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
/// The beginning of them.
const HEADERS: &str = "HTTP/1.1 200 OK\r\n";
const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";

/// Nothing but zeros, compressed: it begins so, and goes on with the last for ever, each time with 2,064 more.
const BOMB: [&[u8]; 3] =
    [b"\x1f\x8b\x08\0\0\0\0\0\0\xff", b"\x63\x18\x05", b"\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\xc1\x28\x18\x05"];

async fn who_is_slow_or_endless_is_left_in_time(database: Database) {
    let failing = LONG.replace("200 OK", "500 No");
    let cages = vec![
        Cage::http("is tame", OK, Holds, DELIVERED),
        Cage::of("reads nothing", Beast::plain("http", read_nothing), TIMED_OUT).kept(),
        Cage::http("answers nothing", "", Holds, TIMED_OUT),
        Cage::before_tls("leaves the handshake", "", Holds, TIMED_OUT),
        Cage::http("drips its head", "", Drips(OK.into()), TIMED_OUT),
        Cage::http("drips its body", LONG, Drips(vec![b'x'; 100]), DELIVERED),
        Cage::http("stops in its head", &OK[..20], Holds, TIMED_OUT),
        Cage::http("stops in its body", LONG, Holds, DELIVERED).left(),
        Cage::http("hints for ever", "", Murmurs(HINTS.into()), TIMED_OUT),
        Cage::http("goes on", LONG, Repeats(b"x".into()), DELIVERED),
        Cage::http("goes on, and says no", failing, Repeats(b"x".into()), REJECTED),
        Cage::http("goes on in chunks", CHUNKED, Repeats(b"1\r\nx\r\n".into()), DELIVERED),
        Cage::http("stops in its body, and says no", LONG.replace("200 OK", "500 No"), Holds, REJECTED),
        Cage::http("never ends a chunk's size", CHUNKED, Murmurs(b"0".into()), DELIVERED),
        Cage::http("never ends a chunk's extension", [CHUNKED, "1;"].concat(), Repeats(b"x".into()), DELIVERED),
        Cage::http("never ends its trailers", [CHUNKED, "0\r\n"].concat(), Repeats(b"a: b\r\n".into()), DELIVERED),
        bomb("explodes"),
    ];
    let attempts = attempts_at(&Relay::start(database).await, &Authority::new(), &cages).await;

    for (cage, attempt) in cages.iter().zip(&attempts) {
        let body = attempt["response_body"].as_str().unwrap_or_default();
        if cage.name.starts_with("goes on") {
            assert_eq!(body, "x".repeat(16 * 1024), "{}", cage.name);
        }
        if cage.name == "explodes" {
            assert!(body.starts_with('\x1f') && !body.contains("\0\0\0\0\0\0\0\0\0\0"), "{body:?}");
        }
    }
}

async fn what_is_no_answer_is_named(database: Database) {
    let lines = |count: usize| "x-line: 1\r\n".repeat(count);
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}content-length: 0\r\n\r\n");
    let cages = vec![
        Cage::http("is tame", OK, Holds, DELIVERED),
        Cage::http("says nothing", "", Closes, unreachable("connection closed")),
        Cage::http("talks nonsense", b"\0\xff\x7f nonsense\r\n\r\n", Holds, unreachable("invalid HTTP")),
        Cage::http("speaks another protocol", "SSH-2.0-OpenSSH_9.2\r\n", Holds, unreachable("invalid HTTP")),
        Cage::http("breaks off in its head", &OK[..20], Closes, unreachable("connection closed")),
        Cage::http("says a status of two digits", "HTTP/1.1 99 No\r\n\r\n", Holds, unreachable("status")),
        Cage::http(
            "switches protocols",
            "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
            Holds,
            ("rejected", Some(101), "answered 101"),
        ),
        Cage::http("says two lengths", with("content-length: 1\r\n"), Holds, unreachable("content-length")),
        Cage::http("says 64 headers", with(&lines(63)), Holds, DELIVERED),
        Cage::http("says 65 headers", with(&lines(64)), Holds, unreachable("too large")),
        Cage::http("says 10,000 headers", with(&lines(9_999)), Holds, unreachable("too large")),
        Cage::http("never ends its headers", HEADERS, Repeats(b"a: b\r\n".into()), unreachable("too large")),
        Cage::http("never ends a header", [HEADERS, "a: "].concat(), Repeats(b"b".into()), unreachable("too large")),
        Cage::http("never ends its status", "HTTP/1.1 200 ", Repeats(b"O".into()), unreachable("too large")),
        Cage::http("promises more", [LONG, "abc"].concat(), Closes, DELIVERED),
        Cage::http("goes on with nonsense", [CHUNKED, "3\r\nabc\r\nnonsense"].concat(), Closes, DELIVERED),
        Cage::http(
            "says what is no text",
            b"HTTP/1.1 200 OK\r\nx: \xff\r\ncontent-length: 3\r\n\r\n\0\xff\0",
            Holds,
            DELIVERED,
        ),
        Cage::before_tls("knows no TLS", "HTTP/1.1 400 Bad Request\r\n\r\n", Closes, unreachable("corrupt message")),
        Cage::before_tls(
            "knows an old TLS only",
            b"\x15\x03\x01\0\x02\x02\x46",
            Closes,
            unreachable("ProtocolVersion"),
        ),
        Cage::before_tls(
            "goes on in TLS",
            b"\x16\x03\x03\x40\0",
            Repeats(b"\x02\xff\xff\xff".into()),
            unreachable("corrupt message"),
        ),
    ];
    attempts_at(&Relay::start(database).await, &Authority::new(), &cages).await;
}

/// What was said stands: a receiver that says 200 and breaks off has it.
async fn a_reset_counts_by_what_was_said_before(database: Database) {
    let reset = unreachable("reset");
    let failing = OK.replace("200 OK", "500 No");
    let cages = vec![
        // The relay hears of it before it has begun to write, or after.
        Cage::of("at once", Beast::plain("http", |visit: Visit| async { visit.reset() }), unreachable("onnection")),
        Cage::of("at once, in the place of TLS", Beast::plain("https", |visit: Visit| async { visit.reset() }), reset),
        Cage::before_tls("after the hello", "", Resets, reset),
        Cage::of(
            "after the request's head",
            Beast::plain("http", |mut visit: Visit| async {
                visit.head().await;
                visit.reset();
            }),
            reset,
        ),
        Cage::http("after the request", "", Resets, reset),
        Cage::http("in the answer's head", &OK[..20], Resets, reset),
        Cage::http("after the answer's head", LONG, Resets, DELIVERED),
        Cage::http("in the answer's body", [LONG, "abc"].concat(), Resets, DELIVERED),
        Cage::http(
            "in the body of an answer that says no",
            [LONG, "abc"].concat().replace("200 OK", "500 No"),
            Resets,
            REJECTED,
        ),
        Cage::http("after the answer", OK, Resets, DELIVERED),
        Cage::http("after an answer that says no", failing, Resets, REJECTED),
    ];
    attempts_at(&Relay::start(database).await, &Authority::new(), &cages).await;
}

async fn who_cannot_prove_its_name_reads_nothing(database: Database) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let tame = |certificate: &Certificate| {
        Beast::secure(certificate.server(), |mut visit: Visit| async move {
            visit.request().await;
            visit.say(OK).await;
            visit.hold().await;
        })
    };
    let cages = vec![
        Cage::of("proves it", tame(&authority.of_this_machine()), DELIVERED).kept(),
        Cage::of(
            "another name's",
            tame(&authority.certificate("another.example.org")),
            unreachable("not valid for name"),
        ),
        Cage::of("another address's", tame(&authority.certificate("127.0.0.2")), unreachable("not valid for name")),
        Cage::of("an old one", tame(&authority.expired()), unreachable("certificate expired")),
        Cage::of("a stranger's", tame(&stranger.of_this_machine()), unreachable("UnknownIssuer")),
        Cage::of("its own", tame(&Certificate::of_this_machine()), unreachable("UnknownIssuer")),
    ];
    attempts_at(&Relay::start(database).await, &authority, &cages).await;
    for cage in &cages[1..] {
        assert!(cage.beast.requests().is_empty(), "{}", cage.name);
    }
}

/// On a connection that the relay may keep: after an answer comes what looks like the next one.
async fn what_comes_after_an_answer_is_no_answer_to_the_next(database: Database) {
    let relay = Relay::start(database).await;
    let smuggled = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    for (name, together, apart) in [
        ("nothing", "", ""),
        ("an answer", smuggled, ""),
        ("an answer, a little later", "", smuggled),
        ("nonsense", "\0\0\0\0", ""),
        ("a line", "", "\r\n"),
        ("an answer to nobody", "", "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n"),
    ] {
        let (asked, count) = (Arc::new(AtomicUsize::new(0)), 4);
        let beast = Beast::plain("http", move |mut visit: Visit| {
            let asked = Arc::clone(&asked);
            async move {
                while visit.request().await.is_some() {
                    let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                    visit.say(format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{number}{together}")).await;
                    if !apart.is_empty() {
                        visit.say(apart).await;
                    }
                }
            }
        });
        let cage = Cage::of(name, beast, DELIVERED);
        let attempts = delivered(&relay, &Authority::new(), &cage, count).await;
        for (number, attempt) in (1..).zip(&attempts) {
            let answered = (&attempt["status"], &attempt["response_body"]);
            assert_eq!(answered, (&200.into(), &number.to_string().into()), "{name}: {attempts:#?}");
        }
        let is_clean = together.is_empty() && apart.is_empty();
        let connections = cage.beast.connections();
        assert_eq!(connections == 1, is_clean, "{name}: {connections} connections");
        assert_eq!(cage.beast.requests().len(), count, "{name}");
    }
}

fn bomb(name: &'static str) -> Cage {
    let head = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n";
    Cage::http(name, [head.as_bytes(), BOMB[0], BOMB[1]].concat(), Repeats(BOMB[2].into()), DELIVERED)
}

/// An answer that never stops, as fast as it can be read, keeps whoever reads it busy: the others' time is kept all the
/// same.
async fn who_keeps_a_thread_busy_is_left_in_time(database: Database) {
    let cages: Vec<_> = (0..8).map(|_| Cage::http("hints", "", Repeats(HINTS.into()), TIMED_OUT)).collect();
    let attempts = first_attempts(&Relay::start(database).await, &Authority::new(), &cages).await;
    for attempt in attempts {
        let took = attempt["duration_ms"].as_u64().unwrap();
        assert!(attempt["outcome"] == "timed_out" && took <= TIMEOUT_S * 1_000 + SLACK_MS, "{attempt}");
    }
}

/// Keeps the connection, and leaves what comes in the socket.
async fn read_nothing(visit: Visit) {
    std::future::pending::<()>().await;
    drop(visit);
}

/// An address of this machine that the relay may not reach stands for all that it may not reach.
async fn a_redirect_leads_nowhere(database: Database) {
    let forbidden = Beast::silent_at(Ipv4Addr::new(127, 0, 0, 2).into());
    let mut cages = Vec::new();
    for status in [300, 301, 302, 303, 305, 307, 308] {
        let answer = format!("HTTP/1.1 {status} Away\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", forbidden.url());
        cages.push(Cage::http("sends away", answer, Holds, ("rejected", Some(status), "answered 30")).kept());
    }
    let plan = Relay::plan(database).setting("HOOKYARD_EGRESS_ALLOW", "127.0.0.1/32");
    attempts_at(&plan.start().await, &Authority::new(), &cages).await;
    assert_eq!(forbidden.connections(), 0);
}

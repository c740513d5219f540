//! HTTP/2 has room for more of it.

use harness::h2::{self, frame};
use harness::{Authority, Beast, Database, Relay, Visit, on_each_database};
use rustls::ServerConfig;

use super::OK;
use super::cage::Then::{Closes, Holds, Murmurs, Repeats};
use super::cage::{Cage, DELIVERED, TIMED_OUT, attempts_at, delivered, unreachable};

on_each_database![
    a_stream_that_ends_otherwise_counts_by_what_was_said,
    frames_without_end_are_left_in_time,
    what_is_agreed_is_spoken,
    who_goes_away_after_an_answer_is_met_anew,
];

/// Nothing is sent again within an attempt, whatever a receiver says that it did not look at.
async fn a_stream_that_ends_otherwise_counts_by_what_was_said(database: Database) {
    let authority = Authority::new();
    let tls = offering(&authority, &["h2"]);
    let (ok, away) = (h2::answer(1, h2::OK), h2::goaway(0, h2::NO_ERROR));
    let head = frame(h2::HEADERS, h2::END_HEADERS, 1, h2::OK);
    let refused = frame(h2::RST_STREAM, 0, 1, h2::REFUSED_STREAM.to_be_bytes());
    let gone = unreachable("connection error received");
    let cages = vec![
        Cage::h2(&tls, "is tame", &ok, Holds, DELIVERED),
        Cage::h2(&tls, "goes away", &away, Holds, gone),
        Cage::h2(&tls, "goes away, and closes", &away, Closes, gone),
        Cage::h2(&tls, "will go away", [h2::goaway(1, h2::NO_ERROR), ok].concat(), Holds, DELIVERED),
        Cage::h2(&tls, "refuses", &refused, Holds, unreachable("refused stream")),
        Cage::h2(&tls, "says 200, and refuses", [head, refused].concat(), Holds, DELIVERED),
        Cage::h2(&tls, "answers another", h2::answer(7, h2::OK), Holds, unreachable("protocol error")),
        Cage::h2(&tls, "speaks HTTP/1.1 after all", OK, Holds, unreachable("invalid size")),
    ];
    attempts_at(&Relay::start(database).await, &authority, &cages).await;
}

async fn frames_without_end_are_left_in_time(database: Database) {
    let authority = Authority::new();
    let tls = offering(&authority, &["h2"]);
    let head = frame(h2::HEADERS, h2::END_HEADERS, 1, h2::OK);
    let cages = vec![
        Cage::h2(&tls, "answers nothing", "", Holds, TIMED_OUT),
        Cage::h2(&tls, "hints", "", Murmurs(hint()), TIMED_OUT),
        Cage::h2(&tls, "asks whether we live", "", Murmurs(frame(h2::PING, 0, 0, [0; 8])), TIMED_OUT),
        Cage::h2(&tls, "sets and sets", "", Murmurs(frame(h2::SETTINGS, 0, 0, [])), TIMED_OUT),
        Cage::h2(&tls, "goes on", &head, Repeats(data(1_024)), DELIVERED),
        Cage::h2(&tls, "goes on with nothing", &head, Repeats(data(0)), DELIVERED),
        Cage::h2(&tls, "never ends its headers", begun(), Repeats(more_headers()), unreachable("excessive load")),
    ];
    attempts_at(&Relay::start(database).await, &authority, &cages).await;
}

async fn what_is_agreed_is_spoken(database: Database) {
    let authority = Authority::new();
    let old = Beast::secure(offering(&authority, &["http/1.1"]), |mut visit: Visit| async move {
        visit.request().await;
        visit.say(OK).await;
        visit.hold().await;
    });
    let ok = h2::answer(1, h2::OK);
    let cages = vec![
        Cage::h2(&offering(&authority, &["h2"]), "h2", &ok, Holds, DELIVERED),
        Cage::h2(&offering(&authority, &["h2", "http/1.1"]), "h2", &ok, Holds, DELIVERED),
        Cage::of("http/1.1", old, DELIVERED).kept(),
    ];
    attempts_at(&Relay::start(database).await, &authority, &cages).await;
    for cage in cages {
        assert_eq!(cage.beast.handshakes()[0].protocol.as_deref(), Some(cage.name));
    }
}

async fn who_goes_away_after_an_answer_is_met_anew(database: Database) {
    let (relay, authority) = (Relay::start(database).await, Authority::new());
    let beast = Beast::secure(offering(&authority, &["h2"]), |mut visit: Visit| async move {
        visit.begin_h2().await;
        if let Some(stream) = visit.h2_request().await {
            visit.say([h2::answer(stream, h2::OK), h2::goaway(stream, h2::NO_ERROR)].concat()).await;
            visit.hold().await;
        }
    });
    let cage = Cage::of("goes away", beast, DELIVERED);
    let attempts = delivered(&relay, &authority, &cage, 3).await;
    assert!(attempts.iter().all(|attempt| attempt["status"] == 200), "{attempts:#?}");
    assert_eq!((cage.beast.connections(), cage.beast.requests().len()), (3, 3));
}

/// Of this machine's name, and speaking one of these.
pub(super) fn offering(authority: &Authority, protocols: &[&str]) -> ServerConfig {
    let mut tls = authority.of_this_machine().server();
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    tls
}

pub(super) fn hint() -> Vec<u8> {
    frame(h2::HEADERS, h2::END_HEADERS, 1, h2::EARLY_HINTS)
}

pub(super) fn data(length: usize) -> Vec<u8> {
    frame(h2::DATA, 0, 1, vec![b'x'; length])
}

/// An answer whose headers go on.
pub(super) fn begun() -> Vec<u8> {
    frame(h2::HEADERS, 0, 1, h2::OK)
}

pub(super) fn more_headers() -> Vec<u8> {
    frame(h2::CONTINUATION, 0, 1, [0, 1, b'a', 1, b'b'])
}

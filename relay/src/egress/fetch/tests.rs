//! Documents on this machine.

use std::sync::atomic::Ordering;

use super::*;
use crate::egress::Refusal;
use crate::egress::client::tests::{Receiver, egress, local};

const CAP: usize = 100;

async fn fetch(answer: impl Into<Vec<u8>>) -> (Receiver, Result<Fetched, FetchError>) {
    let receiver = Receiver::answering(answer).await;
    let fetched = local().fetch(&receiver.url, "application/json", CAP, Duration::from_millis(500)).await;
    (receiver, fetched)
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_document_is_asked_for_and_comes_whole() {
    let (receiver, fetched) = fetch(answer("200 OK\r\ncache-control: public\r\ncache-control: max-age=60", "{}")).await;
    let requests = receiver.requests();
    assert!(requests[0].starts_with("GET /hook HTTP/1.1\r\n"), "{requests:?}");
    assert!(requests[0].contains("\r\naccept: application/json\r\n"), "{requests:?}");
    assert!(!requests[0].contains("accept-encoding"), "{requests:?}");
    let expected = Fetched { body: Bytes::from_static(b"{}"), cache_control: "public, max-age=60".to_owned() };
    assert_eq!(fetched.unwrap(), expected);
}

#[tokio::test]
async fn only_200_is_a_document() {
    for (head, status) in [("201 Created", 201), ("204 No", 204), ("304 Not", 304), ("404 Gone", 404), ("500 Oh", 500)]
    {
        let (_, fetched) = fetch(answer(head, "")).await;
        assert!(matches!(fetched, Err(FetchError::Status(found)) if found == status), "{head} {fetched:?}");
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let (target, _) = fetch(answer("200 OK", "")).await;
    let (_, fetched) = fetch(answer(&format!("302 Away\r\nlocation: {}", target.url), "")).await;
    assert!(matches!(fetched, Err(FetchError::Status(302))), "{fetched:?}");
    assert_eq!(target.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_is_too_long_is_refused_and_not_cut() {
    let chunked = |lengths: [usize; 2]| {
        let chunks = lengths.map(|length| format!("{length:x}\r\n{}\r\n", "x".repeat(length))).concat();
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    for (answer, whole) in [
        (answer("200 OK", &"x".repeat(CAP)), true),
        (chunked([CAP / 2, CAP / 2]), true),
        (answer("200 OK", &"x".repeat(CAP + 1)), false),
        (chunked([CAP + 1, 1]), false),
        (chunked([CAP / 2, CAP / 2 + 1]), false),
    ] {
        let (_, fetched) = fetch(answer.clone()).await;
        match fetched {
            Ok(fetched) => assert!(whole && fetched.body.len() == CAP, "{answer}"),
            Err(error) => assert!(!whole && matches!(error, FetchError::TooLong(CAP)), "{answer} {error:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_is_decompressed() {
    let (_, fetched) =
        fetch(*b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x0bab").await;
    assert_eq!(&fetched.unwrap().body[..], b"\x1f\x0bab");
}

#[tokio::test]
async fn the_deadline_covers_the_last_byte_and_half_a_document_is_none() {
    for answer in ["\0", "HTTP/1.1 200 OK\r\n\0", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc\0"] {
        let (_, fetched) = fetch(answer).await;
        assert!(matches!(fetched, Err(FetchError::Send(SendError::TimedOut))), "{answer:?} {fetched:?}");
    }
    let (_, fetched) = fetch("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await;
    assert!(matches!(fetched, Err(FetchError::Send(SendError::Unreachable(_)))), "{fetched:?}");
}

#[tokio::test]
async fn the_guard_judges_it_like_a_destination() {
    let (receiver, _) = fetch(answer("200 OK", "")).await;
    for names in [&["127.0.0.1"][..], &["10.0.0.1"]] {
        for url in [receiver.url.clone(), "http://example.com/".to_owned(), "ftp://example.com/".to_owned()] {
            let fetched = egress(&[], names).fetch(&url, "*/*", CAP, Duration::from_secs(5)).await;
            let refusal = matches!(&fetched, Err(FetchError::Send(SendError::Refused(_))));
            assert!(refusal, "{names:?} {url} {fetched:?}");
        }
    }
    let inside = egress(&[], &["10.0.0.1"]).fetch("http://example.com/", "*/*", CAP, Duration::from_secs(5)).await;
    assert!(matches!(inside, Err(FetchError::Send(SendError::Refused(Refusal::LeadsInside)))), "{inside:?}");
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

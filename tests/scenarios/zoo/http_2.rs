//! HTTP/2 is not spoken, and who speaks it all the same is named.

use harness::{Authority, Beast, Database, Relay, Visit, on_each_database};
use rustls::ServerConfig;

use super::OK;
use super::cage::{Cage, DELIVERED, attempts_at, unreachable};

on_each_database![what_is_agreed_is_http_1];

/// Its settings, and a GOAWAY for no reason: no stream was looked at, nor will be.
const GOAWAY: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

async fn what_is_agreed_is_http_1(database: Database) {
    let authority = Authority::new();
    let with = |protocols: &[&str], says: &'static [u8]| {
        Beast::secure(offering(&authority, protocols), move |mut visit: Visit| async move {
            visit.request().await;
            visit.say(says).await;
            visit.hold().await;
        })
    };
    let ok = OK.as_bytes();
    let cages = vec![
        Cage::of("offers both", with(&["h2", "http/1.1"], ok), DELIVERED).kept(),
        Cage::of("offers one", with(&["http/1.1"], ok), DELIVERED).kept(),
        Cage::of("offers none", with(&[], ok), DELIVERED).kept(),
        Cage::of("offers the other", with(&["h2"], ok), unreachable("NoApplicationProtocol")),
        Cage::of("goes away in HTTP/2", with(&[], GOAWAY), unreachable("invalid HTTP")),
        Cage::of("agrees, and goes away in HTTP/2", with(&["http/1.1"], GOAWAY), unreachable("invalid HTTP")),
    ];
    attempts_at(&Relay::start(database).await, &authority, &cages).await;
    let agreed: Vec<_> = cages.iter().map(|cage| cage.beast.handshakes().first().cloned()).collect();
    let agreed: Vec<_> = agreed.iter().map(|it| it.as_ref().map(|it| it.protocol.as_deref())).collect();
    let one = Some(Some("http/1.1"));
    assert_eq!(agreed, [one, one, Some(None), None, Some(None), one]);
}

/// Of this machine's name, and speaking one of these.
fn offering(authority: &Authority, protocols: &[&str]) -> ServerConfig {
    let mut tls = authority.of_this_machine().server();
    tls.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    tls
}

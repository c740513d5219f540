//! Reads a PROXY header to its end and no further; believes proxies of ours and nobody else.
//!
//! Input: what a connection begins with, or else a request with `X-Forwarded-For`.

#![no_main]

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use api::server::TrustedProxies;
use api::server::proxy_header::{Sender, read};
use fuzz::sent::{NOW, Sent};
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime is built"));
static OURS: LazyLock<TrustedProxies> =
    LazyLock::new(|| "10.0.0.0/8, 2001:db8::/32, ::ffff:192.0.2.0/120".parse().expect("they are networks"));

fuzz_target!(|input: &[u8]| {
    let mut behind = input;
    let sender = RUNTIME.block_on(read(&mut behind));
    let header = &input[..input.len() - behind.len()];
    assert!(header.len() <= 16 + 520);
    if let Ok(sender) = sender {
        assert_eq!(Some(sender), said(header), "{header:02x?}");
    }
    forwarded(&Sent::read(input, NOW));
});

/// A header that was read whole.
fn said(header: &[u8]) -> Option<Sender> {
    let Some(rest) = header.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n") else {
        let line = std::str::from_utf8(header).ok()?.strip_suffix("\r\n")?;
        let words: Vec<_> = line.split(' ').collect();
        let address: IpAddr = words.get(2)?.parse().ok()?;
        let is_whole = words.len() == 6 && header.len() <= 107 && !line.contains("\r\n");
        return is_whole.then_some(Sender::Client(SocketAddr::new(address.to_canonical(), words[4].parse().ok()?)));
    };
    let (fixed, rest) = rest.split_at_checked(4)?;
    let length = usize::from(fixed[2]) << 8 | usize::from(fixed[3]);
    let width = if fixed[1] == 0x11 { 4 } else { 16 };
    match fixed[0] {
        _ if length != rest.len() => None,
        0x20 => Some(Sender::Proxy),
        0x21 if rest.len() >= 2 * width + 4 => {
            let address = match width {
                4 => IpAddr::from(<[u8; 4]>::try_from(&rest[..4]).ok()?),
                _ => IpAddr::from(<[u8; 16]>::try_from(&rest[..16]).ok()?),
            };
            let port = u16::from(rest[2 * width]) << 8 | u16::from(rest[2 * width + 1]);
            Some(Sender::Client(SocketAddr::new(address.to_canonical(), port)))
        }
        _ => None,
    }
}

/// Whoever is no proxy of ours is the client; else it is somebody who was named.
fn forwarded(sent: &Sent) {
    for peer in [IpAddr::from([203, 0, 113, 9]), IpAddr::from([10, 0, 0, 1])] {
        let client = OURS.client(peer, &sent.headers);
        let lines = sent.headers.get_all("x-forwarded-for").iter();
        let mut named = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
        let is_named = named.any(|item| address(item) == Some(client));
        assert!(client == peer || OURS.contains(peer) && is_named, "{client} {sent:?}");
        assert_eq!(client, client.to_canonical());
    }
}

fn address(item: &[u8]) -> Option<IpAddr> {
    let item = std::str::from_utf8(item).ok()?.trim_matches([' ', '\t']);
    let bare = item.trim_start_matches('[').trim_end_matches(']');
    let address = bare.parse().or_else(|_| item.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

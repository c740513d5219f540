//! Reads a PROXY header to its end and no further; believes proxies of ours and nobody else.
//!
//! Input: what a connection begins with, or else a request with `X-Forwarded-For`.

#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
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
    let taken = input.len() - behind.len();
    assert!(taken <= 16 + 520, "{taken}");
    assert_eq!(sender.ok().map(|sender| (sender, taken)), said(input), "{input:02x?}");
    forwarded(&Sent::read(input, NOW));
});

/// Who, and in how many bytes.
fn said(input: &[u8]) -> Option<(Sender, usize)> {
    if let Some(rest) = input.strip_prefix(b"\r\n\r\n\0\r\nQUIT\n") {
        return in_bytes(rest).map(|(sender, length)| (sender, 12 + length));
    }
    let end = input.windows(2).position(|end| end == b"\r\n")? + 2;
    let line = std::str::from_utf8(&input[..end]).ok().filter(|line| line.len() <= 107)?.trim_end();
    let source = in_words(line).filter(|_| line.len() + 2 == end)?;
    Some((Sender::Client(source), end))
}

fn in_bytes(rest: &[u8]) -> Option<(Sender, usize)> {
    let &[command, family, high, low, ref rest @ ..] = rest else { return None };
    let length = usize::from(high) << 8 | usize::from(low);
    let rest = rest.get(..length).filter(|_| length <= 520)?;
    let sender = match (command, family) {
        (0x20, _) => Sender::Proxy,
        (0x21, 0x11) if length >= 12 => client(<[u8; 4]>::try_from(&rest[..4]).ok()?, &rest[8..10]),
        (0x21, 0x21) if length >= 36 => client(<[u8; 16]>::try_from(&rest[..16]).ok()?, &rest[32..34]),
        _ => return None,
    };
    Some((sender, 4 + length))
}

fn client(address: impl Into<IpAddr>, port: &[u8]) -> Sender {
    let port = u16::from(port[0]) << 8 | u16::from(port[1]);
    Sender::Client(SocketAddr::new(address.into().to_canonical(), port))
}

fn in_words(line: &str) -> Option<SocketAddr> {
    let words: Vec<_> = line.split(' ').collect();
    let &["PROXY", family, source, destination, port, other_port] = &words[..] else { return None };
    let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit()) && text.parse::<u16>().is_ok();
    if !is_number(port) || !is_number(other_port) {
        return None;
    }
    let address: IpAddr = match family {
        "TCP4" => source.parse::<Ipv4Addr>().ok().zip(destination.parse::<Ipv4Addr>().ok())?.0.into(),
        "TCP6" => source.parse::<Ipv6Addr>().ok().zip(destination.parse::<Ipv6Addr>().ok())?.0.into(),
        _ => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), port.parse().ok()?))
}

/// Of all who were named, from the nearest to the first that cannot be read, the nearest that is no proxy of ours; else
/// the farthest.
fn forwarded(sent: &Sent) {
    let lines: Vec<_> = sent.headers.get_all("x-forwarded-for").iter().map(|line| line.as_bytes()).collect();
    let named = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b',')).map_while(address);
    let named: Vec<_> = named.collect();
    for peer in [IpAddr::from([203, 0, 113, 9]), IpAddr::from([10, 0, 0, 1])] {
        let mut hops = std::iter::once(peer).chain(named.iter().copied());
        let expected = hops.clone().find(|hop| !OURS.contains(*hop)).or_else(|| hops.by_ref().last());
        assert_eq!(Some(OURS.client(peer, &sent.headers)), expected, "{sent:?}");
    }
}

fn address(item: &[u8]) -> Option<IpAddr> {
    let item = std::str::from_utf8(item).ok()?.trim_matches([' ', '\t']);
    let bare = if item.starts_with('[') && item.ends_with(']') { item.get(1..item.len() - 1)? } else { item };
    let address = bare.parse().or_else(|_| item.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

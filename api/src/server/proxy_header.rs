//! The PROXY protocol, versions 1 and 2: what a proxy in front says of a connection before anything else.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::timeout;

/// A proxy says it with its first packet.
const WITHIN: Duration = Duration::from_secs(5);
/// Also what every header of version 1 is longer than.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What may follow the fixed sixteen bytes of version 2: addresses, and whatever else a proxy likes to tell.
const REST: usize = 520;
/// A line of version 1, with its end.
const LINE: usize = 107;

/// On whose behalf a proxy connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The proxy itself, to see whether we live.
    Proxy,
    Client(SocketAddr),
}

/// Reads the header and nothing behind it.
///
/// What a proxy could not express (`UNKNOWN`, `UNSPEC`) is refused, as the protocol allows: a client would otherwise
/// stand there with the proxy's address, and its `X-Forwarded-For` would be believed.
///
/// # Errors
/// There is no header that says it, or not soon enough; the stream failed.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Sender> {
    timeout(WITHIN, async {
        let mut start = [0; SIGNATURE.len()];
        stream.read_exact(&mut start).await?;
        let sender = match &start {
            SIGNATURE => version_2(stream).await?,
            [b'P', b'R', b'O', b'X', b'Y', b' ', ..] => version_1(&start, stream).await?,
            _ => None,
        };
        sender.ok_or_else(|| ErrorKind::InvalidData.into())
    })
    .await?
}

async fn version_2(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Sender>> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [command, family, length @ ..] = fixed;
    let mut rest = [0; REST];
    let Some(rest) = rest.get_mut(..u16::from_be_bytes(length).into()) else { return Ok(None) };
    stream.read_exact(rest).await?;
    Ok(match command {
        0x20 => Some(Sender::Proxy),
        0x21 => source(family, rest).map(Sender::Client),
        _ => None,
    })
}

/// Source and destination address, source and destination port. Only the source is news.
fn source(family: u8, rest: &[u8]) -> Option<SocketAddr> {
    let (address, ports): (IpAddr, _) = match family {
        0x11 => (Ipv4Addr::from(*rest.first_chunk::<4>()?).into(), rest.get(8..12)?),
        0x21 => (Ipv6Addr::from(*rest.first_chunk::<16>()?).into(), rest.get(32..36)?),
        _ => return None,
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_be_bytes(*ports.first_chunk()?)))
}

/// The line says no length, so it is read byte by byte: what follows it is not ours.
async fn version_1(start: &[u8], stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Sender>> {
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() == LINE {
            return Ok(None);
        }
        line.push(stream.read_u8().await?);
    }
    let words = std::str::from_utf8(&line).ok().and_then(|line| line.strip_suffix("\r\n"));
    Ok(words.and_then(source_in).map(Sender::Client))
}

fn source_in(line: &str) -> Option<SocketAddr> {
    let words: Vec<_> = line.split(' ').collect();
    let &["PROXY", protocol, source, destination, source_port, destination_port] = &words[..] else { return None };
    let both: [IpAddr; 2] = [source.parse().ok()?, destination.parse().ok()?];
    let as_said = both.iter().all(|address| match protocol {
        "TCP4" => address.is_ipv4(),
        "TCP6" => address.is_ipv6(),
        _ => false,
    });
    port(destination_port)?;
    as_said.then_some(SocketAddr::new(both[0].to_canonical(), port(source_port)?))
}

fn port(word: &str) -> Option<u16> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Strategy, any};
    use proptest::prop_oneof;
    use proptest::sample::select;

    use super::*;
    use crate::property::{nearly, of_each};

    const V4: [u8; 12] = [203, 0, 113, 5, 192, 0, 2, 1, 0x30, 0x39, 1, 187];
    const BEHIND: &[u8] = b"GET / HTTP/1.1\r\n";

    /// A header of version 2 that says how long it is.
    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, rest].concat()
    }

    fn v6() -> Vec<u8> {
        let mut addresses = vec![0; 36];
        addresses[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb9]);
        addresses[15] = 7;
        addresses[32..34].copy_from_slice(&12345_u16.to_be_bytes());
        addresses
    }

    /// What a connection that ends after `bytes` comes to, and what is left of it.
    async fn read_from(mut bytes: &[u8]) -> (Option<Sender>, &[u8]) {
        (read(&mut bytes).await.ok(), bytes)
    }

    fn good() -> Vec<(Vec<u8>, Sender)> {
        let client = |text: &str| Sender::Client(text.parse().unwrap());
        let with_more = |addresses: &[u8], more: usize| [addresses, &vec![4; more]].concat();
        let mapped: Vec<u8> = [&[0; 10][..], &[0xff; 2], &V4[..4], &[0; 16], &V4[8..]].concat();
        vec![
            (version_2(0x21, 0x11, &V4), client("203.0.113.5:12345")),
            (version_2(0x21, 0x11, &with_more(&V4, 9)), client("203.0.113.5:12345")),
            (version_2(0x21, 0x11, &with_more(&V4, REST - V4.len())), client("203.0.113.5:12345")),
            (version_2(0x21, 0x21, &v6()), client("[2001:db9::7]:12345")),
            (version_2(0x21, 0x21, &with_more(&v6(), 3)), client("[2001:db9::7]:12345")),
            (version_2(0x21, 0x21, &mapped), client("203.0.113.5:12345")),
            (version_2(0x20, 0x00, &[]), Sender::Proxy),
            (version_2(0x20, 0x11, &V4), Sender::Proxy),
            (version_2(0x20, 0x77, &[0; REST]), Sender::Proxy),
            (b"PROXY TCP4 203.0.113.5 192.0.2.1 12345 443\r\n".to_vec(), client("203.0.113.5:12345")),
            (b"PROXY TCP6 2001:db9::7 ::1 12345 443\r\n".to_vec(), client("[2001:db9::7]:12345")),
            (b"PROXY TCP6 ::ffff:203.0.113.5 ::1 1 443\r\n".to_vec(), client("203.0.113.5:1")),
        ]
    }

    #[tokio::test]
    async fn the_source_is_read_and_nothing_behind_the_header() {
        for (header, sender) in good() {
            let bytes = [&header[..], BEHIND].concat();
            assert_eq!(read_from(&bytes).await, (Some(sender), BEHIND), "{header:02x?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        let mut bad = vec![
            version_2(0x22, 0x11, &V4),
            version_2(0x11, 0x11, &V4),
            version_2(0x31, 0x11, &V4),
            version_2(0x21, 0x00, &V4),
            version_2(0x21, 0x12, &V4),
            version_2(0x21, 0x22, &v6()),
            version_2(0x21, 0x31, &[0; 216]),
            version_2(0x21, 0x11, &V4[..11]),
            version_2(0x21, 0x21, &v6()[..35]),
            version_2(0x21, 0x21, &V4),
            version_2(0x20, 0x00, &[0; REST + 1]),
            version_2(0x21, 0x11, &[V4.to_vec(), vec![4; REST]].concat()),
            b"GET / HTTP/1.1\r\nHost: relay\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00".to_vec(),
        ];
        bad.extend(
            [
                "PROXY UNKNOWN\r\n",
                "PROXY UNKNOWN 203.0.113.5 192.0.2.1 12345 443\r\n",
                "PROXY TCP4 2001:db9::7 ::1 12345 443\r\n",
                "PROXY TCP6 203.0.113.5 192.0.2.1 12345 443\r\n",
                "PROXY TCP4 203.0.113.5 ::1 12345 443\r\n",
                "PROXY TCP4 203.0.113.256 192.0.2.1 12345 443\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1 65536 443\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1 12345 65536\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1 +1234 443\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1  443\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1 12345\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1 12345 443 1\r\n",
                "PROXY TCP4  203.0.113.5 192.0.2.1 12345 443\r\n",
                "PROXY TCP4 203.0.113.5 192.0.2.1 12345 443\n\r\n",
                "proxy TCP4 203.0.113.5 192.0.2.1 12345 443\r\n",
            ]
            .map(|line| line.as_bytes().to_vec()),
        );
        for bytes in bad {
            assert_eq!(read_from(&bytes).await.0, None, "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    #[tokio::test]
    async fn a_header_that_is_cut_off_anywhere_is_none() {
        for (header, _) in good() {
            for length in 0..header.len() {
                assert_eq!(read_from(&header[..length]).await.0, None, "{:02x?}", &header[..length]);
            }
        }
    }

    #[tokio::test]
    async fn a_length_that_lies_takes_or_leaves_as_many_bytes_as_it_says() {
        for said in 0..=u16::MAX {
            let mut bytes = [&version_2(0x21, 0x11, &V4)[..], &[b'x'; 600]].concat();
            bytes[14..16].copy_from_slice(&said.to_be_bytes());
            let length = usize::from(said);
            let (sender, behind) = read_from(&bytes).await;
            assert_eq!(sender.is_some(), (V4.len()..=REST).contains(&length), "{said}");
            assert!(sender.is_none() || behind.len() == bytes.len() - 16 - length, "{said}");
        }
    }

    #[tokio::test]
    async fn no_line_is_read_without_end() {
        let endless = [b"PROXY TCP6 ".to_vec(), vec![b'f'; 10_000]].concat();
        let (sender, behind) = read_from(&endless).await;
        assert_eq!((sender, behind.len()), (None, endless.len() - LINE));
    }

    #[test]
    fn whatever_comes_first_no_more_is_read_than_a_header_can_have() {
        let line = nearly(
            "PROXY (TCP4 203.0.113.[0-9]{1,3} 192.0.2.1|TCP6 2001:db8::[0-9a-f]{0,4} ::1|UNKNOWN) [0-9]{1,5} [0-9]{1,5}\r\n",
        );
        let (commands, families) = (select(vec![0x20_u8, 0x21, 0x22]), select(vec![0_u8, 0x11, 0x12, 0x21, 0x31]));
        let binary =
            (commands, families, 0..80_u16, vec(any::<u8>(), 0..80)).prop_map(|(command, family, length, rest)| {
                [SIGNATURE, &[command, family][..], &length.to_be_bytes(), &rest].concat()
            });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let told = std::cell::Cell::new(0);
        of_each(prop_oneof![line.prop_map(String::into_bytes), binary], |bytes| {
            let mut behind = &bytes[..];
            let sender = runtime.block_on(read(&mut behind));
            let taken = bytes.len() - behind.len();
            assert!(taken <= 16 + REST, "{taken} of {bytes:?}");
            if let Ok(Sender::Client(_)) = sender {
                told.set(told.get() + 1);
                assert!(bytes.starts_with(SIGNATURE) || bytes[..taken].ends_with(b"\r\n"), "{taken} of {bytes:?}");
            }
        });
        assert!(told.get() > 20, "only {} of them were headers", told.get());
    }
}

//! Whose request it is, where proxies stand before us.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use poem::http::HeaderMap;

/// The networks of proxies whose word about their clients counts; IPv4 inside IPv6 is IPv4.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// Whether a proxy of ours has this address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Each proxy adds on the right whom it heard, so the right-most that is not one of ours is the client. What stands
    /// left of it is the client's own invention.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let mut hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b',').map(address));
        let mut client = peer.to_canonical();
        while self.contains(client) {
            match hops.next() {
                Some(Some(hop)) => client = hop,
                Some(None) | None => break,
            }
        }
        client
    }
}

/// Some proxies write the port, too.
fn address(item: &[u8]) -> Option<IpAddr> {
    let item = std::str::from_utf8(item).ok()?.trim_matches([' ', '\t']);
    let bare = item.strip_prefix('[').and_then(|item| item.strip_suffix(']')).unwrap_or(item);
    let address = bare.parse().or_else(|_| item.parse().map(|address: SocketAddr| address.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// A value that clap shows together with the flag; the variable is named here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("HOOKYARD_TRUSTED_PROXIES takes networks such as 10.1.0.0/16, and `{0}` is none")]
pub struct NoNetwork(String);

impl FromStr for TrustedProxies {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let network = |item: &str| item.parse().map(canonical).map_err(|_| NoNetwork(item.to_owned()));
        items.map(network).collect::<Result<_, _>>().map(Self)
    }
}

/// The bits of an IPv6 address before the IPv4 address that is mapped into it.
const MAPPED: u8 = 96;

fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(inner) = network else { return network };
    let inside = inner.addr().to_ipv4_mapped().zip(inner.prefix_len().checked_sub(MAPPED));
    inside.and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok()).map_or(network, IpNet::V4)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const PROXIES: &str = "10.0.0.0/8, 2001:db8::/32, ::ffff:192.0.2.0/120";

    #[test]
    fn the_client_is_the_right_most_that_is_no_proxy_of_ours() {
        for (peer, lines, client) in [
            // A stranger may say what he likes.
            ("203.0.113.9", &["198.51.100.1"][..], "203.0.113.9"),
            ("203.0.113.9", &["10.0.0.1"], "203.0.113.9"),
            ("11.0.0.0", &["198.51.100.1"], "11.0.0.0"),
            // A proxy is believed, and only for what it added.
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6,198.51.100.1\t, 10.2.0.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.1", "10.2.0.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1", "10.3.0.1, 10.2.0.1"], "198.51.100.1"),
            // All of them ours: the left-most.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["10.0.0.3", "10.0.0.2"], "10.0.0.3"),
            // What cannot be read ends the walk where it was good.
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["198.51.100.1", "\u{e9}"], "10.0.0.1"),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.256"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1; 10.0.0.2"], "10.0.0.1"),
            // Ports, brackets, IPv6.
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db9::1]:4711"], "2001:db9::1"),
            ("10.0.0.1", &["[2001:db9::1]"], "2001:db9::1"),
            ("2001:db8::1", &["2001:db9::1, 2001:db8:1::2"], "2001:db9::1"),
            // IPv4 inside IPv6 is IPv4, in all three places.
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1, ::ffff:10.9.9.9"], "198.51.100.1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("192.0.2.255", &["198.51.100.1"], "198.51.100.1"),
            ("192.0.3.0", &["198.51.100.1"], "192.0.3.0"),
            ("::ffff:203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
        ] {
            let headers = lines.iter().map(|line| ("x-forwarded-for".parse().unwrap(), line.parse().unwrap()));
            let found = PROXIES.parse::<TrustedProxies>().unwrap().client(peer.parse().unwrap(), &headers.collect());
            assert_eq!(found.to_string(), client, "{peer} {lines:?}");
        }
    }

    #[test]
    fn without_proxies_the_header_means_nothing() {
        let headers = [("x-forwarded-for".parse().unwrap(), "198.51.100.1".parse().unwrap())].into_iter().collect();
        let nobody = TrustedProxies::default();
        assert_eq!(nobody.client([127, 0, 0, 1].into(), &headers), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(",".parse::<TrustedProxies>().unwrap(), nobody);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["10.0.0.0/33", "10.0.0.1", "proxy", "10.0.0.0/8 192.0.2.0/24"] {
            let error = format!("10.0.0.0/8, {text}").parse::<TrustedProxies>().unwrap_err();
            assert_eq!(error, NoNetwork(text.to_owned()));
            assert!(error.to_string().contains("HOOKYARD_TRUSTED_PROXIES"));
        }
    }
}

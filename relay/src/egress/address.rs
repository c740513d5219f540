//! Which addresses are not public: the table, and nothing else.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A range of addresses that no destination of a stranger's wish may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The range itself.
    pub net: IpNet,
    /// What the range is for.
    pub what: &'static str,
}

/// The range that forbids an address; nothing if it is public.
#[must_use]
pub fn forbidden_range(address: IpAddr) -> Option<Range> {
    match address {
        IpAddr::V4(_) => range_in(&V4, address),
        IpAddr::V6(inner) => inner
            .to_ipv4_mapped()
            .and_then(|inner| range_in(&V4, inner.into()))
            .or_else(|| range_in(&V6, address))
            .or_else(|| (!GLOBAL.contains(&inner)).then_some(NOT_GLOBAL)),
    }
}

fn range_in(table: &[Range], address: IpAddr) -> Option<Range> {
    table.iter().find(|range| range.net.contains(&address)).copied()
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} ({})", self.net, self.what)
    }
}

/// All that IANA has given out for the public internet. What is outside carries IPv4 addresses in many encodings
/// (mapped, compatible, SIIT, ISATAP, NAT64) besides loopback, link-local, unique local and multicast; naming them one
/// by one has failed others twice.
const GLOBAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
const NOT_GLOBAL: Range =
    Range { net: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)), what: "outside the public 2000::/3" };

const fn v4([a, b, c, d]: [u8; 4], prefix: u8, what: &'static str) -> Range {
    Range { net: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)), what }
}

const fn v6([a, b, c]: [u16; 3], prefix: u8, what: &'static str) -> Range {
    Range { net: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)), what }
}

/// IANA's special-purpose registry, the platform address of Azure, and three nets that are public but never a receiver.
const V4: [Range; 20] = [
    v4([0, 0, 0, 0], 8, "this network"),
    v4([10, 0, 0, 0], 8, "private"),
    v4([100, 64, 0, 0], 10, "carrier-grade NAT and cloud metadata"),
    v4([127, 0, 0, 0], 8, "loopback"),
    v4([168, 63, 129, 16], 32, "the platform address of Azure"),
    v4([169, 254, 0, 0], 16, "link-local and cloud metadata"),
    v4([172, 16, 0, 0], 12, "private"),
    v4([192, 0, 0, 0], 24, "protocol assignments and cloud metadata"),
    v4([192, 0, 2, 0], 24, "documentation"),
    v4([192, 31, 196, 0], 24, "AS112"),
    v4([192, 52, 193, 0], 24, "AMT"),
    v4([192, 88, 99, 0], 24, "6to4 relays"),
    v4([192, 168, 0, 0], 16, "private"),
    v4([192, 175, 48, 0], 24, "AS112"),
    v4([198, 18, 0, 0], 15, "benchmarking"),
    v4([198, 51, 100, 0], 24, "documentation"),
    v4([203, 0, 113, 0], 24, "documentation"),
    v4([224, 0, 0, 0], 4, "multicast"),
    v4([255, 255, 255, 255], 32, "broadcast"),
    v4([240, 0, 0, 0], 4, "reserved"),
];

/// Those inside [`GLOBAL`] that are not public; those outside that have a name people know them by come first.
const V6: [Range; 10] = [
    Range { net: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)), what: "loopback" },
    v6([0x64, 0xff9b, 0], 96, "NAT64"),
    v6([0xfc00, 0, 0], 7, "private"),
    v6([0xfe80, 0, 0], 10, "link-local"),
    v6([0xff00, 0, 0], 8, "multicast"),
    v6([0x2001, 0, 0], 23, "protocol assignments, Teredo among them"),
    v6([0x2001, 0xdb8, 0], 32, "documentation"),
    v6([0x2002, 0, 0], 16, "6to4"),
    v6([0x2620, 0x4f, 0x8000], 48, "AS112"),
    v6([0x3fff, 0, 0], 20, "documentation"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_is_refused_from_its_first_to_its_last_address_and_no_further() {
        // Where two ranges touch, the neighbour is forbidden too.
        let touching = ["255.255.255.255/32", "224.0.0.0/4", "240.0.0.0/4"];
        for range in V4.iter().chain(&V6) {
            let (first, last) = (range.net.network(), range.net.broadcast());
            for address in [first, last] {
                assert!(forbidden_range(address).is_some(), "{address} {range}");
            }
            if touching.contains(&range.net.to_string().as_str()) {
                continue;
            }
            let is_global = |address: &IpAddr| match address {
                IpAddr::V4(_) => true,
                IpAddr::V6(address) => GLOBAL.contains(address),
            };
            for neighbour in [before(first), after(last)].into_iter().flatten().filter(is_global) {
                assert_eq!(forbidden_range(neighbour), None, "{neighbour} beside {range}");
            }
        }
    }

    #[test]
    fn of_ipv6_only_2000_slash_3_is_public() {
        for (address, what) in [
            ("::", Some("outside the public 2000::/3")),
            ("::1", Some("loopback")),
            ("::2", Some("outside the public 2000::/3")),
            ("::ffff:127.0.0.1", Some("loopback")),
            ("::ffff:10.0.0.1", Some("private")),
            ("::ffff:8.8.8.8", Some("outside the public 2000::/3")),
            ("1fff:ffff::", Some("outside the public 2000::/3")),
            ("2000::", None),
            ("2606:4700:4700::1111", None),
            ("3ffe::1", None),
            ("3fff::1", Some("documentation")),
            ("4000::", Some("outside the public 2000::/3")),
            ("fd00:ec2::254", Some("private")),
            ("64:ff9b::7f00:1", Some("NAT64")),
            ("64:ff9b:1::a9fe:a9fe", Some("outside the public 2000::/3")),
        ] {
            assert_eq!(forbidden_range(address.parse().unwrap()).map(|range| range.what), what, "{address}");
        }
    }

    #[test]
    fn a_range_is_shown_with_its_purpose() {
        let range = forbidden_range("10.1.2.3".parse().unwrap()).unwrap();
        assert_eq!(range.to_string(), "10.0.0.0/8 (private)");
    }

    fn before(address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(address) => address.to_bits().checked_sub(1).map(|bits| Ipv4Addr::from(bits).into()),
            IpAddr::V6(address) => address.to_bits().checked_sub(1).map(|bits| Ipv6Addr::from(bits).into()),
        }
    }

    fn after(address: IpAddr) -> Option<IpAddr> {
        match address {
            IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| Ipv4Addr::from(bits).into()),
            IpAddr::V6(address) => address.to_bits().checked_add(1).map(|bits| Ipv6Addr::from(bits).into()),
        }
    }
}

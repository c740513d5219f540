//! By the rules for the text of a URL, said once more.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::{Just, Strategy, any};
use proptest::prop_oneof;
use proptest::sample::select;

use super::*;
use crate::egress::forbidden_range;
use crate::property::{nearly, of_each};

fn guard() -> Guard {
    Guard::new(&EgressSettings::default(), Vec::new())
}

fn one_of(texts: &'static [&str]) -> impl Strategy<Value = String> {
    select(texts).prop_map(str::to_owned)
}

/// Ways to write it that browsers understand.
fn spelled(address: Ipv4Addr) -> impl Strategy<Value = String> {
    let (bits, [a, b, c, d]) = (address.to_bits(), address.octets());
    select(vec![
        address.to_string(),
        format!("{address}."),
        bits.to_string(),
        format!("{bits:#x}"),
        format!("0{bits:o}"),
        format!("{a}.{}", bits & 0xff_ffff),
        format!("{a}.{b:#X}.{}", bits & 0xffff),
        format!("0{a:o}.{b:#x}.{c}.0{d:o}"),
        format!("%3{}{}", a.to_string().as_bytes()[0] - b'0', &address.to_string()[1..]),
        address.to_string().replace('.', "\u{3002}"),
    ])
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => one_of(&["example.com", "Example.COM.", "bücher.example.org", "xn--bcher-kva.example.org", "a.b.c.io"]),
        2 => one_of(&["localhost", "db.internal", "x.test", "example..com", "-.com", "1.2.3.4.5", "a.0x1g", "a%2eb.io"]),
        2 => "[a-zA-Z0-9ßé\u{ad}_-]{1,5}(\\.[a-z0-9-]{1,4}){0,2}\\.?",
        1 => "[a-z]{60,64}(\\.[a-z]{60,63}){0,3}\\.[a-z]{1,9}",
        2 => any::<u32>().prop_map(Ipv4Addr::from_bits).prop_flat_map(spelled),
        1 => any::<u128>().prop_map(|bits| format!("[{}]", Ipv6Addr::from_bits(bits))),
    ]
}

fn url() -> impl Strategy<Value = String> {
    let scheme =
        prop_oneof![20 => Just("https".to_owned()), 1 => one_of(&["HTTPS", "http", "ftp", "https:", "wss", ""])];
    let slashes = prop_oneof![20 => Just("://".to_owned()), 1 => one_of(&[":", ":/", ":///", "//", ":\\\\", ""])];
    let user = prop_oneof![20 => Just(String::new()), 1 => one_of(&["@", ":@", "u@", "u:p@", ":p@", "a:b@c@"])];
    let port =
        prop_oneof![8 => Just(String::new()), 2 => one_of(&[":", ":443", ":08443", ":8443", ":22", ":0", ":65536"])];
    let path = prop_oneof![
        2 => Just(String::new()),
        4 => "(/[a-zA-Z0-9.%{}|^`'\"<>é://]{0,4}){1,3}",
        1 => one_of(&["/%2e%2E/a", "/a/../..", "/a://b", "/é", "/%", "/{id}", "//"]),
        1 => "/é{300,1000}",
    ];
    let query = prop_oneof![8 => Just(String::new()), 4 => "[?][a-z=&'\"é?/:]{0,6}", 1 => "#[a-z]{0,2}"];
    nearly((scheme, slashes, user, host(), port, path, query).prop_map(
        |(scheme, slashes, user, host, port, path, query)| [scheme, slashes, user, host, port, path, query].concat(),
    ))
}

#[test]
fn what_is_let_through_is_let_through_again_and_stays_as_it_is() {
    let guard = guard();
    of_each(url(), |raw| {
        if let Ok(url) = guard.check_url(&raw) {
            assert_eq!(guard.check_url(url.as_str()), Ok(url));
        }
    });
}

#[test]
fn what_is_let_through_says_https_and_a_public_host_and_nothing_else() {
    let guard = guard();
    of_each(url(), |raw| {
        let Ok(url) = guard.check_url(&raw) else { return };
        let (scheme, rest) = raw.split_at(8);
        assert!(scheme.eq_ignore_ascii_case("https://") && !rest.starts_with('/'));
        assert!(!raw.contains([' ', '\\', '\t', '\n', '\r', '#']) && raw.len() <= 2_048);
        assert_eq!((url.scheme(), url.username(), url.password(), url.fragment()), ("https", "", None, None));
        assert!([443, 8443].contains(&url.port_or_known_default().unwrap()));
        match url.host().unwrap() {
            Host::Ipv4(address) => assert_eq!(forbidden_range(address.into()), None),
            Host::Ipv6(address) => {
                assert!(forbidden_range(address.into()).is_none() && address.segments()[0] >> 13 == 1)
            }
            Host::Domain(name) => is_public(name),
        }
    });
}

fn is_public(name: &str) {
    let labels: Vec<&str> = name.split('.').collect();
    assert!(name.len() <= 253 && labels.len() >= 2);
    assert!(labels.iter().all(|label| (1..=63).contains(&label.len())));
    let top = labels[labels.len() - 1];
    assert!(top.as_bytes()[0].is_ascii_lowercase() && !PRIVATE_NAMES.contains(&top));
}

#[test]
fn an_address_is_judged_the_same_however_it_is_spelled() {
    let guard = guard();
    let known = select(vec!["127.0.0.1", "169.254.169.254", "10.0.0.1", "0.0.0.0", "168.63.129.16", "8.8.8.8"]);
    let known = known.prop_map(|text| text.parse().unwrap());
    let address = prop_oneof![known, any::<u32>().prop_map(Ipv4Addr::from_bits)];
    of_each(address.prop_flat_map(|address| (Just(address), spelled(address))), |(address, spelled)| {
        let judged = guard.check_url(&format!("https://{spelled}/")).map(|url| url.host().map(|host| host.to_owned()));
        match guard.check_address(address.into(), 443) {
            Ok(()) => assert_eq!(judged, Ok(Some(Host::Ipv4(address)))),
            Err(refusal) => assert_eq!(judged, Err(refusal)),
        }
    });
}

#[test]
fn an_address_inside_another_is_no_way_in() {
    let guard = guard();
    of_each(any::<u32>().prop_map(Ipv4Addr::from_bits), |address| {
        let [a, b] = [(address.to_bits() >> 16) as u16, address.to_bits() as u16];
        for outer in [
            address.to_ipv6_mapped(),
            address.to_ipv6_compatible(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a, b),
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, a, b),
            Ipv6Addr::new(0x2002, a, b, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, a, b, 0, 0, !a, !b),
            Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, a, b),
        ] {
            assert!(guard.check_url(&format!("https://[{outer}]/")).is_err(), "{outer}");
        }
    });
}

/// Where the operator lets destinations be, the same holds.
#[test]
fn networks_that_are_allowed_change_nothing_about_how_a_url_is_written() {
    let settings =
        EgressSettings { allow: vec!["10.0.0.0/8".parse().unwrap()], http: true, ..EgressSettings::default() };
    let guard = Guard::new(&settings, Vec::new());
    of_each(url(), |raw| {
        if let Ok(url) = guard.check_url(&raw) {
            assert!(["http", "https"].contains(&url.scheme()) && url.username().is_empty() && url.password().is_none());
            assert_eq!(guard.check_url(url.as_str()), Ok(url));
        }
    });
}

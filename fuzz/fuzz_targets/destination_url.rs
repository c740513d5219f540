//! Lets destinations be where the rules say, and says of what was let through the same again.
//!
//! Input: a URL.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use relay::egress::{EgressSettings, Guard, Url, forbidden_range};
use url::Host;

static PUBLIC: LazyLock<Guard> = LazyLock::new(|| Guard::new(&EgressSettings::default(), Vec::new()));
static INSIDE: LazyLock<Guard> = LazyLock::new(|| {
    let allow = ["10.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("it is a network")).to_vec();
    Guard::new(&EgressSettings { allow, http: true, ..EgressSettings::default() }, Vec::new())
});

fuzz_target!(|input: &[u8]| {
    let Ok(raw) = std::str::from_utf8(input) else { return };
    let [public, inside] = [&*PUBLIC, &*INSIDE].map(|guard| passes(guard, raw));
    if let Some(url) = public {
        assert_eq!(url.scheme(), "https", "{raw}");
        assert!([443, 8443].contains(&url.port_or_known_default().unwrap_or_default()), "{raw}");
        match url.host().expect("it has one") {
            Host::Ipv4(address) => is_public(address.into(), raw),
            Host::Ipv6(address) => is_public(address.into(), raw),
            Host::Domain(name) => assert!(name.contains('.') && !name.ends_with(".internal"), "{raw}"),
        }
        assert_eq!(inside.as_ref(), Some(&url), "what is allowed besides takes nothing away: {raw}");
    }
});

/// What stands there and nowhere else.
fn passes(guard: &Guard, raw: &str) -> Option<Url> {
    let url = guard.check_url(raw).ok()?;
    assert_eq!(guard.check_url(url.as_str()).as_ref(), Ok(&url), "{raw}");
    let (scheme, rest) = raw.split_once("://").expect("it has one");
    assert!(scheme.eq_ignore_ascii_case(url.scheme()) && !rest.starts_with('/'), "{raw}");
    assert!(!raw.contains([' ', '\\', '\t', '\r', '\n', '#']), "{raw}");
    assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{raw}");
    if let Some(Host::Domain(name)) = url.host() {
        assert!(name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())), "{raw}");
    }
    Some(url)
}

fn is_public(address: IpAddr, raw: &str) {
    assert_eq!(forbidden_range(address), None, "{raw}");
}

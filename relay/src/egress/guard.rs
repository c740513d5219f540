//! What may be asked for: the rules for the text of a destination's URL, and for an address.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, ParseError, Url};

use super::EgressSettings;
use super::address::{Range, forbidden_range};

/// Judges URLs and addresses by the operator's settings; one a process.
#[derive(Debug, Clone)]
pub struct Guard {
    allow: Vec<IpNet>,
    ports: Vec<u16>,
    http: bool,
    own: Vec<OwnAddress>,
    /// Where our own requests come from.
    own_networks: Vec<IpNet>,
    /// A proxy looks names up, and so nobody here judges where they lead.
    is_proxied: bool,
}

/// Where we ourselves are reached: a delivery there would come back to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnAddress {
    host: Host<String>,
    port: u16,
}

/// Why a destination is not reached: its own name for machines, and a text that says which setting decides.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Longer than 2,048 bytes, as it was written or as requests have it.
    #[error("the URL is longer than {MAX_URL_BYTES} bytes as requests have it, with `%C3%A9` for `é`")]
    TooLong,
    /// Spaces, control characters or backslashes, which parsers repair, each in its own way.
    #[error("the URL contains a space, a control character or a backslash")]
    Characters,
    /// Neither `https://` nor `http://` and then a host.
    #[error("the URL must begin with https:// and a host")]
    Scheme,
    /// Plain http.
    #[error("the URL must begin with https://; plain http is allowed by the setting HOOKYARD_EGRESS_HTTP")]
    PlainHttp,
    /// No URL.
    #[error("not a URL: {0}")]
    Malformed(ParseError),
    /// A part behind `#`, which no request ever carries: whoever writes one means something that would not happen.
    #[error("the URL has a fragment, which is never sent: leave out `#` and what follows it")]
    Fragment,
    /// A user name or a password in the URL, which would end up in logs.
    #[error("the URL contains a user name or a password; set the destination's `auth` instead")]
    Userinfo,
    /// A name that DNS cannot hold.
    #[error("`{0}` is not a host name")]
    HostName(String),
    /// A name that no public server has.
    #[error(
        "`{0}` is not a public name; names of a private network are allowed with its addresses, by the setting HOOKYARD_EGRESS_ALLOW"
    )]
    PrivateName(String),
    /// Ourselves.
    #[error("`{0}` is this relay itself: events sent there would come back")]
    OwnAddress(String),
    /// An address that is not public.
    #[error("{address} is in {range}, which is not public; addresses are allowed by the setting HOOKYARD_EGRESS_ALLOW")]
    Address {
        /// The address, as it was given or looked up.
        address: IpAddr,
        /// What forbids it.
        range: Range,
    },
    /// A name that leads to an address that is not public. Which one it is stays with the operator: whoever may ask for
    /// names must not learn the inside of a network by it.
    #[error(
        "the name leads to an address that is not public; addresses are allowed by the setting HOOKYARD_EGRESS_ALLOW"
    )]
    LeadsInside,
    /// A port that is not on the list.
    #[error(
        "port {0} is not allowed; ports are allowed by the setting HOOKYARD_EGRESS_PORTS, and any port of an address by HOOKYARD_EGRESS_ALLOW"
    )]
    Port(u16),
    /// The operator's proxy does not let it through; it answered with this status.
    #[error("the relay's proxy (HOOKYARD_EGRESS_PROXY) does not let requests through to it: it answered {0}")]
    Proxy(u16),
}

/// A port that is never on the list.
pub(super) const UNLISTED: u16 = 0;

/// The longest URL; what clients and servers commonly take.
const MAX_URL_BYTES: usize = 2_048;

/// Top-level names that are never delegated, or only ever mean something inside a network (RFC 6761, RFC 9476, ICANN).
const PRIVATE_NAMES: [&str; 16] = [
    "alt",
    "arpa",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "onion",
    "private",
    "svc",
    "test",
];

impl Guard {
    /// A guard with these settings. `own` is where this relay is reached.
    #[must_use]
    pub fn new(settings: &EgressSettings, own: Vec<OwnAddress>) -> Self {
        let plain = settings.http.then_some(80);
        // Port 0 stands for "not on the list" where the port is not known.
        let ports = settings.ports.iter().copied().chain(plain).filter(|port| *port != UNLISTED).collect();
        Self {
            allow: settings.allow.clone(),
            ports,
            http: settings.http,
            own,
            own_networks: settings.addresses.clone(),
            is_proxied: settings.proxy.is_some(),
        }
    }

    /// The addresses that requests leave from, as the operator says.
    #[must_use]
    pub fn own_networks(&self) -> &[IpNet] {
        &self.own_networks
    }

    /// Judges the text of a URL. What comes back is normalised (no trailing full stop of the host) and is what must be
    /// stored and asked for. Where the host is a name, its addresses are judged at each attempt.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check_url(&self, raw: &str) -> Result<Url, Refusal> {
        check_text(raw)?;
        let mut url = Url::parse(raw).map_err(Refusal::Malformed)?;
        self.check_scheme(&url)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(Refusal::Fragment);
        }
        drop_final_stop(&mut url);
        // It is kept and judged again as it is now.
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(Refusal::TooLong);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        match url.host() {
            None => return Err(Refusal::Scheme),
            Some(Host::Ipv4(address)) => self.check_address(address.into(), port)?,
            Some(Host::Ipv6(address)) => self.check_address(address.into(), port)?,
            Some(Host::Domain(name)) => self.check_name(name, port)?,
        }
        match self.own.iter().find(|own| own.is(&url)) {
            Some(_) => Err(Refusal::OwnAddress(url.host_str().unwrap_or_default().to_owned())),
            None => Ok(url),
        }
    }

    /// Judges an address that is about to be dialled. An address in `HOOKYARD_EGRESS_ALLOW` may have any port.
    ///
    /// # Errors
    /// The address is not public, or the port is not on the list.
    pub fn check_address(&self, address: IpAddr, port: u16) -> Result<(), Refusal> {
        if self.is_allowed(address) {
            return Ok(());
        }
        if contains(&self.own_networks, address) {
            return Err(Refusal::OwnAddress(address.to_string()));
        }
        match forbidden_range(address) {
            Some(range) => Err(Refusal::Address { address, range }),
            None if self.is_listed(port) => Ok(()),
            None => Err(Refusal::Port(port)),
        }
    }

    /// Whether the port may be asked for whatever the address is.
    pub(super) fn is_listed(&self, port: u16) -> bool {
        self.ports.contains(&port)
    }

    /// Any port of the list; none that is on it if the list is empty.
    pub(super) fn a_listed_port(&self) -> u16 {
        self.ports.first().copied().unwrap_or(UNLISTED)
    }

    /// Whether any network was allowed that is not public, or on any port.
    pub(super) fn allows_networks(&self) -> bool {
        !self.allow.is_empty()
    }

    fn is_allowed(&self, address: IpAddr) -> bool {
        contains(&self.allow, address)
    }

    fn check_scheme(&self, url: &Url) -> Result<(), Refusal> {
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.http => Ok(()),
            "http" => Err(Refusal::PlainHttp),
            _ => Err(Refusal::Scheme),
        }
    }

    /// Once networks are allowed, private names and odd ports may lead into them: then the addresses decide, unless it is
    /// a proxy that looks them up.
    fn check_name(&self, name: &str, port: u16) -> Result<(), Refusal> {
        let labels = name.split('.').collect::<Vec<_>>();
        let last = labels.last().copied().unwrap_or_default();
        let is_name = name.len() <= 253
            && labels.iter().all(|label| matches!(label.len(), 1..=63))
            && last.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_name {
            return Err(Refusal::HostName(name.to_owned()));
        }
        if self.allows_networks() && !self.is_proxied {
            return Ok(());
        }
        if labels.len() < 2 || PRIVATE_NAMES.contains(&last) {
            return Err(Refusal::PrivateName(name.to_owned()));
        }
        if self.is_listed(port) { Ok(()) } else { Err(Refusal::Port(port)) }
    }
}

impl OwnAddress {
    /// The address in one of our own URLs; nothing if it has none.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        let mut url = url.clone();
        drop_final_stop(&mut url);
        Some(Self { host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// A public name is ours on every port; an address, or the name of a machine, may have other servers on other ports.
    fn is(&self, url: &Url) -> bool {
        let is_public_name = matches!(&self.host, Host::Domain(name) if name.contains('.'));
        url.host().map(|host| host.to_owned()).as_ref() == Some(&self.host)
            && (is_public_name || url.port_or_known_default() == Some(self.port))
    }
}

impl Refusal {
    /// Every name that a reason can have.
    pub const NAMES: [&'static str; 14] = [
        "address",
        "fragment",
        "host_name",
        "leads_inside",
        "own_address",
        "plain_http",
        "port",
        "private_name",
        "proxy",
        "scheme",
        "url_characters",
        "url_malformed",
        "url_too_long",
        "userinfo",
    ];

    /// The reason's name for machines; stable.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::TooLong => "url_too_long",
            Self::Characters => "url_characters",
            Self::Scheme => "scheme",
            Self::PlainHttp => "plain_http",
            Self::Malformed(_) => "url_malformed",
            Self::Fragment => "fragment",
            Self::Userinfo => "userinfo",
            Self::HostName(_) => "host_name",
            Self::PrivateName(_) => "private_name",
            Self::OwnAddress(_) => "own_address",
            Self::Address { .. } => "address",
            Self::LeadsInside => "leads_inside",
            Self::Port(_) => "port",
            Self::Proxy(_) => "proxy",
        }
    }
}

fn contains(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address) || net.contains(&address.to_canonical()))
}

/// What the parser would silently repair is refused before it can.
fn check_text(raw: &str) -> Result<(), Refusal> {
    if raw.len() > MAX_URL_BYTES {
        return Err(Refusal::TooLong);
    }
    if raw.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'\\') {
        return Err(Refusal::Characters);
    }
    // Behind something else than a scheme it is a part of the path, and what stands before it is repaired.
    let is_scheme = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    match raw.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) && !rest.is_empty() && !rest.starts_with('/') => Ok(()),
        _ => Err(Refusal::Scheme),
    }
}

/// `example.com.` is `example.com`; one spelling is compared, shown and asked for.
fn drop_final_stop(url: &mut Url) {
    if let Some(Host::Domain(name)) = url.host()
        && let Some(name) = name.strip_suffix('.').map(str::to_owned)
    {
        // Refused only for a name that is none: it keeps its full stop, and is refused for that.
        let _kept = url.set_host(Some(&name));
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str], http: bool) -> Guard {
        let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
        Guard::new(&EgressSettings { allow, http, ..EgressSettings::default() }, Vec::new())
    }

    fn name(guard: &Guard, url: &str) -> &'static str {
        guard.check_url(url).map_or_else(|refusal| refusal.name(), |_| "ok")
    }

    #[test]
    fn every_reason_has_its_name() {
        let guard = guard(&[], false);
        let long = |bytes: usize| format!("https://example.com/{}", "x".repeat(bytes - 20));
        let escaped = |bytes: usize| format!("https://example.com/{}", "é".repeat((bytes - 20) / 6));
        for (url, reason) in [
            ("https://example.com", "ok"),
            ("HTTPS://EXAMPLE.COM/", "ok"),
            (&long(2048), "ok"),
            (&long(2049), "url_too_long"),
            (&escaped(2048), "ok"),
            (&escaped(2054), "url_too_long"),
            ("https://example.com/a b", "url_characters"),
            ("https://example.com\\a", "url_characters"),
            ("https://example.com/\u{7f}", "url_characters"),
            ("https:example.com", "scheme"),
            ("https:///example.com", "scheme"),
            ("https:example.com/a://b", "scheme"),
            ("https:/example.com/a://b", "scheme"),
            ("https://example.com/a://b", "ok"),
            ("ftp://example.com/", "scheme"),
            ("example.com", "scheme"),
            ("http://example.com/", "plain_http"),
            ("https://1.2.3.4.5/", "url_malformed"),
            ("https://user@example.com/", "userinfo"),
            ("https://:pass@example.com/", "userinfo"),
            ("https://example.com/#a", "fragment"),
            ("https://example.com/#", "fragment"),
            ("https://example..com/", "host_name"),
            ("https://example.com../", "host_name"),
            ("https://localhost/", "private_name"),
            ("https://db.internal/", "private_name"),
            ("https://127.0.0.1/", "address"),
            ("https://example.com:22/", "port"),
            ("https://example.com:80/", "port"),
            ("https://8.8.8.8:22/", "port"),
        ] {
            assert_eq!(name(&guard, url), reason, "{url}");
            assert!(reason == "ok" || Refusal::NAMES.contains(&reason), "{reason} is not counted");
        }
        for rest in [Refusal::LeadsInside, Refusal::OwnAddress(String::new()), Refusal::Proxy(403)] {
            assert!(Refusal::NAMES.contains(&rest.name()), "{rest:?} is not counted");
        }
    }

    #[test]
    fn a_url_comes_back_normalised() {
        for (raw, normal) in [
            ("https://Example.com.:443/Hook?a=B", "https://example.com/Hook?a=B"),
            ("https://bücher.example.org", "https://xn--bcher-kva.example.org/"),
            ("https://example.com:8443/", "https://example.com:8443/"),
        ] {
            assert_eq!(guard(&[], false).check_url(raw).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn the_operator_allows_networks_and_plain_http_apart() {
        let plain = guard(&[], true);
        let lan = guard(&["10.1.0.0/16", "fd00::/8"], false);
        let both = guard(&["10.1.0.0/16"], true);
        for (guard, url, reason) in [
            (&plain, "http://example.com/", "ok"),
            (&plain, "http://example.com:8080/", "port"),
            (&plain, "http://10.1.0.1/", "address"),
            (&lan, "https://10.1.0.1/", "ok"),
            (&lan, "https://10.1.255.255:9000/", "ok"),
            (&lan, "https://10.2.0.0/", "address"),
            (&lan, "https://[::ffff:10.1.0.1]/", "ok"),
            (&lan, "https://[fd00::1]:5432/", "ok"),
            (&lan, "http://10.1.0.1/", "plain_http"),
            (&lan, "https://8.8.8.8:9000/", "port"),
            // Where a name leads is known when it is looked up.
            (&lan, "https://receiver:9000/", "ok"),
            (&lan, "https://receiver.svc.cluster.local/", "ok"),
            (&lan, "https://-:9000/", "host_name"),
            (&both, "http://10.1.0.1:3000/", "ok"),
            (&both, "http://10.2.0.1:3000/", "address"),
        ] {
            assert_eq!(name(guard, url), reason, "{url}");
        }
    }

    #[test]
    fn we_are_no_destination_of_ours() {
        let own = ["https://hooks.acme.io/", "http://10.1.0.1:8080/", "http://localhost:8080/"];
        let own = own.iter().filter_map(|url| OwnAddress::of(&Url::parse(url).unwrap())).collect();
        let settings =
            EgressSettings { allow: vec!["10.0.0.0/8".parse().unwrap()], http: true, ..EgressSettings::default() };
        let guard = Guard::new(&settings, own);
        for (url, reason) in [
            ("https://hooks.acme.io/in/acme/key", "own_address"),
            ("https://HOOKS.acme.io./", "own_address"),
            ("https://hooks.acme.io:8443/", "own_address"),
            ("https://other.acme.io/", "ok"),
            ("http://10.1.0.1:8080/", "own_address"),
            ("http://10.1.0.1:8081/", "ok"),
            ("http://localhost:8080/", "own_address"),
            ("http://localhost:9000/", "ok"),
        ] {
            assert_eq!(name(&guard, url), reason, "{url}");
        }
    }

    #[test]
    fn where_our_requests_come_from_is_no_destination() {
        let addresses = ["198.18.7.7/32", "9.9.9.0/24"].map(|net| net.parse().unwrap()).to_vec();
        let own = EgressSettings { addresses, ..EgressSettings::default() };
        let allowed = EgressSettings { allow: vec!["9.9.9.9/32".parse().unwrap()], ..own.clone() };
        for (settings, url, reason) in [
            (&own, "https://198.18.7.7/", "own_address"),
            (&own, "https://198.18.7.8/", "address"),
            (&own, "https://9.9.9.9/", "own_address"),
            (&own, "https://[::ffff:9.9.9.9]/", "own_address"),
            (&own, "https://9.9.8.9/", "ok"),
            (&allowed, "https://9.9.9.9/", "ok"),
            (&allowed, "https://9.9.9.8/", "own_address"),
        ] {
            assert_eq!(name(&Guard::new(settings, Vec::new()), url), reason, "{url}");
        }
    }

    #[test]
    fn where_a_proxy_looks_names_up_no_private_name_and_no_odd_port_is_asked_for() {
        let allow = vec!["10.0.0.0/8".parse().unwrap()];
        let direct = EgressSettings { allow, ..EgressSettings::default() };
        let proxied = EgressSettings { proxy: Some("http://10.0.0.1:3128".into()), ..direct.clone() };
        for (url, direct_reason, proxied_reason) in [
            ("https://receiver.svc/", "ok", "private_name"),
            ("https://example.com:9000/", "ok", "port"),
            ("https://example.com/", "ok", "ok"),
            ("https://10.1.2.3:9000/", "ok", "ok"),
            ("https://127.0.0.1/", "address", "address"),
        ] {
            let verdicts = [&direct, &proxied].map(|settings| name(&Guard::new(settings, Vec::new()), url));
            assert_eq!(verdicts, [direct_reason, proxied_reason], "{url}");
        }
    }

    #[test]
    fn a_refusal_names_the_address_its_range_and_the_setting() {
        let guard = guard(&[], false);
        for (url, parts) in [
            ("https://127.0.0.1/", ["127.0.0.1", "127.0.0.0/8", "HOOKYARD_EGRESS_ALLOW"]),
            ("https://[::ffff:10.0.0.1]/", ["::ffff:10.0.0.1", "10.0.0.0/8", "HOOKYARD_EGRESS_ALLOW"]),
            ("https://[fe80::1]/", ["fe80::1", "fe80::/10", "HOOKYARD_EGRESS_ALLOW"]),
            ("https://db.internal/", ["db.internal", "not a public name", "HOOKYARD_EGRESS_ALLOW"]),
            ("http://example.com/", ["http", "https", "HOOKYARD_EGRESS_HTTP"]),
            ("https://example.com:22/", ["port", "22", "HOOKYARD_EGRESS_PORTS"]),
        ] {
            let text = guard.check_url(url).unwrap_err().to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{url}: {text}");
        }
    }

    #[test]
    fn no_port_is_listed_that_was_not_set() {
        let settings = EgressSettings { ports: vec![0, 9443], ..EgressSettings::default() };
        let guard = Guard::new(&settings, Vec::new());
        for (port, listed) in [(9443, true), (443, false), (0, false), (80, false)] {
            assert_eq!(guard.is_listed(port), listed, "{port}");
        }
    }
}

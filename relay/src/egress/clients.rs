//! The HTTP clients, and which of them makes a request: by its port, its TLS, and whether its connection may be kept.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use reqwest::{Client, ClientBuilder, redirect, retry, tls};
use url::{Host, Url};

use super::guard::{Guard, UNLISTED};
use super::proxy::Proxy;
use super::resolver::{BUDGET, Guarded, Lookup};
use super::tls::ClientTls;
use super::warm::{Place, Warm};

/// For the name, the connection and the TLS handshake together. Receivers answer a handshake in well under a second,
/// wherever they are; two lost packets cost three more.
const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections kept to one host, at which many destinations may live. [`super::warm`] says who may have how many; this
/// is only the bound that the client knows.
pub(super) const MAX_IDLE: usize = 512;

/// Shorter than what common servers and load balancers keep open, so that few requests meet a closing connection.
pub(super) const IDLE: Duration = Duration::from_secs(20);

/// The most header lines of an answer: a receiver needs far fewer, and they are read before anything else is known.
const MAX_HEADERS: usize = 64;

/// Clients with a TLS of their own that are kept: the busiest. Another is made in some milliseconds.
const MAX_OWN: u64 = 256;

pub(super) struct Clients {
    guard: Arc<Guard>,
    /// Dials the listed ports, and so public addresses and allowed ones.
    listed: Pair,
    /// Dials any port, and so allowed addresses only; absent where none is allowed.
    unlisted: Option<Pair>,
    /// With a TLS of their own, by its fingerprint and by whether they dial unlisted ports.
    own: Cache<([u8; 32], bool), Pair>,
    warm: Arc<Warm>,
    way: Way,
}

/// How connections come about.
#[derive(Clone)]
enum Way {
    /// To the addresses of the name, which are judged.
    Direct(Guarded),
    /// By a tunnel through the operator's proxy, which looks names up itself.
    Tunnel(Proxy),
}

/// The same client twice.
#[derive(Clone)]
struct Pair {
    /// Keeps connections for the next request.
    keeping: Client,
    /// Keeps none.
    closing: Client,
}

impl Clients {
    pub(super) fn open(guard: Arc<Guard>, lookup: Arc<dyn Lookup>, proxy: Option<Proxy>) -> reqwest::Result<Self> {
        install_cryptography();
        let is_direct = proxy.is_none();
        let way = match proxy {
            Some(proxy) => Way::Tunnel(proxy),
            None => {
                let (guard, port) = (Arc::clone(&guard), guard.a_listed_port());
                Way::Direct(Guarded { guard, lookup, port, budget: BUDGET })
            }
        };
        let listed = Pair::open(&way, None)?;
        let has_unlisted = is_direct && guard.allows_networks();
        let unlisted = has_unlisted.then(|| Pair::open(&way.unlisted(), None)).transpose()?;
        let own = Cache::builder().max_capacity(MAX_OWN).time_to_idle(2 * IDLE).build();
        Ok(Self { guard, listed, unlisted, own, warm: Arc::new(Warm::new(IDLE)), way })
    }

    /// The client for a request to this URL that ends before `until`.
    /// While its place is held, its connection may be kept.
    pub(super) fn of(
        &self,
        url: &Url,
        tls: Option<&ClientTls>,
        until: Instant,
    ) -> reqwest::Result<(Client, Option<Place>)> {
        let port = url.port_or_known_default().unwrap_or(UNLISTED);
        // A literal address was judged together with its port, and never goes through a resolver.
        let is_judged = !matches!(url.host(), Some(Host::Domain(_)));
        let is_unlisted = self.unlisted.is_some() && !is_judged && !self.guard.is_listed(port);
        let pair = match (tls, &self.unlisted) {
            (Some(tls), _) => self.with_own(tls, is_unlisted)?,
            (None, Some(pair)) if is_unlisted => pair.clone(),
            (None, _) => self.listed.clone(),
        };
        // Each client keeps connections of its own.
        let host = &url[..url::Position::BeforePath];
        let own = tls.map(|tls| format!("{} {host}", data_encoding::HEXLOWER.encode(&tls.fingerprint())));
        let place = self.warm.admit(own.as_deref().unwrap_or(host), Instant::now(), until);
        Ok((if place.is_some() { pair.keeping } else { pair.closing }, place))
    }

    fn with_own(&self, tls: &ClientTls, is_unlisted: bool) -> reqwest::Result<Pair> {
        let key = (tls.fingerprint(), is_unlisted);
        if let Some(pair) = self.own.get(&key) {
            return Ok(pair);
        }
        let way = if is_unlisted { self.way.unlisted() } else { self.way.clone() };
        let pair = Pair::open(&way, Some(tls))?;
        self.own.insert(key, pair.clone());
        Ok(pair)
    }

    pub(super) fn proxy(&self) -> Option<&Proxy> {
        match &self.way {
            Way::Direct(_) => None,
            Way::Tunnel(proxy) => Some(proxy),
        }
    }
}

impl Way {
    fn unlisted(&self) -> Self {
        match self {
            Self::Direct(resolver) => Self::Direct(Guarded { port: UNLISTED, ..resolver.clone() }),
            Self::Tunnel(proxy) => Self::Tunnel(proxy.clone()),
        }
    }

    fn apply(&self, builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        Ok(match self {
            Self::Direct(resolver) => builder.dns_resolver(resolver.clone()).no_proxy(),
            // The one name that is looked up here is the proxy's, which the operator chose.
            Self::Tunnel(proxy) => builder.no_proxy().proxy(proxy.for_client()?),
        })
    }
}

impl Pair {
    fn open(way: &Way, tls: Option<&ClientTls>) -> reqwest::Result<Self> {
        let builder = |kept: usize| {
            let builder = way.apply(builder())?.pool_max_idle_per_host(kept);
            if let Some(tls) = tls { tls.apply(builder) } else { Ok(builder) }
        };
        let client = |kept| builder(kept)?.build().or_else(|error| without_roots(builder(kept)?, &error));
        Ok(Self { keeping: client(MAX_IDLE)?, closing: client(0)? })
    }
}

/// A client that is no destination's: without a guard and without a proxy.
pub(super) fn plain() -> reqwest::Result<Client> {
    install_cryptography();
    let builder = || builder().no_proxy();
    builder().build().or_else(|error| without_roots(builder(), &error))
}

fn install_cryptography() {
    // Fails if a provider was installed before, which then is the one to use.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
}

/// A machine without root certificates (or `SSL_CERT_FILE`): plain http and everything else still work, and each https
/// attempt says what is missing.
fn without_roots(builder: ClientBuilder, error: &reqwest::Error) -> reqwest::Result<Client> {
    let client = builder.tls_certs_only([]).build()?;
    tracing::warn!(
        error = error as &dyn Error,
        "no root certificates: no https destination can be reached; install ca-certificates or set SSL_CERT_FILE"
    );
    Ok(client)
}

#[expect(clippy::disallowed_methods, reason = "this is the one client that the rule sends everyone to")]
fn builder() -> ClientBuilder {
    Client::builder()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_idle_timeout(IDLE)
        .http1_max_headers(MAX_HEADERS)
        .http1_only()
        .tls_version_min(tls::Version::TLS_1_2)
        .tcp_nodelay(true)
}

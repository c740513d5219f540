//! Sends one request and says what came of it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{Client, ClientBuilder, RequestBuilder, redirect, retry, tls};
use url::{Host, Url};

use super::body::{Fenced, MayWrite};
use super::guard::{Guard, Refusal, UNLISTED};
use super::resolver::{BUDGET, Guarded, Lookup};
use super::response::{KEPT, Response};

/// The way out; one a process. Connections are kept and shared.
pub struct Egress {
    guard: Arc<Guard>,
    /// Dials the listed ports, and so public addresses and allowed ones.
    listed: Client,
    /// Dials any port, and so allowed addresses only; absent where none is allowed.
    unlisted: Option<Client>,
}

/// A POST to be made.
pub struct Outgoing {
    /// Judged again, whatever it was when it was saved.
    pub url: String,
    /// All headers but the ones that HTTP itself needs.
    pub headers: HeaderMap,
    /// Sent as it is.
    pub body: Bytes,
    /// For the whole attempt: name, connection, request and answer.
    pub timeout: Duration,
    /// Whether the body may still be written: asked once, when the connection stands and before the first byte goes out.
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// What came of a request that got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Our own guard did not let it out; nothing was sent.
    #[error(transparent)]
    Refused(Refusal),
    /// No complete answer in time.
    #[error("no complete answer in time")]
    TimedOut,
    /// No connection, or it broke before the answer; says why, without the URL.
    #[error("{0}")]
    Unreachable(String),
    /// This process has no file descriptor left: our own fault, and nothing was sent.
    #[error("out of file descriptors")]
    Exhausted,
    /// `may_write` said no; the body was not sent.
    #[error("no longer ours to send")]
    Fenced,
}

/// The way out cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// The HTTP client does not start.
    #[error("the HTTP client does not start")]
    Client(#[source] reqwest::Error),
}

/// For the name, the connection and the TLS handshake together. Receivers answer a handshake in well under a second,
/// wherever they are; two lost packets cost three more.
const CONNECT: Duration = Duration::from_secs(5);

/// Idle connections kept to one host. A wildcard name would otherwise let a tenant hold thousands.
const MAX_IDLE: usize = 2;

/// Shorter than what common servers and load balancers keep open, so that few requests meet a closing connection.
const IDLE: Duration = Duration::from_secs(20);

/// The most header lines of an answer: a receiver needs far fewer, and they are read before anything else is known.
const MAX_HEADERS: usize = 64;

impl Egress {
    /// Opens the way out; names are looked up with `lookup`. A machine without root certificates only gets a warning.
    ///
    /// # Errors
    /// The HTTP client does not start.
    pub fn new(guard: Arc<Guard>, lookup: Arc<dyn Lookup>) -> Result<Self, EgressError> {
        // Fails if a provider was installed before, which then is the one to use.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let open = |resolver: &Guarded| client(resolver).map_err(EgressError::Client);
        let resolver = Guarded { guard: Arc::clone(&guard), lookup, port: guard.a_listed_port(), budget: BUDGET };
        let listed = open(&resolver)?;
        let unlisted = guard.allows_networks().then(|| open(&Guarded { port: UNLISTED, ..resolver })).transpose()?;
        Ok(Self { guard, listed, unlisted })
    }

    /// Sends a request and reads the answer, all within its timeout. Any answer with a status is one.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn send(&self, request: Outgoing) -> Result<Response, SendError> {
        let url = self.check_url(&request.url)?;
        let timeout = request.timeout;
        tokio::time::timeout(timeout, self.answer(url, request)).await.map_err(|_| SendError::TimedOut)?
    }

    async fn answer(&self, url: Url, request: Outgoing) -> Result<Response, SendError> {
        let (body, closed) = body(request.body, request.may_write)?;
        let sent = self.dial(url, |client, url| client.post(url).headers(request.headers).body(body)).await;
        let response = sent.map_err(|error| if closed.load(Ordering::Relaxed) { SendError::Fenced } else { error })?;
        Ok(Response::read(response).await)
    }

    /// Sends what is built for a URL that was judged. Of the answer, only the head has been read.
    pub(super) async fn dial(
        &self,
        url: Url,
        build: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<reqwest::Response, SendError> {
        let port = url.port_or_known_default().unwrap_or(UNLISTED);
        let sent = build(self.client_for(&url, port), url).send().await;
        let response = sent.map_err(|error| failure(error, port))?;
        // The resolver has judged this address already; if it ever fails, an answer was reached around it.
        if let Some(remote) = response.remote_addr() {
            self.guard.check_address(remote.ip(), port).map_err(SendError::Refused)?;
        }
        Ok(response)
    }

    /// See [`Guard::check_url`].
    pub(super) fn check_url(&self, url: &str) -> Result<Url, SendError> {
        self.guard.check_url(url).map_err(SendError::Refused)
    }

    fn client_for(&self, url: &Url, port: u16) -> &Client {
        // A literal address was judged together with its port, and never goes through a resolver.
        let is_judged = !matches!(url.host(), Some(Host::Domain(_)));
        match &self.unlisted {
            Some(client) if !is_judged && !self.guard.is_listed(port) => client,
            _ => &self.listed,
        }
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Egress")
    }
}

/// Starts with the system's root certificates (or `SSL_CERT_FILE`), and without any if there are none: plain http and
/// everything else still work, and each https attempt says what is missing.
fn client(resolver: &Guarded) -> reqwest::Result<Client> {
    builder(resolver.clone()).build().or_else(|error| {
        let started = builder(resolver.clone()).tls_certs_only([]).build()?;
        tracing::warn!(
            error = &error as &dyn Error,
            "no root certificates: no https destination can be reached; install ca-certificates or set SSL_CERT_FILE"
        );
        Ok(started)
    })
}

#[expect(clippy::disallowed_methods, reason = "this is the one client that the rule sends everyone to")]
fn builder(resolver: Guarded) -> ClientBuilder {
    Client::builder()
        .dns_resolver(resolver)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        .referer(false)
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(MAX_IDLE)
        .pool_idle_timeout(IDLE)
        .http1_max_headers(MAX_HEADERS)
        .http2_max_header_list_size(u32::try_from(KEPT).expect("16 KiB fit"))
        .tls_version_min(tls::Version::TLS_1_2)
        .tcp_nodelay(true)
}

/// An empty body is never asked for by the client, so its fence is asked here.
fn body(bytes: Bytes, may_write: MayWrite) -> Result<(reqwest::Body, Arc<AtomicBool>), SendError> {
    if bytes.is_empty() && !may_write() {
        return Err(SendError::Fenced);
    }
    let (body, closed) = Fenced::new(bytes, may_write);
    Ok((reqwest::Body::wrap(body), closed))
}

/// What a failed request to this port came to.
pub(super) fn failure(error: reqwest::Error, port: u16) -> SendError {
    match refusal_in(&error) {
        Some(Refusal::Port(_)) => SendError::Refused(Refusal::Port(port)),
        Some(Refusal::Address { address, range }) => {
            tracing::info!(%address, %range, "a destination's name leads to an address that is not public");
            SendError::Refused(Refusal::LeadsInside)
        }
        Some(refusal) => SendError::Refused(refusal),
        None if is_exhausted(&error) => SendError::Exhausted,
        None if error.is_timeout() => SendError::TimedOut,
        None => SendError::Unreachable(story(&error.without_url())),
    }
}

/// The guard's own refusal, where it hides in the causes of a failed connection.
fn refusal_in(error: &(dyn Error + 'static)) -> Option<Refusal> {
    causes(error).find_map(|error| error.downcast_ref().cloned())
}

/// EMFILE and ENFILE: the process, or the machine, has too many files open.
fn is_exhausted(error: &(dyn Error + 'static)) -> bool {
    let errors = causes(error).filter_map(|error| error.downcast_ref::<std::io::Error>());
    errors.filter_map(std::io::Error::raw_os_error).any(|number| {
        [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error).contains(&number)
    })
}

/// The innermost cause says what happened; what wraps it only says where.
fn story(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

#[cfg(test)]
pub(super) mod tests;

//! Sends one request and says what came of it.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::{Client, RequestBuilder};
use url::Url;

use super::EgressSettings;
use super::apart::Apart;
use super::body::{Fenced, MayWrite};
use super::clients::Clients;
use super::guard::{Guard, Refusal, UNLISTED};
use super::proxy::{NotAProxy, Proxy, Verdict};
use super::resolver::Lookup;
use super::response::Response;
use super::tls::ClientTls;
use super::warm::Place;

/// The way out; one a process. Connections are kept and shared.
pub struct Egress {
    pub(super) inner: Arc<Inner>,
    pub(super) apart: Apart,
}

/// What requests share.
pub(super) struct Inner {
    guard: Arc<Guard>,
    clients: Clients,
}

/// A POST to be made.
pub struct Outgoing {
    /// Judged again, whatever it was when it was saved.
    pub url: String,
    /// All headers but the ones that HTTP itself needs.
    pub headers: HeaderMap,
    /// Sent as it is.
    pub body: Bytes,
    /// What the destination asks of TLS besides the world's roots.
    pub tls: Option<ClientTls>,
    /// For the whole attempt: name, connection, request and answer.
    pub timeout: Duration,
    /// Whether the body may still be written: asked once, when the connection stands and before the first byte goes out.
    pub may_write: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Called when its turn has come on the threads of the requests: from then on it waits for strangers only.
    pub begun: Option<Box<dyn FnOnce() + Send>>,
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
    /// Nobody listens at the address, or the connection ended before it was used; nothing was sent.
    #[error("{0}")]
    NotSent(String),
    /// No connection, or it broke before the answer; says why, without the URL.
    #[error("{0}")]
    Unreachable(String),
    /// This process has no file descriptor left: our own fault, and nothing was sent.
    #[error("out of file descriptors")]
    Exhausted,
    /// The operator's proxy does not do its work: our own fault, and nothing was sent.
    #[error("the proxy in HOOKYARD_EGRESS_PROXY does not work: {0}")]
    NoWayOut(String),
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
    /// The machine gives no threads.
    #[error("no threads for requests can be started")]
    Threads(#[source] std::io::Error),
    /// What is set is no proxy.
    #[error(transparent)]
    Proxy(#[from] NotAProxy),
    /// A proxy would see what plain http says, and answer it in a destination's place.
    #[error(
        "HOOKYARD_EGRESS_PROXY and HOOKYARD_EGRESS_HTTP exclude each other: through a proxy every connection is a tunnel with TLS in it, or nobody could tell whose an answer is"
    )]
    PlainThroughProxy,
}

/// Beyond its timeout a request is given up by whoever asked for it, wherever it has got to.
const GRACE: Duration = Duration::from_secs(1);

impl Egress {
    /// Opens the way out; names are looked up with `lookup`, unless there is a proxy to do that. A machine without root
    /// certificates only gets a warning.
    ///
    /// # Errors
    /// The settings contradict each other, or the HTTP client does not start.
    pub fn new(settings: &EgressSettings, guard: Arc<Guard>, lookup: Arc<dyn Lookup>) -> Result<Self, EgressError> {
        let proxy = settings.proxy.as_ref().map(Proxy::parse).transpose()?;
        if proxy.is_some() && settings.http {
            return Err(EgressError::PlainThroughProxy);
        }
        let clients = Clients::open(Arc::clone(&guard), lookup, proxy).map_err(EgressError::Client)?;
        let apart = Apart::new().map_err(EgressError::Threads)?;
        Ok(Self { inner: Arc::new(Inner { guard, clients }), apart })
    }

    /// Sends a request and reads the answer, all within its timeout. Any answer with a status is one.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn send(&self, request: Outgoing) -> Result<Response, SendError> {
        let url = self.inner.check_url(&request.url)?;
        let authority = authority(&url);
        let until = Instant::now() + request.timeout;
        let answer = self.apart.run(Arc::clone(&self.inner).answer(url, request, until));
        // Not on those threads, whose timers are late when somebody keeps them busy.
        let sent = tokio::time::timeout_at((until + GRACE).into(), answer).await;
        match sent.unwrap_or(Err(SendError::TimedOut)) {
            Ok(response) => Ok(response),
            Err(error) => Err(self.inner.blamed(error, &authority).await),
        }
    }

    /// Asks the operator's proxy whether it is there and knows us; nothing, if there is none.
    ///
    /// # Errors
    /// [`SendError::NoWayOut`], which says why it does not work.
    pub async fn check_proxy(&self) -> Option<Result<(), SendError>> {
        let proxy = self.inner.clients.proxy()?;
        Some(proxy.check().await.map_err(SendError::NoWayOut))
    }
}

impl Inner {
    async fn answer(self: Arc<Self>, url: Url, request: Outgoing, until: Instant) -> Result<Response, SendError> {
        let Outgoing { headers, body, tls, timeout, may_write, begun, .. } = request;
        begun.into_iter().for_each(|say| say());
        let (client, _place) = self.client(&url, tls.as_ref(), timeout)?;
        let (body, closed) = fenced(body, may_write)?;
        let dialled = self.dial(&client, url, |client, url| client.post(url).headers(headers).body(body));
        let sent = tokio::time::timeout_at(until.into(), dialled).await.unwrap_or(Err(SendError::TimedOut));
        let response = sent.map_err(|error| if closed.load(Ordering::Relaxed) { SendError::Fenced } else { error })?;
        let mut answer = Response::read(response, until).await;
        if self.clients.proxy().is_some() {
            answer.remote_address = None;
        }
        Ok(answer)
    }

    /// The client for a request that takes at most `timeout`.
    pub(super) fn client(
        &self,
        url: &Url,
        tls: Option<&ClientTls>,
        timeout: Duration,
    ) -> Result<(Client, Option<Place>), SendError> {
        let client = self.clients.of(url, tls, Instant::now() + timeout);
        // What a tenant gave is no fault of ours, whatever was checked when it was given.
        client.map_err(|error| match tls {
            Some(_) => SendError::Unreachable(format!("its TLS cannot be used: {}", story(&error))),
            None => SendError::NoWayOut(story(&error)),
        })
    }

    /// Sends what is built for a URL that was judged. Of the answer, only the head has been read.
    pub(super) async fn dial(
        &self,
        client: &Client,
        url: Url,
        build: impl FnOnce(&Client, Url) -> RequestBuilder,
    ) -> Result<reqwest::Response, SendError> {
        let port = url.port_or_known_default().unwrap_or(UNLISTED);
        let response = build(client, url).send().await.map_err(|error| failure(error, port))?;
        // The resolver has judged this address already; if it ever fails, an answer was reached around it.
        if self.clients.proxy().is_none()
            && let Some(remote) = response.remote_addr()
        {
            self.guard.check_address(remote.ip(), port).map_err(refused)?;
        }
        Ok(response)
    }

    /// See [`Guard::check_url`].
    pub(super) fn check_url(&self, url: &str) -> Result<Url, SendError> {
        self.guard.check_url(url).map_err(refused)
    }

    /// Whose fault it was, where there is a proxy between us and the destination. It is asked, since the client keeps to
    /// itself what the proxy answered.
    async fn blamed(&self, error: SendError, authority: &str) -> SendError {
        use SendError::{NoWayOut, TimedOut, Unreachable};
        let is_doubtful = matches!(error, TimedOut | Unreachable(_) | SendError::NotSent(_) | NoWayOut(_));
        let Some(proxy) = self.clients.proxy().filter(|_| is_doubtful) else { return error };
        match (proxy.ask(authority).await, error) {
            (Verdict::Faulty(why), _) => NoWayOut(why),
            (Verdict::Denies(status), NoWayOut(_)) => refused(Refusal::Proxy(status)),
            (Verdict::CannotReach(status), NoWayOut(_)) => {
                Unreachable(format!("the relay's proxy does not reach it: it answered {status}"))
            }
            (Verdict::Waits, NoWayOut(_)) => TimedOut,
            // A tunnel that opens now was none a moment ago: the proxy's doing. What broke in the tunnel was not.
            (_, error) => error,
        }
    }
}

impl std::fmt::Debug for Egress {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Egress")
    }
}

/// Begins all counters at nought, so that a scraper sees them before the first refusal.
pub fn begin_counting() {
    metrics::describe_counter!(
        "hookyard_egress_refusals_total",
        "Requests that the guard did not let out, by its reason"
    );
    for reason in Refusal::NAMES {
        metrics::counter!("hookyard_egress_refusals_total", "reason" => reason).increment(0);
    }
}

/// Counts a refusal.
fn refused(refusal: Refusal) -> SendError {
    metrics::counter!("hookyard_egress_refusals_total", "reason" => refusal.name()).increment(1);
    SendError::Refused(refusal)
}

/// An empty body is never asked for by the client, so its fence is asked here.
fn fenced(bytes: Bytes, may_write: MayWrite) -> Result<(reqwest::Body, Arc<AtomicBool>), SendError> {
    if bytes.is_empty() && !may_write() {
        return Err(SendError::Fenced);
    }
    let (body, closed) = Fenced::new(bytes, may_write);
    Ok((reqwest::Body::wrap(body), closed))
}

/// What a failed request to this port came to.
pub(super) fn failure(error: reqwest::Error, port: u16) -> SendError {
    match refusal_in(&error) {
        Some(Refusal::Port(_)) => refused(Refusal::Port(port)),
        Some(Refusal::Address { address, range }) => {
            tracing::info!(%address, %range, "a destination's name leads to an address that is not public");
            refused(Refusal::LeadsInside)
        }
        Some(refusal) => refused(refusal),
        None if is_exhausted(&error) => SendError::Exhausted,
        None if is_of_the_tunnel(&error) => SendError::NoWayOut(story(&error)),
        None if error.is_timeout() => SendError::TimedOut,
        None if is_connection_refused(&error) || was_unused(&error) => SendError::NotSent(story(&error.without_url())),
        None => SendError::Unreachable(story(&error.without_url())),
    }
}

/// The guard's own refusal, where it hides in the causes of a failed connection.
fn refusal_in(error: &(dyn Error + 'static)) -> Option<Refusal> {
    causes(error).find_map(|error| error.downcast_ref().cloned())
}

/// EMFILE and ENFILE: the process, or the machine, has too many files open.
fn is_exhausted(error: &(dyn Error + 'static)) -> bool {
    let exhausted = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE].map(rustix::io::Errno::raw_os_error);
    os_errors(error).any(|number| exhausted.contains(&number))
}

fn is_connection_refused(error: &reqwest::Error) -> bool {
    error.is_connect() && os_errors(error).any(|number| number == rustix::io::Errno::CONNREFUSED.raw_os_error())
}

/// The connection ended between its handshake and the request: the receiver closed it, and why is lost with it.
fn was_unused(error: &(dyn Error + 'static)) -> bool {
    causes(error).filter_map(|error| error.downcast_ref::<hyper::Error>()).any(hyper::Error::is_canceled)
}

fn os_errors<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = i32> + 'a {
    causes(error).filter_map(|error| error.downcast_ref::<std::io::Error>()?.raw_os_error())
}

/// It failed before the tunnel through the proxy stood. The error's type has no name outside its library, so its text is
/// what tells; a test holds it to that.
fn is_of_the_tunnel(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|error| error.to_string().starts_with("tunnel error: "))
}

/// The innermost cause says what happened; what wraps it only says where.
pub(super) fn story(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// What a tunnel to this URL is asked for by.
fn authority(url: &Url) -> String {
    let host = url.host().map(|host| host.to_string()).unwrap_or_default();
    format!("{host}:{}", url.port_or_known_default().unwrap_or(UNLISTED))
}

#[cfg(test)]
pub(super) mod tests;

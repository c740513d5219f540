//! One connection from its first byte to its end, under limits.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::StatusCode;
use poem::http::header::CONNECTION;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::Door;
use super::crowd::{Crowd, PLACES, Place, household};
use super::lifeline::Lifeline;
use super::proxy_header::{self, Sender};

/// A whole header within this time, from the first moment of the connection and after each answer.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// The whole request, body and answer. Longer than any limit inside, so that those speak first.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// Bytes and number of headers: hyper's own would let 10,000 connections hold 4 GB.
const HEADER_BYTES: usize = 32 << 10;
const HEADERS: usize = 64;
/// A connection ends after this long, between two requests: nobody keeps a place for ever. Only an answer that goes on and
/// on, and is read, may take longer.
const LIFE: Duration = Duration::from_secs(120);
/// And this much later whatever it is doing. A peer that reads nothing stops every other clock.
const LAST_WORDS: Duration = Duration::from_secs(35);
/// An answer that goes on and on has nothing to end: it ends at once, if anybody reads it.
const LAST_WORDS_OF_A_STREAM: Duration = Duration::from_secs(1);

/// A peer that confirms nothing of what was sent for so long has gone without a word. The system itself would try for a
/// quarter of an hour, and a stream's place would be taken meanwhile.
#[cfg(target_os = "linux")]
const UNHEARD: Duration = Duration::from_secs(60);

/// What all connections share.
pub(super) struct Connections<E> {
    pub(super) door: Door,
    pub(super) crowd: Crowd<IpAddr>,
    pub(super) endpoint: E,
    pub(super) stop: CancellationToken,
}

/// A connection that got in.
struct Guest {
    stream: Either<TcpStream, TlsStream<TcpStream>>,
    peer: SocketAddr,
    local: LocalAddr,
    _place: Option<Place<IpAddr>>,
}

/// Why one did not.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    ProxyHeader,
    TooMany,
    TlsHandshake,
}

pub(super) async fn live<E>(stream: TcpStream, peer: SocketAddr, connections: &Connections<E>)
where
    E: Endpoint<Output = Response> + 'static,
{
    match connections.stop.run_until_cancelled(enter(stream, peer, connections)).await {
        Some(Ok(guest)) => speak(guest, connections).await,
        Some(Err(refusal)) => refusal.count(),
        None => {}
    }
}

/// Everything before the first request.
async fn enter<E>(
    mut stream: TcpStream,
    peer: SocketAddr,
    Connections { door, crowd, .. }: &Connections<E>,
) -> Result<Guest, Refusal> {
    let local = stream.local_addr().map(|address| LocalAddr(address.into())).unwrap_or_default();
    // Small answers must not wait for more. Where that fails, the peer has gone already.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNHEARD));
    let mut peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    if door.proxy_protocol {
        peer = sender(&mut stream, peer, door).await?;
    }
    let place = if counts(peer.ip(), door) {
        Some(crowd.enter(household(peer.ip()), PLACES).ok_or(Refusal::TooMany)?)
    } else {
        None
    };
    let stream = match &door.tls {
        Some(tls) => Either::Right(tls.accept(stream).await.map_err(|_| Refusal::TlsHandshake)?),
        None => Either::Left(stream),
    };
    Ok(Guest { stream, peer, local, _place: place })
}

/// Who stands behind the proxy that connected.
async fn sender(stream: &mut TcpStream, peer: SocketAddr, door: &Door) -> Result<SocketAddr, Refusal> {
    if !door.proxies.is_empty() && !door.proxies.contains(peer.ip()) {
        return Err(Refusal::ProxyHeader);
    }
    match proxy_header::read(stream).await {
        Ok(Sender::Client(client)) => Ok(client),
        Ok(Sender::Proxy) => Ok(peer),
        Err(_) => Err(Refusal::ProxyHeader),
    }
}

/// A proxy's connections are those of many, and this machine is nobody's but the operator's.
fn counts(client: IpAddr, door: &Door) -> bool {
    !client.is_loopback() && !door.proxies.contains(client)
}

/// Requests and answers, until either side has had enough.
async fn speak<E>(guest: Guest, connections: &Connections<E>)
where
    E: Endpoint<Output = Response> + 'static,
{
    let Guest { stream, peer, local, _place } = guest;
    let lifeline = Lifeline::until(&connections.stop);
    let service = service_fn(|request| answer(request, connections, (local.clone(), peer), &lifeline));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .max_header_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Whatever a stranger's connection ends with is the stranger's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = connections.stop.cancelled() => {}
        () = lifeline.ends(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let last_words = if lifeline.is_stream() { LAST_WORDS_OF_A_STREAM } else { LAST_WORDS };
    let _ = tokio::time::timeout(last_words, connection).await;
}

async fn answer<E>(
    request: hyper::Request<Incoming>,
    Connections { door, endpoint, .. }: &Connections<E>,
    (local, peer): (LocalAddr, SocketAddr),
    lifeline: &Lifeline,
) -> Result<hyper::Response<BoxBody<Bytes, std::io::Error>>, Infallible>
where
    E: Endpoint<Output = Response>,
{
    lifeline.asked();
    // Without exactly one, whoever stands before us may have meant another.
    if request.headers().get_all("host").iter().count() != 1 {
        let refusal = Response::builder().status(StatusCode::BAD_REQUEST).header(CONNECTION, "close");
        return Ok(refusal.body("exactly one Host header").into());
    }
    let remote = match door.proxies.client(peer.ip(), request.headers()) {
        client if client == peer.ip() => peer,
        // A proxy does not say its client's port.
        client => SocketAddr::new(client, 0),
    };
    let mut request: Request = (request, local, RemoteAddr(remote.into()), door.scheme()).into();
    request.set_data(lifeline.clone());
    let answered = tokio::time::timeout(REQUEST_WITHIN, endpoint.get_response(request)).await;
    Ok(answered.unwrap_or_else(|_| Response::builder().status(StatusCode::REQUEST_TIMEOUT).finish()).into())
}

const REFUSED: &str = "hookyard_connections_refused_total";

pub(super) fn describe() {
    let help = "Connections closed before their first request, by the reason";
    let reasons = [Refusal::ProxyHeader, Refusal::TooMany, Refusal::TlsHandshake].map(Refusal::name);
    relay::numbers::counters(REFUSED, help, "reason", reasons).iter().for_each(|counter| counter.increment(0));
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Self::ProxyHeader => "proxy_header",
            Self::TooMany => "too_many_of_one_client",
            Self::TlsHandshake => "tls_handshake",
        }
    }

    fn count(self) {
        metrics::counter!(REFUSED, "reason" => self.name()).increment(1);
    }
}

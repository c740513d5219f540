//! The accept loop. poem's own has no time limit on headers, no cap on connections, and spins when file descriptors run
//! out; this one drives the same endpoint from hyper.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::http::StatusCode;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A whole header within this time, from the first moment of the connection and after each answer.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// The whole request, body and answer. Longer than any limit inside, so that those speak first.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// Bytes and number of headers: hyper's own would let 10,000 connections hold 4 GB.
const HEADER_BYTES: usize = 32 << 10;
const HEADERS: usize = 64;
/// Open connections, or half of the descriptors that the process may have; the next one waits in the system's line.
const CONNECTIONS: usize = 10_000;
/// After a failed accept: a pause instead of a busy loop.
const BREATH: Duration = Duration::from_millis(100);
/// Requests that run when the process is told to stop get so long.
const DRAIN: Duration = Duration::from_secs(30);

/// A connection ends after this long, between two requests: nobody keeps a place for ever.
const LIFE: Duration = Duration::from_secs(120);
/// And this much later whatever it is doing. A peer that reads nothing stops every other clock.
const LAST_WORDS: Duration = Duration::from_secs(35);

/// Serves until `stop`; then lets requests that run end.
pub async fn serve<E>(listener: TcpListener, endpoint: E, stop: CancellationToken)
where
    E: Endpoint<Output = Response> + 'static,
{
    let endpoint = Arc::new(endpoint);
    let places = Arc::new(Semaphore::new(CONNECTIONS.min(relay::process::descriptors() / 2)));
    let running = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let (endpoint, stop) = (Arc::clone(&endpoint), stop.clone());
                running.spawn(async move {
                    live(stream, peer, endpoint, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    running.close();
    if tokio::time::timeout(DRAIN, running.wait()).await.is_err() {
        tracing::warn!("stopped while requests were still running");
    }
}

/// One connection from its first byte to its end.
async fn live<E>(stream: TcpStream, peer: SocketAddr, endpoint: Arc<E>, stop: CancellationToken)
where
    E: Endpoint<Output = Response> + 'static,
{
    let local = stream.local_addr().map(|address| LocalAddr(address.into())).unwrap_or_default();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        answer(request, Arc::clone(&endpoint), (local.clone(), RemoteAddr(peer.into())))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Whatever a stranger's connection ends with is the stranger's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
        () = tokio::time::sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(LAST_WORDS, connection).await;
}

async fn answer<E>(
    request: hyper::Request<Incoming>,
    endpoint: Arc<E>,
    (local, remote): (LocalAddr, RemoteAddr),
) -> Result<hyper::Response<BoxBody<Bytes, std::io::Error>>, Infallible>
where
    E: Endpoint<Output = Response>,
{
    // Without exactly one, whoever stands before us may have meant another.
    if request.headers().get_all("host").iter().count() != 1 {
        return Ok(Response::builder().status(StatusCode::BAD_REQUEST).body("exactly one Host header").into());
    }
    let request: Request = (request, local, remote, Scheme::HTTP).into();
    let answered = tokio::time::timeout(REQUEST_WITHIN, endpoint.get_response(request)).await;
    Ok(answered.unwrap_or_else(|_| Response::builder().status(StatusCode::REQUEST_TIMEOUT).finish()).into())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    // Small answers must not wait for more.
    stream.set_nodelay(true)?;
    Ok((stream, peer, place))
}

//! The accept loop. poem's own has no time limit on headers, no cap on connections, and spins when file descriptors run
//! out; this one drives the same endpoint from hyper.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Endpoint, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// A whole header within this time, from the first moment of the connection and after each answer.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// The whole request, body and answer. Longer than any limit inside, so that those speak first.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// Bytes and number of headers: hyper's own would let 10,000 connections hold 4 GB.
const HEADER_BYTES: usize = 32 << 10;
const HEADERS: usize = 64;
/// Open connections; the next one waits in the system's line.
const CONNECTIONS: usize = 10_000;
/// After a failed accept: a pause instead of a busy loop.
const BREATH: Duration = Duration::from_millis(100);
/// Requests that run when the process is told to stop get so long.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves until `stop`; then lets requests that run end.
pub async fn serve<E>(listener: TcpListener, endpoint: E, stop: CancellationToken)
where
    E: Endpoint<Output = Response> + 'static,
{
    let endpoint = Arc::new(endpoint);
    let (connections, graceful) = (Arc::new(Semaphore::new(CONNECTIONS)), GracefulShutdown::new());
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let connection = connection(stream, peer, Arc::clone(&endpoint));
                let watched = graceful.watch(connection);
                tokio::spawn(async move {
                    // Whatever a stranger's connection ends with is the stranger's affair.
                    let _ = watched.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped while requests were still running");
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    // Small answers must not wait for more.
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

fn connection<E>(
    stream: TcpStream,
    peer: SocketAddr,
    endpoint: Arc<E>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + Send
where
    E: Endpoint<Output = Response> + 'static,
{
    let local = stream.local_addr().map(|address| LocalAddr(address.into())).unwrap_or_default();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (endpoint, local, remote) = (Arc::clone(&endpoint), local.clone(), RemoteAddr(peer.into()));
        async move {
            let request: Request = (request, local, remote, Scheme::HTTP).into();
            let answered = tokio::time::timeout(REQUEST_WITHIN, endpoint.get_response(request)).await;
            let response = answered
                .unwrap_or_else(|_| Response::builder().status(poem::http::StatusCode::REQUEST_TIMEOUT).finish());
            Ok::<hyper::Response<_>, std::convert::Infallible>(response.into())
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
}

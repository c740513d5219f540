//! A tenant's endpoint: keeps every request as it came, and answers as it was told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

/// Cheap to clone; all clones are one receiver, which ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Receiver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: &'static str,
    address: SocketAddr,
    /// How often it refuses each event.
    refusals: usize,
    requests: Arc<Mutex<Vec<Received>>>,
    server: AbortHandle,
}

/// One request, and how it was answered.
#[derive(Debug, Clone)]
pub(super) struct Received {
    pub(super) at: Instant,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) status: u16,
}

impl Received {
    /// A header's value; empty where there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The id of the event, the same on every try.
    pub(super) fn event_id(&self) -> &str {
        self.header("webhook-id")
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.status < 300
    }
}

impl Receiver {
    /// Listens on a free port. Each event is refused with 503 so many times before it is accepted.
    pub(super) async fn start(name: &'static str, refusals: usize) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let requests = Arc::default();
        let server = tokio::spawn(serve(listener, Arc::clone(&requests), refusals)).abort_handle();
        Ok(Self(Arc::new(Inner { name, address, refusals, requests, server })))
    }

    pub(super) fn name(&self) -> &'static str {
        self.0.name
    }

    pub(super) fn refusals(&self) -> usize {
        self.0.refusals
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/{}", self.0.address, self.0.name)
    }

    /// What has arrived so far, in the order of arrival.
    pub(super) fn requests(&self) -> Vec<Received> {
        self.0.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, requests: Arc<Mutex<Vec<Received>>>, refusals: usize) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let requests = Arc::clone(&requests);
                let service = service_fn(move |request| answer(request, Arc::clone(&requests), refusals));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    requests: Arc<Mutex<Vec<Received>>>,
    refusals: usize,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Empty::new());
    let Ok(body) = body.collect().await else {
        *response.status_mut() = StatusCode::BAD_REQUEST;
        return Ok(response);
    };
    let mut received =
        Received { at: Instant::now(), headers: head.headers, body: body.to_bytes(), status: StatusCode::OK.as_u16() };
    let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
    let tries = requests.iter().filter(|earlier| earlier.event_id() == received.event_id()).count();
    if tries < refusals {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        received.status = StatusCode::SERVICE_UNAVAILABLE.as_u16();
    }
    requests.push(received);
    Ok(response)
}

//! All destinations: one server that keeps a log of what came, and answers as it is told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use harness::signature::has_signature;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// One request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Arrival {
    /// The destination's number: tenants stand one after another, each with its [`super::stage::PLACES`].
    pub(crate) place: usize,
    /// Says which event of the ledger it is.
    pub(crate) number: usize,
    pub(crate) webhook_id: String,
    pub(crate) status: u16,
    pub(crate) at: Instant,
}

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sink(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    log: Mutex<Vec<Arrival>>,
    /// Requests that no event of the ledger explains.
    strangers: AtomicUsize,
    /// Requests whose signature is not what their destination's secret makes.
    unsigned: AtomicUsize,
    /// By place.
    secrets: Mutex<Vec<String>>,
    /// How long it thinks before it answers.
    thinks: watch::Sender<Duration>,
    /// Every how manieth request is answered 503; 0: none.
    fails_one_in: AtomicUsize,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Sink {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Self(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            log: Mutex::default(),
            strangers: AtomicUsize::new(0),
            unsigned: AtomicUsize::new(0),
            secrets: Mutex::default(),
            thinks: watch::Sender::new(Duration::ZERO),
            fails_one_in: AtomicUsize::new(0),
            listening: Mutex::default(),
        }));
        *sink.0.listening.lock().unwrap() = Some(tokio::spawn(serve(sink.clone(), listener)));
        sink
    }

    pub(crate) fn url(&self, place: usize) -> String {
        format!("http://{}/{place}", self.0.address)
    }

    /// The next place's destination signs with this.
    pub(crate) fn expect_signed_with(&self, secret: &str) {
        self.0.secrets.lock().unwrap().push(secret.to_owned());
    }

    /// Takes so long from now on, for what is not answered yet as well.
    pub(crate) fn think(&self, time: Duration) {
        self.0.thinks.send_replace(time);
    }

    /// Until it is time to answer what came just now.
    async fn think_about_it(&self) {
        let (came, mut thinks) = (tokio::time::Instant::now(), self.0.thinks.subscribe());
        loop {
            let until = came + *thinks.borrow_and_update();
            tokio::select! {
                () = tokio::time::sleep_until(until) => return,
                Ok(()) = thinks.changed() => {}
            }
        }
    }

    pub(crate) fn fail_one_in(&self, requests: usize) {
        self.0.fails_one_in.store(requests, Ordering::Relaxed);
    }

    pub(crate) fn log(&self) -> Vec<Arrival> {
        self.0.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns when no more requests come: those that are not answered are all that their senders have in flight.
    pub(crate) async fn is_quiet(&self) {
        let count = || self.0.log.lock().unwrap_or_else(PoisonError::into_inner).len();
        harness::within(Duration::from_secs(20), "destinations to be asked no more", async || {
            let before = count();
            tokio::time::sleep(Duration::from_millis(250)).await;
            (count() == before).then_some(())
        })
        .await;
    }

    pub(crate) fn strangers(&self) -> usize {
        self.0.strangers.load(Ordering::Relaxed)
    }

    pub(crate) fn unsigned(&self) -> usize {
        self.0.unsigned.load(Ordering::Relaxed)
    }

    /// Whether something came after this.
    pub(crate) fn hears_since(&self, when: Instant) -> bool {
        let log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.last().is_some_and(|arrival| arrival.at > when)
    }

    async fn answer(self, request: hyper::Request<Incoming>) -> hyper::Result<hyper::Response<Empty<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let inner = &self.0;
        let place = head.uri.path().trim_start_matches('/').parse().ok();
        let number = number_of(&body);
        let webhook_id = head.headers.get("webhook-id").and_then(|value| value.to_str().ok());
        let (Some(place), Some(number), Some(webhook_id)) = (place, number, webhook_id) else {
            inner.strangers.fetch_add(1, Ordering::Relaxed);
            return Ok(hyper::Response::new(Empty::new()));
        };
        let webhook_id = webhook_id.to_owned();
        if !self.is_signed(&head, &body, place) {
            inner.unsigned.fetch_add(1, Ordering::Relaxed);
        }
        let status = {
            let mut log = inner.log.lock().unwrap_or_else(PoisonError::into_inner);
            let one_in = inner.fails_one_in.load(Ordering::Relaxed);
            let fails = one_in > 0 && log.len().is_multiple_of(one_in);
            let status = if fails { 503 } else { 200 };
            log.push(Arrival { place, number, webhook_id, status, at: Instant::now() });
            status
        };
        self.think_about_it().await;
        let mut response = hyper::Response::new(Empty::new());
        *response.status_mut() = status.try_into().unwrap();
        Ok(response)
    }
}

impl Sink {
    fn is_signed(&self, head: &hyper::http::request::Parts, body: &[u8], place: usize) -> bool {
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = [format!("{}.{}.", text("webhook-id"), text("webhook-timestamp")).as_bytes(), body].concat();
        let secrets = self.0.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.get(place).is_some_and(|secret| has_signature(text("webhook-signature"), &signed, secret))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take() {
            listening.abort();
        }
    }
}

/// The number of the ledger, out of the id that the provider gave.
fn number_of(body: &[u8]) -> Option<usize> {
    let body: Value = serde_json::from_slice(body).ok()?;
    body["Id"].as_str()?.strip_prefix("fault-")?.parse().ok()
}

async fn serve(sink: Sink, listener: TcpListener) {
    // The server must not keep alive what it serves for.
    let weak = Arc::downgrade(&sink.0);
    drop(sink);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let Some(inner) = weak.upgrade() else { return };
                let service = service_fn(move |request| Sink(Arc::clone(&inner)).answer(request));
                connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

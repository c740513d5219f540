//! A tenant's endpoint: a real server that keeps whole requests and answers as it is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::port::Port;
use crate::reply::Reply;
use crate::wait::PATIENCE;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub at: Instant,
    /// The sender's end of the connection.
    pub sender: SocketAddr,
}

impl Request {
    /// When it was signed, in seconds since 1970 by the clock of the test.
    #[must_use]
    pub fn signed_at(&self) -> i64 {
        self.one("webhook-timestamp").parse().unwrap()
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header that must be there exactly once.
    #[must_use]
    pub fn one(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.iter().filter(|(header, _)| header == name).collect();
        assert_eq!(values.len(), 1, "{name} in {:?}", self.headers);
        &values[0].1
    }
}

/// A handle; all clones are one receiver.
#[derive(Debug, Clone)]
pub struct Receiver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    port: Port,
    script: Mutex<VecDeque<Reply>>,
    otherwise: Mutex<Reply>,
    published: Mutex<BTreeMap<String, Bytes>>,
    requests: Mutex<Vec<Request>>,
    arrived: watch::Sender<usize>,
    /// Requests that are not answered yet, and the most there ever were.
    unanswered: Mutex<(usize, usize)>,
    released: watch::Sender<bool>,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl Receiver {
    /// Accepts everything.
    pub async fn start() -> Self {
        Self::always(200).await
    }

    /// Always answers the same.
    pub async fn always(reply: impl Into<Reply>) -> Self {
        Self::answering([] as [Reply; 0]).await.otherwise(reply)
    }

    /// Answers these in turn, and then accepts everything.
    pub async fn answering(replies: impl IntoIterator<Item = impl Into<Reply>>) -> Self {
        let receiver = Self::closed();
        receiver.0.script.lock().unwrap().extend(replies.into_iter().map(Into::into));
        receiver.open();
        receiver
    }

    /// Has an address where nobody listens yet.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(Inner {
            port: Port::reserve(),
            script: Mutex::default(),
            otherwise: Mutex::new(Reply::status(200)),
            published: Mutex::default(),
            requests: Mutex::default(),
            arrived: watch::Sender::new(0),
            unanswered: Mutex::default(),
            released: watch::Sender::new(false),
            server: Mutex::new(None),
        }))
    }

    /// What it answers from now on, when the script has ended.
    #[must_use]
    pub fn otherwise(self, reply: impl Into<Reply>) -> Self {
        *self.0.otherwise.lock().unwrap() = reply.into();
        self
    }

    /// From now on there is a document at this path, whatever the script says.
    pub fn publish(&self, path: &str, document: impl Into<Bytes>) {
        self.0.published.lock().unwrap().insert(path.to_owned(), document.into());
    }

    /// From now on it accepts everything.
    pub fn recover(&self) {
        self.0.script.lock().unwrap().clear();
        *self.0.otherwise.lock().unwrap() = Reply::status(200);
    }

    /// Answers all held requests, also those still to come.
    pub fn release(&self) {
        self.0.released.send_replace(true);
    }

    pub fn open(&self) {
        let mut server = self.0.server.lock().unwrap();
        assert!(server.is_none(), "already open");
        *server = Some(tokio::spawn(serve(self.clone(), self.0.port.listen())));
    }

    /// From now on connections are refused, on a port that stays ours; those that were open break.
    pub async fn close(&self) {
        let server = self.0.server.lock().unwrap().take().expect("it is open");
        server.abort();
        let _ = server.await;
    }

    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("/hook")
    }

    #[must_use]
    pub fn url_of(&self, path: &str) -> String {
        format!("http://{}{path}", self.0.port.address())
    }

    /// What has arrived so far, in the order of arrival.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.0.requests.lock().unwrap().clone()
    }

    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.arrived.borrow()
    }

    /// The most requests that were unanswered at a time. One whose sender goes away is none any more.
    #[must_use]
    pub fn most_at_once(&self) -> usize {
        self.0.unanswered.lock().unwrap().1
    }

    /// The event ids in the order of their first arrivals.
    #[must_use]
    pub fn order(&self) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let ids = self.requests().into_iter().map(|request| request.one("webhook-id").to_owned());
        ids.filter(|id| seen.insert(id.clone())).collect()
    }

    /// The event ids that have arrived, without repeats.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<String> {
        self.0.requests.lock().unwrap().iter().map(|request| request.one("webhook-id").to_owned()).collect()
    }

    /// Waits until `count` requests have arrived, and gives all there are.
    pub async fn wait_for(&self, count: usize) -> Vec<Request> {
        self.wait_up_to(PATIENCE, count).await
    }

    pub async fn wait_up_to(&self, limit: Duration, count: usize) -> Vec<Request> {
        let mut arrived = self.0.arrived.subscribe();
        let enough = arrived.wait_for(|&arrived| arrived >= count);
        if tokio::time::timeout(limit, enough).await.is_err() {
            let lines: Vec<_> =
                self.requests().iter().take(20).map(|it| format!("{} {}", it.path, it.one("webhook-id"))).collect();
            panic!("after {limit:?} only {} of {count} requests arrived: {lines:#?}", self.count());
        }
        self.requests()
    }

    fn reply_at(&self, path: &str) -> Reply {
        if let Some(document) = self.0.published.lock().unwrap().get(path) {
            return Reply::status(200).body(document.clone());
        }
        let next = self.0.script.lock().unwrap().pop_front();
        next.unwrap_or_else(|| self.0.otherwise.lock().unwrap().clone())
    }

    async fn answer(
        self,
        request: hyper::Request<Incoming>,
        sender: SocketAddr,
    ) -> hyper::Result<hyper::Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let (method, path) = (head.method.to_string(), head.uri.to_string());
        let reply = self.reply_at(&path);
        let _unanswered = Unanswered::count(&self.0);
        self.0.requests.lock().unwrap().push(Request { method, path, headers, body, at: Instant::now(), sender });
        self.0.arrived.send_modify(|count| *count += 1);
        if reply.held {
            let _ = self.0.released.subscribe().wait_for(|released| *released).await;
        }
        let builder = hyper::Response::builder().status(reply.status);
        let builder = reply.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value));
        Ok(builder.body(Full::new(reply.body)).unwrap())
    }
}

/// One request that is not answered yet.
struct Unanswered<'a>(&'a Inner);

impl<'a> Unanswered<'a> {
    fn count(inner: &'a Inner) -> Self {
        let mut unanswered = inner.unanswered.lock().unwrap();
        unanswered.0 += 1;
        unanswered.1 = unanswered.1.max(unanswered.0);
        Self(inner)
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.0.unanswered.lock().unwrap().0 -= 1;
    }
}

async fn serve(receiver: Receiver, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, sender)) = listener.accept() => {
                let receiver = receiver.clone();
                let service = service_fn(move |request| receiver.clone().answer(request, sender));
                connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{raw, system};
    use tokio::net::TcpStream;

    fn address(receiver: &Receiver) -> SocketAddr {
        receiver.0.port.address()
    }

    fn request() -> Vec<u8> {
        let head =
            "POST /hook HTTP/1.1\r\nHost: x\r\nConnection: close\r\nwebhook-id: evt\r\nContent-Length: 4\r\n\r\n";
        [head.as_bytes(), b"\0\xff\r\n"].concat()
    }

    #[tokio::test]
    async fn it_follows_its_script_and_keeps_what_came() {
        let receiver = Receiver::answering([Reply::status(503).header("retry-after", "7")]).await;
        let first = raw::exchange(address(&receiver), request()).await;
        assert!(first.status == 503 && first.text.contains("retry-after: 7"), "{first:?}");
        assert_eq!(raw::exchange(address(&receiver), request()).await.status, 200);
        let requests = receiver.wait_for(2).await;
        assert_eq!((&requests[1].body[..], requests[1].one("webhook-id")), (&b"\0\xff\r\n"[..], "evt"));
    }

    #[tokio::test]
    async fn it_can_be_closed_and_opened_on_the_same_port() {
        let receiver = Receiver::start().await;
        receiver.close().await;
        assert!(TcpStream::connect(address(&receiver)).await.is_err());
        receiver.open();
        assert_eq!(raw::exchange(address(&receiver), request()).await.status, 200);
    }

    #[tokio::test]
    async fn a_held_request_is_answered_when_it_is_released() {
        let receiver = Receiver::answering([Reply::status(201).held()]).await;
        let asking = tokio::spawn(raw::exchange(address(&receiver), request()));
        let held = receiver.wait_for(1).await;
        assert!(system::owns_connection(std::process::id(), held[0].sender));
        assert!(!system::owns_connection(1, held[0].sender));
        receiver.release();
        assert_eq!(asking.await.unwrap().status, 201);
    }
}

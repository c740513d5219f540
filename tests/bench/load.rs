//! Providers: so many connections that post as fast as they are answered, or at a rate that nobody's slowness changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::body;
use crate::ledger::Ledger;
use crate::wire::Messages;

/// Where a source is, and what its provider presents.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    pub(crate) authorization: String,
}

/// What the event of this number is.
pub(crate) type Choice = Arc<dyn Fn(u32) -> Chosen + Send + Sync>;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Chosen {
    pub(crate) door: usize,
    /// The number of its type.
    pub(crate) of_type: u32,
    /// Its destinations are well: it is to arrive.
    pub(crate) arrives: bool,
}

#[derive(Clone)]
pub(crate) struct Load {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) doors: Arc<Vec<Door>>,
    pub(crate) choice: Choice,
    pub(crate) body_bytes: usize,
    pub(crate) connections: usize,
}

impl Load {
    /// Each connection sends again as soon as it is answered, for so long.
    pub(crate) async fn closed(&self, during: Duration) {
        let end = Instant::now() + during;
        let mut senders = JoinSet::new();
        for number in 0..self.connections {
            let mut sender = Connection::open(self.clone(), number).await;
            senders.spawn(async move { while Instant::now() < end && sender.send(Instant::now()).await {} });
        }
        senders.join_all().await;
    }

    /// So many a second, however long each takes: a request that is late because the one before it was late counts from
    /// when it was to be sent.
    pub(crate) async fn open(&self, per_second: f64, during: Duration) {
        let (began, turn) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        #[expect(clippy::cast_precision_loss, reason = "runs are short")]
        let due = move |turn: u64| began + Duration::from_secs_f64(turn as f64 / per_second);
        let mut senders = JoinSet::new();
        for number in 0..self.connections {
            let (mut sender, turn) = (Connection::open(self.clone(), number).await, Arc::clone(&turn));
            senders.spawn(async move {
                loop {
                    let due = due(turn.fetch_add(1, Ordering::Relaxed));
                    if due.saturating_duration_since(began) > during {
                        return;
                    }
                    tokio::time::sleep_until(due.into()).await;
                    if !sender.send(due).await {
                        return;
                    }
                }
            });
        }
        senders.join_all().await;
    }
}

struct Connection {
    load: Load,
    request: Vec<u8>,
    body: Vec<u8>,
    to: tokio::net::tcp::OwnedWriteHalf,
    from: Messages<tokio::net::tcp::OwnedReadHalf>,
    address: SocketAddr,
}

impl Connection {
    async fn open(load: Load, number: usize) -> Self {
        let address = load.doors[number % load.doors.len()].address;
        let (from, to) = connect(address).await.into_split();
        let body = body::of_size(load.body_bytes);
        Self { load, request: Vec::new(), body, to, from: Messages::of(from), address }
    }

    /// Whether to go on.
    async fn send(&mut self, due: Instant) -> bool {
        let Some(number) = self.load.ledger.send(due) else { return false };
        let chosen = (self.load.choice)(number);
        let door = &self.load.doors[chosen.door];
        body::number(&mut self.body, number, chosen.of_type);
        self.request.clear();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAuthorization: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            door.path,
            self.address,
            door.authorization,
            self.body.len()
        );
        self.request.extend_from_slice(head.as_bytes());
        self.request.extend_from_slice(&self.body);
        let sent = self.to.write_all(&self.request).await;
        match self.from.next().await {
            Some(answer) if sent.is_ok() && answer.head.starts_with(b"HTTP/1.1 202 ") => {
                self.load.ledger.accepted(number, chosen.arrives)
            }
            Some(_) => self.load.ledger.refused(),
            None => {
                self.load.ledger.refused();
                let (from, to) = connect(self.address).await.into_split();
                (self.from, self.to) = (Messages::of(from), to);
            }
        }
        true
    }
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

//! A receiver without manners: what it does with each connection is up to the scenario.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// It is gone, with all of its connections, when this is dropped.
#[derive(Debug)]
pub struct Beast {
    scheme: &'static str,
    address: SocketAddr,
    seen: Arc<Seen>,
    server: JoinHandle<()>,
}

/// What came, and what it was given.
#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    written: AtomicU64,
    requests: Mutex<Vec<String>>,
    handshakes: Mutex<Vec<Handshake>>,
}

/// What a client and a server agreed to.
#[derive(Debug, Clone)]
pub struct Handshake {
    pub protocol: Option<String>,
    /// What the relay showed of itself.
    pub certificate: Option<CertificateDer<'static>>,
}

impl Beast {
    /// On plain TCP; the scheme only says how the relay is told to talk to it.
    pub fn plain<F: Future<Output = ()> + Send + 'static>(
        scheme: &'static str,
        act: impl Fn(Visit) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::listen(scheme, Ipv4Addr::LOCALHOST.into(), None, act)
    }

    /// Behind TLS.
    pub fn secure<F: Future<Output = ()> + Send + 'static>(
        tls: ServerConfig,
        act: impl Fn(Visit) -> F + Send + Sync + 'static,
    ) -> Self {
        Self::listen("https", Ipv4Addr::LOCALHOST.into(), Some(TlsAcceptor::from(Arc::new(tls))), act)
    }

    /// Counts who comes to this address, and says nothing.
    #[must_use]
    pub fn silent_at(address: IpAddr) -> Self {
        Self::listen("http", address, None, Visit::hold)
    }

    fn listen<F: Future<Output = ()> + Send + 'static>(
        scheme: &'static str,
        address: IpAddr,
        tls: Option<TlsAcceptor>,
        act: impl Fn(Visit) -> F + Send + Sync + 'static,
    ) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address, 0)).unwrap();
        let listener = socket.listen(1024).unwrap();
        let (address, seen) = (listener.local_addr().unwrap(), Arc::<Seen>::default());
        let server = tokio::spawn(serve(listener, tls, Arc::clone(&seen), act));
        Self { scheme, address, seen, server }
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/hook", self.scheme, self.address)
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections there ever were.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many there are.
    #[must_use]
    pub fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// How many bytes were taken from it.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.seen.written.load(Ordering::SeqCst)
    }

    /// The requests that it read to their ends.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Those that succeeded.
    #[must_use]
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.seen.handshakes.lock().unwrap().clone()
    }
}

impl Drop for Beast {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One connection of the relay's.
pub struct Visit {
    wire: Wire,
    seen: Arc<Seen>,
    /// Counted from 1.
    pub number: usize,
}

enum Wire {
    Plain(TcpStream),
    Secure(Box<TlsStream<TcpStream>>),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Visit {
    /// Reads one request with its body and keeps it; nothing, if the relay closes first.
    pub async fn request(&mut self) -> Option<String> {
        let head = self.head().await?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.read(&mut body).await?;
        let request = head + &String::from_utf8_lossy(&body);
        self.keep(request.clone());
        Some(request)
    }

    /// Reads as far as the body.
    pub async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.read(&mut byte).await?;
            head.push(byte[0]);
        }
        Some(String::from_utf8(head).unwrap())
    }

    /// Reads so many bytes; nothing, if the relay closes first.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Option<()> {
        self.wire.duplex().read_exact(buffer).await.ok().map(|_| ())
    }

    pub(crate) fn keep(&self, request: String) {
        self.seen.requests.lock().unwrap().push(request);
    }

    /// Whether it was taken.
    pub async fn say(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let wire = self.wire.duplex();
        let is_said = wire.write_all(bytes.as_ref()).await.is_ok() && wire.flush().await.is_ok();
        if is_said {
            self.seen.written.fetch_add(bytes.as_ref().len() as u64, Ordering::SeqCst);
        }
        is_said
    }

    /// Over and over, until the relay has had enough.
    pub async fn say_for_ever(&mut self, bytes: impl AsRef<[u8]>) {
        while self.say(&bytes).await {}
    }

    /// Over and over as well, a hundred times a second.
    pub async fn murmur(&mut self, bytes: impl AsRef<[u8]>) {
        self.pace(Duration::from_millis(10), std::iter::repeat(bytes.as_ref())).await;
    }

    /// One byte a second, until the relay has had enough.
    pub async fn drip(&mut self, bytes: impl AsRef<[u8]>) {
        self.pace(Duration::from_secs(1), bytes.as_ref().chunks(1)).await;
    }

    async fn pace(&mut self, pause: Duration, pieces: impl Iterator<Item = &[u8]>) {
        let mut pause = tokio::time::interval(pause);
        for piece in pieces {
            pause.tick().await;
            if !self.say(piece).await {
                return;
            }
        }
    }

    /// Keeps the connection open until the relay closes it.
    pub async fn hold(mut self) {
        let mut buffer = [0; 4096];
        while matches!(self.wire.duplex().read(&mut buffer).await, Ok(1..)) {}
    }

    /// Ends the connection so that the relay sees it reset.
    pub fn reset(self) {
        self.wire.tcp().set_zero_linger().unwrap();
    }
}

impl fmt::Debug for Visit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Visit({})", self.number)
    }
}

impl Wire {
    fn duplex(&mut self) -> &mut dyn Duplex {
        match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => stream,
        }
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Secure(stream) => stream.get_ref().0,
        }
    }
}

async fn serve<F: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    seen: Arc<Seen>,
    act: impl Fn(Visit) -> F + Send + Sync + 'static,
) {
    let (act, mut visits) = (Arc::new(act), JoinSet::new());
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                let number = seen.connections.fetch_add(1, Ordering::SeqCst) + 1;
                let (open, tls, seen, act) = (Open::count(&seen), tls.clone(), Arc::clone(&seen), Arc::clone(&act));
                visits.spawn(async move {
                    let _open = open;
                    if let Some(wire) = greet(stream, tls, &seen).await {
                        act(Visit { wire, seen, number }).await;
                    }
                });
            }
            Some(_) = visits.join_next() => {}
        }
    }
}

/// The connection, once both sides agree.
async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, seen: &Seen) -> Option<Wire> {
    let Some(tls) = tls else { return Some(Wire::Plain(stream)) };
    match tls.accept(stream).into_fallible().await {
        Ok(stream) => {
            let agreed = stream.get_ref().1;
            let protocol = agreed.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
            let certificate = agreed.peer_certificates().map(|chain| chain[0].clone().into_owned());
            seen.handshakes.lock().unwrap().push(Handshake { protocol, certificate });
            Some(Wire::Secure(Box::new(stream)))
        }
        Err((_, mut stream)) => {
            // To close while there is something to read would reset the connection, and the relay might never read why.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            None
        }
    }
}

/// One connection that is open.
struct Open(Arc<Seen>);

impl Open {
    fn count(seen: &Arc<Seen>) -> Self {
        seen.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(seen))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

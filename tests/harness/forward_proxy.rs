//! An operator's forward proxy: opens tunnels for whoever knows the password, and leads every name to one receiver.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::port::Port;
use crate::source::basic;

/// A handle; all clones are one proxy.
#[derive(Debug, Clone)]
pub struct ForwardProxy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    port: Port,
    leads_to: SocketAddr,
    /// What `Proxy-Authorization` has to say.
    authorization: Mutex<String>,
    /// What it says instead of opening a tunnel.
    refusal: Mutex<Option<u16>>,
    asked: Mutex<Vec<(String, u16)>>,
    server: Mutex<Option<JoinHandle<()>>>,
}

impl ForwardProxy {
    pub async fn start(leads_to: SocketAddr, password: &str) -> Self {
        let proxy = Self(Arc::new(Inner {
            port: Port::reserve(),
            leads_to,
            authorization: Mutex::default(),
            refusal: Mutex::default(),
            asked: Mutex::default(),
            server: Mutex::default(),
        }));
        proxy.expect(password);
        proxy.open();
        proxy
    }

    /// What `HOOKYARD_EGRESS_PROXY` says, for whoever has this password.
    #[must_use]
    pub fn url(&self, password: &str) -> String {
        format!("http://relay:{password}@{}", self.0.port.address())
    }

    /// From now on this is the password.
    pub fn expect(&self, password: &str) {
        *self.0.authorization.lock().unwrap() = basic("relay", password);
    }

    /// From now on it answers this to whoever has the password; nothing: it opens tunnels.
    pub fn refuse(&self, status: Option<u16>) {
        *self.0.refusal.lock().unwrap() = status;
    }

    pub fn open(&self) {
        let mut server = self.0.server.lock().unwrap();
        assert!(server.is_none(), "already open");
        *server = Some(tokio::spawn(serve(self.clone(), self.0.port.listen())));
    }

    /// From now on connections are refused, and those that were open break.
    pub async fn close(&self) {
        let server = self.0.server.lock().unwrap().take().expect("it is open");
        server.abort();
        let _ = server.await;
    }

    /// Where tunnels were wanted to, and what was answered.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, u16)> {
        self.0.asked.lock().unwrap().clone()
    }

    /// How often it answered this.
    #[must_use]
    pub fn answered(&self, status: u16) -> usize {
        self.asked().iter().filter(|(_, answered)| *answered == status).count()
    }

    async fn tunnel(self, mut stream: TcpStream) {
        let Some(head) = head(&mut stream).await else { return };
        let status = self.judge(&head);
        let authority = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        self.0.asked.lock().unwrap().push((authority.to_owned(), status));
        let realm = if status == 407 { "proxy-authenticate: Basic realm=\"proxy\"\r\n" } else { "" };
        let length = if status == 200 { "" } else { "content-length: 0\r\n" };
        let answer = format!("HTTP/1.1 {status} So\r\n{realm}{length}\r\n");
        if stream.write_all(answer.as_bytes()).await.is_ok() && status == 200 {
            let mut there = TcpStream::connect(self.0.leads_to).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut there).await;
        }
    }

    fn judge(&self, head: &str) -> u16 {
        let said = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("proxy-authorization").then_some(value)
        });
        if said != Some(self.0.authorization.lock().unwrap().as_str()) {
            return 407;
        }
        self.0.refusal.lock().unwrap().unwrap_or(if head.starts_with("CONNECT ") { 200 } else { 405 })
    }
}

/// Up to the empty line; nothing, if it never comes.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

async fn serve(proxy: ForwardProxy, listener: TcpListener) {
    let mut tunnels = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                tunnels.spawn(proxy.clone().tunnel(stream));
            }
            Some(_) = tunnels.join_next() => {}
        }
    }
}

//! All destinations of a run: one listener, whose answers the path decides.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::body;
use crate::ledger::{GROUPS, Ledger};
use crate::wire::Messages;

/// How a destination behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Well,
    /// 503, at once.
    Failing,
    /// 200, after ten seconds.
    Slow,
}

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    listening: JoinHandle<()>,
}

impl Sink {
    pub(crate) async fn open(ledger: Arc<Ledger>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&ledger)));
            }
        });
        Self { address, listening }
    }

    /// Where a destination of this group lives.
    pub(crate) fn url(&self, behaviour: Behaviour, group: usize) -> String {
        let word = match behaviour {
            Behaviour::Well => 'w',
            Behaviour::Failing => 'f',
            Behaviour::Slow => 's',
        };
        format!("http://{}/{word}{group}", self.address)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn serve(stream: TcpStream, ledger: Arc<Ledger>) {
    let _ = stream.set_nodelay(true);
    let (from, mut to) = stream.into_split();
    let mut messages = Messages::of(from);
    while let Some(message) = messages.next().await {
        // `POST /w0 HTTP/1.1`
        let (behaviour, group) = match message.head.get(6..8) {
            Some([behaviour, digit]) => (*behaviour, usize::from(digit.wrapping_sub(b'0')).min(GROUPS - 1)),
            _ => return,
        };
        if let Some(number) = body::number_of(message.body)
            && behaviour != b'f'
        {
            ledger.arrived(number, group);
        }
        let answer: &[u8] = match behaviour {
            b'f' => b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n",
            _ => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        };
        if behaviour == b's' {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        if to.write_all(answer).await.is_err() {
            return;
        }
    }
}

//! The wire to the database, which can be cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::port::Port;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// Connections stand, and nothing comes through.
    Silent,
    /// Connections break, and new ones are refused.
    Cut,
}

/// A proxy in front of a server.
#[derive(Debug)]
pub struct Wire {
    port: Port,
    server: String,
    state: watch::Sender<State>,
    delay: watch::Sender<Duration>,
    listening: Option<JoinHandle<()>>,
}

impl Wire {
    /// To `server`, a host and a port.
    #[must_use]
    pub fn to(server: &str) -> Self {
        let mut wire = Self {
            port: Port::reserve(),
            server: server.to_owned(),
            state: watch::Sender::new(State::Whole),
            delay: watch::Sender::new(Duration::ZERO),
            listening: None,
        };
        wire.listen();
        wire
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub async fn cut(&mut self) {
        self.state.send_replace(State::Cut);
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = listening.await;
        }
    }

    /// Whatever comes through takes so long in each direction, on connections that stand as well.
    pub fn delay(&self, by: Duration) {
        self.delay.send_replace(by);
    }

    /// From when it is mended next, it leads to another server.
    pub fn lead_to(&mut self, server: &str) {
        server.clone_into(&mut self.server);
    }

    pub fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    pub fn mend(&mut self) {
        self.state.send_replace(State::Whole);
        if self.listening.is_none() {
            self.listen();
        }
    }

    fn listen(&mut self) {
        let server: Arc<str> = self.server.as_str().into();
        self.listening =
            Some(tokio::spawn(accept(self.port.listen(), server, (self.state.clone(), self.delay.clone()))));
    }
}

async fn accept(
    listener: TcpListener,
    server: Arc<str>,
    (state, delay): (watch::Sender<State>, watch::Sender<Duration>),
) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(carry(near, server.clone(), (state.subscribe(), delay.subscribe())));
    }
}

/// Ends when either side closes, when the wire is cut, and when a silence is over.
async fn carry(
    mut near: TcpStream,
    server: Arc<str>,
    (mut state, delay): (watch::Receiver<State>, watch::Receiver<Duration>),
) {
    let Ok(mut far) = TcpStream::connect(&*server).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    tokio::select! {
        () = both_ways(&mut near, &mut far, delay), if *state.borrow() == State::Whole => return,
        _ = state.wait_for(|state| *state != State::Whole) => {}
    }
    let _ = state.wait_for(|state| *state != State::Silent).await;
}

/// Until either side closes. Later packets wait behind earlier ones, as on a long wire.
async fn both_ways(near: &mut TcpStream, far: &mut TcpStream, delay: watch::Receiver<Duration>) {
    let ((near_out, near_in), (far_out, far_in)) = (near.split(), far.split());
    tokio::join!(one_way(near_out, far_in, delay.clone()), one_way(far_out, near_in, delay));
}

async fn one_way(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, delay: watch::Receiver<Duration>) {
    let (sender, mut under_way) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reading = async move {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + *delay.borrow();
            if sender.send((due, buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = under_way.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::Receiver;

    /// What a fresh client gets through the wire within a moment.
    async fn asked(wire: &Wire) -> Option<u16> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        #[expect(clippy::disallowed_methods, reason = "not the relay's traffic")]
        let client = reqwest::Client::builder().timeout(Duration::from_millis(300)).build().unwrap();
        let request = client.post(format!("http://{}/", wire.address())).header("webhook-id", "x");
        request.send().await.ok().map(|answer| answer.status().as_u16())
    }

    #[tokio::test]
    async fn a_wire_can_be_cut_silenced_and_mended() {
        let receiver = Receiver::start().await;
        let mut wire = Wire::to(receiver.url().trim_start_matches("http://").trim_end_matches("/hook"));
        assert_eq!(asked(&wire).await, Some(200));
        wire.cut().await;
        assert_eq!(asked(&wire).await, None);
        wire.mend();
        assert_eq!(asked(&wire).await, Some(200));
        wire.silence();
        assert_eq!(asked(&wire).await, None);
        wire.mend();
        assert_eq!(asked(&wire).await, Some(200));
        assert_eq!(receiver.count(), 3);
    }
}

//! The wire to the database, which can be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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
        self.listening = Some(tokio::spawn(accept(self.port.listen(), server, self.state.clone())));
    }
}

async fn accept(listener: TcpListener, server: Arc<str>, state: watch::Sender<State>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(carry(near, server.clone(), state.subscribe()));
    }
}

/// Ends when either side closes, when the wire is cut, and when a silence is over.
async fn carry(mut near: TcpStream, server: Arc<str>, mut state: watch::Receiver<State>) {
    let Ok(mut far) = TcpStream::connect(&*server).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far), if *state.borrow() == State::Whole => return,
        _ = state.wait_for(|state| *state != State::Whole) => {}
    }
    let _ = state.wait_for(|state| *state != State::Silent).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::Receiver;
    use std::time::Duration;

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

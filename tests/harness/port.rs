//! A port that stays ours while nobody listens on it.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// A second socket, bound and never listening, keeps the port from being given to anybody else.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _reservation: TcpSocket,
}

impl Port {
    #[must_use]
    pub fn reserve() -> Self {
        let reservation = bound(([127, 0, 0, 1], 0).into());
        Self { address: reservation.local_addr().unwrap(), _reservation: reservation }
    }

    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Until the listener is dropped, connections are accepted; otherwise they are refused.
    #[must_use]
    pub fn listen(&self) -> TcpListener {
        bound(self.address).listen(1024).unwrap()
    }
}

fn bound(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    socket
}

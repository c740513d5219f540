//! The accept loop. poem's own has no time limit on headers, no cap on connections, and spins when file descriptors run
//! out; this one drives the same endpoint from hyper.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use poem::http::uri::Scheme;
use poem::{Endpoint, Response};
use relay::process::BadSetting;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod client_address;
mod connection;
mod crowd;
mod lifeline;
pub mod proxy_header;
mod tls;

pub use client_address::{NoNetwork, TrustedProxies};
pub(crate) use crowd::{Crowd, Place};
pub(crate) use lifeline::{Hold, Lifeline};

use crate::config::ListenerSettings;
use connection::{Connections, live};
use tls::{Files, Tls};

/// Open connections, or half of the descriptors that the process may have; the next one waits in the system's line.
const CONNECTIONS: usize = 10_000;
/// How many may wait in the system's line, which Linux shortens to `net.core.somaxconn` (4,096). With tokio's 128 a burst
/// of connections is turned away, and each of them tries again only after a second.
const WAITING: u32 = 4096;
/// After a failed accept: a pause instead of a busy loop.
const BREATH: Duration = Duration::from_millis(100);
/// It fails on until there are descriptors again, and so often is enough to read it.
const SAID_EVERY: Duration = Duration::from_secs(10);
/// Requests that run when the process is told to stop get so long.
const DRAIN: Duration = Duration::from_secs(30);

/// What a connection passes before its first request.
#[derive(Debug)]
pub struct Door {
    proxies: TrustedProxies,
    proxy_protocol: bool,
    tls: Option<Tls>,
}

impl Door {
    /// # Errors
    /// When there is to be TLS and its files are no certificate with its key.
    pub async fn open(settings: &ListenerSettings) -> Result<Self, BadSetting> {
        let files = settings.tls_certificate.clone().zip(settings.tls_key.clone());
        let tls = match files {
            Some((certificate, key)) => Some(Tls::open(Files { certificate, key }).await?),
            None => None,
        };
        Ok(Self { proxies: settings.trusted_proxies.clone(), proxy_protocol: settings.proxy_protocol, tls })
    }

    /// How it is spoken to.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP }
    }
}

/// Listens, with a line that is long enough for bursts.
///
/// # Errors
/// When the address cannot be had.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart finds connections of the last process that still fade away.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

/// Serves until `stop`; then lets requests that run end.
pub async fn serve<E>(listener: TcpListener, door: Door, endpoint: E, stop: CancellationToken)
where
    E: Endpoint<Output = Response> + 'static,
{
    let connections = Arc::new(Connections { door, crowd: Crowd::default(), endpoint, stop: stop.clone() });
    let running = TaskTracker::new();
    let following = async {
        if let Some(tls) = &connections.door.tls {
            tls.follow(&stop).await;
        }
    };
    tokio::join!(following, receive(listener, &connections, &running));
    running.close();
    if tokio::time::timeout(DRAIN, running.wait()).await.is_err() {
        tracing::warn!("stopped while requests were still running");
    }
}

/// Accepts until the end.
async fn receive<E>(listener: TcpListener, connections: &Arc<Connections<E>>, running: &TaskTracker)
where
    E: Endpoint<Output = Response> + 'static,
{
    connection::describe();
    let places = Arc::new(Semaphore::new(CONNECTIONS.min(relay::process::descriptors() / 2)));
    let mut quiet_until = Instant::now();
    while let Some(accepted) = connections.stop.run_until_cancelled(accept(&listener, &places)).await {
        match accepted {
            Ok((stream, peer, place)) => {
                let connections = Arc::clone(connections);
                running.spawn(async move {
                    live(stream, peer, &connections).await;
                    drop(place);
                });
            }
            Err(error) => {
                if quiet_until <= Instant::now() {
                    tracing::warn!(%error, "connections are not accepted");
                    quiet_until = Instant::now() + SAID_EVERY;
                }
                tokio::time::sleep(BREATH).await;
            }
        }
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

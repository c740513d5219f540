//! A certificate for this machine, and somebody who trusts no other.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Signed by itself.
#[derive(Debug)]
pub struct Certificate {
    pub pem: String,
    pub key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    #[must_use]
    pub fn of_this_machine() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        Self { pem: made.cert.pem(), key: made.signing_key.serialize_pem(), der: made.cert.der().clone() }
    }

    /// Writes both files anew.
    pub fn write(&self, certificate: &Path, key: &Path) {
        std::fs::write(certificate, &self.pem).unwrap();
        std::fs::write(key, &self.key).unwrap();
    }

    /// Connects, and insists on this certificate.
    ///
    /// # Errors
    /// When the relay shows another one, or agrees to no protocol of those that are offered.
    pub async fn connect(&self, address: SocketAddr, protocols: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        self.begin(TcpStream::connect(address).await?, protocols).await
    }

    /// The same, over a connection that stands already.
    ///
    /// # Errors
    /// As [`Certificate::connect`].
    pub async fn begin(&self, stream: TcpStream, protocols: &[&str]) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let name = stream.peer_addr()?.ip().into();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

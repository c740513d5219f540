//! A certificate: whoever shows it, and somebody who trusts no other.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::authority::Authority;

#[derive(Debug)]
pub struct Certificate {
    pub pem: String,
    pub key: String,
    pub der: CertificateDer<'static>,
}

impl Certificate {
    /// Signed by itself.
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

    /// A server that shows it, and asks nobody who they are.
    #[must_use]
    pub fn server(&self) -> ServerConfig {
        self.served(WebPkiClientVerifier::no_client_auth())
    }

    /// A server that shows it, and lets in only whom this authority knows.
    #[must_use]
    pub fn server_for(&self, clients: &Authority) -> ServerConfig {
        let mut known = RootCertStore::empty();
        known.add(clients.der().clone()).unwrap();
        let provider = Arc::new(default_provider());
        self.served(WebPkiClientVerifier::builder_with_provider(Arc::new(known), provider).build().unwrap())
    }

    fn served(&self, clients: Arc<dyn ClientCertVerifier>) -> ServerConfig {
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![self.der.clone()], key)
            .unwrap()
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

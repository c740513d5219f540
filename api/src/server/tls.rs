//! TLS at the listener: one certificate, which is read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use relay::process::{BadSetting, bad_setting};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

/// The whole handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What every connection is encrypted with.
#[derive(Debug)]
pub(super) struct Tls {
    files: Files,
    current: watch::Sender<Arc<ServerConfig>>,
    first: Fingerprint,
}

#[derive(Debug, Clone)]
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

/// What the two files hold.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Of a pair, or nothing if the files cannot be read.
type Fingerprint = Option<[[u8; 32]; 2]>;

impl Tls {
    /// # Errors
    /// When the two files are no certificate with its key; names the setting and the file.
    pub(super) async fn open(files: Files) -> Result<Self, BadSetting> {
        let pair = files.read().await.map_err(Unusable::named)?;
        let config = pair.config(&files).map_err(Unusable::named)?;
        Ok(Self { first: Some(pair.fingerprint()), files, current: watch::Sender::new(config) })
    }

    /// # Errors
    /// When the peer's handshake is none, or too slow.
    pub(super) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.current.borrow()));
        tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await?
    }

    /// Reads the files again when they change, until `stop`. Connections that are open keep what they began with.
    pub(super) async fn follow(&self, stop: &CancellationToken) {
        let (mut judged, mut last) = (self.first, self.first);
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let pair = self.files.read().await;
            let found = pair.as_ref().ok().map(Pair::fingerprint);
            // Two files are not written in one moment: only what is found twice counts.
            if found == last && found != judged {
                judged = found;
                self.take(pair);
            }
            last = found;
        }
    }

    fn take(&self, pair: Result<Pair, Unusable>) {
        match pair.and_then(|pair| pair.config(&self.files)) {
            Ok(config) => {
                self.current.send_replace(config);
                tracing::info!(certificate = %self.files.certificate.display(), "the certificate was read again");
            }
            Err(error) => tracing::error!(
                error = &error as &dyn std::error::Error,
                "the changed certificate was not taken: the one before stays"
            ),
        }
    }
}

impl Files {
    async fn read(&self) -> Result<Pair, Unusable> {
        let unreadable = |(file, setting): (&Path, _)| {
            let file = file.to_owned();
            move |cause| Unusable::Unreadable { setting, file, cause }
        };
        let certificate =
            tokio::fs::read(&self.certificate).await.map_err(unreadable((&self.certificate, CERTIFICATE)))?;
        let key = tokio::fs::read(&self.key).await.map_err(unreadable((&self.key, KEY)))?;
        Ok(Pair { certificate, key })
    }
}

impl Pair {
    fn config(&self, files: &Files) -> Result<Arc<ServerConfig>, Unusable> {
        let no_certificate = || Unusable::NoCertificate { file: files.certificate.clone() };
        let no_key = || Unusable::NoKey { file: files.key.clone() };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|_| no_key())?;
        let provider = Arc::new(default_provider());
        let pair = CertifiedKey::from_der(chain, key, &provider).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                Unusable::Strangers { certificate: files.certificate.clone(), key: files.key.clone() }
            }
            rustls::Error::InvalidCertificate(_) => no_certificate(),
            _ => no_key(),
        })?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn fingerprint(&self) -> [[u8; 32]; 2] {
        [&self.certificate, &self.key].map(|content| relay::secret::fingerprint(content))
    }
}

const CERTIFICATE: &str = "HOOKYARD_TLS_CERTIFICATE";
const KEY: &str = "HOOKYARD_TLS_KEY";

/// Why two files are no certificate with its key. What a parser says stays out: it may quote the key.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("{} cannot be read", file.display())]
    Unreadable {
        setting: &'static str,
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{} holds no certificate in PEM", file.display())]
    NoCertificate { file: PathBuf },
    #[error("{} holds no private key in PEM, without a password", file.display())]
    NoKey { file: PathBuf },
    #[error("{} is not the key of {}", key.display(), certificate.display())]
    Strangers { certificate: PathBuf, key: PathBuf },
}

impl Unusable {
    fn named(self) -> BadSetting {
        let setting = match self {
            Self::Unreadable { setting, .. } => setting,
            Self::NoCertificate { .. } => CERTIFICATE,
            Self::NoKey { .. } | Self::Strangers { .. } => KEY,
        };
        bad_setting(setting, self)
    }
}

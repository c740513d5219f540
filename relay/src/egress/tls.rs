//! What one destination asks of TLS besides the world's roots: a certificate authority of its own, and a certificate of
//! ours that it knows.

use std::fmt;
use std::sync::Arc;

use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Checked when it was made: what it holds can be used. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls(Arc<Inner>);

struct Inner {
    roots: Vec<CertificateDer<'static>>,
    /// Certificate chain and key, PEM.
    identity: Option<SecretString>,
    fingerprint: [u8; 32],
}

/// What of it cannot be used, and why. Nothing of a key is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The certificate authority.
    #[error("{0}")]
    Ca(&'static str),
    /// The certificate.
    #[error("{0}")]
    Certificate(&'static str),
    /// The key.
    #[error("{0}")]
    Key(&'static str),
}

const NO_CERTIFICATE: &str = "holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----";
const NO_KEY: &str = "holds no private key in PEM, one with a password, or more than that: it begins with -----BEGIN PRIVATE KEY-----, \
    -----BEGIN RSA PRIVATE KEY----- or -----BEGIN EC PRIVATE KEY-----";
const TOO_MANY: &str = "holds more than 16 certificates";
const NOT_AN_AUTHORITY: &str = "holds a certificate that cannot be a certificate authority's";
const DOES_NOT_FIT: &str = "is not the key of the client certificate, or of a kind that TLS here does not know";

/// Chains are shorter, and a private authority has a few roots at most.
const MOST: usize = 16;

/// How many authorities this machine trusts (or `SSL_CERT_FILE` names): with none, no https destination is reached unless
/// it brings its own.
#[must_use]
pub fn system_roots() -> usize {
    rustls_native_certs::load_native_certs().certs.len()
}

impl ClientTls {
    /// Certificates of the authorities that alone are trusted (none: the world's), and certificate and key that are shown
    /// when a server asks; all PEM.
    ///
    /// # Errors
    /// Which of them cannot be used, and why.
    pub fn parse(ca: Option<&str>, identity: Option<(&str, &SecretString)>) -> Result<Self, TlsError> {
        let roots = ca.map(|ca| certificates(ca).map_err(TlsError::Ca)).transpose()?.unwrap_or_default();
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|_| TlsError::Ca(NOT_AN_AUTHORITY))?;
        }
        let identity = identity.map(|(certificate, key)| checked(certificate, key)).transpose()?;
        let mut hash = Sha256::new();
        for root in &roots {
            hash.update(root);
        }
        hash.update([0]);
        hash.update(identity.as_ref().map_or("", |pem| pem.expose_secret()));
        Ok(Self(Arc::new(Inner { roots, identity, fingerprint: hash.finalize().into() })))
    }

    /// Tells one from another; the same for the same.
    pub(super) fn fingerprint(&self) -> [u8; 32] {
        self.0.fingerprint
    }

    pub(super) fn apply(&self, mut builder: ClientBuilder) -> reqwest::Result<ClientBuilder> {
        if !self.0.roots.is_empty() {
            let roots =
                self.0.roots.iter().map(|root| Certificate::from_der(root)).collect::<reqwest::Result<Vec<_>>>()?;
            builder = builder.tls_certs_only(roots);
        }
        if let Some(pem) = &self.0.identity {
            builder = builder.identity(Identity::from_pem(pem.expose_secret().as_bytes())?);
        }
        Ok(builder)
    }
}

/// Certificate and key in one text, if they belong together.
fn checked(certificate: &str, key: &SecretString) -> Result<SecretString, TlsError> {
    let chain = certificates(certificate).map_err(TlsError::Certificate)?;
    let private = private_key(key)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring knows the default versions");
    let builder = builder.with_root_certificates(RootCertStore::empty());
    builder.with_client_auth_cert(chain, private).map_err(|_| TlsError::Key(DOES_NOT_FIT))?;
    let both = SecretString::from(format!("{certificate}\n{}", key.expose_secret()));
    // As it will be read.
    Identity::from_pem(both.expose_secret().as_bytes()).map_err(|_| TlsError::Key(NO_KEY))?;
    Ok(both)
}

/// The only thing in the text: of several, the client would take another one.
fn private_key(pem: &SecretString) -> Result<PrivateKeyDer<'static>, TlsError> {
    let items: Result<Vec<_>, _> = <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.expose_secret().as_bytes()).collect();
    match items.as_deref() {
        Ok([_]) => {}
        _ => return Err(TlsError::Key(NO_KEY)),
    }
    PrivateKeyDer::from_pem_slice(pem.expose_secret().as_bytes()).map_err(|_| TlsError::Key(NO_KEY))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let mut found = Vec::new();
    for item in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        match item.map_err(|_| NO_CERTIFICATE)? {
            (SectionKind::Certificate, der) => found.push(CertificateDer::from(der)),
            _ => return Err(NO_CERTIFICATE),
        }
    }
    match found.len() {
        0 => Err(NO_CERTIFICATE),
        1..=MOST => Ok(found),
        _ => Err(TOO_MANY),
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ClientTls({} roots, identity: {})", self.0.roots.len(), self.0.identity.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::Just;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::ServerConfig;
    use rustls::server::WebPkiClientVerifier;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::egress::client::tests::local;
    use crate::egress::{Outgoing, SendError};
    use crate::property::{nearly, of_each};

    fn pair(name: &str) -> (String, SecretString) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem().into())
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let ((one, key), (other, other_key)) = (pair("one.example.org"), pair("other.example.org"));
        let empty = SecretString::from("");
        let many = one.repeat(17);
        let both = format!("{one}{}", key.expose_secret());
        let two = |first: &SecretString, second: &str| SecretString::from(format!("{}{second}", first.expose_secret()));
        let two_keys = two(&key, other_key.expose_secret());
        let with_a_public_one = two(&key, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
        for (ca, identity, error) in [
            (None, None, None),
            (Some(one.as_str()), None, None),
            (Some(&*format!("{one}{other}")), Some((one.as_str(), &key)), None),
            (Some(""), None, Some(TlsError::Ca(NO_CERTIFICATE))),
            (
                Some("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----"),
                None,
                Some(TlsError::Ca(NO_CERTIFICATE)),
            ),
            (
                Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"),
                None,
                Some(TlsError::Ca(NOT_AN_AUTHORITY)),
            ),
            (Some(&*many), None, Some(TlsError::Ca(TOO_MANY))),
            (Some(&*both), None, Some(TlsError::Ca(NO_CERTIFICATE))),
            (None, Some(("", &key)), Some(TlsError::Certificate(NO_CERTIFICATE))),
            (None, Some((&one, &empty)), Some(TlsError::Key(NO_KEY))),
            (None, Some((&one, &other_key)), Some(TlsError::Key(DOES_NOT_FIT))),
            (None, Some((&one, &two_keys)), Some(TlsError::Key(NO_KEY))),
            (None, Some((&one, &with_a_public_one)), Some(TlsError::Key(NO_KEY))),
        ] {
            assert_eq!(ClientTls::parse(ca, identity).err(), error, "{ca:?}");
        }
    }

    /// A server that takes one client's certificate only, and says who came.
    async fn server(of: &str, key: &SecretString, client: &str) -> u16 {
        let mut known = RootCertStore::empty();
        known.add(certificates(client).unwrap().remove(0)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(known), Arc::clone(&provider)).build().unwrap();
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes()).unwrap();
        let config =
            config.with_client_cert_verifier(verifier).with_single_cert(certificates(of).unwrap(), key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        port
    }

    #[tokio::test]
    async fn a_server_is_trusted_by_its_own_authority_and_knows_our_certificate() {
        let ((server_pem, server_key), (ours, our_key)) = (pair("localhost"), pair("relay"));
        let (strangers, strange_key) = pair("stranger");
        let port = server(&server_pem, &server_key, &ours).await;
        let egress = local();
        for (ca, identity, arrives) in [
            (Some(&server_pem), Some((ours.as_str(), &our_key)), true),
            (Some(&server_pem), Some((strangers.as_str(), &strange_key)), false),
            (Some(&server_pem), None, false),
            (Some(&strangers), Some((ours.as_str(), &our_key)), false),
            (None, Some((ours.as_str(), &our_key)), false),
            // The connection that the first one kept is not the others'.
            (Some(&server_pem), None, false),
            (Some(&server_pem), Some((ours.as_str(), &our_key)), true),
        ] {
            let tls = ClientTls::parse(ca.map(String::as_str), identity).unwrap();
            let request = Outgoing {
                url: format!("https://localhost:{port}/"),
                headers: HeaderMap::new(),
                body: Bytes::new(),
                tls: Some(tls.clone()),
                timeout: Duration::from_secs(10),
                may_write: Arc::new(|| true),
                begun: None,
            };
            let sent = egress.send(request).await;
            assert_eq!(sent.is_ok(), arrives, "{tls:?} {sent:?}");
            assert!(arrives || matches!(sent, Err(SendError::Unreachable(_))), "{tls:?} {sent:?}");
        }
    }

    #[test]
    fn what_differs_has_another_fingerprint() {
        let ((one, key), (other, other_key)) = (pair("one.example.org"), pair("other.example.org"));
        let of = |ca: Option<&str>, identity| ClientTls::parse(ca, identity).unwrap().fingerprint();
        let all = [
            of(None, None),
            of(Some(&one), None),
            of(Some(&other), None),
            of(None, Some((&*one, &key))),
            of(None, Some((&*other, &other_key))),
            of(Some(&one), Some((&*one, &key))),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(of(Some(&one), None), all[1]);
        let shown = format!("{:?}", ClientTls::parse(None, Some((&one, &key))).unwrap());
        assert_eq!(shown, "ClientTls(0 roots, identity: true)");
    }

    #[test]
    fn what_is_nearly_pem_is_refused_without_being_repeated() {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        assert!(ClientTls::parse(Some(&certificate), Some((&certificate, &key.clone().into()))).is_ok());
        let secret = key.lines().nth(2).unwrap()[..16].to_owned();
        of_each((nearly(Just(certificate)), nearly(Just(key))), |(certificate, key)| {
            let _taken_or_refused = ClientTls::parse(Some(&certificate), None);
            if let Err(error) = ClientTls::parse(None, Some((&certificate, &key.into()))) {
                assert!(!error.to_string().contains(&secret), "{error}");
            }
        });
    }
}

//! The certificate that PayPal signs with: where it may come from, and how it is told from others.
//!
//! What is served at its URL is the certificate alone (so in recordings from 2015 to 2025), and its issuer's is fetched
//! from where it says. It names `messageverificationcerts.paypal.com`, or the sandbox's, in its alternative names, and
//! may be used for TLS servers; the kits of PayPal look for the same name.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, Error, KeyUsage};

use super::super::remote::Published;
use super::super::{Failure, Remote};

mod issuer;

/// What was served at a URL: the first is the one that is meant.
#[derive(Debug)]
pub(in crate::verification) struct Certificates(Vec<CertificateDer<'static>>);

/// Which certificates are PayPal's.
#[derive(Debug)]
pub(in crate::verification) struct Trust {
    /// Where they are served, `https://host` each.
    origins: Vec<String>,
    /// Who vouches for them.
    roots: RootCertStore,
}

/// PayPal's certificate.
pub(super) struct Signer(Arc<Certificates>);

/// The live API's and the sandbox's.
const ORIGINS: [&str; 2] = ["https://api.paypal.com", "https://api.sandbox.paypal.com"];

/// Where they are served there.
const PATH: &str = "/v1/notifications/certs/";

/// The longest name of one.
const LONGEST_NAME: usize = 100;

/// Whom they are made out to.
const NAMES: [&str; 2] = ["messageverificationcerts.paypal.com", "messageverificationcerts.sandbox.paypal.com"];

/// More are no chain.
const MOST: usize = 10;

impl Published for Certificates {
    /// The server is said to answer narrower ones with 406.
    const ACCEPT: &'static str = "*/*";

    /// PEM, or DER as issuers have it.
    fn read(body: &[u8]) -> Option<Self> {
        let pem = CertificateDer::pem_slice_iter(body).take(MOST).collect::<Result<Vec<_>, _>>().ok()?;
        let certificates = if pem.is_empty() { vec![CertificateDer::from(body.to_vec())] } else { pem };
        EndEntityCert::try_from(certificates.first()?).is_ok().then_some(Self(certificates))
    }
}

impl Trust {
    /// By the system's root certificates (or `SSL_CERT_FILE`).
    #[must_use]
    pub(in crate::verification) fn of_this_system() -> Self {
        #[cfg(feature = "test-support")]
        if let Some(harness) = Self::of_the_harness() {
            return harness;
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self { origins: ORIGINS.map(str::to_owned).to_vec(), roots }
    }

    /// By one root, served at one origin.
    #[cfg(any(test, feature = "test-support"))]
    pub(in crate::verification) fn new(origin: &str, root: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        Ok(Self { origins: vec![origin.to_owned()], roots })
    }

    /// `HOOKYARD_TEST_PAYPAL` is an origin, a semicolon, and the path of a root certificate.
    #[cfg(feature = "test-support")]
    fn of_the_harness() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a variable of the harness, not a setting")]
        let setting = std::env::var("HOOKYARD_TEST_PAYPAL").ok()?;
        let (origin, root) = setting.split_once(';').expect("HOOKYARD_TEST_PAYPAL has a semicolon");
        let root = CertificateDer::from_pem_file(root).expect("HOOKYARD_TEST_PAYPAL names a certificate");
        Some(Self::new(origin, &root).expect("HOOKYARD_TEST_PAYPAL names a root certificate"))
    }

    /// Whether a certificate of PayPal's is served at this URL. It is judged as a text, so that nothing in it can be
    /// read in two ways.
    pub(super) fn serves(&self, url: &str) -> bool {
        let name = self.origins.iter().find_map(|origin| url.strip_prefix(origin)?.strip_prefix(PATH));
        let is_letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_';
        name.is_some_and(|name| matches!(name.len(), 1..=LONGEST_NAME) && name.bytes().all(is_letter))
    }

    /// Where the issuer's certificate can be had, by the certificate's own account.
    fn issuer_url(&self, certificate: &[u8]) -> Option<String> {
        let url = issuer::url(certificate)?;
        #[cfg(feature = "test-support")]
        let url = self.at_the_harness(url);
        Some(url)
    }

    /// The harness serves what authorities serve, too: it cannot be reached by their names.
    #[cfg(feature = "test-support")]
    fn at_the_harness(&self, url: String) -> String {
        match (&self.origins[..], url.splitn(4, '/').nth(3)) {
            ([origin], Some(path)) if origin.starts_with("http://") => format!("{origin}/{path}"),
            _ => url,
        }
    }

    fn vouches_for(
        &self,
        certificate: &EndEntityCert<'_>,
        issuers: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let (algorithms, roots, usage) = (ALL_VERIFICATION_ALGS, &self.roots.roots, KeyUsage::server_auth());
        certificate.verify_for_usage(algorithms, roots, issuers, now, usage, None, None).map(drop)
    }
}

impl Signer {
    /// Fetches the certificate at a URL that a request to `party` brought; its end is whatever the sender says. `now` is in
    /// milliseconds since 1970.
    pub(super) async fn fetch(url: &str, party: u128, now: i64, remote: &Remote) -> Result<Self, Failure> {
        let trust = remote.paypal();
        if !trust.serves(url) {
            return Err(Failure::Malformed);
        }
        let served = remote.certificates(url, party).await.ok_or(Failure::KeysAway)?;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_millis(now.try_into().unwrap_or(0)));
        let (certificate, issuers) = served.split()?;
        if !is_made_out_to_paypal(&certificate) {
            tracing::info!("a certificate that is served by PayPal is not made out to it");
            return Err(Failure::Mismatch);
        }
        let verdict = match trust.vouches_for(&certificate, issuers, now) {
            Err(Error::UnknownIssuer) => {
                let url = trust.issuer_url(&certificate.der()).ok_or(Failure::Mismatch)?;
                let issuer = remote.certificates(&url, party).await.ok_or(Failure::KeysAway)?;
                trust.vouches_for(&certificate, &[issuers, &issuer.0].concat(), now)
            }
            verdict => verdict,
        };
        if let Err(error) = verdict {
            tracing::info!(%error, "a certificate that is served by PayPal cannot be trusted");
            return Err(Failure::Mismatch);
        }
        drop(certificate);
        Ok(Self(served))
    }

    /// Whether its key made the signature.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let algorithm = webpki::ring::RSA_PKCS1_2048_8192_SHA256;
        self.0.split().is_ok_and(|(certificate, _)| certificate.verify_signature(algorithm, message, signature).is_ok())
    }
}

impl Certificates {
    /// The one that is meant, and the others.
    fn split(&self) -> Result<(EndEntityCert<'_>, &[CertificateDer<'static>]), Failure> {
        let (first, others) = self.0.split_first().ok_or(Failure::Mismatch)?;
        Ok((EndEntityCert::try_from(first).map_err(|_| Failure::Mismatch)?, others))
    }
}

fn is_made_out_to_paypal(certificate: &EndEntityCert<'_>) -> bool {
    NAMES
        .into_iter()
        .filter_map(|name| ServerName::try_from(name).ok())
        .any(|name| certificate.verify_is_valid_for_subject_name(&name).is_ok())
}

//! A certificate authority of a scenario's own, and the certificates that it signs: right ones and wrong ones.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use uuid::Uuid;

use crate::certificate::Certificate;

#[derive(Debug)]
pub struct Authority {
    pub pem: String,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    #[must_use]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // By its name alone, one authority would be taken for another.
        params.distinguished_name.push(DnType::CommonName, Uuid::now_v7().to_string());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { pem: issuer.pem(), issuer }
    }

    #[must_use]
    pub fn of_this_machine(&self) -> Certificate {
        self.certificate("127.0.0.1")
    }

    /// For whoever has this name or address.
    #[must_use]
    pub fn certificate(&self, name: &str) -> Certificate {
        self.sign(&named(name))
    }

    /// For this machine, and over since 2002.
    #[must_use]
    pub fn expired(&self) -> Certificate {
        let mut params = named("127.0.0.1");
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(&params)
    }

    pub(crate) fn der(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    fn sign(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        Certificate { pem: made.pem(), key: key.serialize_pem(), der: made.der().clone() }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

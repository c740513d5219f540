//! A published set of keys (RFC 7517), and the signatures that they make.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use serde_json::Value;

use crate::verification::remote::Published;

/// The keys of a set that signatures of ours may be checked with.
#[derive(Debug)]
pub(in crate::verification) struct JwkSet(Vec<Key>);

/// How a token is signed (RFC 7518): with a key pair, and in no other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What is signed, and how.
pub(super) struct Signed<'a> {
    pub(super) algorithm: Algorithm,
    /// Which key it says it was signed with.
    pub(super) key: Option<&'a str>,
    pub(super) message: &'a [u8],
    pub(super) signature: &'a [u8],
}

/// Why no key of a set made a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotSigned {
    /// The key that it names is there, and did not make it.
    Wrong,
    /// It names no key that is there: the set may have changed since.
    Stranger,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only one that the key is for; without it, any that its kind can do.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Points are uncompressed.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key as it is written. Members that nobody asks for are no reason to refuse it.
#[derive(Deserialize)]
struct Written {
    kty: String,
    kid: Option<String>,
    /// An algorithm that is not ours is no reason to refuse the set, but the key.
    alg: Option<Value>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The keys of a set that are kept; the largest publishers have a dozen.
const MOST_KEYS: usize = 100;

/// How many keys a signature is tried with.
const MOST_TRIES: usize = 20;

/// In bits.
const LEAST_RSA_BITS: usize = 2048;

/// In bytes; `ring` reads none above.
const MOST_RSA_BYTES: usize = 1024;

impl Published for JwkSet {
    const ACCEPT: &'static str = "application/jwk-set+json, application/json";

    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(body).ok()?;
        let written = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok());
        Some(Self(written.filter_map(Key::read).take(MOST_KEYS).collect()))
    }
}

impl JwkSet {
    /// Whether a key of the set made the signature. One with the right id decides; without it, all that have none do,
    /// and for a signature that names no key, all.
    pub(super) fn verify(&self, signed: &Signed<'_>) -> Result<(), NotSigned> {
        let is_named = |key: &&Key| signed.key.is_some() && key.id.as_deref() == signed.key;
        let reason = if self.0.iter().any(|key| is_named(&key)) { NotSigned::Wrong } else { NotSigned::Stranger };
        let fits = |key: &&Key| {
            let may_be_meant = match reason {
                NotSigned::Wrong => is_named(key),
                NotSigned::Stranger => signed.key.is_none() || key.id.is_none(),
            };
            may_be_meant && key.does(signed.algorithm)
        };
        let mut tried = self.0.iter().filter(fits).take(MOST_TRIES);
        if tried.any(|key| key.made(signed)) { Ok(()) } else { Err(reason) }
    }
}

impl Key {
    fn read(written: Written) -> Option<Self> {
        let is_for_signatures = written.purpose.as_deref().is_none_or(|purpose| purpose == "sig")
            && written.key_ops.as_ref().is_none_or(|operations| operations.iter().any(|name| name == "verify"));
        if !is_for_signatures {
            return None;
        }
        let algorithm = written.alg.clone().map(Algorithm::deserialize).transpose().ok()?;
        Some(Self { algorithm, material: Material::read(&written)?, id: written.kid })
    }

    fn does(&self, algorithm: Algorithm) -> bool {
        self.algorithm.is_none_or(|only| only == algorithm) && self.material.does(algorithm)
    }

    fn made(&self, signed: &Signed<'_>) -> bool {
        let point = |algorithm: &'static dyn VerificationAlgorithm, point: &[u8]| {
            UnparsedPublicKey::new(algorithm, point).verify(signed.message, signed.signature)
        };
        let verified = match (&self.material, rsa_parameters(signed.algorithm)) {
            (Material::Rsa { n, e }, Some(parameters)) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, signed.message, signed.signature)
            }
            (Material::P256(key), None) => point(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), None) => point(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), None) => point(&signature::ED25519, key),
            _ => return false,
        };
        verified.is_ok()
    }
}

impl Material {
    fn read(written: &Written) -> Option<Self> {
        let coordinate = |text: &Option<String>, length: usize| decoded(text).filter(|bytes| bytes.len() == length);
        let point =
            |length: usize| Some([vec![4], coordinate(&written.x, length)?, coordinate(&written.y, length)?].concat());
        match (written.kty.as_str(), written.crv.as_deref()) {
            ("RSA", None) => {
                let [n, e] = [without_zeros(decoded(&written.n)?), without_zeros(decoded(&written.e)?)];
                let bits = n.len() * 8 - n.first()?.leading_zeros() as usize;
                (bits >= LEAST_RSA_BITS && n.len() <= MOST_RSA_BYTES).then_some(Self::Rsa { n, e })
            }
            ("EC", Some("P-256")) => point(32).map(Self::P256),
            ("EC", Some("P-384")) => point(48).map(Self::P384),
            ("OKP", Some("Ed25519")) => coordinate(&written.x, 32).map(Self::Ed25519),
            _ => None,
        }
    }

    fn does(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa_parameters(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

fn decoded(text: &Option<String>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()
}

/// `ring` wants none before a number, and some publishers write one.
fn without_zeros(number: Vec<u8>) -> Vec<u8> {
    number.into_iter().skip_while(|byte| *byte == 0).collect()
}

#[cfg(test)]
mod tests;

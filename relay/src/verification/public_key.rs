//! Signatures by a key pair of which only the provider has the private half: Ed25519, and ECDSA over P-256.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER_PERMISSIVE;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm};
use secrecy::ExposeSecret;

use super::claim::{self, Claim, Stamped};
use super::{Failure, Fault, Key, Keys, Presented, PublicKey};
use crate::id::CredentialId;

/// A public key, told by its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    /// 32 bytes.
    Ed25519(Vec<u8>),
    /// An uncompressed point, 65 bytes.
    P256(Vec<u8>),
}

/// What the bytes of a key stand behind in a `SubjectPublicKeyInfo` (RFC 8410, RFC 5480).
const ED25519_INFO: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const P256_INFO: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PEM_END: &str = "-----END PUBLIC KEY-----";

/// Whether a text is a public key of a kind that signatures can be verified with: in hex, in base64 with or without
/// `whpk_` before it, as a `SubjectPublicKeyInfo` in base64, or in PEM.
#[must_use]
pub fn is_public_key(text: &str) -> bool {
    public(text).is_some()
}

impl PublicKey {
    pub(super) fn verify_ed25519(&self, request: &Presented<'_>, keys: &Keys) -> Result<CredentialId, Failure> {
        self.verify(request, keys, |public| match public {
            Public::Ed25519(bytes) => Some((&ED25519, bytes)),
            Public::P256(_) => None,
        })
    }

    pub(super) fn verify_ecdsa(&self, request: &Presented<'_>, keys: &Keys) -> Result<CredentialId, Failure> {
        self.verify(request, keys, |public| match public {
            Public::P256(bytes) => Some((&ECDSA_P256_SHA256_ASN1, bytes)),
            Public::Ed25519(_) => None,
        })
    }

    fn verify(
        &self,
        request: &Presented<'_>,
        keys: &Keys,
        fit: impl Fn(Public) -> Option<(&'static dyn VerificationAlgorithm, Vec<u8>)>,
    ) -> Result<CredentialId, Failure> {
        let claim = Claim::read(&self.signature, &self.signed, self.timestamp.as_ref(), None, request);
        claim.affordable(claim.signatures() * keys.public.len())?;
        let fit = &fit;
        claim.verify(&keys.public, |set| {
            let message = claim.message.whole(&set.time);
            move |key: &Key| {
                let public = public(key.value.expose_secret()).and_then(fit);
                let (algorithm, bytes) = public.ok_or(Failure::Malformed)?;
                is_by(&UnparsedPublicKey::new(algorithm, bytes), set, &message)
            }
        })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        claim::check(&self.signature, &self.signed, self.timestamp.as_ref())
    }
}

fn is_by(key: &UnparsedPublicKey<Vec<u8>>, set: &Stamped, message: &[u8]) -> Result<(), Failure> {
    let mut signatures = set.signatures.iter();
    if signatures.any(|signature| key.verify(message, signature).is_ok()) { Ok(()) } else { Err(Failure::Mismatch) }
}

fn public(text: &str) -> Option<Public> {
    let text = text.trim();
    if let Ok(bytes) = HEXLOWER_PERMISSIVE.decode(text.as_bytes()) {
        return bare(&bytes);
    }
    if let Some(base64) = text.strip_prefix("whpk_") {
        return bare(&STANDARD.decode(base64).ok()?).filter(|public| matches!(public, Public::Ed25519(_)));
    }
    let base64 = match text.strip_prefix(PEM_BEGIN) {
        Some(armoured) => armoured.strip_suffix(PEM_END)?.split_ascii_whitespace().collect(),
        None => text.to_owned(),
    };
    let bytes = STANDARD.decode(base64).ok()?;
    match (bytes.strip_prefix(ED25519_INFO), bytes.strip_prefix(P256_INFO)) {
        (Some(key), _) => bare(key).filter(|public| matches!(public, Public::Ed25519(_))),
        (_, Some(key)) => bare(key).filter(|public| matches!(public, Public::P256(_))),
        (None, None) => bare(&bytes),
    }
}

fn bare(bytes: &[u8]) -> Option<Public> {
    match bytes {
        [4, ..] if bytes.len() == 65 => Some(Public::P256(bytes.to_vec())),
        _ if bytes.len() == 32 => Some(Public::Ed25519(bytes.to_vec())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
    use serde_json::json;

    use super::super::tests::{Sent, key, keys};
    use super::*;

    fn config() -> PublicKey {
        let signature = json!({"from": "header", "name": "x-sig", "parse": {"kind": "list", "item": " ", "version": ""}, "encoding": "hex"});
        serde_json::from_value(json!({"signed": "{body}", "signature": signature})).unwrap()
    }

    fn ed25519(seed: u8) -> Ed25519KeyPair {
        Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
    }

    fn p256() -> EcdsaKeyPair {
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new()).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, made.as_ref(), &SystemRandom::new()).unwrap()
    }

    /// A key in every form that it may be given in.
    fn forms(info: &[u8], bytes: &[u8]) -> Vec<String> {
        let spki = STANDARD.encode([info, bytes].concat());
        let lines: Vec<_> = spki.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        let pem = format!("{PEM_BEGIN}\r\n{}\r\n{PEM_END}\n", lines.join("\r\n"));
        let hex = HEXLOWER.encode(bytes);
        vec![hex.to_uppercase(), hex, STANDARD.encode(bytes), format!(" {spki}\n"), spki, pem]
    }

    #[test]
    fn a_key_verifies_in_every_form() {
        let (ed25519, p256) = (ed25519(7), p256());
        let ed25519_signature = HEXLOWER.encode(ed25519.sign(b"{}").as_ref());
        let p256_signature = HEXLOWER.encode(p256.sign(&SystemRandom::new(), b"{}").unwrap().as_ref());
        let mut ed25519_forms = forms(ED25519_INFO, ed25519.public_key().as_ref());
        ed25519_forms.push(format!("whpk_{}", STANDARD.encode(ed25519.public_key())));
        for key in ed25519_forms {
            let sent = Sent::new(&[("x-sig", &ed25519_signature)], b"{}");
            assert!(is_public_key(&key), "{key}");
            assert!(config().verify_ed25519(&sent.presented(), &keys(&[&key])).is_ok(), "{key}");
            assert_eq!(config().verify_ecdsa(&sent.presented(), &keys(&[&key])), Err(Failure::Malformed), "{key}");
        }
        for key in forms(P256_INFO, p256.public_key().as_ref()) {
            let sent = Sent::new(&[("x-sig", &p256_signature)], b"{}");
            assert!(is_public_key(&key), "{key}");
            assert!(config().verify_ecdsa(&sent.presented(), &keys(&[&key])).is_ok(), "{key}");
            assert_eq!(config().verify_ed25519(&sent.presented(), &keys(&[&key])), Err(Failure::Malformed), "{key}");
        }
    }

    #[test]
    fn what_is_no_public_key_is_told() {
        let pair = ed25519(7);
        let bytes = pair.public_key().as_ref();
        let short = STANDARD.encode(&bytes[..31]);
        let unlike = STANDARD.encode([P256_INFO, bytes].concat());
        let private = format!("whsk_{}", STANDARD.encode([7; 64]));
        let point = [&[4][..], &[1; 64]].concat();
        let compressed = HEXLOWER.encode(&[&[2][..], &[1; 32]].concat());
        for text in [
            "",
            "a",
            &HEXLOWER.encode(&bytes[..31]),
            &short,
            &unlike,
            &private,
            &compressed,
            &format!("whpk_{}", STANDARD.encode(&point)),
            &STANDARD.encode([ED25519_INFO, &point].concat()),
            PEM_BEGIN,
            &format!("{PEM_BEGIN}{PEM_END}"),
            &format!("{PEM_BEGIN}{}", STANDARD.encode([ED25519_INFO, bytes].concat())),
            "-----BEGIN PRIVATE KEY-----AAAA-----END PRIVATE KEY-----",
            &"a".repeat(1_000_000),
            "\u{1f600}\0",
        ] {
            assert!(!is_public_key(text), "{}", text.chars().take(80).collect::<String>());
        }
    }

    #[test]
    fn any_live_key_and_any_of_the_first_signatures_will_do() {
        let sign = |seed: u8| HEXLOWER.encode(ed25519(seed).sign(b"{}").as_ref());
        let public = |seed: u8| HEXLOWER.encode(ed25519(seed).public_key().as_ref());
        let live = [key(&public(1)), key("unreadable"), key(&public(2))];
        let ids = live.each_ref().map(|key| key.id);
        let keys = Keys { public: live.into(), ..Keys::default() };
        let tenth = format!("{} {}", vec![sign(3); 9].join(" "), sign(1));
        let eleventh = format!("{} {}", vec![sign(3); 10].join(" "), sign(1));
        for (header, verdict) in [
            (sign(1), Ok(ids[0])),
            (sign(2), Ok(ids[2])),
            (format!("{} zz {}", sign(3), sign(2)), Ok(ids[2])),
            (tenth, Ok(ids[0])),
            (eleventh, Err(Failure::Mismatch)),
            (sign(3), Err(Failure::Mismatch)),
            ("00".to_owned(), Err(Failure::Mismatch)),
            ("zz".to_owned(), Err(Failure::Malformed)),
        ] {
            let sent = Sent::new(&[("x-sig", &header)], b"{}");
            assert_eq!(config().verify_ed25519(&sent.presented(), &keys), verdict, "{header}");
        }
    }

    #[test]
    fn the_message_is_in_memory_once_at_most() {
        for (template, is_borrowed) in [("{body}", true), ("{body_escaped}", true), ("{ts}.{body}", false)] {
            let (template, sent) = (super::super::Template::new(template), Sent::new(&[], b"{}"));
            let request = sent.presented();
            let (message, _) = template.read(&request, None);
            assert_eq!(matches!(message.whole("1"), std::borrow::Cow::Borrowed(_)), is_borrowed);
        }
    }

    #[test]
    fn what_costs_too_many_hashes_is_refused() {
        let good = HEXLOWER.encode(ed25519(1).sign(&vec![b'a'; 4 * 1024 * 1024]).as_ref());
        let keys = |count: u8| {
            let public = |seed: u8| key(&HEXLOWER.encode(ed25519(seed).public_key().as_ref()));
            Keys { public: (1..=count).map(public).collect(), ..Keys::default() }
        };
        // 10 signatures under 6 keys are 240 MiB to hash; under 7, 280 MiB.
        let header = vec![good; 10].join(" ");
        let sent = Sent::new(&[("x-sig", &header)], &vec![b'a'; 4 * 1024 * 1024]);
        assert_eq!(config().verify_ed25519(&sent.presented(), &keys(7)), Err(Failure::Malformed));
        let claim = |keys: usize| {
            let (config, request) = (config(), sent.presented());
            let claim = Claim::read(&config.signature, &config.signed, None, None, &request);
            claim.affordable(claim.signatures() * keys)
        };
        assert_eq!((claim(6), claim(7)), (Ok(()), Err(Failure::Malformed)));
    }

    #[test]
    fn the_published_vector_of_ecdsa_holds() {
        // RFC 6979, A.2.5, with SHA-256.
        let key = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                   7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
        let signature = "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
                         022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8";
        for (body, failure) in [("sample", None), ("simple", Some(Failure::Mismatch))] {
            let sent = Sent::new(&[("x-sig", signature)], body.as_bytes());
            assert_eq!(config().verify_ecdsa(&sent.presented(), &keys(&[key])).err(), failure, "{body}");
        }
    }
}

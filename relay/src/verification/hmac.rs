//! A MAC over what the template says: what most providers sign with.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use super::claim::{self, Claim, Stamped};
use super::{Algorithm, Equal, Failure, Fault, Hmac, Key, Keys, Presented, SecretForm, rules};
use crate::id::CredentialId;
use crate::secret::equal;

const MOST_EQUALS: usize = 10;

impl Hmac {
    /// The MAC is made under every live secret, whatever is wrong with the request.
    pub(super) fn verify(&self, request: &Presented<'_>, keys: &Keys) -> Result<CredentialId, Failure> {
        let claim =
            Claim::read(&self.signature, &self.signed, self.timestamp.as_ref(), self.public_url.as_deref(), request);
        claim.affordable(claim.sets() * keys.hmac.len())?;
        let signed = claim.verify(&keys.hmac, |set| |key: &Key| self.is_by(key, set, &claim));
        let equal =
            self.also_equal.iter().map(|header| header.verify(request, &keys.external)).fold(Ok(()), Result::and);
        match (signed, equal) {
            (Ok(_) | Err(Failure::Mismatch | Failure::Stale), Err(failure)) => Err(failure),
            (signed, _) => signed,
        }
    }

    fn is_by(&self, key: &Key, set: &Stamped, claim: &Claim<'_>) -> Result<(), Failure> {
        let secret = self.secret.read(key.value.expose_secret());
        let bytes = secret.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        let mac = self.algorithm.mac(bytes, |take| claim.message.feed(&set.time, take));
        let is_mac = set.signatures.iter().fold(false, |found, signature| found | equal(signature, &mac));
        match secret {
            None => Err(Failure::Malformed),
            Some(_) if is_mac => Ok(()),
            Some(_) if set.signatures.iter().all(|signature| signature.len() != mac.len()) => Err(Failure::Malformed),
            Some(_) => Err(Failure::Mismatch),
        }
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        claim::check(&self.signature, &self.signed, self.timestamp.as_ref())?;
        if self.also_equal.len() > MOST_EQUALS {
            return Err(rules::fault("/also_equal", format!("must name at most {MOST_EQUALS} headers")));
        }
        for Equal { header, value } in self.also_equal.iter() {
            rules::header("/also_equal", header)?;
            value.iter().try_for_each(|value| rules::text("/also_equal", value))?;
        }
        rules::public_url(self.public_url.as_deref())
    }
}

impl Equal {
    fn verify(&self, request: &Presented<'_>, external: &[Key]) -> Result<(), Failure> {
        let said = super::header(&request.inbound, &self.header)?;
        let is_equal = match &self.value {
            Some(value) => equal(said, value.as_bytes()),
            None => external.iter().fold(false, |found, key| found | equal(said, key.value.expose_secret().as_bytes())),
        };
        if is_equal { Ok(()) } else { Err(Failure::NotEqual) }
    }
}

impl Algorithm {
    /// The MAC of what `feed` hands over.
    pub(crate) fn mac(self, key: &[u8], feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<u8> {
        match self {
            Self::HmacSha1 => mac::<hmac::Hmac<Sha1>>(key, feed),
            Self::HmacSha256 => mac::<hmac::Hmac<Sha256>>(key, feed),
            Self::HmacSha384 => mac::<hmac::Hmac<Sha384>>(key, feed),
            Self::HmacSha512 => mac::<hmac::Hmac<Sha512>>(key, feed),
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], feed: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    feed(&mut |part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl SecretForm {
    /// The key; nothing if the secret is not in this form, or empty: under no key anybody can sign.
    fn read(self, secret: &str) -> Option<SecretSlice<u8>> {
        let bytes = match self {
            Self::Utf8 => secret.as_bytes().to_vec(),
            Self::Base64 => BASE64.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok()?,
            Self::Hex => HEXLOWER_PERMISSIVE.decode(secret.as_bytes()).ok()?,
        };
        if bytes.is_empty() { None } else { Some(SecretSlice::from(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use secrecy::SecretString;
    use serde_json::{Value, json};

    use super::super::tests::{NOW_S, Sent, key, keys};
    use super::*;

    /// Of `{body}` in hex, in the header `x-sig`; what is in `more` besides.
    fn config(more: &Value) -> Hmac {
        let mut config = json!({
            "signature": {"from": "header", "name": "X-Sig", "parse": {"kind": "raw"}, "encoding": "hex"},
            "algorithm": "hmac-sha256", "signed": "{body}",
        });
        for (name, value) in more.as_object().unwrap() {
            config[name] = value.clone();
        }
        serde_json::from_value(config).unwrap()
    }

    fn hex(secret: &[u8], message: &str) -> String {
        HEXLOWER.encode(&Algorithm::HmacSha256.mac(secret, |take| take(message.as_bytes())))
    }

    #[test]
    fn each_algorithm_is_the_one_it_is_named_after() {
        // RFC 2202 and RFC 4231, test case 2.
        for (algorithm, expected) in [
            (Algorithm::HmacSha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (Algorithm::HmacSha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                Algorithm::HmacSha384,
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Algorithm::HmacSha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            let mac = algorithm.mac(b"Jefe", |take| {
                take(b"what do ya ");
                take(b"want for nothing?");
            });
            assert_eq!(HEXLOWER.encode(&mac), expected, "{algorithm:?}");
        }
    }

    #[test]
    fn a_secret_becomes_a_key_by_its_form() {
        for (form, secret, key) in [
            ("utf8", "whsec_AAEC", Some(&b"whsec_AAEC"[..])),
            ("utf8", "", None),
            ("base64", "whsec_AAEC", Some(&[0, 1, 2])),
            ("base64", "AAECAw==", Some(&[0, 1, 2, 3])),
            ("base64", "AAECAw", Some(&[0, 1, 2, 3])),
            ("base64", "whsec_", None),
            ("base64", "%", None),
            ("hex", "00fF", Some(&[0, 255])),
            ("hex", "00f", None),
            ("hex", "", None),
        ] {
            let config = config(&json!({"secret": form}));
            let bytes = config.secret.read(secret);
            assert_eq!(bytes.as_ref().map(ExposeSecret::expose_secret), key, "{form} {secret}");
            for guess in [key.unwrap_or_default(), secret.as_bytes(), b""] {
                let sent = Sent::new(&[("x-sig", &hex(guess, "{}"))], b"{}");
                let verdict = config.verify(&sent.presented(), &keys(&[secret])).err();
                let failure = match key {
                    Some(key) if key == guess => None,
                    Some(_) => Some(Failure::Mismatch),
                    None => Some(Failure::Malformed),
                };
                assert_eq!(verdict, failure, "{form} {secret}");
            }
        }
    }

    #[test]
    fn any_live_secret_and_any_signature_will_do() {
        let list = json!({"from": "header", "name": "x-sig", "parse": {"kind": "list", "item": " ", "version": "v1,"}, "encoding": "hex"});
        let config = config(&json!({"signature": list, "secret": "hex"}));
        let secrets = [key("00"), key("zz"), key("01")];
        let ids = secrets.each_ref().map(|secret| secret.id);
        let keys = Keys { hmac: secrets.into(), ..Keys::default() };
        let (first, last, other) = (hex(&[0], "{}"), hex(&[1], "{}"), hex(&[2], "{}"));
        for (header, verdict) in [
            (format!("v1,{first}"), Ok(ids[0])),
            (format!("v1,{last}"), Ok(ids[2])),
            (format!("v1,{other} v1,zz v1,00 v1,{last}"), Ok(ids[2])),
            (format!("v1,{other}"), Err(Failure::Mismatch)),
            (format!("v1,{other} v1,00"), Err(Failure::Mismatch)),
            (format!("v1,{}", &last[..62]), Err(Failure::Malformed)),
            (format!("v1,{last}00"), Err(Failure::Malformed)),
            ("v1,".to_owned(), Err(Failure::Malformed)),
            ("v1,zz".to_owned(), Err(Failure::Malformed)),
            (format!("v2,{last}"), Err(Failure::Missing)),
        ] {
            let sent = Sent::new(&[("x-sig", &header)], b"{}");
            assert_eq!(config.verify(&sent.presented(), &keys), verdict, "{header}");
        }
    }

    #[test]
    fn a_signature_may_stand_in_the_query_or_the_body() {
        let of = |from: &str, name: &str| {
            let signature = json!({"from": from, "name": name, "parse": {"kind": "raw"}, "encoding": "hex"});
            config(&json!({"signature": signature, "signed": "v0"}))
        };
        let signature = hex(b"k", "v0");
        let query = of("query", "sig");
        for (text, failure) in [
            (Some(format!("a=b&sig={signature}")), None),
            (Some(format!("sig={signature}&s%69g={signature}")), Some(Failure::Repeated)),
            (Some("a=b".to_owned()), Some(Failure::Missing)),
            (None, Some(Failure::Missing)),
            (Some("sig=%ff".to_owned()), Some(Failure::Malformed)),
        ] {
            let sent = Sent { query: text.clone(), ..Sent::new(&[], b"") };
            assert_eq!(query.verify(&sent.presented(), &keys(&["k"])).err(), failure, "{text:?}");
        }
        for (body, failure) in [
            (format!(r#"{{"s": ["{signature}"]}}"#), None),
            (format!(r#"{{"s": "{signature}"}}"#), Some(Failure::Missing)),
            ("{".to_owned(), Some(Failure::Missing)),
        ] {
            let sent = Sent::new(&[], body.as_bytes());
            assert_eq!(of("json", "/s/0").verify(&sent.presented(), &keys(&["k"])).err(), failure, "{body}");
        }
    }

    #[test]
    fn a_time_is_judged_only_of_what_is_signed() {
        let timed = |required: bool, signed: &str| {
            let timestamp = json!({"from": "header:x-at", "unit": "s", "tolerance_s": 300, "required": required});
            config(&json!({"signed": signed, "timestamp": timestamp}))
        };
        let now = NOW_S.to_string();
        let old = (NOW_S - 301).to_string();
        for (required, signed, at, message, failure) in [
            (true, "{ts}.{body}", Some(&now), format!("{now}.{{}}"), None),
            (true, "{ts}.{body}", Some(&old), format!("{old}.{{}}"), Some(Failure::Stale)),
            (true, "{ts}.{body}", Some(&old), format!("{now}.{{}}"), Some(Failure::Mismatch)),
            (true, "{ts}.{body}", Some(&now), format!("{old}.{{}}"), Some(Failure::Mismatch)),
            (true, "{ts}.{body}", Some(&"soon".to_owned()), "soon.{}".to_owned(), Some(Failure::Malformed)),
            (true, "{ts}.{body}", None, ".{}".to_owned(), Some(Failure::Missing)),
            (false, "{ts}.{body}", None, ".{}".to_owned(), Some(Failure::Missing)),
            (true, "{body}", None, "{}".to_owned(), Some(Failure::Missing)),
            (false, "{body}", None, "{}".to_owned(), None),
            (false, "{body}", Some(&old), "{}".to_owned(), Some(Failure::Stale)),
        ] {
            let signature = hex(b"k", &message);
            let headers = [Some(("x-sig", signature.as_str())), at.map(|at| ("x-at", at.as_str()))];
            let sent = Sent::new(&headers.into_iter().flatten().collect::<Vec<_>>(), b"{}");
            let verdict = timed(required, signed).verify(&sent.presented(), &keys(&["k"]));
            assert_eq!(verdict.err(), failure, "{required} {signed} {at:?}");
        }
    }

    #[test]
    fn each_set_has_its_own_time() {
        let parse = json!({"kind": "kv", "pair": ",", "kv": "=", "sig": ["v1"], "ts": "t", "sets": " "});
        let config = config(&json!({
            "signature": {"from": "header", "name": "x-sig", "parse": parse, "encoding": "hex"},
            "signed": "{ts}.{body}",
            "timestamp": {"from": "signature", "unit": "s", "tolerance_s": 300},
        }));
        let set = |secret: &str, at: i64| format!("t={at},v1={}", hex(secret.as_bytes(), &format!("{at}.{{}}")));
        let (ours, others) = (set("k", NOW_S), set("other", NOW_S));
        let (stale, strange) = (set("k", NOW_S - 301), ours.replace("t=", "x="));
        for (header, failure) in [
            (ours.clone(), None),
            (format!("{others} {ours}"), None),
            (format!("{stale} {ours}"), None),
            (format!("{strange} {ours}"), None),
            (format!("{others} {stale}"), Some(Failure::Stale)),
            (format!("{others} {strange}"), Some(Failure::Mismatch)),
            (strange.clone(), Some(Failure::Missing)),
            (others.clone(), Some(Failure::Mismatch)),
            (format!("{others} {others} {others} {others} {ours}"), Some(Failure::Mismatch)),
        ] {
            let sent = Sent::new(&[("x-sig", &header)], b"{}");
            assert_eq!(config.verify(&sent.presented(), &keys(&["k"])).err(), failure, "{header}");
        }
    }

    #[test]
    fn what_costs_too_many_hashes_is_refused() {
        let body = vec![b'a'; 16 * 1024 * 1024];
        let signature = hex(b"k", std::str::from_utf8(&body).unwrap());
        let sent = Sent::new(&[("x-sig", &signature)], &body);
        assert!(config(&json!({})).verify(&sent.presented(), &keys(&["other", "k"])).is_ok());
        let verdict = config(&json!({})).verify(&sent.presented(), &keys(&["k"; 17]));
        assert_eq!(verdict, Err(Failure::Malformed));
    }

    #[test]
    fn a_header_says_what_it_must() {
        let config = config(&json!({"also_equal": [{"header": "x-alg", "value": "A"}, {"header": "x-client"}]}));
        let ours = hex(b"k", "{}");
        let others = hex(b"other", "{}");
        let keys = || Keys { external: vec![key("c1"), key("c2")], ..keys(&["k"]) };
        for (headers, failure) in [
            (vec![("x-sig", ours.as_str()), ("x-alg", "A"), ("x-client", "c1")], None),
            (vec![("x-sig", &ours), ("x-alg", "A"), ("x-client", "c2")], None),
            (vec![("x-sig", &ours), ("x-alg", "a"), ("x-client", "c1")], Some(Failure::NotEqual)),
            (vec![("x-sig", &ours), ("x-alg", "A"), ("x-client", "c3")], Some(Failure::NotEqual)),
            (vec![("x-sig", &ours), ("x-alg", "A"), ("x-client", "")], Some(Failure::NotEqual)),
            (vec![("x-sig", &ours), ("x-client", "c1")], Some(Failure::Missing)),
            (vec![("x-sig", &ours), ("x-alg", "A"), ("x-alg", "A"), ("x-client", "c1")], Some(Failure::Repeated)),
            (vec![("x-sig", &others), ("x-alg", "A"), ("x-client", "c1")], Some(Failure::Mismatch)),
            (vec![("x-sig", &others), ("x-alg", "B"), ("x-client", "c1")], Some(Failure::NotEqual)),
            (vec![("x-sig", "zz"), ("x-alg", "B"), ("x-client", "c1")], Some(Failure::Malformed)),
        ] {
            assert_eq!(config.verify(&Sent::new(&headers, b"{}").presented(), &keys()).err(), failure, "{headers:?}");
        }
        let headers = [("x-sig", ours.as_str()), ("x-alg", "A"), ("x-client", "c1")];
        let nobody = Keys { external: Vec::new(), ..keys() };
        let verdict = config.verify(&Sent::new(&headers, b"{}").presented(), &nobody);
        assert_eq!(verdict, Err(Failure::NotEqual));
    }

    #[test]
    fn a_tenants_own_is_checked() {
        let signature =
            |from: &str, name: &str| json!({"from": from, "name": name, "parse": {"kind": "raw"}, "encoding": "hex"});
        let long = "a".repeat(201);
        for (more, fault) in [
            (json!({}), None),
            (json!({"signature": signature("header", "a b")}), Some("/signature/name")),
            (json!({"signature": signature("header", &long)}), Some("/signature/name")),
            (json!({"signature": signature("json", "a")}), Some("/signature/name")),
            (json!({"signature": signature("json", "/a")}), None),
            (json!({"signature": signature("query", "")}), Some("/signature/name")),
            (json!({"signed": "{ts}.{body}"}), Some("/timestamp")),
            (json!({"signed": "a"}), Some("/signed")),
            (json!({"also_equal": [{"header": "a b"}]}), Some("/also_equal")),
            (json!({"also_equal": [{"header": "a", "value": long}]}), Some("/also_equal")),
            (json!({"also_equal": vec![json!({"header": "a"}); 10]}), None),
            (json!({"also_equal": vec![json!({"header": "a"}); 11]}), Some("/also_equal")),
            (json!({"public_url": "https://a.example/x"}), None),
            (json!({"public_url": "a"}), Some("/public_url")),
        ] {
            assert_eq!(config(&more).check().err().map(|fault| fault.pointer), fault, "{more}");
        }
    }

    #[test]
    fn a_secret_is_not_shown() {
        let key = Key { value: SecretString::from("hush"), ..key("") };
        assert!(!format!("{key:?}").contains("hush"));
    }
}

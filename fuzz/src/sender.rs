//! An honest sender: signs requests as a scheme demands.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use data_encoding::HEXLOWER;
use hmac::{KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use relay::id::CredentialId;
use relay::place::Place;
use relay::verification::{Algorithm, Encoding, From, Key, Keys, Parse, SecretForm, TimeFrom, Unit};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value};
use url::form_urlencoded;

use crate::expected::{self, Message};
use crate::scheme::{Kind, Letters, Scheme};
use crate::sent::{NOW, Sent};

/// A request with its signature, and what went into it.
#[derive(Debug)]
pub struct Signed {
    pub sent: Sent,
    /// The signature alone, encoded.
    pub signature: String,
    /// Of its first bytes, half of them.
    pub half: String,
    pub time: String,
    pub message: Message,
}

/// What the sender signs with, and under which id the relay knows it.
pub struct Secrets {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    random: SystemRandom,
    pub ours: CredentialId,
    theirs: CredentialId,
}

pub static SECRETS: LazyLock<Secrets> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).expect("keys are made");
    Secrets {
        ed25519: Ed25519KeyPair::from_seed_unchecked(SECRET).expect("32 bytes are a seed"),
        p256: EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, p256.as_ref(), &random).expect("it was made"),
        random,
        ours: CredentialId::at(NOW),
        theirs: CredentialId::at(NOW),
    }
});

/// Text as well, for [`SecretForm::Utf8`].
const SECRET: &[u8; 32] = b"Kept between the sender and us!!";

/// What an external credential says.
pub const EXTERNAL: &str = "external-1";

/// The sender's credentials among those of others.
#[must_use]
pub fn keys(scheme: &Scheme, letters: &mut Letters<'_>) -> Keys {
    let (hmac, public) = (secret_text(scheme.hmac.secret), public_text(scheme.kind, letters));
    let mut keys = strangers();
    keys.hmac.insert(1, key(&hmac));
    keys.public.insert(1, key(&public));
    keys.external.push(key(EXTERNAL));
    keys
}

/// Credentials of others, and such as are none.
#[must_use]
pub fn strangers() -> Keys {
    let theirs = |text: &str| Key { id: SECRETS.theirs, value: text.into() };
    let hmac = ["", "ab12", "whsec_AAAA", "not hex, nor base64"].map(theirs).into();
    let another = Ed25519KeyPair::from_seed_unchecked(&[1; 32]).expect("32 bytes are a seed");
    let another = HEXLOWER.encode(another.public_key().as_ref());
    let no_point = format!("04{}", "11".repeat(64));
    let public = ["", &another, &no_point, "whpk_AAAA", "not a key"].map(theirs).into();
    Keys { hmac, public, ..Keys::default() }
}

fn key(text: &str) -> Key {
    Key { id: SECRETS.ours, value: text.into() }
}

fn secret_text(form: SecretForm) -> String {
    match form {
        SecretForm::Utf8 => String::from_utf8_lossy(SECRET).into_owned(),
        SecretForm::Base64 => format!("whsec_{}", STANDARD.encode(SECRET)),
        SecretForm::Hex => HEXLOWER.encode(SECRET),
    }
}

/// In one of the forms that a public key is written in.
fn public_text(kind: Kind, letters: &mut Letters<'_>) -> String {
    let (bytes, info) = match kind {
        Kind::Ecdsa => (SECRETS.p256.public_key().as_ref(), "3059301306072a8648ce3d020106082a8648ce3d030107034200"),
        Kind::Hmac | Kind::Ed25519 => (SECRETS.ed25519.public_key().as_ref(), "302a300506032b6570032100"),
    };
    let info = HEXLOWER.decode(info.as_bytes()).expect("it is hex");
    let spki = STANDARD.encode([&info, bytes].concat());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &spki[..40], &spki[40..]);
    let hex = HEXLOWER.encode(bytes);
    letters.pick(&[hex.clone(), STANDARD.encode(bytes), spki, pem]).unwrap_or(hex)
}

/// The request with what the scheme demands. Nothing if nobody could sign it: the signature would be among what it signs, or
/// could not be found again.
#[must_use]
pub fn sign(scheme: &Scheme, mut sent: Sent, letters: &mut Letters<'_>) -> Option<Signed> {
    let hmac = &scheme.hmac;
    let parts = expected::parts(&hmac.signed.to_string())?;
    let time = time(hmac.timestamp.as_ref().map_or(Unit::S, |timestamp| timestamp.unit), letters);
    if !has_a_place_for_each(scheme) {
        return None;
    }
    for equal in hmac.also_equal.iter() {
        set_header(&mut sent, &equal.header, equal.value.as_deref().unwrap_or(EXTERNAL))?;
    }
    match hmac.timestamp.as_ref().map(|timestamp| &timestamp.from) {
        Some(TimeFrom::Place(Place::Header(name))) => set_header(&mut sent, name, &time)?,
        Some(TimeFrom::Place(Place::Json(pointer))) => set_member(&mut sent, pointer, &time)?,
        Some(TimeFrom::Place(_)) => return None,
        Some(TimeFrom::Signature) | None => {}
    }
    let mut unsigned = sent.clone();
    place(scheme, &mut unsigned, "")?;
    let message = expected::message(&parts, &unsigned, hmac.public_url.as_deref(), &time);
    let bytes = signature(scheme, &message.bytes);
    let signature = encoded(hmac.signature.encoding, &bytes);
    let half = encoded(hmac.signature.encoding, &bytes[..bytes.len() / 2]);
    place(scheme, &mut sent, &written(&hmac.signature.parse, &signature, &time)?)?;
    let is_stable = expected::message(&parts, &sent, hmac.public_url.as_deref(), &time) == message;
    is_stable.then_some(Signed { sent, signature, half, time, message })
}

/// Whether signature, time and what else has to be said do not stand in each other's places.
fn has_a_place_for_each(scheme: &Scheme) -> bool {
    let (signature, time) = (&scheme.hmac.signature, scheme.hmac.timestamp.as_ref().map(|timestamp| &timestamp.from));
    let mut headers: Vec<_> = scheme.hmac.also_equal.iter().map(|equal| equal.header.to_ascii_lowercase()).collect();
    match (signature.from, time) {
        (From::Json, Some(TimeFrom::Place(Place::Json(time))))
            if time.starts_with(&*signature.name) || signature.name.starts_with(&**time) =>
        {
            return false;
        }
        (From::Header, _) => headers.push(signature.name.to_ascii_lowercase()),
        _ => {}
    }
    if let Some(TimeFrom::Place(Place::Header(name))) = time {
        headers.push(name.to_ascii_lowercase());
    }
    let named = headers.len();
    headers.sort_unstable();
    headers.dedup();
    headers.len() == named
}

/// [`NOW`], in one of the ways that it can be written.
fn time(unit: Unit, letters: &mut Letters<'_>) -> String {
    let ways = match unit {
        Unit::S => ["1763629200", "001763629200"],
        Unit::Ms => ["1763629200000", "001763629200000"],
        Unit::Rfc3339 => ["2025-11-20T09:00:00Z", "2025-11-20T08:30:00.000-00:30"],
    };
    letters.pick(&ways).unwrap_or(ways[0]).to_owned()
}

fn signature(scheme: &Scheme, message: &[u8]) -> Vec<u8> {
    match scheme.kind {
        Kind::Ed25519 => SECRETS.ed25519.sign(message).as_ref().to_vec(),
        Kind::Ecdsa => SECRETS.p256.sign(&SECRETS.random, message).expect("there is randomness").as_ref().to_vec(),
        Kind::Hmac => match scheme.hmac.algorithm {
            Algorithm::HmacSha1 => mac::<hmac::Hmac<sha1::Sha1>>(message),
            Algorithm::HmacSha256 => mac::<hmac::Hmac<sha2::Sha256>>(message),
            Algorithm::HmacSha384 => mac::<hmac::Hmac<sha2::Sha384>>(message),
            Algorithm::HmacSha512 => mac::<hmac::Hmac<sha2::Sha512>>(message),
        },
    }
}

fn mac<M: Mac + KeyInit>(message: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(SECRET).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn encoded(encoding: Encoding, bytes: &[u8]) -> String {
    match encoding {
        Encoding::Hex => HEXLOWER.encode(bytes),
        Encoding::Base64 => STANDARD.encode(bytes),
        Encoding::Base64url => URL_SAFE_NO_PAD.encode(bytes),
    }
}

/// Signature and time as the scheme holds them; nothing if what separates them would cut them.
fn written(parse: &Parse, signature: &str, time: &str) -> Option<String> {
    match parse {
        Parse::Raw {} => Some(signature.to_owned()),
        Parse::Prefix { prefix } => Some(format!("{prefix}{signature}")),
        Parse::List { item, version } => {
            let entry = format!("{version}{signature}");
            (!entry.contains(&**item)).then_some(entry)
        }
        Parse::Kv { pair, kv, sig, ts, sets } => {
            let said = ts.iter().map(|name| (&**name, time)).chain([(&**sig.first()?, signature)]);
            let entries: Vec<_> = said.clone().map(|(name, value)| format!("{name}{kv}{value}")).collect();
            let whole = entries.join(pair);
            let is_whole = entries.iter().zip(said).all(|(entry, pair)| entry.split_once(&**kv) == Some(pair))
                && whole.split(&**pair).eq(entries.iter().map(String::as_str))
                && sets.as_ref().is_none_or(|sets| !whole.contains(&**sets));
            is_whole.then_some(whole)
        }
    }
}

fn place(scheme: &Scheme, sent: &mut Sent, text: &str) -> Option<()> {
    let name = &*scheme.hmac.signature.name;
    match scheme.hmac.signature.from {
        From::Header => set_header(sent, name, text),
        From::Json => set_member(sent, name, text),
        From::Query => {
            let query = sent.query.take().unwrap_or_default();
            if form_urlencoded::parse(query.as_bytes()).any(|(known, _)| known == name) {
                return None;
            }
            let start = if query.is_empty() { query } else { query + "&" };
            let item = form_urlencoded::Serializer::new(String::new()).append_pair(name, text).finish();
            sent.query = Some(start + &item);
            Some(())
        }
    }
}

fn set_header(sent: &mut Sent, name: &str, value: &str) -> Option<()> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    sent.headers.try_insert(name, HeaderValue::from_bytes(value.as_bytes()).ok()?).ok()?;
    Some(())
}

/// What the pointer leads through has to be objects; a body that is no JSON becomes one.
fn set_member(sent: &mut Sent, pointer: &str, text: &str) -> Option<()> {
    let mut whole = serde_json::from_slice(&sent.body).unwrap_or_else(|_| Value::Object(Map::new()));
    let mut here = &mut whole;
    for name in pointer.strip_prefix('/')?.split('/') {
        let name = name.replace("~1", "/").replace("~0", "~");
        here = here.as_object_mut()?.entry(name).or_insert_with(|| Value::Object(Map::new()));
    }
    *here = text.into();
    sent.body = whole.to_string().into_bytes();
    Some(())
}

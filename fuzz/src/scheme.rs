//! How requests are signed: a verification, as a tenant or a preset says it, bent into other shapes by letters.

use std::borrow::Cow;

use relay::place::Place;
use relay::preset;
use relay::verification::{
    Algorithm, Encoding, From, Hmac, Parse, PublicKey, SecretForm, Signature, TimeFrom, Timestamp, Unit, Verification,
};

/// A verification by signatures: that of a MAC, of which the others have less.
#[derive(Debug, Clone)]
pub struct Scheme {
    pub kind: Kind,
    pub hmac: Hmac,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hmac,
    Ed25519,
    Ecdsa,
}

/// Each letter is a choice; `-`, and what is missing, is none.
#[derive(Debug)]
pub struct Letters<'t>(pub &'t [u8]);

impl Letters<'_> {
    pub fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let (letter, rest) = self.0.split_first()?;
        self.0 = rest;
        (*letter != b'-').then(|| of[usize::from(*letter) % of.len()].clone())
    }
}

impl Scheme {
    /// The first scheme of a preset with signatures, or a verification in JSON.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let named = std::str::from_utf8(text).ok().and_then(preset::find);
        match named {
            Some(preset) => preset.default_schemes().find_map(|scheme| Self::of(scheme.clone())),
            None => Self::of(serde_json::from_slice(text).ok()?),
        }
    }

    #[must_use]
    pub fn of(verification: Verification) -> Option<Self> {
        let with_key = |kind, PublicKey { signature, signed, timestamp }| {
            let (algorithm, secret) = (Algorithm::HmacSha256, SecretForm::Utf8);
            let also_equal = Cow::default();
            Self { kind, hmac: Hmac { signature, algorithm, secret, signed, timestamp, also_equal, public_url: None } }
        };
        match verification {
            Verification::Hmac(hmac) => Some(Self { kind: Kind::Hmac, hmac }),
            Verification::Ed25519(key) => Some(with_key(Kind::Ed25519, key)),
            Verification::Ecdsa(key) => Some(with_key(Kind::Ecdsa, key)),
            _ => None,
        }
    }

    /// What the relay verifies by.
    #[must_use]
    pub fn verification(&self) -> Verification {
        let Hmac { signature, signed, timestamp, .. } = self.hmac.clone();
        let key = PublicKey { signature, signed, timestamp };
        match self.kind {
            Kind::Hmac => Verification::Hmac(self.hmac.clone()),
            Kind::Ed25519 => Verification::Ed25519(key),
            Kind::Ecdsa => Verification::Ecdsa(key),
        }
    }

    /// Another shape of it. Presets' own shapes are all among these.
    pub fn bend(&mut self, letters: &mut Letters<'_>) {
        use {Algorithm::*, SecretForm::*};
        change(&mut self.kind, letters.pick(&[Kind::Hmac, Kind::Hmac, Kind::Ed25519, Kind::Ecdsa]));
        if self.kind != Kind::Hmac {
            self.hmac.also_equal = Cow::default();
            self.hmac.public_url = None;
        }
        change(&mut self.hmac.algorithm, letters.pick(&[HmacSha1, HmacSha256, HmacSha384, HmacSha512]));
        change(&mut self.hmac.secret, letters.pick(&[Utf8, Base64, Hex]));
        let signature = &mut self.hmac.signature;
        change(&mut signature.encoding, letters.pick(&[Encoding::Hex, Encoding::Base64, Encoding::Base64url]));
        change(&mut signature.parse, letters.pick(&parses()));
        let place = letters.pick(&[(From::Header, "x-sig"), (From::Json, "/sig"), (From::Query, "sig")]);
        if let Some((from, name)) = place {
            *signature = Signature { from, name: name.into(), ..signature.clone() };
        }
        change(&mut self.hmac.timestamp, letters.pick(&[true, false]).map(|is_there| is_there.then(timestamp)));
        if let Some(timestamp) = &mut self.hmac.timestamp {
            change(&mut timestamp.from, letters.pick(&times()));
            change(&mut timestamp.unit, letters.pick(&[Unit::S, Unit::Ms, Unit::Rfc3339]));
            change(&mut timestamp.tolerance_s, letters.pick(&[300, 1, 86_400]));
            change(&mut timestamp.required, letters.pick(&[true, false]));
        }
    }
}

fn change<T>(place: &mut T, to: Option<T>) {
    if let Some(to) = to {
        *place = to;
    }
}

fn timestamp() -> Timestamp {
    Timestamp { from: TimeFrom::Signature, unit: Unit::S, tolerance_s: 300, required: true }
}

fn times() -> [TimeFrom; 3] {
    [TimeFrom::Signature, TimeFrom::Place(Place::header("x-time")), TimeFrom::Place(Place::json("/time"))]
}

fn parses() -> [Parse; 6] {
    let kv = |pair: &'static str, sig: &'static [Cow<'static, str>], sets: Option<&'static str>| {
        let (pair, kv, ts, sets) = (pair.into(), "=".into(), Some("t".into()), sets.map(Cow::Borrowed));
        Parse::Kv { pair, kv, sig: sig.into(), ts, sets }
    };
    [
        Parse::Raw {},
        Parse::Prefix { prefix: "sha256=".into() },
        kv(",", const { &[Cow::Borrowed("v1")] }, None),
        kv(";", const { &[Cow::Borrowed("h1"), Cow::Borrowed("h2")] }, None),
        kv(",", const { &[Cow::Borrowed("v1")] }, Some(" ")),
        Parse::List { item: " ".into(), version: "v1,".into() },
    ]
}

//! How a text holds signatures: one or several, with the time of their making beside them or without.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use serde::{Deserialize, Serialize};

use super::{Failure, Fault, rules};

/// How a text holds signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Parse {
    /// It is one.
    Raw {},
    /// One follows this, as in `sha256=…`.
    Prefix { prefix: Cow<'static, str> },
    /// Pairs, as in `t=1700000000,v1=…`; those of other names are passed over.
    Kv {
        /// Stands between pairs.
        pair: Cow<'static, str>,
        /// Stands between a name and its value.
        kv: Cow<'static, str>,
        /// The names that signatures have.
        sig: Cow<'static, [Cow<'static, str>]>,
        /// The name of the time, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ts: Option<Cow<'static, str>>,
        /// Stands between sets of pairs, each with a time of its own, where there can be several.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sets: Option<Cow<'static, str>>,
    },
    /// A list, as in `v1,… v1,…`; items that do not begin with the version are passed over.
    List {
        /// Stands between items.
        item: Cow<'static, str>,
        version: Cow<'static, str>,
    },
}

/// How a signature's bytes are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// In either case.
    Hex,
    /// With padding or without.
    Base64,
    /// With padding or without.
    Base64url,
}

/// Signatures that were made at one time.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// As it is written.
    pub(super) time: Option<String>,
    pub(super) signatures: Vec<Vec<u8>>,
}

/// The time and the signatures of a set, as they are written.
type Written<'t> = (Option<&'t str>, Vec<&'t str>);

/// A sender who changes secrets has two sets; each set costs a MAC.
const MOST_SETS: usize = 4;
/// Of all sets together, each of which a message is hashed for under each public key. What follows is not looked at.
const MOST_SIGNATURES: usize = 10;
/// The longest text between two pairs, items or sets that a tenant may name.
const LONGEST_SEPARATOR: usize = 8;
const MOST_NAMES: usize = 10;

const PADDED_OR_NOT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, PADDED_OR_NOT);
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, PADDED_OR_NOT);

impl Parse {
    /// The signatures in a text, at least one. Those that cannot be decoded are left out.
    pub(super) fn read(&self, text: &str, encoding: Encoding) -> Result<Vec<Set>, Failure> {
        let written = self.split(text)?;
        if written.iter().all(|(_, signatures)| signatures.is_empty()) {
            return Err(Failure::Missing);
        }
        let mut left = MOST_SIGNATURES;
        let sets = written.into_iter().map(|(time, signatures)| {
            let looked_at = signatures.into_iter().take(left).collect::<Vec<_>>();
            left -= looked_at.len();
            let signatures = looked_at.into_iter().filter_map(|text| encoding.decode(text)).collect();
            Set { time: time.map(str::to_owned), signatures }
        });
        let sets: Vec<_> = sets.filter(|set| !set.signatures.is_empty()).collect();
        if sets.is_empty() { Err(Failure::Malformed) } else { Ok(sets) }
    }

    fn split<'t>(&self, text: &'t str) -> Result<Vec<Written<'t>>, Failure> {
        match self {
            Self::Raw {} => Ok(vec![(None, vec![text])]),
            Self::Prefix { prefix } => {
                let signature = text.strip_prefix(prefix.as_ref()).ok_or(Failure::Malformed)?;
                Ok(vec![(None, vec![signature])])
            }
            Self::List { item, version } => {
                let items = text.split(item.as_ref()).filter_map(|item| item.strip_prefix(version.as_ref()));
                Ok(vec![(None, items.take(MOST_SIGNATURES).collect())])
            }
            Self::Kv { pair, kv, sig, ts, sets } => {
                let set = |text| set_of_pairs(text, pair, kv, sig, ts.as_deref());
                match sets {
                    Some(sets) => text.split(sets.as_ref()).take(MOST_SETS).map(set).collect(),
                    None => Ok(vec![set(text)?]),
                }
            }
        }
    }

    /// Whether it can tell when the signatures were made.
    pub(super) fn has_time(&self) -> bool {
        matches!(self, Self::Kv { ts: Some(_), .. })
    }

    pub(super) fn check(&self) -> Result<(), Fault> {
        match self {
            Self::Raw {} => Ok(()),
            Self::Prefix { prefix } => rules::text("/signature/parse/prefix", prefix),
            Self::List { item, version } => {
                separator("/signature/parse/item", item)?;
                rules::text("/signature/parse/version", version)?;
                if version.contains(item.as_ref()) {
                    return Err(rules::fault("/signature/parse/item", "must not occur in `version`"));
                }
                Ok(())
            }
            Self::Kv { pair, kv, sig, ts, sets } => {
                check_separators(pair, kv, sets.as_deref())?;
                check_names(&[Some(pair), Some(kv), sets.as_ref()], sig, ts.as_deref())
            }
        }
    }
}

fn set_of_pairs<'t>(
    text: &'t str,
    pair: &str,
    kv: &str,
    sig: &[Cow<'static, str>],
    ts: Option<&str>,
) -> Result<Written<'t>, Failure> {
    let mut time = None;
    let mut signatures = Vec::new();
    for (name, value) in text.split(pair).filter_map(|pair| pair.split_once(kv)) {
        if ts == Some(name) && time.replace(value).is_some() {
            return Err(Failure::Repeated);
        }
        if signatures.len() < MOST_SIGNATURES && sig.iter().any(|sig| sig == name) {
            signatures.push(value);
        }
    }
    Ok((time, signatures))
}

fn check_separators(pair: &str, kv: &str, sets: Option<&str>) -> Result<(), Fault> {
    separator("/signature/parse/pair", pair)?;
    separator("/signature/parse/kv", kv)?;
    if pair == kv {
        return Err(rules::fault("/signature/parse/kv", "must differ from `pair`"));
    }
    let Some(sets) = sets else { return Ok(()) };
    separator("/signature/parse/sets", sets)?;
    if sets == pair || sets == kv {
        return Err(rules::fault("/signature/parse/sets", "must differ from `pair` and `kv`"));
    }
    Ok(())
}

fn check_names(
    separators: &[Option<&Cow<'static, str>>],
    sig: &[Cow<'static, str>],
    ts: Option<&str>,
) -> Result<(), Fault> {
    if !matches!(sig.len(), 1..=MOST_NAMES) {
        return Err(rules::fault("/signature/parse/sig", format!("must name 1 to {MOST_NAMES} of the pairs")));
    }
    let sig = sig.iter().map(|name| ("/signature/parse/sig", name.as_ref()));
    let ts = ts.into_iter().map(|name| ("/signature/parse/ts", name));
    let mut known = Vec::new();
    for (pointer, name) in sig.chain(ts) {
        rules::text(pointer, name)?;
        if separators.iter().flatten().any(|separator| name.contains(separator.as_ref())) {
            return Err(rules::fault(pointer, "must not contain what separates pairs"));
        }
        if known.contains(&name) {
            return Err(rules::fault(pointer, "must name each pair once"));
        }
        known.push(name);
    }
    Ok(())
}

/// Signatures and times hold letters and digits, so that none of these can separate them.
fn separator(pointer: &'static str, text: &str) -> Result<(), Fault> {
    let is_fit = |c: char| c == ' ' || c.is_ascii_punctuation();
    if matches!(text.len(), 1..=LONGEST_SEPARATOR) && text.chars().all(is_fit) {
        return Ok(());
    }
    Err(rules::fault(pointer, format!("must be 1 to {LONGEST_SEPARATOR} punctuation characters or spaces")))
}

impl Encoding {
    fn decode(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Hex => HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok(),
            Self::Base64 => BASE64.decode(text).ok(),
            Self::Base64url => BASE64URL.decode(text).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: Value) -> Parse {
        serde_json::from_value(value).unwrap()
    }

    /// The sets as text: `time:hex,hex time:hex`.
    fn read(parse: &Parse, text: &str) -> Result<String, Failure> {
        let sets = parse.read(text, Encoding::Hex)?.into_iter().map(|set| {
            let signatures = set.signatures.iter().map(|bytes| data_encoding::HEXLOWER.encode(bytes));
            format!("{}:{}", set.time.unwrap_or_default(), signatures.collect::<Vec<_>>().join(","))
        });
        Ok(sets.collect::<Vec<_>>().join(" "))
    }

    fn stripe() -> Parse {
        parse(json!({"kind": "kv", "pair": ",", "kv": "=", "sig": ["v1", "v2"], "ts": "t"}))
    }

    fn persona() -> Parse {
        parse(json!({"kind": "kv", "pair": ",", "kv": "=", "sig": ["v1"], "ts": "t", "sets": " "}))
    }

    #[test]
    fn a_text_holds_signatures() {
        let prefix = parse(json!({"kind": "prefix", "prefix": "sha256="}));
        let list = parse(json!({"kind": "list", "item": " ", "version": "v1,"}));
        for (parse, text, expected) in [
            (Parse::Raw {}, "00fF", Ok(":00ff")),
            (Parse::Raw {}, "00f", Err(Failure::Malformed)),
            (Parse::Raw {}, " 00", Err(Failure::Malformed)),
            (prefix.clone(), "sha256=00", Ok(":00")),
            (prefix.clone(), "sha1=00", Err(Failure::Malformed)),
            (prefix, "sha256=sha256=00", Err(Failure::Malformed)),
            (list.clone(), "v1,00 v2,01 v1,02", Ok(":00,02")),
            (list.clone(), "v1,xx v1,02", Ok(":02")),
            (list.clone(), "v1,xx", Err(Failure::Malformed)),
            (list.clone(), "v1a,00", Err(Failure::Missing)),
            (list, "", Err(Failure::Missing)),
            (stripe(), "t=12,v1=00,v0=01,v2=02", Ok("12:00,02")),
            (stripe(), "v1=00", Ok(":00")),
            (stripe(), "t=1=2,v1=00", Ok("1=2:00")),
            (stripe(), "t=1,v1=00,t=2", Err(Failure::Repeated)),
            (stripe(), "t=1,v0=00", Err(Failure::Missing)),
            (stripe(), "t=1, v1=00", Err(Failure::Missing)),
            (stripe(), "t=1,v1=zz", Err(Failure::Malformed)),
            (persona(), "t=1,v1=00 t=2,v1=01", Ok("1:00 2:01")),
            (persona(), "t=1,v1=zz t=2,v1=01", Ok("2:01")),
            (persona(), "t=1,v1=00 t=2,t=3", Err(Failure::Repeated)),
            (persona(), "v1=00 t=2,v1=01", Ok(":00 2:01")),
        ] {
            assert_eq!(read(&parse, text).as_deref(), expected.as_ref().copied(), "{parse:?} {text}");
        }
    }

    #[test]
    fn only_so_many_are_looked_at() {
        let list = parse(json!({"kind": "list", "item": " ", "version": "v1,"}));
        for (parse, item, signatures, sets) in [
            (stripe(), "v1=00,", MOST_SIGNATURES, 1),
            (list, "v1,00 ", MOST_SIGNATURES, 1),
            (persona(), "t=1,v1=00 ", MOST_SETS, MOST_SETS),
            (persona(), "t=1,v1=00,v1=00,v1=00,v1=00 ", MOST_SIGNATURES, 3),
            (persona(), "t=1,v1=00,v1=00,v1=00 ", MOST_SIGNATURES, MOST_SETS),
        ] {
            let read = parse.read(&item.repeat(175_000), Encoding::Hex).unwrap();
            assert_eq!(read.len(), sets, "{item}");
            assert_eq!(read.iter().map(|set| set.signatures.len()).sum::<usize>(), signatures, "{item}");
        }
        for text in [",", "=", " ", "\0", "\u{e9}", "v1"] {
            for parse in [stripe(), persona(), Parse::Raw {}] {
                assert!(read(&parse, &text.repeat(1_048_576)).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn each_encoding_takes_what_providers_send() {
        for (encoding, text, bytes) in [
            (Encoding::Hex, "FbfF", Some(&[0xfb, 0xff][..])),
            (Encoding::Hex, "fb f", None),
            (Encoding::Base64, "+/8=", Some(&[0xfb, 0xff])),
            (Encoding::Base64, "+/8", Some(&[0xfb, 0xff])),
            (Encoding::Base64, "-_8=", None),
            (Encoding::Base64, "+/9=", None),
            (Encoding::Base64url, "-_8", Some(&[0xfb, 0xff])),
            (Encoding::Base64url, "-_8=", Some(&[0xfb, 0xff])),
            (Encoding::Base64url, "+/8=", None),
        ] {
            assert_eq!(encoding.decode(text).as_deref(), bytes, "{encoding:?} {text}");
        }
    }

    #[test]
    fn separators_separate_and_names_are_told_apart() {
        let kv = |pair: &str, kv: &str, sig: Value, ts: &str| {
            parse(json!({"kind": "kv", "pair": pair, "kv": kv, "sig": sig, "ts": ts}))
        };
        let list = |item: &str, version: &str| parse(json!({"kind": "list", "item": item, "version": version}));
        let mut sets = persona();
        assert_eq!(sets.check(), Ok(()));
        if let Parse::Kv { sets, .. } = &mut sets {
            *sets = Some(",".into());
        }
        for (parse, fault) in [
            (Parse::Raw {}, None),
            (parse(json!({"kind": "prefix", "prefix": "sha256="})), None),
            (parse(json!({"kind": "prefix", "prefix": ""})), Some("/signature/parse/prefix")),
            (parse(json!({"kind": "prefix", "prefix": "a".repeat(201)})), Some("/signature/parse/prefix")),
            (list(" ", "v1,"), None),
            (list("", "v1,"), Some("/signature/parse/item")),
            (list("a", "v1,"), Some("/signature/parse/item")),
            (list(",", "v1,"), Some("/signature/parse/item")),
            (list(" ", ""), Some("/signature/parse/version")),
            (kv(", ", "=", json!(["v1"]), "t"), None),
            (kv("", "=", json!(["v1"]), "t"), Some("/signature/parse/pair")),
            (kv(",", "\n", json!(["v1"]), "t"), Some("/signature/parse/kv")),
            (kv(",", ",", json!(["v1"]), "t"), Some("/signature/parse/kv")),
            (kv(",", "=", json!([]), "t"), Some("/signature/parse/sig")),
            (kv(",", "=", json!(vec!["v1"; 11]), "t"), Some("/signature/parse/sig")),
            (kv(",", "=", json!(["v1", "v1"]), "t"), Some("/signature/parse/sig")),
            (kv(",", "=", json!(["v=1"]), "t"), Some("/signature/parse/sig")),
            (kv(",", "=", json!(["v1"]), ""), Some("/signature/parse/ts")),
            (kv(",", "=", json!(["v1"]), "v1"), Some("/signature/parse/ts")),
            (sets, Some("/signature/parse/sets")),
        ] {
            assert_eq!(parse.check().err().map(|fault| fault.pointer), fault, "{parse:?}");
        }
    }
}

//! When a request was signed, by its own word, and whether that is recent.

use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::parse::{Parse, Set};
use super::template::Template;
use super::{Failure, Fault, Presented, rules};
use crate::place::{NotAPlace, Place};

/// The time that a request says it was signed at. Its text goes into `{ts}` as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timestamp {
    pub from: TimeFrom,
    pub unit: Unit,
    /// How far from now it may be, before or after, in seconds.
    pub tolerance_s: u32,
    /// Whether it must be there; it must be in any case if the template has it.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub required: bool,
}

/// Where a time stands; written `signature`, `header:NAME` or `json:/pointer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimeFrom {
    /// Beside the signatures, where [`Parse::Kv`] names it.
    Signature,
    Place(Place),
}

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds since 1970, in digits.
    S,
    /// Milliseconds since 1970, in digits.
    Ms,
    /// RFC 3339, such as `2022-11-03T18:15:14.123456789Z`.
    Rfc3339,
}

/// The longest tolerance that a tenant may ask for: a day.
const MOST_TOLERANCE_S: u32 = 86_400;
/// Enough for milliseconds for 30,000 years, and few enough for any arithmetic.
const MOST_DIGITS: usize = 15;

impl Timestamp {
    /// What stands there; nothing if nothing does.
    pub(super) fn read(&self, request: &Presented<'_>, set: &Set) -> Result<Option<String>, Failure> {
        match &self.from {
            TimeFrom::Signature => Ok(set.time.clone()),
            TimeFrom::Place(Place::Header(name)) => match super::header(&request.inbound, name) {
                Ok(value) => String::from_utf8(value.to_vec()).map(Some).map_err(|_| Failure::Malformed),
                Err(Failure::Missing) => Ok(None),
                Err(failure) => Err(failure),
            },
            TimeFrom::Place(place) => Ok(place.read(&request.inbound)),
        }
    }

    /// Whether a time is near `now` (milliseconds since 1970).
    pub(super) fn judge(&self, text: &str, now: i64) -> Result<(), Failure> {
        let then = self.unit.read(text).ok_or(Failure::Malformed)?;
        let is_near = now.abs_diff(then) <= u64::from(self.tolerance_s) * 1000;
        if is_near { Ok(()) } else { Err(Failure::Stale) }
    }

    /// A time that nobody signed proves nothing.
    pub(super) fn check(&self, parse: &Parse, signed: &Template) -> Result<(), Fault> {
        if !matches!(self.tolerance_s, 1..=MOST_TOLERANCE_S) {
            return Err(rules::fault("/timestamp/tolerance_s", format!("must be 1 to {MOST_TOLERANCE_S}")));
        }
        let is_signed = match &self.from {
            TimeFrom::Signature if !parse.has_time() => {
                let detail = "cannot be `signature` unless `signature.parse` is of the kind `kv` and has `ts`";
                return Err(rules::fault("/timestamp/from", detail));
            }
            TimeFrom::Signature => false,
            TimeFrom::Place(Place::Header(name)) => signed.has_header(name),
            TimeFrom::Place(Place::Json(_)) => signed.has_body(),
            TimeFrom::Place(Place::Query(_) | Place::Form(_)) => {
                return Err(rules::fault("/timestamp/from", NotATime.to_string()));
            }
        };
        if is_signed || signed.has_time() {
            return Ok(());
        }
        Err(rules::fault("/signed", "must contain `{ts}`: a timestamp that is not signed can be forged"))
    }
}

impl Unit {
    /// In milliseconds since 1970.
    fn read(self, text: &str) -> Option<i64> {
        match self {
            Self::S => digits(text)?.checked_mul(1000),
            Self::Ms => digits(text),
            Self::Rfc3339 if is_rfc3339(text) => Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()),
            Self::Rfc3339 => None,
        }
    }
}

fn digits(text: &str) -> Option<i64> {
    let is_number = matches!(text.len(), 1..=MOST_DIGITS) && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Whether it has exactly this shape; the parser is more lenient, and what is next to the time in a message must not pass
/// for a part of it.
fn is_rfc3339(text: &str) -> bool {
    let Some((whole, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            if !matches!(fraction.len() - zone.len(), 1..=9) {
                return false;
            }
            zone
        }
        None => rest,
    };
    has_shape(whole, "0000-00-00T00:00:00") && (zone == "Z" || has_shape(zone, "+00:00") || has_shape(zone, "-00:00"))
}

fn has_shape(text: &str, shape: &str) -> bool {
    let is_like = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(is_like)
}

/// Not a place where a time can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a place of a time: `signature`, `header:NAME` or `json:/pointer`")]
pub struct NotATime;

impl FromStr for TimeFrom {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        match text {
            "signature" => Ok(Self::Signature),
            place => place.parse().map(Self::Place).map_err(|NotAPlace| NotATime),
        }
    }
}

impl fmt::Display for TimeFrom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature => out.write_str("signature"),
            Self::Place(place) => place.fmt(out),
        }
    }
}

impl Serialize for TimeFrom {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeFrom {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
fn is_yes(value: &bool) -> bool {
    *value
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::parse::Parse;
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn timestamp(from: &str, unit: &str, tolerance_s: u32) -> Timestamp {
        serde_json::from_value(json!({"from": from, "unit": unit, "tolerance_s": tolerance_s})).unwrap()
    }

    #[test]
    fn a_time_is_digits_or_rfc_3339_and_near() {
        let stale = Some(Failure::Stale);
        let malformed = Some(Failure::Malformed);
        for (unit, text, failure) in [
            ("s", "1700000000", None),
            ("s", "1700000300", None),
            ("s", "1700000301", stale),
            ("s", "1699999700", None),
            ("s", "1699999699", stale),
            ("s", "0", stale),
            ("s", "999999999999999", stale),
            ("s", "1000000000000000", malformed),
            ("s", "000001700000000", None),
            ("ms", "1700000300000", None),
            ("ms", "1700000300001", stale),
            ("ms", "1700000000", stale),
            ("s", "", malformed),
            ("s", "-1", malformed),
            ("s", "+1700000000", malformed),
            ("s", "1700000000.0", malformed),
            ("s", " 1700000000", malformed),
            ("s", "1700000000\0", malformed),
            ("s", "\u{661}\u{667}", malformed),
            ("s", "0x10", malformed),
            ("rfc3339", "2023-11-14T22:13:20Z", None),
            ("rfc3339", "2023-11-14T22:13:20.123456789Z", None),
            ("rfc3339", "2023-11-14T23:13:20+01:00", None),
            ("rfc3339", "2023-11-14T21:13:20-01:00", None),
            ("rfc3339", "2023-11-14T22:18:20Z", None),
            ("rfc3339", "2023-11-14T22:18:20.001Z", stale),
            ("rfc3339", "2023-11-14T22:08:19Z", stale),
            ("rfc3339", "9999-12-31T23:59:59Z", stale),
            ("rfc3339", "0000-01-01T00:00:00Z", stale),
            ("rfc3339", "2023-11-14T22:13:20.1234567890Z", malformed),
            ("rfc3339", "2023-11-14T22:13:20.Z", malformed),
            ("rfc3339", "2023-11-14t22:13:20z", malformed),
            ("rfc3339", "2023-11-14 22:13:20Z", malformed),
            ("rfc3339", "2023-11-14T22:13:20", malformed),
            ("rfc3339", "2023-11-14T22:13:20+0100", malformed),
            ("rfc3339", "2023-11-14T22:13Z", malformed),
            ("rfc3339", "2023-13-14T22:13:20Z", malformed),
            ("rfc3339", "2023-11-14T22:13:20Z{", malformed),
            ("rfc3339", "12023-11-14T22:13:20Z", malformed),
            ("rfc3339", "2023-11-14T22:13:2\u{e9}Z", malformed),
            ("rfc3339", "1700000000", malformed),
            ("rfc3339", "", malformed),
        ] {
            let verdict = timestamp("signature", unit, 300).judge(text, NOW);
            assert_eq!(verdict.err(), failure, "{unit} {text}");
        }
        for now in [i64::MIN, i64::MAX] {
            let verdict = timestamp("signature", "s", u32::MAX).judge("999999999999999", now);
            assert_eq!(verdict, Err(Failure::Stale));
        }
    }

    #[test]
    fn a_place_of_a_time_reads_back_as_itself() {
        for text in ["signature", "header:x-at", "json:/at"] {
            assert_eq!(text.parse::<TimeFrom>().unwrap().to_string(), text);
        }
        for text in ["", "Signature", "x-at", "json:at"] {
            assert_eq!(text.parse::<TimeFrom>(), Err(NotATime), "{text}");
        }
        let optional = json!({"from": "json:/at", "unit": "ms", "tolerance_s": 60, "required": false});
        let timestamp: Timestamp = serde_json::from_value(optional.clone()).unwrap();
        assert_eq!(serde_json::to_value(timestamp).unwrap(), optional);
    }

    #[test]
    fn a_tenants_time_is_signed_and_its_tolerance_bounded() {
        let kv = json!({"kind": "kv", "pair": ",", "kv": "=", "sig": ["v1"], "ts": "t"});
        let kv: Parse = serde_json::from_value(kv).unwrap();
        let raw = Parse::Raw {};
        for (parse, from, signed, tolerance_s, fault) in [
            (&kv, "signature", "{ts}.{body}", 1, None),
            (&kv, "signature", "{ts}.{body}", 86_400, None),
            (&kv, "signature", "{ts}.{body}", 0, Some("/timestamp/tolerance_s")),
            (&kv, "signature", "{ts}.{body}", 86_401, Some("/timestamp/tolerance_s")),
            (&kv, "signature", "{body}", 300, Some("/signed")),
            (&raw, "signature", "{ts}.{body}", 300, Some("/timestamp/from")),
            (&raw, "header:x-at", "{ts}.{body}", 300, None),
            (&raw, "header:x-at", "{header:X-At}.{body}", 300, None),
            (&raw, "header:x-at", "{header:x-id}.{body}", 300, Some("/signed")),
            (&raw, "json:/at", "{body}", 300, None),
            (&raw, "query:at", "{ts}.{body}", 300, Some("/timestamp/from")),
            (&raw, "form:at", "{ts}.{body}", 300, Some("/timestamp/from")),
        ] {
            let verdict = timestamp(from, "s", tolerance_s).check(parse, &Template::new(signed));
            assert_eq!(verdict.err().map(|fault| fault.pointer), fault, "{from} {signed} {tolerance_s}");
        }
    }
}

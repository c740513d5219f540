//! Reading of what an event says of itself. The body is only looked at; it is stored and sent on as it came.

use std::fmt;

use chrono::DateTime;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// A request as a provider sent it.
#[derive(Debug, Clone, Copy)]
pub struct Inbound<'a> {
    /// Names in any case, in the order they came.
    pub headers: &'a [(String, Vec<u8>)],
    /// What follows the question mark of the URL.
    pub query: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
}

/// What an event says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extracted {
    /// What kind of event it is.
    pub event_type: Option<String>,
    /// A finer type, which patterns match as well.
    pub derived_type: Option<String>,
    /// The provider's own id of the event.
    pub external_id: Option<String>,
    /// When it happened, in milliseconds since 1970, by the provider's clock.
    pub occurred_at: Option<i64>,
    /// The id of the API call that led to the event.
    pub request_id: Option<String>,
}

/// The longest text that is taken out of an event. Ids and types of known providers have less than 100 bytes; a longer
/// one is a mistake or an attack on the index.
pub const MAX_VALUE_BYTES: usize = 512;

/// Some members of a JSON object.
#[derive(Debug, Default)]
pub(super) struct Members(Vec<(&'static str, Value)>);

impl Members {
    /// The members of these names at the top of the body; none if the body is no JSON object. The rest of it is passed
    /// over without being kept, so that a large body costs time only.
    pub(super) fn of(body: &[u8], names: &'static [&'static str]) -> Self {
        let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let mut json = serde_json::Deserializer::from_slice(body);
        let members = json.deserialize_map(Wanted(names));
        members.and_then(|members| json.end().map(|()| members)).unwrap_or_default()
    }

    /// The last member of this name, as most readers of JSON take it.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// UTF-8's, which some senders begin with although JSON has none.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

struct Wanted(&'static [&'static str]);

impl<'de> Visitor<'de> for Wanted {
    type Value = Members;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members, A::Error> {
        let mut members = Members::default();
        while let Some(name) = object.next_key::<String>()? {
            match self.0.iter().find(|wanted| **wanted == name) {
                Some(wanted) => members.0.push((wanted, object.next_value()?)),
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// A text that may be stored and shown: neither empty nor too long, without control characters (which PostgreSQL
/// partly refuses, and terminals obey).
pub(super) fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    let is_fit = matches!(text.len(), 1..=MAX_VALUE_BYTES) && !text.chars().any(char::is_control);
    is_fit.then(|| text.to_owned())
}

/// An RFC 3339 time in milliseconds since 1970.
pub(super) fn time(value: Option<&Value>) -> Option<i64> {
    DateTime::parse_from_rfc3339(value?.as_str()?).ok().map(|time| time.timestamp_millis())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_text_that_can_be_stored_and_shown_is_taken() {
        for (value, taken) in [
            (json!("a"), true),
            (json!("é 漢"), true),
            (json!("x".repeat(512)), true),
            (json!("x".repeat(513)), false),
            (json!("é".repeat(257)), false),
            (json!(""), false),
            (json!("a\u{0}"), false),
            (json!("a\n"), false),
            (json!("a\u{7f}"), false),
            (json!("a\u{85}"), false),
            (json!(1), false),
            (json!(null), false),
            (json!(["a"]), false),
        ] {
            assert_eq!(text(Some(&value)).is_some(), taken, "{value}");
        }
        assert_eq!(text(None), None);
    }

    #[test]
    fn a_time_is_rfc_3339() {
        for (value, millis) in [
            ("2022-07-26T07:16:41.873Z", Some(1_658_819_801_873)),
            ("2022-07-26T09:16:41.873+02:00", Some(1_658_819_801_873)),
            ("2022-07-26T07:16:41Z", Some(1_658_819_801_000)),
            ("2022-07-26T07:16:41.8731239Z", Some(1_658_819_801_873)),
            ("1969-12-31T23:59:59Z", Some(-1_000)),
            ("2022-07-26T07:16:41.873", None),
            ("2022-07-26", None),
            ("", None),
        ] {
            assert_eq!(time(Some(&json!(value))), millis, "{value}");
        }
        assert_eq!(time(Some(&json!(1_658_819_801))), None);
    }

    #[test]
    fn members_are_read_from_an_object_only() {
        let deep = |levels: usize| format!(r#"{{"b": {}{}, "a": 1}}"#, "[".repeat(levels), "]".repeat(levels));
        let large = format!(r#"{{"b": "{}", "a": 1}}"#, "x".repeat(2 * 1024 * 1024));
        for (body, found) in [
            (br#"{"a": 1}"#.as_slice(), true),
            (b"\xef\xbb\xbf{\"a\": 1}", true),
            (br#" {"b": {"a": 2}, "a": 1} "#, true),
            (br#"{"a": 2, "a": 1}"#, true),
            (large.as_bytes(), true),
            (deep(1_000_000).as_bytes(), true),
            (b"\xef\xbb\xbf\xef\xbb\xbf{\"a\": 1}", false),
            (br#"{"a": 1} {"a": 1}"#, false),
            (br#"{"a": 1"#, false),
            (br#"{"A": 1}"#, false),
            (br#"[{"a": 1}]"#, false),
            (br#""a""#, false),
            (b"", false),
            (b"\xff\xfe", false),
            (b"a=1&b=2", false),
        ] {
            let start = String::from_utf8_lossy(&body[..body.len().min(20)]);
            assert_eq!(Members::of(body, &["a"]).get("a"), found.then(|| json!(1)).as_ref(), "{start}");
        }
        let nested = format!(r#"{{"a": {}1{}}}"#, "[".repeat(200), "]".repeat(200));
        assert_eq!(Members::of(nested.as_bytes(), &["a"]).get("a"), None);
    }
}

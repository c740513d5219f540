//! What an event says of itself. The body is only looked at; it is stored and sent on as it came.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use serde::{Deserialize, Serialize};

use super::Preset;
use crate::clock::WRITABLE;
use crate::inbound::Inbound;
use crate::json;
use crate::place::{NotAPlace, Place};

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
    /// What else was to be kept, by name; what was not found is missing.
    pub attributes: Vec<(String, String)>,
}

/// The longest text that is taken out of an event. Ids and types of known providers have less than 100 bytes; a longer
/// one is a mistake or an attack on the index.
pub const MAX_VALUE_BYTES: usize = 512;

/// A text of so many bytes in JSON: each may be written `\uXXXX`, and quotes stand around them.
const MAX_WRITTEN_BYTES: usize = 6 * MAX_VALUE_BYTES + 2;

/// The most places that an event of one source is read at, all that it names together.
pub const MOST_PLACES: usize = 64;

/// Where a text is found: places in the order they are tried, ` or ` between them; a text that is made of several has
/// ` + ` between their places, and `:` between the parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Find {
    ways: Vec<Vec<Place>>,
    /// What a source says of itself, no preset refines.
    is_the_presets: bool,
}

/// Not the notation of [`Find`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must name where it stands: `header:NAME`, `json:/pointer`, `query:name` or `form:name`, alternatives joined by ` or `, parts by ` + `"
)]
pub struct NotAFind;

/// More than [`MOST_PLACES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must name at most {MOST_PLACES} places in all, every alternative and part counted")]
pub struct TooManyPlaces;

/// More alternatives or parts than this are a mistake.
const MOST: usize = 8;

/// Where everything is found that a source's events say of themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extract {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Find>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<Find>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Find>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Find>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<(String, Find)>,
}

impl Extract {
    /// What the preset knows, and what the source says in its place.
    #[must_use]
    pub fn of(preset: &Preset, said: &Self) -> Self {
        // A preset's notation is checked by a test.
        let find = |text: &str| Some(Find { is_the_presets: true, ..text.parse().ok()? });
        let known = |text: Option<&str>| text.and_then(find);
        let either = |said: &Option<Find>, preset| said.clone().or_else(|| known(preset));
        let places = &preset.extract;
        let attributes =
            || places.attributes.iter().filter_map(|(name, place)| Some(((*name).to_owned(), find(place)?)));
        Self {
            event_type: either(&said.event_type, places.event_type),
            external_id: either(&said.external_id, places.external_id),
            occurred_at: either(&said.occurred_at, places.occurred_at),
            request_id: either(&said.request_id, places.request_id),
            attributes: if said.attributes.is_empty() { attributes().collect() } else { said.attributes.clone() },
        }
    }

    /// What an event of this preset says of itself. What is missing, too long or not text is left out; never an error.
    #[must_use]
    pub fn read(&self, preset: &Preset, inbound: &Inbound<'_>) -> Extracted {
        let found = Found::of(self, inbound);
        let text = |find: &Option<Find>| find.as_ref().and_then(|find| found.text(find)).and_then(storable);
        let mut extracted = Extracted {
            event_type: text(&self.event_type),
            derived_type: None,
            external_id: text(&self.external_id),
            occurred_at: text(&self.occurred_at).as_deref().and_then(time),
            request_id: text(&self.request_id),
            attributes: self
                .attributes
                .iter()
                .filter_map(|(name, find)| Some((name.clone(), storable(found.text(find)?)?)))
                .collect(),
        };
        if let Some(refine) = preset.refine {
            let said = extracted.clone();
            refine(inbound, &mut extracted);
            self.put_back(said, &mut extracted);
        }
        extracted.occurred_at = extracted.occurred_at.filter(|at| WRITABLE.contains(at));
        extracted
    }

    /// Whether a source may ask for it.
    ///
    /// # Errors
    /// It names more places than [`MOST_PLACES`].
    pub fn check(&self) -> Result<(), TooManyPlaces> {
        if self.places() <= MOST_PLACES { Ok(()) } else { Err(TooManyPlaces) }
    }

    /// How many places it names: every part of every alternative.
    #[must_use]
    pub fn places(&self) -> usize {
        self.finds().flat_map(|find| &find.ways).map(Vec::len).sum()
    }

    /// What the source itself says where to find is as it was found, or missing.
    fn put_back(&self, said: Extracted, refined: &mut Extracted) {
        let is_the_sources = |find: &Option<Find>| find.as_ref().is_some_and(|find| !find.is_the_presets);
        if is_the_sources(&self.event_type) {
            refined.event_type = said.event_type;
        }
        if is_the_sources(&self.external_id) {
            refined.external_id = said.external_id;
        }
        if is_the_sources(&self.occurred_at) {
            refined.occurred_at = said.occurred_at;
        }
        if is_the_sources(&self.request_id) {
            refined.request_id = said.request_id;
        }
        if self.attributes.iter().any(|(_, find)| !find.is_the_presets) {
            refined.attributes = said.attributes;
        }
    }

    fn finds(&self) -> impl Iterator<Item = &Find> {
        let named = [&self.event_type, &self.external_id, &self.occurred_at, &self.request_id];
        named.into_iter().flatten().chain(self.attributes.iter().map(|(_, find)| find))
    }
}

/// The body's values, each kind read in one go.
struct Found<'a> {
    inbound: &'a Inbound<'a>,
    in_body: HashMap<&'a Place, String>,
}

impl<'a> Found<'a> {
    fn of(extract: &'a Extract, inbound: &'a Inbound<'a>) -> Self {
        let (mut pointers, mut items) = (HashMap::new(), HashMap::new());
        for place in extract.finds().flat_map(|find| find.ways.iter().flatten()) {
            match place {
                Place::Json(pointer) => _ = pointers.insert(&**pointer, place),
                Place::Form(name) => _ = items.insert(&**name, place),
                Place::Header(_) | Place::Query(_) => {}
            }
        }
        let mut in_body = HashMap::new();
        if !pointers.is_empty() {
            in_body.extend(read_json(&pointers, inbound.body));
        }
        if !items.is_empty() {
            in_body.extend(read_form(items, inbound.body));
        }
        Self { inbound, in_body }
    }

    fn text(&self, find: &Find) -> Option<String> {
        find.ways.iter().find_map(|parts| {
            let parts: Option<Vec<String>> = parts.iter().map(|place| self.part(place)).collect();
            Some(parts?.join(":"))
        })
    }

    /// What is too long does not count as being there, wherever it stands.
    fn part(&self, place: &Place) -> Option<String> {
        let text = match place {
            Place::Json(_) | Place::Form(_) => self.in_body.get(place).cloned(),
            Place::Header(_) | Place::Query(_) => place.read(self.inbound),
        };
        text.filter(|text| text.len() <= MAX_VALUE_BYTES)
    }
}

fn read_json<'a>(pointers: &HashMap<&str, &'a Place>, body: &[u8]) -> impl Iterator<Item = (&'a Place, String)> {
    let (pointers, places): (Vec<&str>, Vec<&Place>) = pointers.iter().unzip();
    let values = json::read_up_to(body, &pointers, MAX_WRITTEN_BYTES);
    places.into_iter().zip(values).filter_map(|(place, value)| Some((place, value?)))
}

/// The first item of each name.
fn read_form<'a>(mut names: HashMap<&str, &'a Place>, body: &[u8]) -> impl Iterator<Item = (&'a Place, String)> {
    url::form_urlencoded::parse(body).filter_map(move |(name, value)| Some((names.remove(&*name)?, value.into_owned())))
}

impl Find {
    /// The place where it stands first of all, if it stands in one.
    #[must_use]
    pub fn first(&self) -> Option<&Place> {
        self.ways.first()?.first()
    }

    /// The alternatives, each as its parts.
    pub(super) fn ways(&self) -> &[Vec<Place>] {
        &self.ways
    }
}

impl FromStr for Find {
    type Err = NotAFind;

    fn from_str(text: &str) -> Result<Self, NotAFind> {
        let parts = |text: &str| text.split(" + ").map(Place::from_str).collect::<Result<Vec<_>, NotAPlace>>();
        let ways = text.split(" or ").map(parts).collect::<Result<Vec<_>, _>>().map_err(|_| NotAFind)?;
        let is_fit = ways.len() <= MOST && ways.iter().all(|parts| parts.len() <= MOST);
        if is_fit { Ok(Self { ways, is_the_presets: false }) } else { Err(NotAFind) }
    }
}

impl fmt::Display for Find {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, parts) in self.ways.iter().enumerate() {
            out.write_str(if number == 0 { "" } else { " or " })?;
            for (number, place) in parts.iter().enumerate() {
                write!(out, "{}{place}", if number == 0 { "" } else { " + " })?;
            }
        }
        Ok(())
    }
}

impl Serialize for Find {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Find {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that may be stored and shown: neither empty nor too long, without control characters (which PostgreSQL
/// partly refuses, and terminals obey).
pub(super) fn storable(text: String) -> Option<String> {
    let is_fit = matches!(text.len(), 1..=MAX_VALUE_BYTES) && !text.chars().any(char::is_control);
    is_fit.then_some(text)
}

/// Seconds of 1970 that are more than this (the year 5138) are milliseconds.
pub(super) const SECONDS_END: i64 = 100_000_000_000;

/// A time in milliseconds since 1970: RFC 3339, or Unix time in seconds (also with a fraction) or in milliseconds.
fn time(text: &str) -> Option<i64> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_millis());
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number =
        |text: &str, least| text.len() >= least && text.len() <= 15 && text.bytes().all(|it| it.is_ascii_digit());
    if !is_number(whole, 1) || !is_number(fraction, 0) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    if whole > SECONDS_END {
        return Some(whole);
    }
    let millis: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    Some(whole * 1000 + millis)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_that_can_be_stored_and_shown_is_taken() {
        for (text, taken) in [
            ("a", true),
            ("é 漢", true),
            (&"x".repeat(512), true),
            (&"x".repeat(513), false),
            (&"é".repeat(257), false),
            ("", false),
            ("a\u{0}", false),
            ("a\n", false),
            ("a\u{7f}", false),
            ("a\u{85}", false),
        ] {
            assert_eq!(storable(text.to_owned()).is_some(), taken, "{text}");
        }
    }

    #[test]
    fn a_time_is_rfc_3339_or_unix_time() {
        for (text, millis) in [
            ("2022-07-26T07:16:41.873Z", Some(1_658_819_801_873)),
            ("2022-07-26T09:16:41.873+02:00", Some(1_658_819_801_873)),
            ("2022-07-26T07:16:41Z", Some(1_658_819_801_000)),
            ("2022-07-26T07:16:41.8731239Z", Some(1_658_819_801_873)),
            ("1969-12-31T23:59:59Z", Some(-1_000)),
            ("1658819801", Some(1_658_819_801_000)),
            ("1658819801873", Some(1_658_819_801_873)),
            ("1531420618.0002", Some(1_531_420_618_000)),
            ("1531420618.5", Some(1_531_420_618_500)),
            ("0", Some(0)),
            ("2022-07-26T07:16:41.873", None),
            ("2022-07-26", None),
            ("-5", None),
            ("1.-5", None),
            (".5", None),
            ("9999999999999999", None),
            ("", None),
        ] {
            assert_eq!(time(text), millis, "{text}");
        }
    }

    #[test]
    fn what_no_date_can_say_is_no_time() {
        let extract = Extract { occurred_at: Some("json:/at".parse().unwrap()), ..Extract::default() };
        for (at, is_taken) in [
            ("253402300799999", true),
            ("253402300800000", false),
            ("9999-12-31T23:59:59Z", true),
            ("9999-12-31T23:59:59-01:00", false),
            ("0000-01-01T00:00:00Z", true),
            ("0000-01-01T00:00:00+01:00", false),
        ] {
            let body = format!(r#"{{"at": "{at}"}}"#);
            let read = extract.read(super::super::GENERIC, &super::super::tests::inbound(body.as_bytes()));
            assert_eq!(read.occurred_at.is_some(), is_taken, "{at}");
        }
    }

    #[test]
    fn a_find_reads_back_as_itself() {
        for (text, good) in [
            ("json:/Id or json:/id", true),
            ("json:/a + header:x-b or query:c", true),
            ("json:/a or ", false),
            ("", false),
            (&["json:/a"; 9].join(" or "), false),
        ] {
            assert_eq!(
                text.parse::<Find>().ok().map(|find| find.to_string()).as_deref(),
                good.then_some(text),
                "{text}"
            );
        }
    }

    #[test]
    fn parts_are_joined_and_alternatives_tried_in_order() {
        let headers = http::HeaderMap::new();
        let read = |find: &str, body: &str| {
            let extract = Extract { external_id: Some(find.parse().unwrap()), ..Extract::default() };
            let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body: body.as_bytes() };
            extract.read(&super::super::generic::PRESET, &inbound).external_id
        };
        for (find, body, value) in [
            ("json:/a + json:/b", r#"{"a": "1", "b": 2}"#, Some("1:2")),
            ("json:/a + json:/b", r#"{"a": "1"}"#, None),
            ("json:/a + json:/b or json:/c", r#"{"a": "1", "c": "3"}"#, Some("3")),
            ("json:/a or json:/c", r#"{"a": "1", "c": "3"}"#, Some("1")),
        ] {
            assert_eq!(read(find, body).as_deref(), value, "{find} {body}");
        }
    }

    #[test]
    fn a_source_names_so_many_places_and_no_more() {
        let find = |places: usize| vec!["json:/a"; places].join(" + ").parse::<Find>().unwrap();
        let extract = |attributes: usize, more: usize| Extract {
            event_type: Some("json:/a or json:/b + header:x-c".parse().unwrap()),
            external_id: (more > 0).then(|| find(more)),
            attributes: (0..attributes).map(|number| (number.to_string(), find(8))).collect(),
            ..Extract::default()
        };
        for (extract, places, is_fit) in [
            (Extract::default(), 0, true),
            (extract(0, 0), 3, true),
            (extract(7, 5), MOST_PLACES, true),
            (extract(7, 6), MOST_PLACES + 1, false),
            (extract(20, 8), 171, false),
        ] {
            assert_eq!((extract.places(), extract.check().is_ok()), (places, is_fit));
        }
    }

    #[test]
    fn no_preset_names_more_places_than_a_source_may() {
        for preset in super::super::all() {
            assert_eq!(Extract::of(preset, &Extract::default()).check(), Ok(()), "{}", preset.name);
        }
    }

    #[test]
    fn all_items_of_a_form_are_read_and_the_first_of_a_name_counts() {
        let extract = Extract {
            event_type: Some("form:type".parse().unwrap()),
            external_id: Some("form:id + form:none or form:id + form:type".parse().unwrap()),
            ..Extract::default()
        };
        let extracted =
            extract.read(&super::super::generic::PRESET, &super::super::tests::inbound(b"id=1&type=a&id=2"));
        assert_eq!((extracted.event_type.as_deref(), extracted.external_id.as_deref()), (Some("a"), Some("1:a")));
    }

    #[test]
    fn what_is_too_long_is_not_there() {
        for place in ["json:/a or json:/b", "form:a or form:b"] {
            for (length, is_taken) in [(512, true), (513, false), (4000, false)] {
                let long = "x".repeat(length);
                let body = if place.starts_with("json") {
                    format!(r#"{{"a": "{long}", "b": "short"}}"#)
                } else {
                    format!("a={long}&b=short")
                };
                let extract = Extract { event_type: Some(place.parse().unwrap()), ..Extract::default() };
                let inbound = super::super::tests::inbound(body.as_bytes());
                let read = extract.read(&super::super::generic::PRESET, &inbound).event_type;
                assert_eq!(read.as_deref(), Some(if is_taken { &*long } else { "short" }), "{place} {length}");
            }
        }
        let escaped = format!(r#"{{"a": "{}"}}"#, "\\u0041".repeat(512));
        let extract = Extract { event_type: Some("json:/a".parse().unwrap()), ..Extract::default() };
        let inbound = super::super::tests::inbound(escaped.as_bytes());
        assert_eq!(extract.read(&super::super::generic::PRESET, &inbound).event_type, Some("A".repeat(512)));
    }

    #[test]
    fn no_preset_refines_what_the_source_says() {
        let waldo = super::super::find("waldo").unwrap();
        let said = Extract { event_type: Some("header:x-type".parse().unwrap()), ..Extract::default() };
        // As it comes out of the database.
        let said: Extract = serde_json::from_value(serde_json::to_value(&said).unwrap()).unwrap();
        let body = br#"{"flag": true, "evaluation": {"type": "kyc", "status": "failed"}}"#;
        let mut headers = http::HeaderMap::new();
        for expected in [None, Some("mine")] {
            if let Some(text) = expected {
                headers.insert("x-type", text.parse().unwrap());
            }
            for body in [&br#"{"flag": true}"#[..], body] {
                let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body };
                let extracted = Extract::of(waldo, &said).read(waldo, &inbound);
                assert_eq!(extracted.event_type.as_deref(), expected);
            }
            let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body };
            let derived = Extract::of(waldo, &said).read(waldo, &inbound).derived_type;
            assert_eq!(derived.as_deref(), Some("evaluation.kyc.failed"));
        }
        let inbound = super::super::tests::inbound(br#"{"flag": true}"#);
        let unsaid = Extract::of(waldo, &Extract::default()).read(waldo, &inbound);
        assert_eq!(unsaid.event_type.as_deref(), Some("flag"));
    }
}

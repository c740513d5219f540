//! A request as a provider would send it: a sample, with a type, an id and a time of its own in the places where they are
//! read. Nothing is signed.

use chrono::{DateTime, SecondsFormat};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use url::form_urlencoded;

use super::extract::{Find, SECONDS_END};
use super::{EventType, Extract, Preset};
use crate::inbound::Inbound;
use crate::json;
use crate::place::Place;
use crate::verification::{TimeFrom, Timestamp, Unit, Verification};

mod edit;

/// What a provider would have sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Simulated {
    /// With the content type.
    pub headers: HeaderMap,
    pub query: Option<String>,
    pub body: Vec<u8>,
}

/// The sample of an event type, as `extract` reads it: of this type, with this id, of this time (milliseconds since 1970).
/// Where `extract` or the sample has no place for one of them, it is left out. Nothing if the preset has no such type.
#[must_use]
pub fn simulate(preset: &Preset, extract: &Extract, event_type: &str, id: &str, now: i64) -> Option<Simulated> {
    let samples = preset.event_type(event_type)?.samples;
    let mut request = of_type(preset, extract, samples.first().copied().unwrap_or(preset.sample), event_type);
    if let Some(find) = &extract.external_id {
        request.put_id(find, id);
    }
    if let Some(find) = &extract.occurred_at {
        request.put_time(find, preset, now);
    }
    Some(request)
}

/// Bodies of an event type, at least one: its own samples or else the preset's, with the type where it is read.
#[must_use]
pub fn samples(preset: &Preset, event_type: &EventType) -> Vec<String> {
    let extract = Extract::of(preset, &Extract::default());
    let samples = if event_type.samples.is_empty() { &[preset.sample][..] } else { event_type.samples };
    let body = |sample: &&str| {
        let sent = of_type(preset, &extract, sample, event_type.name);
        String::from_utf8_lossy(&sent.body).into_owned()
    };
    samples.iter().map(body).collect()
}

fn of_type(preset: &Preset, extract: &Extract, sample: &str, event_type: &str) -> Simulated {
    let mut request = Simulated::of(sample);
    if let Some(find) = &extract.event_type
        && extract.read(preset, &request.inbound()).event_type.as_deref() != Some(event_type)
    {
        request.put_type(find, event_type);
    }
    request
}

impl Simulated {
    fn of(sample: &str) -> Self {
        let content_type = HeaderValue::from_static(content_type(sample));
        Self { headers: HeaderMap::from_iter([(CONTENT_TYPE, content_type)]), query: None, body: sample.into() }
    }

    /// The same, for what looks at requests.
    #[must_use]
    pub fn inbound(&self) -> Inbound<'_> {
        let query = self.query.as_deref();
        Inbound { method: "POST", headers: &self.headers, path: "", query, body: &self.body }
    }

    /// A type that is made of several parts is put into as many.
    fn put_type(&mut self, find: &Find, event_type: &str) {
        let texts = |parts: &[Place]| event_type.splitn(parts.len(), ':').collect::<Vec<_>>();
        let fitting = || find.ways().iter().filter(|parts| texts(parts).len() == parts.len());
        if let Some(parts) = fitting().find(|parts| self.shows(parts)).or(fitting().next()) {
            parts.iter().zip(texts(parts)).for_each(|(place, text)| self.put(place, text));
        }
    }

    /// An id that is made of several parts differs in the first; the others need only be there.
    fn put_id(&mut self, find: &Find, id: &str) {
        let Some([first, others @ ..]) = self.way(find) else { return };
        self.put(first, id);
        for place in others {
            if self.text(place).is_none() {
                self.put(place, "1");
            }
        }
    }

    fn put_time(&mut self, find: &Find, preset: &Preset, now: i64) {
        if let Some([place, ..]) = self.way(find) {
            let text = time(self.text(place).as_deref(), unit(preset, place), now);
            self.put(place, &text);
        }
    }

    /// The first way that the sample shows, or else the first of all.
    fn way<'f>(&self, find: &'f Find) -> Option<&'f [Place]> {
        let mut ways = find.ways().iter();
        ways.clone().find(|parts| self.shows(parts)).or(ways.next()).map(Vec::as_slice)
    }

    /// A sample is a body: headers and query say nothing about it.
    fn shows(&self, parts: &[Place]) -> bool {
        let mut inside = parts.iter().filter(|place| matches!(place, Place::Json(_) | Place::Form(_))).peekable();
        inside.peek().is_some() && inside.all(|place| self.text(place).is_some())
    }

    fn text(&self, place: &Place) -> Option<String> {
        place.read(&self.inbound())
    }

    /// Writes a text to a place; not where the body is of another kind, or the text no header's.
    fn put(&mut self, place: &Place, text: &str) {
        match place {
            Place::Header(name) => {
                if let (Ok(name), Ok(value)) = (HeaderName::try_from(&**name), HeaderValue::try_from(text)) {
                    self.headers.insert(name, value);
                }
            }
            Place::Query(name) => self.query = Some(with_item(self.query.as_deref().unwrap_or(""), name, text)),
            Place::Form(name) if self.headers.get(CONTENT_TYPE).is_some_and(|it| it == FORM) => {
                self.body = with_item(&String::from_utf8_lossy(&self.body), name, text).into();
            }
            Place::Form(_) => {}
            Place::Json(pointer) => {
                let edited = str::from_utf8(&self.body).ok().and_then(|body| edit::put(body, pointer, text));
                self.body = edited.map_or_else(|| std::mem::take(&mut self.body), Into::into);
            }
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

fn content_type(sample: &str) -> &'static str {
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(sample).is_ok();
    let is_cloud_event = || json::read(sample.as_bytes(), &["/specversion"]) != [None];
    match sample {
        _ if is_json && is_cloud_event() => "application/cloudevents+json",
        _ if is_json => "application/json",
        _ if sample.contains('=') && !sample.contains([' ', '\n', '<']) => FORM,
        _ => "text/plain",
    }
}

/// A query or form with another value in the first item of this name, or one item more.
fn with_item(items: &str, name: &str, value: &str) -> String {
    let pair = form_urlencoded::Serializer::new(String::new()).append_pair(name, value).finish();
    let is_it = |item: &&str| form_urlencoded::parse(item.as_bytes()).any(|(found, _)| found == name);
    let mut items: Vec<&str> = items.split('&').filter(|item| !item.is_empty()).collect();
    match items.iter().position(is_it) {
        Some(at) => items[at] = &pair,
        None => items.push(&pair),
    }
    items.join("&")
}

/// A time in the form that the sample's has, or else in this unit, or else as text.
fn time(sample: Option<&str>, unit: Option<Unit>, now: i64) -> String {
    let at = DateTime::from_timestamp_millis(now).unwrap_or_default();
    let (seconds, millis) = (now.div_euclid(1000), now.rem_euclid(1000));
    let Some(sample) = sample else {
        return match unit {
            Some(Unit::S) => seconds.to_string(),
            Some(Unit::Ms) => now.to_string(),
            Some(Unit::Rfc3339) | None => at.to_rfc3339_opts(SecondsFormat::Millis, true),
        };
    };
    let (whole, fraction) = sample.split_once('.').unwrap_or((sample, ""));
    match whole.parse::<i64>() {
        Ok(whole) if whole > SECONDS_END => now.to_string(),
        Ok(_) if fraction.is_empty() => seconds.to_string(),
        Ok(_) => format!("{seconds}.{:0<width$}", format!("{millis:03}"), width = fraction.len()),
        Err(_) if DateTime::parse_from_rfc2822(sample).is_ok() => at.to_rfc2822(),
        Err(_) if fraction.is_empty() => at.to_rfc3339_opts(SecondsFormat::Secs, true),
        Err(_) => at.to_rfc3339_opts(SecondsFormat::Millis, true),
    }
}

/// How the provider writes the time that stands there, if it is the one it signs.
fn unit(preset: &Preset, place: &Place) -> Option<Unit> {
    let signed = |verification: &'static Verification| -> Option<&'static Timestamp> {
        match verification {
            Verification::Hmac(hmac) => hmac.timestamp.as_ref(),
            Verification::Ed25519(key) | Verification::Ecdsa(key) => key.timestamp.as_ref(),
            _ => None,
        }
    };
    let mut times = preset.schemes.iter().filter_map(|scheme| signed(&scheme.verification));
    times.find(|time| matches!(&time.from, TimeFrom::Place(from) if from == place)).map(|time| time.unit)
}

#[cfg(test)]
mod tests;

//! Reads filters as they are written, lets through what they mean, and says nothing of the event.
//!
//! Input: a filter; attributes, written as a query; a request, in which `$M` is a word of the event's.

#![no_main]

use fuzz::filtered::{Event, has_short_numbers, passes};
use fuzz::sent::{NOW, Sent, filled, line};
use libfuzzer_sys::fuzz_target;
use relay::filter::{Filter, Subject};
use serde_json::Value;
use url::form_urlencoded::parse;

/// No filter has it.
const MARKER: &str = "wqxzj";

fuzz_target!(|input: &[u8]| {
    let (json, rest) = line(input);
    let Ok(json) = serde_json::from_slice::<Value>(json) else { return };
    let filter = match Filter::try_from(json.clone()) {
        Ok(filter) => filter,
        Err(error) => {
            assert!(json.pointer(&error.pointer).is_some(), "{error} is not in {json}");
            return;
        }
    };
    let written = serde_json::to_string(&filter).expect("it is data");
    assert_eq!(serde_json::from_str::<Value>(&written).ok().as_ref(), Some(&json));
    assert_eq!(serde_json::from_str::<Filter>(&written).ok().as_ref(), Some(&filter));

    let rest = filled(rest, &[(b"$M", MARKER)]);
    let (attributes, request) = line(&rest);
    let sent = Sent::read(request, NOW);
    let event = event(attributes, &sent);
    let subject = Subject {
        body: &sent.body,
        headers: &event.headers,
        query: sent.query.as_deref(),
        attributes: &event.attributes.iter().cloned().collect(),
    };
    let checked = filter.check(&subject);
    if let Err(mismatch) = &checked {
        let told = mismatch.to_string();
        assert!(told.chars().count() <= 500, "{told}");
        assert!(!told.contains(MARKER) || written.contains(MARKER), "{told}");
    }
    if is_comparable(&written, &event, &sent.body) {
        assert_eq!(checked.is_ok(), passes(&json, &event), "{written} {event:?} {checked:?}");
    }
});

fn event(attributes: &[u8], sent: &Sent) -> Event {
    let pairs =
        |form: &[u8]| parse(form).map(|(name, value)| (name.into_owned(), value.into_owned())).collect::<Vec<_>>();
    let letters = |value: &[u8]| value.iter().map(|byte| char::from(*byte)).collect();
    let mut attributes = pairs(attributes);
    attributes.sort();
    attributes.dedup_by(|one, other| one.0 == other.0);
    Event {
        body: serde_json::from_slice(relay::json::unmarked(&sent.body)).ok(),
        headers: sent.headers.iter().map(|(name, value)| (name.to_string(), letters(value.as_bytes()))).collect(),
        query: pairs(sent.query.as_deref().unwrap_or_default().as_bytes()),
        attributes,
    }
}

/// Serde's values have no half surrogate pairs, no depth and no long numbers.
fn is_comparable(filter: &str, event: &Event, body: &[u8]) -> bool {
    let is_read =
        event.body.is_some() || serde_json::from_slice::<serde::de::IgnoredAny>(relay::json::unmarked(body)).is_err();
    let body = String::from_utf8_lossy(body);
    let pairs = event.headers.iter().chain(&event.query).chain(&event.attributes);
    let texts = pairs.map(|(_, value)| value.as_str()).chain([filter, &*body]);
    is_read && texts.into_iter().all(has_short_numbers)
}

use super::super::{Places, Scheme, all, generic};
use super::*;
use crate::verification::{Algorithm, Encoding, From, Hmac, Parse, SecretForm, Signature, Template};

const NOW: i64 = 1_790_000_000_123;

fn extract(preset: &Preset) -> Extract {
    Extract::of(preset, &Extract::default())
}

fn body(simulated: &Simulated) -> &str {
    str::from_utf8(&simulated.body).unwrap()
}

/// A preset of one event type, `a:b`.
fn preset(sample: &'static str, extract: Places) -> Preset {
    const TYPES: &[EventType] = &[EventType { name: "a:b", description: "", samples: &[] }];
    Preset { sample, extract, event_types: TYPES, ..generic::PRESET }
}

#[test]
fn every_event_of_every_preset_reads_back_as_it_was_asked_for() {
    for preset in all() {
        let extract = extract(preset);
        for event_type in preset.event_types.iter().map(|event_type| event_type.name) {
            let simulated = simulate(preset, &extract, event_type, "simulated-1", NOW).unwrap();
            let told = format!("{} {event_type}: {} {:?}", preset.name, body(&simulated), simulated.headers);
            let read = extract.read(preset, &simulated.inbound());
            assert_eq!(read.event_type.as_deref(), Some(event_type), "{told}");
            if extract.external_id.is_some() {
                let id = read.external_id.unwrap_or_default();
                assert!(id == "simulated-1" || id.starts_with("simulated-1:"), "{id} {told}");
            }
            if extract.occurred_at.is_some() {
                let time = read.occurred_at.unwrap_or_default();
                assert!((NOW - 999..=NOW).contains(&time), "{time} {told}");
            }
        }
    }
}

#[test]
fn no_sample_is_of_another_type() {
    for preset in all() {
        for event_type in preset.event_types {
            let shown = samples(preset, event_type);
            assert!(!shown.is_empty(), "{} {}", preset.name, event_type.name);
            for sample in shown.iter().map(String::as_str).chain(event_type.samples.iter().copied()) {
                let read = extract(preset).read(preset, &Simulated::of(sample).inbound()).event_type;
                let is_of_it = read.is_none_or(|read| read == event_type.name);
                assert!(is_of_it, "{} {}: {sample}", preset.name, event_type.name);
            }
        }
    }
}

#[test]
fn every_sample_is_what_its_content_type_says() {
    for preset in all() {
        for event_type in preset.event_types {
            let simulated = simulate(preset, &extract(preset), event_type.name, "1", NOW).unwrap();
            let content_type = simulated.headers[CONTENT_TYPE].to_str().unwrap();
            let is_json = serde_json::from_slice::<serde_json::Value>(&simulated.body).is_ok();
            assert_eq!(is_json, content_type.ends_with("json"), "{} {}: {simulated:?}", preset.name, event_type.name);
        }
    }
}

#[test]
fn a_type_that_the_preset_does_not_know_is_not_made_up() {
    let ondato = super::super::find("ondato").unwrap();
    assert!(simulate(ondato, &extract(ondato), "form.created", "1", NOW).is_none());
    assert!(simulate(&generic::PRESET, &Extract::default(), "*", "1", NOW).is_none());
}

#[test]
fn the_rest_of_a_sample_stays_as_it_is() {
    let ondato = super::super::find("ondato").unwrap();
    let sample = ondato.event_type("Form.Created").unwrap().samples[0];
    let simulated = simulate(ondato, &extract(ondato), "Form.Created", "simulated-1", NOW).unwrap();
    let (id, time) = ("45a51829-965c-49ac-8fbb-940aa3d8486f", "2022-07-26T07:16:41.873Z");
    assert!(sample.contains(id) && sample.contains(time));
    let expected = sample.replacen(id, "simulated-1", 1).replacen(time, "2026-09-21T14:13:20.123Z", 1);
    assert_eq!(body(&simulated), expected);
}

#[test]
fn each_place_is_written_in_the_form_of_the_sample() {
    let of = |event_type, external_id, occurred_at| Places {
        event_type: Some(event_type),
        external_id: Some(external_id),
        occurred_at: Some(occurred_at),
        ..Places::NONE
    };
    let header = "header:x-id";
    for (sample, places, expected) in [
        (
            r#"{"t": "x", "at": "2020-01-01T00:00:00Z"}"#,
            of("json:/t", header, "json:/at"),
            r#"{"t": "a:b", "at": "2026-09-21T14:13:20Z"}"#,
        ),
        (
            r#"{"t": "x", "at": "2020-01-01T00:00:00.1+01:00"}"#,
            of("json:/t", header, "json:/at"),
            r#"{"t": "a:b", "at": "2026-09-21T14:13:20.123Z"}"#,
        ),
        (r#"{"t": "x", "at": 1577836800}"#, of("json:/t", header, "json:/at"), r#"{"t": "a:b", "at": 1790000000}"#),
        (r#"{"t": "x", "at": "1577836800"}"#, of("json:/t", header, "json:/at"), r#"{"t": "a:b", "at": "1790000000"}"#),
        (
            r#"{"t": "x", "at": 1577836800000}"#,
            of("json:/t", header, "json:/at"),
            r#"{"t": "a:b", "at": 1790000000123}"#,
        ),
        (
            r#"{"t": "x", "at": "1577836800.000200"}"#,
            of("json:/t", header, "json:/at"),
            r#"{"t": "a:b", "at": "1790000000.123000"}"#,
        ),
        (
            r#"{"t": "x", "at": "Tue, 31 Aug 2010 20:36:28 +0100"}"#,
            of("json:/t", header, "json:/at"),
            r#"{"t": "a:b", "at": "Mon, 21 Sep 2026 14:13:20 +0000"}"#,
        ),
        (r#"{"t": "x"}"#, of("json:/t", header, "json:/at"), r#"{"at": "2026-09-21T14:13:20.123Z", "t": "a:b"}"#),
        (r#"{"t": "x", "u": "y"}"#, of("json:/t + json:/u", header, "query:at"), r#"{"t": "a", "u": "b"}"#),
        (r#"{"t": "x", "u": "y"}"#, of("json:/t + json:/u + json:/v", header, "query:at"), r#"{"t": "x", "u": "y"}"#),
        (r#"{"u": "y"}"#, of("json:/t or json:/u", header, "query:at"), r#"{"u": "a:b"}"#),
        (r#"{"u": "y"}"#, of("header:x-t or json:/u", header, "query:at"), r#"{"u": "a:b"}"#),
        (r#"{"u": "a:b"}"#, of("json:/t or json:/u", header, "query:at"), r#"{"u": "a:b"}"#),
        (r#"{"i": 1, "j": 2}"#, of("query:t", "json:/i + json:/j", "query:at"), r#"{"i": "new", "j": 2}"#),
        (r#"{"i": 1}"#, of("query:t", "json:/i + json:/j", "query:at"), r#"{"j": "1", "i": "new"}"#),
        (r#"{"t": "x", "i": "y"}"#, of("form:t", "form:i", "query:at"), r#"{"t": "x", "i": "y"}"#),
        ("t=x&c=d%20e&i=y", of("form:t", "form:i", "query:at"), "t=a%3Ab&c=d%20e&i=new"),
        ("c=d", of("form:t", "form:i", "form:at"), "c=d&t=a%3Ab&i=new&at=2026-09-21T14%3A13%3A20.123Z"),
    ] {
        let preset = preset(sample, places);
        let simulated = simulate(&preset, &extract(&preset), "a:b", "new", NOW).unwrap();
        assert_eq!(body(&simulated), expected, "{sample} {places:?}");
    }
}

#[test]
fn headers_and_query_are_written_too() {
    let places = Places {
        event_type: Some("header:x-type + header:x-action"),
        external_id: Some("header:x-id"),
        occurred_at: Some("query:at"),
        ..Places::NONE
    };
    let preset = preset("{}", places);
    let simulated = simulate(&preset, &extract(&preset), "a:b", "new", NOW).unwrap();
    let header = |name: &str| simulated.headers[name].to_str().unwrap();
    assert_eq!((header("x-type"), header("x-action"), header("x-id")), ("a", "b", "new"));
    assert_eq!(simulated.query.as_deref(), Some("at=2026-09-21T14%3A13%3A20.123Z"));
    assert_eq!((header("content-type"), body(&simulated)), ("application/json", "{}"));
}

#[test]
fn a_header_has_its_time_in_the_unit_that_is_signed() {
    const fn scheme(unit: Unit) -> Scheme {
        let signature = Signature {
            from: From::Header,
            name: std::borrow::Cow::Borrowed("x-signature"),
            parse: Parse::Raw {},
            encoding: Encoding::Hex,
        };
        let time = Timestamp { from: TimeFrom::Place(Place::header("x-at")), unit, tolerance_s: 300, required: true };
        let hmac = Hmac {
            signature,
            algorithm: Algorithm::HmacSha256,
            secret: SecretForm::Utf8,
            signed: Template::new("{body}"),
            timestamp: Some(time),
            also_equal: std::borrow::Cow::Borrowed(&[]),
            public_url: None,
        };
        Scheme { name: "", is_default: true, verification: Verification::Hmac(hmac) }
    }
    static SECONDS: [Scheme; 1] = [scheme(Unit::S)];
    static MILLIS: [Scheme; 1] = [scheme(Unit::Ms)];
    static TEXT: [Scheme; 1] = [scheme(Unit::Rfc3339)];
    for (schemes, place, expected) in [
        (&SECONDS, "header:x-at", "1790000000"),
        (&MILLIS, "header:x-at", "1790000000123"),
        (&TEXT, "header:x-at", "2026-09-21T14:13:20.123Z"),
        (&SECONDS, "header:x-other", "2026-09-21T14:13:20.123Z"),
    ] {
        let preset = Preset { schemes, ..preset("{}", Places { occurred_at: Some(place), ..Places::NONE }) };
        let simulated = simulate(&preset, &extract(&preset), "a:b", "1", NOW).unwrap();
        assert_eq!(simulated.headers[&place["header:".len()..]], expected, "{place}");
    }
}

#[test]
fn a_source_of_its_own_mind_is_served_as_well() {
    let ondato = super::super::find("ondato").unwrap();
    let said = Extract {
        external_id: "header:x-trace".parse().ok(),
        event_type: "json:/meta/kind".parse().ok(),
        ..Extract::default()
    };
    let extract = Extract::of(ondato, &said);
    let simulated = simulate(ondato, &extract, "Form.Created", "new", NOW).unwrap();
    let read = extract.read(ondato, &simulated.inbound());
    assert_eq!((read.event_type.as_deref(), read.external_id.as_deref()), (Some("Form.Created"), Some("new")));
}

#[test]
fn a_sample_has_the_content_type_that_it_looks_like() {
    for (sample, expected) in [
        ("{}", "application/json"),
        ("[1]", "application/json"),
        (r#"{"specversion": "1.0"}"#, "application/cloudevents+json"),
        ("a=b&c=%7B%7D", FORM),
        ("<a b=\"c\"/>", "text/plain"),
        ("", "text/plain"),
    ] {
        assert_eq!(content_type(sample), expected, "{sample}");
    }
}

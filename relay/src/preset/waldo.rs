//! Waldo: identity, fraud and document checks.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::extract::storable;
use super::{Authentication, Dedupe, DedupeBy, Extracted, Places, Preset};
use crate::inbound::Inbound;
use crate::json;

mod event_types;

pub(super) static PRESET: Preset = Preset {
    name: "waldo",
    title: "Waldo",
    description: "Identity, fraud and document checks of customers.",
    notes: &[
        "Enter the source's URL on the page `API Integration` of Waldo's dashboard; it has a tool that sends a test.",
        "Waldo signs nothing and documents no credential: the secret URL is what proves the sender. Say so with the `verification` `none`, or `credentials` if your requests carry one.",
        "No event has an id of its own, so a repeat is taken for a new event; `dedupe` by `body`, with a short window, takes what is the same byte by byte for one.",
        "The type is `event`; where that is missing it is told by the shape: a boolean `flag` is `flag`, an `evaluation` without `validation` is `evaluation`.",
        "An event that answers to a call of the API carries the `requestId` that the call returned; one that began in the dashboard carries none.",
        "Where an event has an evaluation, patterns also match `evaluation.<type>.<status>`: type kyc, fraud or document; status initiated, in_progress, completed or failed.",
    ],
    authentication: &[Authentication::None, Authentication::Basic, Authentication::ApiKey],
    schemes: &[],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/event"),
        derived_type: Some("evaluation.{json:/evaluation/type}.{json:/evaluation/status}"),
        external_id: None,
        occurred_at: None,
        request_id: Some("json:/requestId"),
        attributes: &[
            ("evaluation_type", "json:/evaluation/type"),
            ("evaluation_status", "json:/evaluation/status"),
            ("customer_id", "json:/customerId"),
            ("external_customer_id", "json:/externalId"),
        ],
    },
    dedupe: Dedupe { by: DedupeBy::None, window_s: 300 },
    event_types: event_types::EVENT_TYPES,
    sample: "{}",
    refine: Some(refine),
};

/// What the shape of an event tells. The values stay text: only their kinds matter.
#[derive(Default, Deserialize)]
struct Shape<'a> {
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    flag: Option<&'a RawValue>,
    #[serde(borrow, default)]
    evaluation: Option<&'a RawValue>,
    #[serde(borrow, default)]
    validation: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Evaluation {
    r#type: String,
    status: String,
}

fn refine(inbound: &Inbound<'_>, extracted: &mut Extracted) {
    let Some(shape) = str::from_utf8(json::unmarked(inbound.body)).ok().and_then(object::<Shape<'_>>) else { return };
    if shape.event.is_none() {
        extracted.event_type = by_shape(&shape).map(str::to_owned);
    }
    extracted.derived_type = shape.evaluation.and_then(derived_type);
}

/// What an event without a type must be; nothing if it could be two things. An evaluation with a validation could be an
/// `onboard` as well.
fn by_shape(shape: &Shape<'_>) -> Option<&'static str> {
    let begins = |value: Option<&RawValue>, letters: &[u8]| {
        value.and_then(|value| value.get().bytes().next()).is_some_and(|first| letters.contains(&first))
    };
    match (begins(shape.flag, b"tf"), begins(shape.evaluation, b"{"), begins(shape.validation, b"{")) {
        (true, false, false) => Some("flag"),
        (false, true, false) => Some("evaluation"),
        _ => None,
    }
}

fn derived_type(evaluation: &RawValue) -> Option<String> {
    let Evaluation { r#type, status } = object(evaluation.get())?;
    storable(format!("evaluation.{}.{}", storable(r#type)?, storable(status)?))
}

/// By the names of its members: a list would be read by their order.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    text.trim_ascii_start().starts_with('{').then(|| serde_json::from_str(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::super::tests::inbound;
    use super::*;

    fn read(body: &str) -> Extracted {
        super::super::Extract::of(&PRESET, &Default::default()).read(&PRESET, &inbound(body.as_bytes()))
    }

    #[test]
    fn the_type_is_said_or_told_by_the_shape() {
        for (body, event_type) in [
            (r#"{"event": "onboard"}"#, Some("onboard")),
            (r#"{"event": "brand_new", "flag": true}"#, Some("brand_new")),
            (r#"{"flag": true}"#, Some("flag")),
            (r#"{"flag": false, "event": null}"#, Some("flag")),
            (r#"{"flag": "true"}"#, None),
            (r#"{"evaluation": {}}"#, Some("evaluation")),
            (r#"{"evaluation": {}, "flag": "true"}"#, Some("evaluation")),
            (r#"{"evaluation": {}, "flag": true}"#, None),
            (r#"{"evaluation": {}, "validation": {}}"#, None),
            (r#"{"evaluation": "kyc"}"#, None),
            (r#"{"validation": {}}"#, None),
            (r#"{"event": [7], "flag": true}"#, None),
            ("[null, true, null, null]", None),
            (r#"{"event": "", "flag": true}"#, None),
            ("{}", None),
            ("not json", None),
        ] {
            assert_eq!(read(body).event_type.as_deref(), event_type, "{body}");
        }
    }

    #[test]
    fn an_evaluation_gives_a_finer_type() {
        let long = format!(r#"{{"evaluation": {{"type": "{}", "status": "completed"}}}}"#, "x".repeat(500));
        for (body, derived) in [
            (
                r#"{"event": "evaluation", "evaluation": {"type": "kyc", "status": "completed"}}"#,
                Some("evaluation.kyc.completed"),
            ),
            (
                r#"{"event": "onboard", "evaluation": {"type": "fraud", "status": "in_progress"}}"#,
                Some("evaluation.fraud.in_progress"),
            ),
            (r#"{"evaluation": {"type": "kyc"}}"#, None),
            (r#"{"evaluation": {"status": "completed"}}"#, None),
            (r#"{"evaluation": {"type": 1, "status": "completed"}}"#, None),
            (r#"{"evaluation": {"type": "a\u0000", "status": "completed"}}"#, None),
            (r#"{"evaluation": ["kyc", "completed"]}"#, None),
            (&long, None),
            (r#"{"flag": true}"#, None),
        ] {
            assert_eq!(read(body).derived_type.as_deref(), derived, "{body}");
        }
    }

    #[test]
    fn the_request_id_is_read_where_there_is_one() {
        for (body, request_id) in [
            (r#"{"event": "onboard", "requestId": "a1B2c3D4e5"}"#, Some("a1B2c3D4e5")),
            (r#"{"event": "onboard", "requestId": null}"#, None),
            (r#"{"event": "onboard", "requestId": [12]}"#, None),
            (r#"{"event": "onboard", "evaluation": {"requestId": "x"}}"#, None),
            (r#"{"event": "onboard"}"#, None),
        ] {
            let extracted = read(body);
            assert_eq!(extracted.request_id.as_deref(), request_id, "{body}");
            assert_eq!((extracted.external_id, extracted.occurred_at), (None, None), "{body}");
        }
    }

    #[test]
    fn the_samples_show_every_kind_of_evaluation_and_every_status() {
        let samples = PRESET.event_type("evaluation").unwrap().samples;
        let seen = samples.iter().filter_map(|sample| read(sample).derived_type).collect::<Vec<_>>();
        for part in [".kyc.", ".fraud.", ".document.", ".initiated", ".in_progress", ".completed", ".failed"] {
            assert!(seen.iter().any(|derived| derived.contains(part)), "{part} in {seen:?}");
        }
        assert!(samples.iter().any(|sample| read(sample).request_id.is_none()));
        let flags = PRESET.event_type("flag").unwrap().samples;
        assert!(flags.iter().all(|sample| read(sample).request_id.is_none()));
    }
}

//! Waldo: identity, fraud and document checks.

use serde_json::Value;

use super::extract::{Members, text};
use super::{Authentication, Extracted, Inbound, Places, Preset};

mod event_types;

pub(super) const PRESET: Preset = Preset {
    name: "waldo",
    title: "Waldo",
    description: "Identity, fraud and document checks of customers.",
    notes: &[
        "Enter the source's URL on the page `API Integration` of Waldo's dashboard; it has a tool that sends a test.",
        "Waldo signs nothing and documents no credential: the secret URL is what proves the sender. Say so with the `verification` `none`, or `credentials` if your requests carry one.",
        "No event has an id of its own, so a repeat cannot be told from a new event.",
        "An event that answers to a call of the API carries the `requestId` that the call returned; one that began in the dashboard carries none.",
        "Where an event has an evaluation, patterns also match `evaluation.<type>.<status>`: type kyc, fraud or document; status initiated, in_progress, completed or failed.",
    ],
    authentication: &[Authentication::None, Authentication::Basic],
    default_verification: None,
    source_addresses: &[],
    handshakes: &[],
    extract: Places {
        event_type: Some(
            "json:/event, else by shape: a boolean json:/flag is `flag`; json:/evaluation without json:/validation is `evaluation`",
        ),
        derived_type: Some("evaluation.{json:/evaluation/type}.{json:/evaluation/status}"),
        external_id: None,
        occurred_at: None,
        request_id: Some("json:/requestId"),
    },
    event_types: event_types::EVENT_TYPES,
    read,
};

const NAMES: &[&str] = &["event", "flag", "evaluation", "validation", "requestId"];

fn read(inbound: &Inbound<'_>) -> Extracted {
    let members = Members::of(inbound.body, NAMES);
    let event_type = match members.get("event") {
        None | Some(Value::Null) => by_shape(&members).map(str::to_owned),
        event => text(event),
    };
    Extracted {
        event_type,
        derived_type: members.get("evaluation").and_then(derived_type),
        request_id: text(members.get("requestId")),
        ..Extracted::default()
    }
}

/// What an event without a type must be; nothing if it could be two things. An evaluation with a validation could be an
/// `onboard` as well.
fn by_shape(members: &Members) -> Option<&'static str> {
    let is_flag = members.get("flag").is_some_and(Value::is_boolean);
    let is_evaluated = members.get("evaluation").is_some_and(Value::is_object);
    let is_validated = members.get("validation").is_some_and(Value::is_object);
    match (is_flag, is_evaluated, is_validated) {
        (true, false, false) => Some("flag"),
        (false, true, false) => Some("evaluation"),
        _ => None,
    }
}

fn derived_type(evaluation: &Value) -> Option<String> {
    let (kind, status) = (text(evaluation.get("type"))?, text(evaluation.get("status"))?);
    text(Some(&format!("evaluation.{kind}.{status}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Extracted {
        PRESET.extract(&Inbound { headers: &[], query: None, body: body.as_bytes() })
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
            (r#"{"event": 7, "flag": true}"#, None),
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
            (r#"{"event": "onboard", "requestId": 12}"#, None),
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

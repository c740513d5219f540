//! X, formerly Twitter: what happens to accounts (the Account Activity API).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::extract::storable;
use super::scheme::{header, mac_of_body, prefix};
use super::{Authentication, Dedupe, Extracted, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::inbound::Inbound;
use crate::json;
use crate::verification::{Algorithm, Encoding};

mod event_types;

pub(super) static PRESET: Preset = Preset {
    name: "x",
    title: "X",
    description: "What happens to accounts of X, formerly Twitter (the Account Activity API).",
    notes: &[
        "Put your app's consumer secret (API key secret) into an `hmac` credential first: X checks the URL as soon as it is registered.",
        "Then register the source's URL through X's API and subscribe accounts to it. The challenge is answered for you, also when X repeats it.",
        "The event type is the member that holds the events, such as `tweet_create_events`.",
        "X sends no id of a request: what is the same byte by byte within a day is taken for a repeat.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-twitter-webhooks-signature",
        is_default: true,
        verification: mac_of_body(
            Algorithm::HmacSha256,
            header("x-twitter-webhooks-signature", prefix("sha256="), Encoding::Base64),
        ),
    }],
    source_addresses: &[],
    handshakes: &[Handshake::X],
    forward_headers: &["x-twitter-webhooks-signature"],
    extract: Places {
        event_type: None,
        derived_type: None,
        external_id: None,
        occurred_at: None,
        request_id: None,
        attributes: &[("for_user_id", "json:/for_user_id")],
    },
    dedupe: Dedupe::BY_BODY,
    event_types: event_types::EVENT_TYPES,
    sample: "{}",
    refine: Some(refine),
};

/// The type is the name of a member, where the source does not say otherwise.
fn refine(inbound: &Inbound<'_>, extracted: &mut Extracted) {
    if extracted.event_type.is_none() {
        extracted.event_type = event_type(inbound.body);
    }
}

fn event_type(body: &[u8]) -> Option<String> {
    let members: BTreeMap<Cow<'_, str>, IgnoredAny> = serde_json::from_slice(json::unmarked(body)).ok()?;
    let name = members.into_keys().find(|name| name.ends_with("_events") || name == "user_event")?;
    storable(name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Extract;
    use super::super::tests::inbound;
    use super::*;

    #[test]
    fn the_member_that_holds_events_is_the_type() {
        let read =
            |body: &str| Extract::of(&PRESET, &Extract::default()).read(&PRESET, &inbound(body.as_bytes())).event_type;
        for event_type in PRESET.event_types {
            assert_eq!(read(event_type.samples[0]).as_deref(), Some(event_type.name));
        }
        for (body, event_type) in [
            (r#"{"for_user_id": "1", "users": {}, "brand_new_events": []}"#, Some("brand_new_events")),
            (r#"{"for_user_id": "1"}"#, None),
            (r#"["follow_events"]"#, None),
            ("", None),
        ] {
            assert_eq!(read(body).as_deref(), event_type, "{body}");
        }
    }
}

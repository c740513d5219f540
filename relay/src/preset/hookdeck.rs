//! Hookdeck: another relay, before this one.

use super::scheme::{RAW, header, mac_of_body};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

pub(super) static PRESET: Preset = Preset {
    name: "hookdeck",
    title: "Hookdeck",
    description: "Another relay, which sends on the events of any provider.",
    notes: &[
        "Add a destination in Hookdeck with the source's URL and Hookdeck's signature as its authentication.",
        "Copy the project's signing secret into an `hmac` credential.",
        "When you roll the secret, add the new one as a second credential; Hookdeck signs with both meanwhile.",
        "Events have the types of whoever sent them to Hookdeck: say in the source's `extract` where the type stands.",
        "An event that you retry in Hookdeck keeps its id, so within 7 days it counts as a repeat: replay it here instead.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[
        Scheme {
            name: "x-hookdeck-signature",
            is_default: true,
            verification: mac_of_body(Algorithm::HmacSha256, header("x-hookdeck-signature", RAW, Encoding::Base64)),
        },
        Scheme {
            name: "x-hookdeck-signature-2",
            is_default: true,
            verification: mac_of_body(Algorithm::HmacSha256, header("x-hookdeck-signature-2", RAW, Encoding::Base64)),
        },
    ],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-hookdeck-signature", "x-hookdeck-signature-2", "x-hookdeck-eventid"],
    extract: Places {
        event_type: None,
        derived_type: None,
        external_id: Some("header:x-hookdeck-eventid"),
        occurred_at: None,
        request_id: None,
        attributes: &[("hookdeck_source", "header:x-hookdeck-source-name")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &[],
    sample: r#"{"type": "order.created", "data": {"id": 1}}"#,
    refine: None,
};

//! Linear: issues and projects.

use std::borrow::Cow;

use super::catalogue::catalogue;
use super::derived::derived_type;
use super::scheme::{RAW, header, mac_of};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::place::Place;
use crate::verification::{Encoding, TimeFrom, Timestamp, Unit};

pub(super) static PRESET: Preset = Preset {
    name: "linear",
    title: "Linear",
    description: "Issues and projects.",
    notes: &[
        "Add a webhook under `Settings`, `API`: the source's URL, and the kinds of data you need.",
        "Copy the webhook's signing secret into an `hmac` credential.",
        "The event type is what changed, such as `Issue`; patterns also match it with the action, such as `Issue.create`.",
        "The time of sending is inside the signed body; a request is refused when it is more than a minute old, so keep the clock right.",
        "Linear repeats a failed request after 1 minute, 1 hour and 6 hours, and may disable the webhook then.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "linear-signature",
        is_default: true,
        verification: mac_of(header("linear-signature", RAW, Encoding::Hex), "{body}", Some(SENT)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["linear-signature", "linear-event", "linear-delivery"],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: Some("{json:/type}.{json:/action}"),
        external_id: Some("header:linear-delivery"),
        occurred_at: Some("json:/createdAt"),
        request_id: None,
        attributes: &[
            ("action", "json:/action"),
            ("organization_id", "json:/organizationId"),
            ("object_id", "json:/data/id"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("Issue", "An issue was created, updated or removed."),
        ("Comment", "A comment was created, updated or removed."),
        ("IssueLabel", "A label was created, updated or removed."),
        ("Attachment", "An attachment of an issue was created, updated or removed."),
        ("Reaction", "A reaction was added or removed."),
        ("Project", "A project was created, updated or removed."),
        ("ProjectUpdate", "An update about a project was written, changed or removed."),
        ("Cycle", "A cycle was created, updated or removed."),
        ("Document", "A document was created, updated or removed."),
        ("Initiative", "An initiative was created, updated or removed."),
        ("User", "A user was created or updated."),
        ("IssueSLA", "The service level agreement of an issue was set, is at risk or was breached."),
    ]),
    sample: r#"{
	"action": "create",
	"type": "Issue",
	"createdAt": "2020-01-23T12:53:18.084Z",
	"organizationId": "1f2e3d4c-5b6a-4978-8695-a4b3c2d1e0f9",
	"data": {"id": "2174add1-f7c8-44e3-bbf3-2d60b5ea8bc9", "number": 87, "title": "Fix the sign-in page", "priority": 2},
	"url": "https://linear.app/acme/issue/ENG-87/fix-the-sign-in-page",
	"webhookTimestamp": 1579783998084,
	"webhookId": "000042e3-d123-4980-b49f-8e140eef9329"
}"#,
    refine: Some(|inbound, extracted| extracted.derived_type = derived_type(inbound, extracted, "/action")),
};

/// Not the header `Linear-Timestamp`, which nobody signs.
const SENT: Timestamp = Timestamp {
    from: TimeFrom::Place(Place::Json(Cow::Borrowed("/webhookTimestamp"))),
    unit: Unit::Ms,
    tolerance_s: 60,
    required: true,
};

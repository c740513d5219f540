//! Zoom: meetings, webinars and recordings.

use super::catalogue::catalogue;
use super::scheme::{header, mac_of, prefix, time};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::{Encoding, Unit};

pub(super) static PRESET: Preset = Preset {
    name: "zoom",
    title: "Zoom",
    description: "Meetings, webinars and recordings.",
    notes: &[
        "Copy your app's secret token (`Feature`, `Access`) into an `hmac` credential first: Zoom validates the URL before it saves it.",
        "Then add an event subscription with the source's URL and the events you need, and press `Validate`. The challenge is answered for you.",
        "Zoom validates the URL again every 72 hours and sends nothing after repeated failures: keep the source enabled and its secret up to date.",
        "Zoom sends no id of an event: what is the same byte by byte within a day is taken for a repeat.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-zm-signature",
        is_default: true,
        verification: mac_of(
            header("x-zm-signature", prefix("v0="), Encoding::Hex),
            "v0:{ts}:{body}",
            Some(time("x-zm-request-timestamp", Unit::S, 300)),
        ),
    }],
    source_addresses: &[],
    handshakes: &[Handshake::Zoom],
    forward_headers: &["x-zm-signature", "x-zm-request-timestamp"],
    extract: Places {
        event_type: Some("json:/event"),
        derived_type: None,
        external_id: None,
        occurred_at: Some("json:/event_ts"),
        request_id: None,
        attributes: &[("account_id", "json:/payload/account_id"), ("object_id", "json:/payload/object/id")],
    },
    dedupe: Dedupe::BY_BODY,
    event_types: &catalogue([
        ("app_deauthorized", "A user removed your app."),
        ("meeting.created", "A meeting was created."),
        ("meeting.updated", "A meeting was updated."),
        ("meeting.deleted", "A meeting was deleted."),
        ("meeting.started", "A meeting began."),
        ("meeting.ended", "A meeting ended."),
        ("meeting.participant_joined", "A participant joined a meeting."),
        ("meeting.participant_left", "A participant left a meeting."),
        ("meeting.registration_created", "Someone registered for a meeting."),
        ("recording.started", "A recording began."),
        ("recording.stopped", "A recording was stopped."),
        ("recording.completed", "A recording is available."),
        ("recording.transcript_completed", "The transcript of a recording is available."),
        ("recording.deleted", "A recording was deleted."),
        ("user.created", "A user was added to the account."),
        ("user.updated", "A user's profile changed."),
        ("user.deactivated", "A user was deactivated."),
        ("user.deleted", "A user was removed from the account."),
        ("webinar.created", "A webinar was created."),
        ("webinar.started", "A webinar began."),
        ("webinar.ended", "A webinar ended."),
        ("webinar.participant_joined", "A participant joined a webinar."),
        ("webinar.participant_left", "A participant left a webinar."),
        ("webinar.registration_created", "Someone registered for a webinar."),
    ]),
    sample: r#"{
	"event": "meeting.started",
	"event_ts": 1626230691572,
	"payload": {
		"account_id": "AAAAAABBBB",
		"object": {
			"id": "1234567890",
			"uuid": "4444AAAiAAAAAiAiAiiAii==",
			"host_id": "x1yCzABCDEfg23HiJKl4mN",
			"topic": "My Meeting",
			"start_time": "2021-07-13T21:44:51Z"
		}
	}
}"#,
    refine: None,
};

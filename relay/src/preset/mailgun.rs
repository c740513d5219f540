//! Mailgun: what became of emails.

use std::borrow::Cow;

use super::catalogue::catalogue;
use super::scheme::{RAW, mac_of};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::place::Place;
use crate::verification::{Encoding, From, Signature, TimeFrom, Timestamp, Unit};

pub(super) static PRESET: Preset = Preset {
    name: "mailgun",
    title: "Mailgun",
    description: "What became of the emails that you sent.",
    notes: &[
        "Add webhooks under `Sending`, `Webhooks` with the source's URL, one for each type of event you need.",
        "Copy the HTTP webhook signing key into an `hmac` credential; it is not your API key.",
        "The signature covers a time and a token, not the event itself: each token is taken once, and a request signed more than 15 minutes from now is refused.",
        "Whoever reads a request could use its token with another event: give Mailgun an https URL only.",
        "`external_id` is the token; the event's own id is the attribute `event_id`.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "signature",
        is_default: true,
        verification: mac_of(
            Signature {
                from: From::Json,
                name: Cow::Borrowed("/signature/signature"),
                parse: RAW,
                encoding: Encoding::Hex,
            },
            "{ts}{json:/signature/token}",
            Some(Timestamp {
                from: TimeFrom::Place(Place::json("/signature/timestamp")),
                unit: Unit::S,
                tolerance_s: 900,
                required: true,
            }),
        ),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/event-data/event"),
        derived_type: None,
        // What is signed: an event id could be changed, and a token used again with it.
        external_id: Some("json:/signature/token"),
        occurred_at: Some("json:/event-data/timestamp"),
        request_id: None,
        attributes: &[
            ("event_id", "json:/event-data/id"),
            ("severity", "json:/event-data/severity"),
            ("message_id", "json:/event-data/message/headers/message-id"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("accepted", "Mailgun accepted an email and queued it."),
        ("delivered", "The recipient's server took an email."),
        ("failed", "An email could not be delivered; its severity is temporary or permanent."),
        ("opened", "A recipient opened an email."),
        ("clicked", "A recipient clicked a link."),
        ("unsubscribed", "A recipient unsubscribed."),
        ("complained", "A recipient marked an email as spam."),
    ]),
    sample: r#"{
	"signature": {
		"timestamp": "1529006854",
		"token": "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0",
		"signature": "d2271d12299f6592d9d44cd9d250f0704e4674c30d79d07c47a66f95ce71cf55"
	},
	"event-data": {
		"event": "delivered",
		"timestamp": 1529006854.329574,
		"id": "DACSsAdVSeGpLid7TN03WA",
		"recipient": "alice@example.com",
		"message": {"headers": {"message-id": "20130503182626.18666.16540@example.com"}}
	}
}"#,
    refine: None,
};

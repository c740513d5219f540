//! `SendGrid`: what became of emails (the Event Webhook).

use super::catalogue::catalogue;
use super::scheme::{RAW, header, signed, time};
use super::{Authentication, Dedupe, DedupeBy, Places, Preset, Scheme};
use crate::verification::{Encoding, Unit, Verification};

const SIGNATURE: &str = "x-twilio-email-event-webhook-signature";
const TIMESTAMP: &str = "x-twilio-email-event-webhook-timestamp";

pub(super) static PRESET: Preset = Preset {
    name: "sendgrid",
    title: "SendGrid",
    description: "What became of the emails that you sent (Twilio SendGrid's Event Webhook).",
    notes: &[
        "Add an event webhook under `Mail Settings` with the source's URL, choose the events you need and switch `Signed Event Webhook` on.",
        "Copy the verification key that SendGrid shows into a `public_key` credential, as it is.",
        "SendGrid sends events in batches: one request is one event here, with the type, id and time of the first. Subscribe with `*` if a receiver needs every type, and dedupe single events there by `sg_event_id`.",
        "A batch is taken for a repeat if it is the same byte by byte within 2 days; SendGrid tries for one.",
    ],
    authentication: &[Authentication::PublicKey],
    schemes: &[Scheme {
        name: "signed-event-webhook",
        is_default: true,
        verification: Verification::Ecdsa(signed(
            header(SIGNATURE, RAW, Encoding::Base64),
            "{ts}{body}",
            time(TIMESTAMP, Unit::S, 600),
        )),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[SIGNATURE, TIMESTAMP],
    extract: Places {
        event_type: Some("json:/0/event"),
        derived_type: None,
        external_id: Some("json:/0/sg_event_id"),
        occurred_at: Some("json:/0/timestamp"),
        request_id: None,
        attributes: &[("message_id", "json:/0/sg_message_id")],
    },
    // The first event's id does not stand for a batch: another one may begin with it.
    dedupe: Dedupe { by: DedupeBy::Body, window_s: 2 * 86_400 },
    event_types: &catalogue([
        ("processed", "SendGrid took an email and will send it."),
        ("deferred", "The recipient's server refused an email for now."),
        ("delivered", "The recipient's server took an email."),
        ("bounce", "The recipient's server refused an email for good."),
        ("dropped", "An email was not sent, for example to an address that bounced before."),
        ("open", "A recipient opened an email."),
        ("click", "A recipient clicked a link."),
        ("spamreport", "A recipient marked an email as spam."),
        ("unsubscribe", "A recipient unsubscribed from all emails."),
        ("group_unsubscribe", "A recipient unsubscribed from a group."),
        ("group_resubscribe", "A recipient subscribed to a group again."),
    ]),
    sample: r#"[
	{
		"email": "alice@example.com",
		"timestamp": 1513299569,
		"smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>",
		"event": "delivered",
		"category": ["cat facts"],
		"sg_event_id": "rWVYmVk90MjZJ9iohOBa3w==",
		"sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"
	}
]"#,
    refine: None,
};

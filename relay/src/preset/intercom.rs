//! Intercom: conversations and contacts.

use super::catalogue::catalogue;
use super::scheme::{header, mac_of_body, prefix};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

pub(super) static PRESET: Preset = Preset {
    name: "intercom",
    title: "Intercom",
    description: "Conversations, contacts and tickets.",
    notes: &[
        "Enter the source's URL under `Webhooks` of your app in Intercom's Developer Hub and choose the topics you need.",
        "Put your app's client secret into an `hmac` credential.",
        "Intercom signs with HMAC-SHA1, which still stands, but nothing newer: keep the source's URL secret too.",
        "When you save the URL, Intercom sends a notification with the topic `ping`.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-hub-signature",
        is_default: true,
        verification: mac_of_body(Algorithm::HmacSha1, header("x-hub-signature", prefix("sha1="), Encoding::Hex)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-hub-signature"],
    extract: Places {
        event_type: Some("json:/topic"),
        derived_type: None,
        external_id: Some("json:/id"),
        occurred_at: Some("json:/created_at"),
        request_id: None,
        attributes: &[("app_id", "json:/app_id"), ("object_id", "json:/data/item/id")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("ping", "Intercom tries the URL."),
        ("contact.created", "A contact was created."),
        ("contact.deleted", "A contact was deleted."),
        ("contact.user.created", "A user was created."),
        ("contact.user.updated", "A user was updated."),
        ("contact.lead.created", "A lead was created."),
        ("contact.lead.updated", "A lead was updated."),
        ("contact.lead.signed_up", "A lead became a user."),
        ("company.created", "A company was created."),
        ("company.updated", "A company was updated."),
        ("company.deleted", "A company was deleted."),
        ("conversation.user.created", "A user or lead began a conversation."),
        ("conversation.user.replied", "A user or lead replied."),
        ("conversation.admin.assigned", "A conversation was assigned to a teammate."),
        ("conversation.admin.closed", "A teammate closed a conversation."),
        ("conversation.admin.noted", "A teammate added a note to a conversation."),
        ("conversation.admin.opened", "A teammate opened a conversation again."),
        ("conversation.admin.replied", "A teammate replied."),
        ("conversation.admin.single.created", "A teammate began a conversation with one contact."),
        ("conversation.admin.snoozed", "A teammate snoozed a conversation."),
        ("conversation.admin.unsnoozed", "A snoozed conversation came back."),
        ("conversation.priority.updated", "The priority of a conversation changed."),
        ("conversation.rating.added", "A user rated a conversation."),
        ("conversation.deleted", "A conversation was deleted."),
        ("ticket.created", "A ticket was created."),
        ("ticket.state.updated", "The state of a ticket changed."),
    ]),
    sample: r#"{
	"type": "notification_event",
	"app_id": "a86dr8yl",
	"data": {"type": "notification_event_data", "item": {"type": "conversation", "id": "1234567890"}},
	"id": "notif_ccd8a4d0-f965-11e3-a367-c779cae3e1b3",
	"topic": "conversation.user.replied",
	"delivery_attempts": 1,
	"created_at": 1392731331
}"#,
    refine: None,
};

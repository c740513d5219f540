//! Slack: what happens in a workspace (the Events API).

use super::catalogue::catalogue;
use super::scheme::{header, mac_of, prefix, time};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::{Encoding, Unit};

pub(super) static PRESET: Preset = Preset {
    name: "slack",
    title: "Slack",
    description: "What happens in a Slack workspace (the Events API).",
    notes: &[
        "Copy your app's signing secret (`Basic Information`) into an `hmac` credential first: Slack checks the URL as soon as it is entered.",
        "Then enter the source's URL as the request URL under `Event Subscriptions`, and subscribe to the events you need. The challenge is answered for you.",
        "The event type is the inner event's, such as `message` or `app_mention`.",
        "Slash commands, shortcuts and buttons want an answer with content at once: they cannot go through a relay.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-slack-signature",
        is_default: true,
        verification: mac_of(
            header("x-slack-signature", prefix("v0="), Encoding::Hex),
            "v0:{ts}:{body}",
            Some(time("x-slack-request-timestamp", Unit::S, 300)),
        ),
    }],
    source_addresses: &[],
    handshakes: &[Handshake::Slack],
    forward_headers: &["x-slack-signature", "x-slack-request-timestamp"],
    extract: Places {
        event_type: Some("json:/event/type or json:/type"),
        derived_type: None,
        external_id: Some("json:/event_id"),
        occurred_at: Some("json:/event_time"),
        request_id: None,
        attributes: &[
            ("team_id", "json:/team_id"),
            ("app_id", "json:/api_app_id"),
            ("channel", "json:/event/channel"),
            ("subtype", "json:/event/subtype"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("app_home_opened", "A user opened your app's home."),
        ("app_mention", "Someone mentioned your app in a message."),
        ("app_rate_limited", "Events were dropped because there were too many."),
        ("app_uninstalled", "A workspace removed your app."),
        ("channel_archive", "A channel was archived."),
        ("channel_created", "A channel was created."),
        ("channel_deleted", "A channel was deleted."),
        ("channel_rename", "A channel was renamed."),
        ("channel_unarchive", "A channel was unarchived."),
        ("emoji_changed", "A custom emoji was added or changed."),
        ("file_created", "A file was created."),
        ("file_deleted", "A file was deleted."),
        ("file_shared", "A file was shared."),
        ("link_shared", "A message holds a link to a domain of your app."),
        ("member_joined_channel", "A user joined a channel."),
        ("member_left_channel", "A user left a channel."),
        ("message", "A message was sent, edited or deleted in a conversation."),
        ("pin_added", "Something was pinned to a channel."),
        ("pin_removed", "Something was unpinned from a channel."),
        ("reaction_added", "Someone added a reaction."),
        ("reaction_removed", "Someone removed a reaction."),
        ("team_join", "A new user joined the workspace."),
        ("tokens_revoked", "Tokens of your app were revoked."),
        ("user_change", "A user's data changed."),
    ]),
    sample: r#"{
	"token": "one-long-verification-token",
	"team_id": "T061EG9R6",
	"api_app_id": "A0PNCHHK2",
	"event": {
		"type": "app_mention",
		"channel": "C0LAN2Q65",
		"user": "U061F7AUR",
		"text": "<@U0LAN0Z89> is it everything a river should be?",
		"ts": "1515449522.000016"
	},
	"type": "event_callback",
	"event_id": "Ev0LAN670R",
	"event_time": 1515449522
}"#,
    refine: None,
};

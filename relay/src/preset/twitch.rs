//! Twitch: streams, chats and channels (`EventSub`).

use super::catalogue::catalogue;
use super::scheme::{header, mac_of, prefix, time};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::{Encoding, Unit};

pub(super) static PRESET: Preset = Preset {
    name: "twitch",
    title: "Twitch",
    description: "Streams, chats and channels (EventSub).",
    notes: &[
        "Choose a secret of 10 to 100 ASCII characters and put it into an `hmac` credential first: Twitch checks the URL as soon as you subscribe.",
        "Then create EventSub subscriptions through Twitch's API, with the transport `webhook`, the source's URL as callback, and that secret. The challenge is answered for you.",
        "Twitch calls port 443 only, so the source's URL must be https without a port.",
        "When a subscription is revoked, Twitch says so with an event of its type; the attribute `message_type` is `revocation` then.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "twitch-eventsub-message-signature",
        is_default: true,
        verification: mac_of(
            header("twitch-eventsub-message-signature", prefix("sha256="), Encoding::Hex),
            "{header:twitch-eventsub-message-id}{ts}{body}",
            Some(time("twitch-eventsub-message-timestamp", Unit::Rfc3339, 600)),
        ),
    }],
    source_addresses: &[],
    handshakes: &[Handshake::Twitch],
    forward_headers: &[
        "twitch-eventsub-message-id",
        "twitch-eventsub-message-timestamp",
        "twitch-eventsub-message-signature",
        "twitch-eventsub-message-type",
        "twitch-eventsub-subscription-type",
    ],
    extract: Places {
        event_type: Some("json:/subscription/type"),
        derived_type: None,
        external_id: Some("header:twitch-eventsub-message-id"),
        occurred_at: Some("header:twitch-eventsub-message-timestamp"),
        request_id: None,
        attributes: &[
            ("message_type", "header:twitch-eventsub-message-type"),
            ("subscription_id", "json:/subscription/id"),
            ("broadcaster_id", "json:/event/broadcaster_user_id"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("channel.update", "A channel's title, category or language changed."),
        ("channel.follow", "Someone followed a channel."),
        ("channel.subscribe", "Someone subscribed to a channel."),
        ("channel.subscription.end", "A subscription to a channel ended."),
        ("channel.subscription.gift", "Someone gave subscriptions to a channel as a gift."),
        ("channel.subscription.message", "Someone wrote a message on renewing a subscription."),
        ("channel.cheer", "Someone cheered on a channel."),
        ("channel.raid", "A channel raided another."),
        ("channel.ban", "Someone was banned from a channel."),
        ("channel.unban", "Someone was unbanned from a channel."),
        ("channel.moderator.add", "Someone became a moderator of a channel."),
        ("channel.moderator.remove", "Someone is no longer a moderator of a channel."),
        ("channel.chat.message", "Someone wrote a message in a chat."),
        ("channel.chat.message_delete", "A moderator deleted a message."),
        ("channel.channel_points_custom_reward.add", "A reward for channel points was created."),
        ("channel.channel_points_custom_reward_redemption.add", "Someone redeemed a reward for channel points."),
        ("channel.poll.begin", "A poll began."),
        ("channel.poll.progress", "Someone voted in a poll."),
        ("channel.poll.end", "A poll ended."),
        ("channel.prediction.begin", "A prediction began."),
        ("channel.prediction.lock", "A prediction was locked."),
        ("channel.prediction.end", "A prediction ended."),
        ("channel.hype_train.begin", "A hype train began."),
        ("channel.hype_train.end", "A hype train ended."),
        ("stream.online", "A stream began."),
        ("stream.offline", "A stream ended."),
        ("user.authorization.grant", "A user gave your app access."),
        ("user.authorization.revoke", "A user took your app's access away."),
        ("user.update", "A user's account changed."),
    ]),
    sample: r#"{
	"subscription": {
		"id": "f1c2a387-161a-49f9-a165-0f21d7a4e1c4",
		"type": "channel.follow",
		"version": "2",
		"status": "enabled",
		"condition": {"broadcaster_user_id": "1337", "moderator_user_id": "1337"},
		"created_at": "2023-11-16T10:11:12.634234626Z"
	},
	"event": {"user_id": "1234", "user_login": "cool_user", "broadcaster_user_id": "1337"}
}"#,
    refine: None,
};

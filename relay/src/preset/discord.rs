//! Discord: what happens to an app (webhook events).

use super::catalogue::catalogue;
use super::scheme::{RAW, header, signed, time};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::{Encoding, Unit, Verification};

pub(super) static PRESET: Preset = Preset {
    name: "discord",
    title: "Discord",
    description: "What happens to your Discord app (webhook events).",
    notes: &[
        "Copy your app's public key (`General Information`) into a `public_key` credential first: Discord checks the URL as soon as it is entered.",
        "Then enter the source's URL as the endpoint under `Webhooks` and choose the events you need. The ping is answered for you.",
        "Discord also sends requests with wrong signatures, to see them refused: expect some among the source's rejections.",
        "Interactions want an answer with content at once: they cannot go through a relay.",
        "Discord sends no id of an event: what is the same byte by byte within a day is taken for a repeat.",
    ],
    authentication: &[Authentication::PublicKey],
    schemes: &[Scheme {
        name: "x-signature-ed25519",
        is_default: true,
        verification: Verification::Ed25519(signed(
            header("x-signature-ed25519", RAW, Encoding::Hex),
            "{ts}{body}",
            time("x-signature-timestamp", Unit::S, 300),
        )),
    }],
    source_addresses: &[],
    handshakes: &[Handshake::Discord],
    forward_headers: &["x-signature-ed25519", "x-signature-timestamp"],
    extract: Places {
        event_type: Some("json:/event/type"),
        derived_type: None,
        external_id: None,
        // The body's own time names no zone.
        occurred_at: Some("header:x-signature-timestamp"),
        request_id: None,
        attributes: &[("application_id", "json:/application_id")],
    },
    dedupe: Dedupe::BY_BODY,
    event_types: &catalogue([
        ("APPLICATION_AUTHORIZED", "Your app was added to a server or to a user's account."),
        ("APPLICATION_DEAUTHORIZED", "A user took your app's access away."),
        ("ENTITLEMENT_CREATE", "An entitlement was created."),
        ("ENTITLEMENT_UPDATE", "An entitlement was updated."),
        ("ENTITLEMENT_DELETE", "An entitlement was deleted."),
        ("QUEST_USER_ENROLLMENT", "A user was added to a quest."),
    ]),
    sample: r#"{
	"version": 1,
	"application_id": "1234560123453231555",
	"type": 1,
	"event": {
		"type": "APPLICATION_AUTHORIZED",
		"timestamp": "2024-10-18T14:42:53.064834",
		"data": {"integration_type": 1, "scopes": ["applications.commands"]}
	}
}"#,
    refine: None,
};

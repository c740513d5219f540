//! Meta: Facebook pages, Messenger, Instagram and `WhatsApp`.

use super::catalogue::catalogue;
use super::derived::derived_type;
use super::scheme::{header, mac_of, prefix};
use super::{Authentication, Dedupe, DedupeBy, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::{Encoding, Signature};

const SIGNATURE: Signature = header("x-hub-signature-256", prefix("sha256="), Encoding::Hex);

pub(super) static PRESET: Preset = Preset {
    name: "meta",
    title: "Meta",
    description: "Facebook pages, Messenger, Instagram and WhatsApp.",
    notes: &[
        "Put your app's secret (`App settings`, `Basic`) into an `hmac` credential, and a text of your own choice into a `verify_token` credential.",
        "Then enter the source's URL and that text under `Webhooks` of your app, and subscribe to the fields you need. The challenge is answered for you.",
        "The event type is the object, such as `page`; patterns also match it with the first change's field, such as `whatsapp_business_account.messages`.",
        "Meta sends no id and may put several changes into one request: what is the same byte by byte within 7 days is taken for a repeat.",
    ],
    authentication: &[Authentication::Hmac, Authentication::VerifyToken],
    schemes: &[
        Scheme { name: "x-hub-signature-256", is_default: true, verification: mac_of(SIGNATURE, "{body}", None) },
        Scheme {
            name: "x-hub-signature-256-escaped",
            is_default: true,
            verification: mac_of(SIGNATURE, "{body_escaped}", None),
        },
    ],
    source_addresses: &[],
    handshakes: &[Handshake::Meta],
    forward_headers: &["x-hub-signature-256"],
    extract: Places {
        event_type: Some("json:/object"),
        derived_type: Some("{json:/object}.{json:/entry/0/changes/0/field}"),
        external_id: None,
        occurred_at: Some(
            "json:/entry/0/time or json:/entry/0/changes/0/value/messages/0/timestamp or json:/entry/0/changes/0/value/statuses/0/timestamp",
        ),
        request_id: None,
        attributes: &[("field", "json:/entry/0/changes/0/field"), ("entry_id", "json:/entry/0/id")],
    },
    dedupe: Dedupe { by: DedupeBy::Body, window_s: Dedupe::WEEK_S },
    event_types: &catalogue([
        ("page", "Something happened on a Facebook page, or in its Messenger."),
        ("instagram", "Something happened to an Instagram account."),
        ("whatsapp_business_account", "A WhatsApp message was sent to you, has a new status, or the account changed."),
        ("user", "A user of your app changed something."),
        ("permissions", "A user granted or revoked a permission."),
    ]),
    sample: r#"{
	"object": "page",
	"entry": [
		{
			"id": "106347185427891",
			"time": 1520544814,
			"changes": [{"field": "feed", "value": {"item": "post", "verb": "add", "post_id": "44444444_444444444"}}]
		}
	]
}"#,
    refine: Some(|inbound, extracted| {
        extracted.derived_type = derived_type(inbound, extracted, "/entry/0/changes/0/field");
    }),
};

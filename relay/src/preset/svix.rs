//! Svix: sends the webhooks of many products.

use super::standard_webhooks::{V1, v1};
use super::{Authentication, Dedupe, Places, Preset, Scheme};

pub(super) static PRESET: Preset = Preset {
    name: "svix",
    title: "Svix",
    description: "Sends the webhooks of many products, such as Clerk and Resend.",
    notes: &[
        "Add the source's URL as an endpoint in the product's webhook page and choose the events you need.",
        "Copy the endpoint's signing secret, which begins with `whsec_`, into an `hmac` credential.",
        "The event types are the product's own: most keep them in the member `type` of the body. If yours does not, say in the source's `extract` where it stands.",
        "Some products send `webhook-*` in place of the `svix-*` headers; both are understood.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[
        Scheme {
            name: "svix-signature",
            is_default: true,
            verification: v1("svix-signature", "svix-timestamp", "{header:svix-id}.{ts}.{body}"),
        },
        Scheme { name: "webhook-signature", is_default: true, verification: V1 },
    ],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[
        "svix-id",
        "svix-timestamp",
        "svix-signature",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
    ],
    extract: Places {
        event_type: Some("json:/type or json:/eventType or json:/event_type"),
        derived_type: None,
        external_id: Some("header:svix-id or header:webhook-id"),
        occurred_at: Some("json:/timestamp or header:svix-timestamp or header:webhook-timestamp"),
        request_id: None,
        attributes: &[],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &[],
    sample: r#"{"type": "user.created", "timestamp": 1667507170344, "data": {"id": "user_29w83sxmDNGwOuEthce5gg56FcC"}}"#,
    refine: None,
};

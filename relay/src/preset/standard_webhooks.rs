//! Standard Webhooks: a way of signing that many senders share.

use std::borrow::Cow;

use super::scheme::{header, signed, time};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding, Hmac, Parse, SecretForm, Template, Unit, Verification};

pub(super) static PRESET: Preset = Preset {
    name: "standard-webhooks",
    title: "Standard Webhooks",
    description: "Any sender that signs as standardwebhooks.com says.",
    notes: &[
        "Put the secret that begins with `whsec_` into an `hmac` credential: with `v1` signatures, the text after `whsec_` is the key in base64.",
        "If your sender signs with a private key (`v1a`), put its public key, which begins with `whpk_`, into a `public_key` credential.",
        "The event type is the member `type` of the body; if your sender keeps it elsewhere, say so in the source's `extract`.",
        "A request is refused if it was signed more than 5 minutes from now.",
    ],
    authentication: &[Authentication::Hmac, Authentication::PublicKey],
    schemes: &[
        Scheme { name: "v1", is_default: true, verification: V1 },
        Scheme {
            name: "v1a",
            is_default: true,
            verification: Verification::Ed25519(signed(
                header("webhook-signature", items("v1a,"), Encoding::Base64),
                "{header:webhook-id}.{ts}.{body}",
                time("webhook-timestamp", Unit::S, 300),
            )),
        },
    ],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["webhook-id", "webhook-timestamp", "webhook-signature"],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: None,
        external_id: Some("header:webhook-id"),
        occurred_at: Some("json:/timestamp or header:webhook-timestamp"),
        request_id: None,
        attributes: &[],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &[],
    sample: r#"{"type": "invoice.paid", "timestamp": "2022-11-03T20:26:10.344522Z", "data": {"id": "in_1f81eb52"}}"#,
    refine: None,
};

/// The symmetric scheme, with the header names of the specification.
pub(super) const V1: Verification = v1("webhook-signature", "webhook-timestamp", "{header:webhook-id}.{ts}.{body}");

/// The symmetric scheme, with header names of the sender's own.
pub(super) const fn v1(signature: &'static str, timestamp: &'static str, signed: &'static str) -> Verification {
    Verification::Hmac(Hmac {
        signature: header(signature, items("v1,"), Encoding::Base64),
        algorithm: Algorithm::HmacSha256,
        secret: SecretForm::Base64,
        signed: Template::new(signed),
        timestamp: Some(time(timestamp, Unit::S, 300)),
        also_equal: Cow::Borrowed(&[]),
        public_url: None,
    })
}

const fn items(version: &'static str) -> Parse {
    Parse::List { item: Cow::Borrowed(" "), version: Cow::Borrowed(version) }
}

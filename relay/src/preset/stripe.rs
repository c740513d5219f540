//! Stripe: payments, billing and payouts.

use std::borrow::Cow;

use super::scheme::{header, mac_of, time_beside};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Encoding, Parse};

mod event_types;

pub(super) static PRESET: Preset = Preset {
    name: "stripe",
    title: "Stripe",
    description: "Payments, billing and payouts.",
    notes: &[
        "Add the source's URL as an event destination in Stripe's Workbench (`Webhooks`) and choose the events you need.",
        "Copy the endpoint's signing secret into an `hmac` credential. The whole text, with `whsec_`, is the key: do not decode it.",
        "Test mode, live mode and every endpoint have secrets of their own: make a source for each.",
        "When you roll the secret, add the new one as a second credential before the old one ends; Stripe signs with both meanwhile.",
        "Events may arrive out of order, and Stripe tries for up to 3 days.",
        "`request_id` is the API request that led to the event; events that came about by themselves have none.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "stripe-signature",
        is_default: true,
        verification: mac_of(
            header("stripe-signature", TIME_AND_SIGNATURES, Encoding::Hex),
            "{ts}.{body}",
            Some(time_beside(300)),
        ),
    }],
    source_addresses: &[
        "3.18.12.63",
        "3.130.192.231",
        "13.235.14.237",
        "13.235.122.149",
        "18.211.135.69",
        "35.154.171.200",
        "52.15.183.38",
        "54.88.130.119",
        "54.88.130.237",
        "54.187.174.169",
        "54.187.205.235",
        "54.187.216.72",
    ],
    handshakes: &[],
    forward_headers: &["stripe-signature"],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: None,
        external_id: Some("json:/id"),
        occurred_at: Some("json:/created"),
        request_id: Some("json:/request/id"),
        attributes: &[("account", "json:/account"), ("object_id", "json:/data/object/id")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &event_types::EVENT_TYPES,
    sample: r#"{
	"id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
	"object": "event",
	"api_version": "2023-10-16",
	"created": 1686089970,
	"data": {"object": {"id": "pi_3NG8Du2eZvKYlo2C1vVxM8bL", "object": "payment_intent", "amount": 2000, "currency": "usd"}},
	"livemode": false,
	"pending_webhooks": 1,
	"request": {"id": "req_Q4rwDbTYlHHHtf", "idempotency_key": "3d5a9b9e-8a35-4a6e-9a07-0c7b2b6d1c55"},
	"type": "payment_intent.succeeded"
}"#,
    refine: None,
};

/// `t=…,v1=…,v1=…`; `v0` is for tests and proves nothing.
const TIME_AND_SIGNATURES: Parse = Parse::Kv {
    pair: Cow::Borrowed(","),
    kv: Cow::Borrowed("="),
    sig: Cow::Borrowed(&[Cow::Borrowed("v1")]),
    ts: Some(Cow::Borrowed("t")),
    sets: None,
};

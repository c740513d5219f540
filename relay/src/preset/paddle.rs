//! Paddle Billing: subscriptions and their payments.

use std::borrow::Cow;

use super::catalogue::catalogue;
use super::scheme::{header, mac_of, time_beside};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Encoding, Parse};

pub(super) static PRESET: Preset = Preset {
    name: "paddle",
    title: "Paddle",
    description: "Subscriptions and their payments (Paddle Billing).",
    notes: &[
        "Add a notification destination of the kind webhook under `Developer tools`: the source's URL, and the events you need.",
        "Copy the destination's secret key into an `hmac` credential, as it is shown.",
        "Sandbox and live accounts have secrets of their own: make a source for each.",
        "Paddle keeps trying for up to 3 days in live accounts. Events may arrive out of order: compare `occurred_at`.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "paddle-signature",
        is_default: true,
        verification: mac_of(
            header("paddle-signature", TIME_AND_SIGNATURES, Encoding::Hex),
            "{ts}:{body}",
            // Paddle's own libraries allow 5 seconds, which is less than clocks differ and networks delay.
            Some(time_beside(300)),
        ),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["paddle-signature"],
    extract: Places {
        event_type: Some("json:/event_type"),
        derived_type: None,
        external_id: Some("json:/event_id"),
        occurred_at: Some("json:/occurred_at"),
        request_id: None,
        attributes: &[("notification_id", "json:/notification_id"), ("object_id", "json:/data/id")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("address.created", "An address was created."),
        ("address.updated", "An address was updated."),
        ("adjustment.created", "A refund, credit or chargeback was created."),
        ("adjustment.updated", "A refund, credit or chargeback was updated."),
        ("business.created", "A business was created."),
        ("business.updated", "A business was updated."),
        ("customer.created", "A customer was created."),
        ("customer.updated", "A customer was updated."),
        ("payout.created", "A payout was created."),
        ("payout.paid", "A payout was paid."),
        ("price.created", "A price was created."),
        ("price.updated", "A price was updated."),
        ("product.created", "A product was created."),
        ("product.updated", "A product was updated."),
        ("subscription.activated", "A subscription became active."),
        ("subscription.canceled", "A subscription was cancelled."),
        ("subscription.created", "A subscription was created."),
        ("subscription.past_due", "A payment of a subscription is overdue."),
        ("subscription.paused", "A subscription was paused."),
        ("subscription.resumed", "A paused subscription was resumed."),
        ("subscription.trialing", "A subscription is in its trial."),
        ("subscription.updated", "A subscription was updated."),
        ("transaction.billed", "A transaction was billed."),
        ("transaction.canceled", "A transaction was cancelled."),
        ("transaction.completed", "A transaction was completed."),
        ("transaction.created", "A transaction was created."),
        ("transaction.paid", "A transaction was paid."),
        ("transaction.past_due", "A transaction is overdue."),
        ("transaction.payment_failed", "An attempt to pay a transaction failed."),
        ("transaction.ready", "A transaction is ready to be paid."),
        ("transaction.updated", "A transaction was updated."),
    ]),
    sample: r#"{
	"event_id": "evt_01hv8x2axe33rjrq05yxr4sh65",
	"event_type": "transaction.completed",
	"occurred_at": "2024-04-12T10:18:49.621022Z",
	"notification_id": "ntf_01hv8x2b2rfttt2pddkj8pcp5d",
	"data": {"id": "txn_01hv8wptq8987qeep44cyrewp9", "status": "completed", "currency_code": "USD"}
}"#,
    refine: None,
};

/// `ts=…;h1=…`; while a secret is changed `h1` stands there twice.
const TIME_AND_SIGNATURES: Parse = Parse::Kv {
    pair: Cow::Borrowed(";"),
    kv: Cow::Borrowed("="),
    sig: Cow::Borrowed(&[Cow::Borrowed("h1")]),
    ts: Some(Cow::Borrowed("ts")),
    sets: None,
};

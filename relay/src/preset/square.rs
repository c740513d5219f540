//! Square: payments, orders and shops.

use super::catalogue::catalogue;
use super::scheme::{RAW, header, mac_of};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::Encoding;

pub(super) static PRESET: Preset = Preset {
    name: "square",
    title: "Square",
    description: "Payments, orders, customers and shops.",
    notes: &[
        "Add a webhook subscription to your application in Square's Developer Console: the source's URL, and the events you need.",
        "Copy the subscription's signature key into an `hmac` credential.",
        "The URL is signed, exactly as it is registered. If it is not the source's own, write it into the verification's `public_url`; register it again after you rotate the source's URL.",
        "Sandbox and production have subscriptions and keys of their own: make a source for each.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-square-hmacsha256-signature",
        is_default: true,
        verification: mac_of(
            header("x-square-hmacsha256-signature", RAW, Encoding::Base64),
            "{public_url}{body}",
            None,
        ),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-square-hmacsha256-signature"],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: None,
        external_id: Some("json:/event_id"),
        occurred_at: Some("json:/created_at"),
        request_id: None,
        attributes: &[("merchant_id", "json:/merchant_id"), ("object_id", "json:/data/id")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("booking.created", "A booking was created."),
        ("booking.updated", "A booking was updated or cancelled."),
        ("card.created", "A card was stored for a customer."),
        ("card.disabled", "A stored card was disabled."),
        ("catalog.version.updated", "The catalogue was updated."),
        ("customer.created", "A customer was created."),
        ("customer.updated", "A customer was updated."),
        ("customer.deleted", "A customer was deleted."),
        ("dispute.created", "A dispute was created."),
        ("dispute.state.updated", "The state of a dispute changed."),
        ("gift_card.created", "A gift card was created."),
        ("gift_card.updated", "A gift card was updated."),
        ("inventory.count.updated", "The quantity of an item at a location changed."),
        ("invoice.created", "An invoice was created."),
        ("invoice.published", "An invoice was published."),
        ("invoice.updated", "An invoice was updated."),
        ("invoice.payment_made", "A payment for an invoice was made."),
        ("invoice.canceled", "An invoice was cancelled."),
        ("location.created", "A location was created."),
        ("location.updated", "A location was updated."),
        ("oauth.authorization.revoked", "A seller or your application revoked its access."),
        ("order.created", "An order was created."),
        ("order.updated", "An order was updated."),
        ("order.fulfillment.updated", "A fulfillment of an order was created or updated."),
        ("payment.created", "A payment was created."),
        ("payment.updated", "A payment was updated, for example completed."),
        ("payout.sent", "A payout was sent to a bank account."),
        ("payout.paid", "A payout arrived."),
        ("payout.failed", "A payout failed."),
        ("refund.created", "A refund was created."),
        ("refund.updated", "A refund was updated, for example completed."),
        ("subscription.created", "A subscription was created."),
        ("subscription.updated", "A subscription was updated."),
        ("team_member.created", "A team member was created."),
        ("team_member.updated", "A team member was updated."),
        ("terminal.checkout.created", "A checkout at a terminal was created."),
        ("terminal.checkout.updated", "A checkout at a terminal was updated."),
    ]),
    sample: r#"{
	"merchant_id": "6SSW7HV8K2ST5",
	"type": "payment.updated",
	"event_id": "13b867cf-db3d-4b1c-90b6-2f32a9d78124",
	"created_at": "2020-02-06T21:27:34.308Z",
	"data": {
		"type": "payment",
		"id": "KkAkhdMsgzn59SM8A89WgKwekxLZY",
		"object": {"payment": {"id": "KkAkhdMsgzn59SM8A89WgKwekxLZY", "status": "COMPLETED"}}
	}
}"#,
    refine: None,
};

//! PayPal: payments, orders and subscriptions.

use super::catalogue::catalogue;
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::Verification;

pub(super) static PRESET: Preset = Preset {
    name: "paypal",
    title: "PayPal",
    description: "Payments, orders and subscriptions.",
    notes: &[
        "Add a webhook to your app in PayPal's Developer Dashboard: the source's URL, and the events you need.",
        "Copy the webhook's id into an `external` credential: it is part of what PayPal signs.",
        "Hookyard fetches PayPal's certificate to check the signature; `api.paypal.com` has to be reachable.",
        "Events of the dashboard's simulator are not signed for your webhook and are refused.",
        "PayPal tries up to 25 times within 3 days. Its signature covers only a checksum of the body: ask PayPal's API before you act on an amount.",
    ],
    authentication: &[Authentication::External],
    schemes: &[Scheme { name: "paypal-transmission-sig", is_default: true, verification: Verification::Paypal {} }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[
        "paypal-transmission-id",
        "paypal-transmission-time",
        "paypal-transmission-sig",
        "paypal-cert-url",
        "paypal-auth-algo",
    ],
    extract: Places {
        event_type: Some("json:/event_type"),
        derived_type: None,
        // Not the body's id: of the body only a checksum is signed, so that another id can be made to fit.
        external_id: Some("header:paypal-transmission-id"),
        occurred_at: Some("json:/create_time"),
        request_id: None,
        attributes: &[
            ("event_id", "json:/id"),
            ("resource_type", "json:/resource_type"),
            ("resource_id", "json:/resource/id"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("BILLING.SUBSCRIPTION.CREATED", "A subscription was created."),
        ("BILLING.SUBSCRIPTION.ACTIVATED", "A subscription was activated."),
        ("BILLING.SUBSCRIPTION.UPDATED", "A subscription was updated."),
        ("BILLING.SUBSCRIPTION.SUSPENDED", "A subscription was suspended."),
        ("BILLING.SUBSCRIPTION.CANCELLED", "A subscription was cancelled."),
        ("BILLING.SUBSCRIPTION.EXPIRED", "A subscription expired."),
        ("BILLING.SUBSCRIPTION.PAYMENT.FAILED", "A payment of a subscription failed."),
        ("CHECKOUT.ORDER.APPROVED", "A buyer approved an order."),
        ("CHECKOUT.ORDER.COMPLETED", "An order was completed."),
        ("CUSTOMER.DISPUTE.CREATED", "A dispute was created."),
        ("CUSTOMER.DISPUTE.UPDATED", "A dispute was updated."),
        ("CUSTOMER.DISPUTE.RESOLVED", "A dispute was resolved."),
        ("INVOICING.INVOICE.PAID", "An invoice was paid."),
        ("INVOICING.INVOICE.CANCELLED", "An invoice was cancelled."),
        ("PAYMENT.AUTHORIZATION.CREATED", "A payment was authorised."),
        ("PAYMENT.AUTHORIZATION.VOIDED", "The authorisation of a payment was voided."),
        ("PAYMENT.CAPTURE.COMPLETED", "A payment was captured."),
        ("PAYMENT.CAPTURE.DECLINED", "The capture of a payment was declined."),
        ("PAYMENT.CAPTURE.DENIED", "The capture of a payment was denied."),
        ("PAYMENT.CAPTURE.PENDING", "The capture of a payment is pending."),
        ("PAYMENT.CAPTURE.REFUNDED", "A captured payment was refunded."),
        ("PAYMENT.CAPTURE.REVERSED", "A captured payment was reversed."),
        ("PAYMENT.SALE.COMPLETED", "A sale, or a payment of a subscription, was completed."),
        ("PAYMENT.SALE.REFUNDED", "A sale was refunded."),
        ("PAYMENT.PAYOUTSBATCH.SUCCESS", "A batch of payouts succeeded."),
        ("PAYMENT.PAYOUTSBATCH.DENIED", "A batch of payouts was denied."),
    ]),
    sample: r#"{
	"id": "WH-58D329510W468432D-8HN650336L201105X",
	"event_version": "1.0",
	"create_time": "2019-02-14T21:50:07.940Z",
	"resource_type": "capture",
	"event_type": "PAYMENT.CAPTURE.COMPLETED",
	"summary": "Payment completed for $ 30.0 USD",
	"resource": {"id": "42311647XV020574X", "status": "COMPLETED", "amount": {"currency_code": "USD", "value": "30.00"}}
}"#,
    refine: None,
};

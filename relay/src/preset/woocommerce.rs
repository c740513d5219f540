//! `WooCommerce`: online shops on `WordPress`.

use super::catalogue::catalogue;
use super::scheme::{RAW, header, mac_of_body};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

pub(super) static PRESET: Preset = Preset {
    name: "woocommerce",
    title: "WooCommerce",
    description: "Online shops on WordPress: orders, products, customers.",
    notes: &[
        "Add a webhook under `WooCommerce`, `Settings`, `Advanced`, `Webhooks`: a topic, the source's URL as delivery URL, and a secret.",
        "Put the same secret into an `hmac` credential.",
        "On saving, WooCommerce sends a ping that is not signed: it is refused, and the page may show an error.",
        "The event type is the header `X-WC-Webhook-Topic`, such as `order.created`.",
        "WooCommerce does not repeat a failed delivery, and disables a webhook after 5 failures in a row.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-wc-webhook-signature",
        is_default: true,
        verification: mac_of_body(Algorithm::HmacSha256, header("x-wc-webhook-signature", RAW, Encoding::Base64)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[
        "x-wc-webhook-signature",
        "x-wc-webhook-topic",
        "x-wc-webhook-source",
        "x-wc-webhook-delivery-id",
    ],
    extract: Places {
        event_type: Some("header:x-wc-webhook-topic"),
        derived_type: None,
        external_id: Some("header:x-wc-webhook-delivery-id"),
        occurred_at: None,
        request_id: None,
        attributes: &[("shop", "header:x-wc-webhook-source"), ("object_id", "json:/id")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("coupon.created", "A coupon was created."),
        ("coupon.updated", "A coupon was updated."),
        ("coupon.deleted", "A coupon was deleted."),
        ("coupon.restored", "A coupon was restored from the bin."),
        ("customer.created", "A customer was created."),
        ("customer.updated", "A customer was updated."),
        ("customer.deleted", "A customer was deleted."),
        ("order.created", "An order was placed."),
        ("order.updated", "An order was updated."),
        ("order.deleted", "An order was deleted."),
        ("order.restored", "An order was restored from the bin."),
        ("product.created", "A product was created."),
        ("product.updated", "A product was updated."),
        ("product.deleted", "A product was deleted."),
        ("product.restored", "A product was restored from the bin."),
    ]),
    sample: r#"{
	"id": 727,
	"status": "processing",
	"currency": "USD",
	"date_created_gmt": "2017-03-22T19:28:02",
	"total": "29.35",
	"line_items": [{"id": 315, "name": "Woo Single #1", "product_id": 93, "quantity": 2}]
}"#,
    refine: None,
};

//! Shopify: online shops.

use super::scheme::{RAW, header, mac_of_body};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

mod event_types;

pub(super) static PRESET: Preset = Preset {
    name: "shopify",
    title: "Shopify",
    description: "Online shops: orders, products, customers.",
    notes: &[
        "Subscribe to topics in your app's configuration or through the Admin API, with the source's URL as address.",
        "Put your app's client secret into an `hmac` credential. For webhooks made in a shop's own admin, it is the secret shown below their list.",
        "The event type is the header `X-Shopify-Topic`, such as `orders/create`. The pattern `X.*` goes by full stops, so name each topic.",
        "Shopify tries 8 times within 4 hours; a subscription made through the API is then removed.",
        "Apps of the App Store must also take `customers/data_request`, `customers/redact` and `shop/redact`.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-shopify-hmac-sha256",
        is_default: true,
        verification: mac_of_body(Algorithm::HmacSha256, header("x-shopify-hmac-sha256", RAW, Encoding::Base64)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[
        "x-shopify-hmac-sha256",
        "x-shopify-topic",
        "x-shopify-shop-domain",
        "x-shopify-api-version",
        "x-shopify-webhook-id",
    ],
    extract: Places {
        event_type: Some("header:x-shopify-topic"),
        derived_type: None,
        external_id: Some("header:x-shopify-webhook-id"),
        occurred_at: Some("header:x-shopify-triggered-at"),
        request_id: None,
        attributes: &[("shop", "header:x-shopify-shop-domain"), ("api_version", "header:x-shopify-api-version")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &event_types::EVENT_TYPES,
    sample: r#"{
	"id": 820982911946154508,
	"admin_graphql_api_id": "gid://shopify/Order/820982911946154508",
	"created_at": "2021-12-31T19:00:00-05:00",
	"currency": "USD",
	"financial_status": "paid",
	"name": "9999",
	"total_price": "388.00",
	"line_items": [{"id": 866550311766439020, "quantity": 1, "price": "199.00"}]
}"#,
    refine: None,
};

//! What a destination can be told beyond its URL, authentication and schedule. What is missing is as the house has it.

use std::collections::BTreeMap;

use relay::header::Template;
use relay::order::Order;
use serde::{Deserialize, Serialize};

/// The column's form. Fields of a newer version are kept out of an older one: it would lose them when it writes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    #[serde(skip_serializing_if = "is_default")]
    pub signing: Styles,
    /// Headers that deliveries have besides, by their names in lower case.
    #[serde(skip_serializing_if = "is_default")]
    pub headers: BTreeMap<String, Template>,
    /// The most requests a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
    /// The most requests at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u16>,
    #[serde(skip_serializing_if = "is_default")]
    pub order: Order,
    /// Whether the answers to successful attempts are kept as well.
    #[serde(skip_serializing_if = "is_default")]
    pub keep_responses: bool,
    /// Whether subscriptions to all sources hear of the tenant's own destinations, too.
    #[serde(skip_serializing_if = "is_default")]
    pub operational: bool,
}

/// How deliveries are signed besides Standard Webhooks' `v1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Styles {
    /// With Ed25519 (`v1a`).
    #[serde(skip_serializing_if = "is_default")]
    pub v1a: bool,
    /// As GitHub does.
    #[serde(skip_serializing_if = "is_default")]
    pub github_header: bool,
    /// As Stripe does.
    #[serde(skip_serializing_if = "is_default")]
    pub stripe_header: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

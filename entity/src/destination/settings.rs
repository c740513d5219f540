//! What a destination can be told beyond its URL, authentication and schedule. What is missing is as the house has it.

use std::collections::BTreeMap;

use relay::header::Template;
use relay::place::Place;
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
    /// The certificate authorities that alone are trusted, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// What is shown to a server that asks, PEM; its key is sealed in a column of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
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

/// In which order deliveries are made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// In any.
    #[default]
    None,
    /// One after another as their events came; with a key, those whose events have the same value there.
    Fifo {
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<Place>,
    },
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

//! What a source can be told beyond its name and verification. What is missing is as the preset or the house has it.

use ipnet::IpNet;
use relay::preset::{Dedupe, Extract};
use relay::quota::Rate;
use serde::{Deserialize, Serialize};

/// The column's form. Fields of a newer version are kept out of an older one: it would lose them when it writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Places in the stead of the preset's.
    #[serde(skip_serializing_if = "is_default")]
    pub extract: Extract,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_allowlist: Option<Allowlist>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Rate>,
    /// Names in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_headers: Option<Vec<String>>,
}

/// The addresses that requests should come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowlist {
    pub mode: Mode,
    pub cidrs: Vec<IpNet>,
}

/// What becomes of a request from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is refused.
    Enforce,
    /// It is taken, and reported among the rejections.
    Report,
}

/// What a provider hears when its request was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub body: Option<String>,
}

impl Allowlist {
    /// Whether requests should come from there.
    #[must_use]
    pub fn lists(&self, address: std::net::IpAddr) -> bool {
        self.cidrs.iter().any(|network| network.contains(&address.to_canonical()))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

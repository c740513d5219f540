//! How much a tenant may use, and how much it may have.

use relay::quota::Rate;
use serde::{Deserialize, Serialize};

/// The column's form. Of what is not said there is as much as usual; for events that is as many as come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests of all its sources together that one api process takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destinations: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriptions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<u32>,
    /// Of each source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<u32>,
    /// See [`crate::own_request`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_ids: Option<u32>,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Sources,
    Destinations,
    Subscriptions,
    ApiKeys,
    /// Of one source.
    Credentials,
    /// Registered within a week.
    RequestIds,
}

impl Limits {
    /// How many there may be.
    #[must_use]
    pub fn most(&self, counted: Counted) -> u32 {
        let said = match counted {
            Counted::Sources => self.sources,
            Counted::Destinations => self.destinations,
            Counted::Subscriptions => self.subscriptions,
            Counted::ApiKeys => self.api_keys,
            Counted::Credentials => self.credentials,
            Counted::RequestIds => self.request_ids,
        };
        said.unwrap_or(counted.usual())
    }
}

impl Counted {
    /// How many a tenant may have that no operator has said anything about. Far more than the largest that we know of
    /// needs, and few enough that nobody else feels it.
    #[must_use]
    pub fn usual(self) -> u32 {
        match self {
            // One for each account at a provider. A change of the tenant's limits drops all of them from every cache.
            Self::Sources => 500,
            // Each is a line in a worker's memory, with up to 64 connections.
            Self::Destinations => 500,
            // Every event is held against all of them, and stored together with a delivery for each that matches.
            Self::Subscriptions => 1_000,
            // One for each program and person. Each has a rate of its own.
            Self::ApiKeys => 100,
            // A request may be held against each of them, and a password takes 60 ms of a core.
            Self::Credentials => 20,
            // Eight calls of a provider's API a second, day and night: about 700 MB of rows with their index.
            Self::RequestIds => 5_000_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_usual_and_not_written() {
        let limits = Limits { sources: Some(0), ..Limits::default() };
        assert_eq!((limits.most(Counted::Sources), limits.most(Counted::Destinations)), (0, 500));
        assert_eq!(serde_json::to_string(&limits).unwrap(), r#"{"sources":0}"#);
        assert_eq!(serde_json::from_str::<Limits>(r#"{"sources":0}"#).unwrap(), limits);
    }
}

//! How much a tenant may use and have, as operators say it and tenants see it.

use entity::tenant::{self, Counted};
use poem_openapi::Object;
use relay::quota::Rate;

use crate::error::Error;

/// How much a tenant may use, and how much it may have. What is not said, or null, is as usual; shown is what holds.
#[derive(Debug, Clone, Default, Object)]
pub struct Limits {
    /// How many requests a second its sources take together, by each api process; the others are answered with 429. Null
    /// if it is not limited.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "100000")))]
    pub events_per_s: Option<u32>,
    /// How many at once; as many as in a second unless said otherwise.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000000")))]
    pub burst: Option<u32>,
    /// How many sources it can have; 500 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "100000")))]
    pub sources: Option<u32>,
    /// How many destinations; 500 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "100000")))]
    pub destinations: Option<u32>,
    /// How many subscriptions; 1,000 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "100000")))]
    pub subscriptions: Option<u32>,
    /// How many API keys; 100 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "100000")))]
    pub api_keys: Option<u32>,
    /// How many credentials each of its sources; 20 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "100")))]
    pub credentials_per_source: Option<u32>,
    /// How many request ids it can register, today and in the 7 days before (UTC); 5,000,000 unless said otherwise.
    #[oai(nullable, validator(minimum(value = "0"), maximum(value = "1000000000")))]
    pub request_ids_per_week: Option<u32>,
}

impl Limits {
    pub(super) fn show(limits: &tenant::Limits) -> Self {
        let most = |counted| Some(limits.most(counted));
        Self {
            events_per_s: limits.events.map(|rate| rate.per_second),
            burst: limits.events.map(|rate| rate.burst),
            sources: most(Counted::Sources),
            destinations: most(Counted::Destinations),
            subscriptions: most(Counted::Subscriptions),
            api_keys: most(Counted::ApiKeys),
            credentials_per_source: most(Counted::Credentials),
            request_ids_per_week: most(Counted::RequestIds),
        }
    }

    pub(super) fn meant(&self) -> Result<tenant::Limits, Error> {
        let events = match (self.events_per_s, self.burst) {
            (Some(per_second), burst) => Some(Rate { per_second, burst: burst.unwrap_or(per_second) }),
            (None, None) => None,
            (None, Some(_)) => return Err(Error::field("/limits/burst", "means nothing without `events_per_s`")),
        };
        Ok(tenant::Limits {
            events,
            sources: self.sources,
            destinations: self.destinations,
            subscriptions: self.subscriptions,
            api_keys: self.api_keys,
            credentials: self.credentials_per_source,
            request_ids: self.request_ids_per_week,
        })
    }
}

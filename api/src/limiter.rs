//! How often the admin API may be asked: by each key, by all keys of a tenant together, and by strangers. Counted in the
//! memory of each process, and told in the headers of draft-ietf-httpapi-ratelimit-headers.

use std::net::IpAddr;
use std::time::Duration;

use poem::http::{HeaderName, HeaderValue};
use relay::id::{ApiKeyId, TenantId};
use relay::quota::{Level, Quotas, Rate};

use crate::auth::Caller;
use crate::error::Error;
use crate::oauth::GUESSES;

/// One a process. What it remembers is bounded, and one that was forgotten has a full bucket.
#[derive(Debug, Default)]
pub struct Limiter {
    keys: Quotas<ApiKeyId>,
    tenants: Quotas<TenantId>,
    /// None for the key that no table holds.
    operators: Quotas<Option<ApiKeyId>>,
    /// Keys that are none, by address.
    guesses: Quotas<Option<IpAddr>>,
}

/// What a request was counted by, the narrowest first.
#[derive(Debug)]
pub struct Count(Vec<(Policy, Level)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    name: &'static str,
    rate: Rate,
}

/// A program that sets everything up, or a page that polls, asks less.
const KEY: Policy = Policy { name: "key", rate: Rate { per_second: 50, burst: 500 } };
/// Or many keys would do what one may not: everybody's requests share few connections to the database.
const TENANT: Policy = Policy { name: "tenant", rate: Rate { per_second: 200, burst: 2_000 } };
/// Operators work for all tenants at once; a loop that ran wild is stopped all the same.
const OPERATOR: Policy = Policy { name: "operator", rate: Rate { per_second: 500, burst: 5_000 } };

impl Limiter {
    /// Counts a request. A key's flood is stopped at the key, so that it does not use up what the tenant's others need.
    pub fn count(&self, caller: &Caller, now: Duration) -> Count {
        self.draw(caller.tenant(), caller.key, now)
    }

    fn draw(&self, tenant: Option<TenantId>, key: Option<ApiKeyId>, now: Duration) -> Count {
        let Some((tenant, key)) = tenant.zip(key) else {
            return Count(vec![(OPERATOR, self.operators.draw(key, OPERATOR.rate, now))]);
        };
        let mut count = vec![(KEY, self.keys.draw(key, KEY.rate, now))];
        if count[0].1.wait.is_none() {
            count.push((TENANT, self.tenants.draw(tenant, TENANT.rate, now)));
        }
        Count(count)
    }

    /// Refuses to look a key up for an address that has shown too many that are none.
    pub(crate) fn may_guess(&self, address: Option<IpAddr>, now: Duration) -> Result<(), Error> {
        let why =
            || format!("At most {} keys a second that are none are looked up for one address.", GUESSES.per_second);
        self.guesses.ask(&address, GUESSES, now).map_err(|wait| Error::TooMany { why: why(), wait })
    }

    /// The address has shown a key that is none.
    pub(crate) fn guessed(&self, address: Option<IpAddr>, now: Duration) {
        // Beyond the rate there is nothing more to count.
        let _ = self.guesses.take(address, GUESSES, now);
    }
}

impl Count {
    /// Why the request is not answered, if it is not.
    #[must_use]
    pub fn refusal(&self) -> Option<Error> {
        let (policy, wait) = self.0.iter().find_map(|(policy, level)| Some((policy, level.wait?)))?;
        let Rate { per_second, burst } = policy.rate;
        let whose = match *policy {
            KEY => "one key",
            TENANT => "all keys of a tenant together",
            _ => "one key of an operator",
        };
        Some(Error::TooMany {
            why: format!("For {whose}, {per_second} requests a second are answered, {burst} at once."),
            wait,
        })
    }

    /// `RateLimit-Policy`: how many (`q`) within how many seconds (`w`). `RateLimit`: how many are left (`r`), and in how
    /// many seconds there are all of them again (`t`).
    #[must_use]
    pub fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let policies = self
            .0
            .iter()
            .map(|(Policy { name, rate }, _)| format!("\"{name}\";q={};w={}", rate.burst, rate.window_s()));
        let levels = self.0.iter().map(|(policy, level)| {
            format!("\"{}\";r={};t={}", policy.name, level.left, level.full_in.as_secs_f64().ceil())
        });
        let list = |items: Vec<String>| HeaderValue::try_from(items.join(", ")).ok();
        let fields = [("ratelimit-policy", list(policies.collect())), ("ratelimit", list(levels.collect()))];
        fields.into_iter().filter_map(|(name, value)| Some((HeaderName::from_static(name), value?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stopped_before_its_tenant_and_neither_stops_anybody_else() {
        let (limiter, now) = (Limiter::default(), Duration::from_secs(1));
        let [tenant, neighbour] = [1, 2].map(TenantId::at);
        let keys: Vec<_> = (0..6).map(ApiKeyId::at).collect();
        let is_refused = |tenant, key| limiter.draw(tenant, key, now).refusal().is_some();
        for key in &keys[..4] {
            assert!((0..500).all(|_| !is_refused(Some(tenant), Some(*key))), "{key}");
            assert!(is_refused(Some(tenant), Some(*key)), "{key}");
        }
        assert!(is_refused(Some(tenant), Some(keys[4])), "the tenant has used up what is everybody's");
        assert!(!is_refused(Some(neighbour), Some(keys[5])));
        assert!(!is_refused(None, None) && !is_refused(None, Some(keys[0])));
    }

    #[test]
    fn the_headers_are_lists_of_structured_fields() {
        let level = |left, millis, wait: Option<u64>| Level {
            left,
            full_in: Duration::from_millis(millis),
            wait: wait.map(Duration::from_millis),
        };
        for (count, policy, limit, is_refused) in [
            (vec![(OPERATOR, level(4_999, 2, None))], r#""operator";q=5000;w=10"#, r#""operator";r=4999;t=1"#, false),
            (
                vec![(KEY, level(499, 20, None)), (TENANT, level(0, 10_000, None))],
                r#""key";q=500;w=10, "tenant";q=2000;w=10"#,
                r#""key";r=499;t=1, "tenant";r=0;t=10"#,
                false,
            ),
            (vec![(KEY, level(0, 10_001, Some(20)))], r#""key";q=500;w=10"#, r#""key";r=0;t=11"#, true),
        ] {
            let count = Count(count);
            let headers = count.headers();
            let value = |name: &str| headers.iter().find(|(it, _)| it == name).unwrap().1.to_str().unwrap().to_owned();
            assert_eq!((value("ratelimit-policy").as_str(), value("ratelimit").as_str()), (policy, limit));
            assert_eq!(count.refusal().is_some(), is_refused);
        }
    }
}

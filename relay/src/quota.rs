//! How many events a tenant or a source may send: a rate with a burst, kept in the memory of each process.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use serde::{Deserialize, Serialize};

/// So many a second, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub per_second: u32,
    pub burst: u32,
}

/// The generic cell rate algorithm: for each key the time at which its bucket is full again, in nanoseconds.
#[derive(Debug, Clone)]
pub struct Quotas<K: Hash + Eq + Send + Sync + 'static>(Cache<K, Arc<AtomicU64>>);

/// Keys that are remembered; a forgotten one has a full bucket, as has one that was idle.
const KEYS: u64 = 200_000;
/// A bucket is full again long before.
const IDLE: Duration = Duration::from_secs(3600);

impl<K: Hash + Eq + Send + Sync + 'static> Default for Quotas<K> {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(KEYS).time_to_idle(IDLE).build())
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Quotas<K> {
    /// Takes one of a key's, at this time by a clock that never goes back. Says how much is left.
    ///
    /// # Errors
    /// There is none left: how long to wait for the next.
    pub fn take(&self, key: K, rate: Rate, now: Duration) -> Result<Left, Duration> {
        let full_at = self.0.get_with(key, Arc::default);
        let now = nanos(now);
        let taken = full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| next(full_at, rate, now).ok());
        match taken {
            Ok(full_at) => Ok(Left::of(full_at, rate, now)),
            Err(full_at) => next(full_at, rate, now).map(|_| Left::Little),
        }
    }
}

impl<K: Hash + Eq + Send + Sync + 'static> Quotas<K> {
    /// Whether one could be taken, without taking it.
    ///
    /// # Errors
    /// There is none left: how long to wait for the next.
    pub fn ask(&self, key: &K, rate: Rate, now: Duration) -> Result<(), Duration> {
        let full_at = self.0.get(key).map_or(0, |full_at| full_at.load(Ordering::Acquire));
        next(full_at, rate, nanos(now)).map(drop)
    }
}

/// How much of a bucket is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Enough,
    /// Less than a fifth of what is not very little anyway.
    Little,
}

impl Left {
    /// Of a bucket from which one more was taken than `full_at` says.
    fn of(full_at: u64, rate: Rate, now: u64) -> Self {
        let each = 1_000_000_000 / u64::from(rate.per_second.max(1));
        let used = full_at.saturating_sub(now) / each.max(1) + 1;
        if rate.burst >= 5 && used * 5 > u64::from(rate.burst) * 4 { Self::Little } else { Self::Enough }
    }
}

/// When the bucket is full again once one more is taken.
fn next(full_at: u64, rate: Rate, now: u64) -> Result<u64, Duration> {
    let each = 1_000_000_000 / u64::from(rate.per_second.max(1));
    let depth = each * u64::from(rate.burst.max(1));
    let next = full_at.max(now) + each;
    if next - now <= depth { Ok(next) } else { Err(Duration::from_nanos(next - now - depth)) }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_at_once_and_then_the_rate() {
        let quotas = Quotas::default();
        let rate = Rate { per_second: 10, burst: 3 };
        let take = |millis: u64| {
            quotas.take("k", rate, Duration::from_millis(millis)).map(drop).map_err(|wait| wait.as_millis())
        };
        for (at, result) in [
            (1_000, Ok(())),
            (1_000, Ok(())),
            (1_000, Ok(())),
            (1_000, Err(100)),
            (1_060, Err(40)),
            (1_100, Ok(())),
            (1_100, Err(100)),
            (5_000, Ok(())),
            (5_000, Ok(())),
            (5_000, Ok(())),
            (5_000, Err(100)),
        ] {
            assert_eq!(take(at), result, "{at}");
        }
        assert_eq!(quotas.take("another", rate, Duration::from_secs(5)), Ok(Left::Enough));
        assert_eq!(quotas.ask(&"k", rate, Duration::from_secs(5)), Err(Duration::from_millis(100)));
        assert_eq!(quotas.ask(&"a third", rate, Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn a_lower_rate_holds_at_once() {
        let quotas = Quotas::default();
        let at = Duration::from_secs(1);
        assert_eq!(quotas.take(1, Rate { per_second: 1000, burst: 1000 }, at), Ok(Left::Enough));
        assert_eq!(quotas.take(1, Rate { per_second: 1, burst: 1 }, at), Err(Duration::from_millis(1)));
    }

    #[test]
    fn it_is_said_when_little_is_left() {
        let quotas = Quotas::default();
        let rate = Rate { per_second: 10, burst: 10 };
        let take = |millis: u64| quotas.take("k", rate, Duration::from_millis(millis));
        let taken: Vec<_> = (0..11).map(|_| take(1_000)).collect();
        assert_eq!(taken[..8], [Ok(Left::Enough); 8]);
        assert_eq!(taken[8..10], [Ok(Left::Little); 2]);
        assert!(taken[10].is_err());
        assert_eq!(take(9_000), Ok(Left::Enough), "full again");
        assert_eq!(quotas.take("little", Rate { per_second: 1, burst: 1 }, Duration::from_secs(1)), Ok(Left::Enough));
    }
}

//! How many events a tenant or a source may send, and how many requests a key may make: a rate with a burst, kept in the
//! memory of each process.

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

impl Rate {
    /// After how many whole seconds an empty bucket is full again.
    #[must_use]
    pub fn window_s(self) -> u32 {
        self.burst.div_ceil(self.per_second.max(1))
    }
}

/// What a bucket holds, once somebody has drawn from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// How many more may be drawn now.
    pub left: u32,
    /// When it is full again.
    pub full_in: Duration,
    /// Nothing was left: how long to wait for the next.
    pub wait: Option<Duration>,
}

impl Level {
    /// Whether less than a fifth is left of what is not very little anyway.
    #[must_use]
    pub fn is_low(self, rate: Rate) -> bool {
        rate.burst >= 5 && u64::from(self.left) * 5 < u64::from(rate.burst)
    }
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
    /// Takes one of a key's, at this time by a clock that never goes back.
    ///
    /// # Errors
    /// There is none left: how long to wait for the next.
    pub fn take(&self, key: K, rate: Rate, now: Duration) -> Result<(), Duration> {
        self.draw(key, rate, now).wait.map_or(Ok(()), Err)
    }

    /// Takes one of a key's, if there is one, and says what is left.
    pub fn draw(&self, key: K, rate: Rate, now: Duration) -> Level {
        let full_at = self.0.get_with(key, Arc::default);
        let now = nanos(now);
        let taken = full_at.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| next(full_at, rate, now).ok());
        let (Ok(full_at) | Err(full_at)) = taken;
        match next(full_at, rate, now) {
            Ok(full_at) => level(full_at, rate, now, None),
            Err(wait) => level(full_at, rate, now, Some(wait)),
        }
    }

    /// Whether one could be taken, without taking it.
    ///
    /// # Errors
    /// There is none left: how long to wait for the next.
    pub fn ask(&self, key: &K, rate: Rate, now: Duration) -> Result<(), Duration> {
        let full_at = self.0.get(key).map_or(0, |full_at| full_at.load(Ordering::Acquire));
        next(full_at, rate, nanos(now)).map(drop)
    }
}

/// When the bucket is full again once one more is taken.
fn next(full_at: u64, rate: Rate, now: u64) -> Result<u64, Duration> {
    let (each, depth) = measures(rate);
    let next = full_at.max(now) + each;
    if next - now <= depth { Ok(next) } else { Err(Duration::from_nanos(next - now - depth)) }
}

fn level(full_at: u64, rate: Rate, now: u64, wait: Option<Duration>) -> Level {
    let (each, depth) = measures(rate);
    let missing = full_at.saturating_sub(now);
    let left = u32::try_from(depth.saturating_sub(missing) / each).unwrap_or(u32::MAX);
    Level { left, full_in: Duration::from_nanos(missing), wait }
}

/// Nanoseconds for each one, and for all of them.
fn measures(rate: Rate) -> (u64, u64) {
    let each = 1_000_000_000 / u64::from(rate.per_second.max(1));
    (each, each * u64::from(rate.burst.max(1)))
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
        let take = |millis: u64| quotas.take("k", rate, Duration::from_millis(millis)).map_err(|wait| wait.as_millis());
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
        assert_eq!(quotas.take("another", rate, Duration::from_secs(5)), Ok(()));
        assert_eq!(quotas.ask(&"k", rate, Duration::from_secs(5)), Err(Duration::from_millis(100)));
        assert_eq!(quotas.ask(&"a third", rate, Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn it_is_said_what_is_left() {
        let quotas = Quotas::default();
        let rate = Rate { per_second: 10, burst: 3 };
        assert_eq!((rate.window_s(), Rate { per_second: 50, burst: 500 }.window_s()), (1, 10));
        let millis = Duration::from_millis;
        for (at, left, full_in, wait) in [
            (1_000, 2, 100, None),
            (1_000, 1, 200, None),
            (1_000, 0, 300, None),
            (1_000, 0, 300, Some(100)),
            (1_060, 0, 240, Some(40)),
            (1_100, 0, 300, None),
            (1_350, 1, 150, None),
            (9_000, 2, 100, None),
        ] {
            let level = Level { left, full_in: millis(full_in), wait: wait.map(millis) };
            assert_eq!(quotas.draw("k", rate, millis(at)), level, "{at}");
        }
    }

    #[test]
    fn it_is_said_when_little_is_left() {
        let quotas = Quotas::default();
        let rate = Rate { per_second: 10, burst: 10 };
        let is_low = |millis: u64| quotas.draw("k", rate, Duration::from_millis(millis)).is_low(rate);
        let lows: Vec<bool> = (0..11).map(|_| is_low(1_000)).collect();
        assert_eq!(lows, [false, false, false, false, false, false, false, false, true, true, true]);
        assert!(!is_low(9_000), "full again");
        let little = Rate { per_second: 1, burst: 1 };
        assert!(!quotas.draw("little", little, Duration::from_secs(1)).is_low(little));
    }

    #[test]
    fn a_lower_rate_holds_at_once() {
        let quotas = Quotas::default();
        let at = Duration::from_secs(1);
        assert_eq!(quotas.take(1, Rate { per_second: 1000, burst: 1000 }, at), Ok(()));
        assert_eq!(quotas.take(1, Rate { per_second: 1, burst: 1 }, at), Err(Duration::from_millis(1)));
    }
}

//! How often a destination may be asked: evenly spread, by the generic cell rate algorithm.

use std::time::Duration;

/// When the next request may start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Between two starts; None: as often as one likes.
    interval: Option<Duration>,
    /// When the next start would be exactly in time.
    next: Duration,
}

/// So much too early is in time: timers are no better, and a rate beyond a hundred a second would not be reached.
const EARLY: Duration = Duration::from_millis(10);

impl Pace {
    /// A bucket that is empty at `since`: what a former owner sent up to then is not known here.
    pub(crate) fn begun(since: Duration) -> Self {
        Self { interval: None, next: since }
    }

    /// From now on at this interval. A first one counts from the beginning; another from the last start.
    pub(crate) fn set(&mut self, interval: Option<Duration>, now: Duration) {
        if self.interval == interval {
            return;
        }
        let first = self.next + interval.unwrap_or_default();
        // A rate that was lower before does not make the first request of a higher one wait for it.
        self.next = if self.interval.is_none() { first } else { self.next.min(now + interval.unwrap_or_default()) };
        self.interval = interval;
    }

    /// When something may start: now, or later.
    pub(crate) fn opens_at(&self) -> Duration {
        if self.interval.is_some() { self.next.saturating_sub(EARLY) } else { Duration::ZERO }
    }

    pub(crate) fn allows(&self, now: Duration) -> bool {
        now >= self.opens_at()
    }

    /// Something starts.
    pub(crate) fn start(&mut self, now: Duration) {
        if let Some(interval) = self.interval {
            self.next = self.next.max(now) + interval;
        } else {
            self.next = now;
        }
    }

    /// Whether one that begins now would say the same.
    pub(crate) fn is_rested(&self, now: Duration) -> bool {
        self.interval.is_none() || self.next <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Starts as often as it may in the first `span`, looking each millisecond.
    fn starts(pace: &mut Pace, span: u64) -> Vec<u64> {
        let mut starts = Vec::new();
        for now in 0..span {
            while pace.allows(ms(now)) && starts.len() < 100_000 {
                pace.start(ms(now));
                starts.push(now);
            }
        }
        starts
    }

    #[test]
    fn no_window_holds_more_than_the_rate() {
        for per_second in [1_u64, 3, 10, 100, 1_000, 5_000] {
            let mut pace = Pace::begun(ms(0));
            pace.set(Some(Duration::from_secs(1) / u32::try_from(per_second).unwrap()), ms(0));
            let starts = starts(&mut pace, 5_000);
            let expected = 5 * per_second;
            let early = per_second / 100 + 1;
            assert!(
                (expected - 1..=expected + early).contains(&(starts.len() as u64)),
                "{per_second}: {}",
                starts.len()
            );
            for (place, start) in starts.iter().enumerate() {
                let within = starts[place..].iter().take_while(|other| **other < start + 1_000).count() as u64;
                assert!(within <= per_second + early, "{per_second}: {within} from {start}");
            }
        }
    }

    #[test]
    fn a_bucket_is_empty_at_a_takeover_and_full_one_interval_later() {
        let mut pace = Pace::begun(ms(10_000));
        pace.set(Some(ms(500)), ms(10_100));
        assert!(!pace.allows(ms(10_489)) && pace.allows(ms(10_490)));
        let mut idle = Pace::begun(ms(0));
        idle.set(Some(ms(500)), ms(60_000));
        assert!(idle.allows(ms(60_000)));
        idle.start(ms(60_000));
        assert!(!idle.allows(ms(60_400)), "what was not used is not saved up");
    }

    #[test]
    fn a_change_holds_at_once_and_forgives_nothing() {
        let mut pace = Pace::begun(ms(0));
        pace.set(Some(ms(60_000)), ms(0));
        pace.start(ms(60_000));
        assert_eq!(pace.opens_at(), ms(119_990));
        pace.set(Some(ms(100)), ms(61_000));
        assert_eq!(pace.opens_at(), ms(61_090), "sooner by the new one");
        pace.start(ms(61_100));
        pace.set(Some(ms(60_000)), ms(61_100));
        assert_eq!(pace.opens_at(), ms(61_190), "what was promised is kept");
        pace.set(None, ms(61_100));
        assert!(pace.allows(ms(61_100)));
    }
}

//! The present: the database's clock as this process last saw it, carried on by the machine's boot-time clock,
//! so that a jump of the machine's wall clock changes nothing.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Cheap to clone; all clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What to add to the boot-time clock to get the database's, in milliseconds.
    base: AtomicI64,
    /// What the harness adds to all times, in milliseconds. Always 0 in production.
    offset: AtomicI64,
    #[cfg(feature = "test-support")]
    harness: Option<Harness>,
}

/// Never reached: a row due then is parked.
pub const NEVER: i64 = i64::MAX;

/// The years 0 to 9999, which are all that RFC 3339 has digits for.
pub const WRITABLE: Range<i64> = -62_167_219_200_000..253_402_300_800_000;

/// The harness may begin in the past, up to a century ago. The boot-time clock grows with its offset all the same.
const EARLIEST_OFFSET: i64 = if cfg!(any(test, feature = "test-support")) { -100 * 365 * 86_400_000 } else { 0 };

impl Clock {
    /// Starts from the machine's wall clock; [`Clock::follow`] corrects it.
    #[must_use]
    pub fn start() -> Self {
        #[cfg(feature = "test-support")]
        let harness = Harness::find();
        let clock = Self(Arc::new(Inner {
            base: AtomicI64::new(0),
            #[cfg(feature = "test-support")]
            offset: AtomicI64::new(harness.as_ref().and_then(Harness::read).unwrap_or(0)),
            #[cfg(not(feature = "test-support"))]
            offset: AtomicI64::new(0),
            #[cfg(feature = "test-support")]
            harness,
        }));
        clock.follow(wall(), boot_time());
        clock
    }

    /// The present in milliseconds since 1970.
    #[must_use]
    pub fn now(&self) -> i64 {
        millis(boot_time()) + self.0.base.load(Ordering::Relaxed) + self.offset()
    }

    /// Time since the machine started, counting sleep and suspension: what leases are measured by.
    #[must_use]
    pub fn boot(&self) -> Duration {
        boot_time() + Duration::from_millis(self.offset().abs_diff(EARLIEST_OFFSET))
    }

    /// What the harness adds to the database's clock, for the statements that read it themselves. 0 in production.
    #[must_use]
    pub fn offset(&self) -> i64 {
        #[cfg(feature = "test-support")]
        if let Some(harness) = &self.0.harness {
            harness.look(&self.0.offset);
        }
        self.0.offset.load(Ordering::Relaxed)
    }

    /// The database said that it was `database` (milliseconds since 1970) when the boot-time clock read `at`.
    pub fn follow(&self, database: i64, at: Duration) {
        self.0.base.store(database - millis(at), Ordering::Relaxed);
    }

    /// Moves the clock, as the harness would.
    #[cfg(test)]
    pub(crate) fn advance(&self, by: Duration) {
        self.0.offset.fetch_add(millis(by), Ordering::Relaxed);
    }
}

/// What lets time pass in tests: a file that every process of a test reads, so that they move together. It is looked at by
/// whoever asks for the time, so that a process that was frozen knows how late it is before it does anything.
#[cfg(feature = "test-support")]
#[derive(Debug)]
struct Harness {
    file: String,
    /// When it was last read, by the machine's boot-time clock, in microseconds.
    read_at: AtomicI64,
}

#[cfg(feature = "test-support")]
impl Harness {
    /// Often enough for every test.
    const AGAIN_US: i64 = 1_000;

    fn find() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "a variable of the harness, not a setting")]
        let file = std::env::var("HOOKYARD_TEST_CLOCK").ok()?;
        Some(Self { file, read_at: AtomicI64::new(i64::MIN) })
    }

    /// Brings what it adds to all times up to date, if it is time to look. It only grows.
    fn look(&self, offset: &AtomicI64) {
        let now = i64::try_from(boot_time().as_micros()).expect("a time since the machine started fits");
        if now < self.read_at.load(Ordering::Acquire).saturating_add(Self::AGAIN_US) {
            return;
        }
        if let Some(read) = self.read() {
            offset.fetch_max(read, Ordering::Relaxed);
        }
        // Last, so that nobody takes for new what is still old.
        self.read_at.fetch_max(now, Ordering::Release);
    }

    /// Nothing where there is no descriptor to read it by.
    fn read(&self) -> Option<i64> {
        std::fs::read_to_string(&self.file).ok()?.trim().parse().ok()
    }
}

/// The machine's wall clock in milliseconds since 1970.
#[must_use]
pub fn wall() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis) + skew()
}

/// How far the harness wants this machine's clock from the database's, in milliseconds. Always 0 in production.
#[cfg(feature = "test-support")]
fn skew() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "a variable of the harness, not a setting")]
    let skew = std::env::var("HOOKYARD_TEST_SKEW_MS");
    skew.ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(not(feature = "test-support"))]
const fn skew() -> i64 {
    0
}

/// The machine's boot-time clock, without what the harness adds.
#[must_use]
pub fn boot_time() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).expect("a time since 1970 fits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clock_goes_back_wherever_the_harness_begins() {
        let clock = Clock::start();
        let mut last = (i64::MIN, Duration::ZERO);
        for offset in [-10 * 365 * 86_400_000, -60_000, -1, 0, 1, 60_000] {
            clock.0.offset.store(offset, Ordering::Relaxed);
            let present = (clock.now(), clock.boot());
            assert!(present.0 > last.0 && present.1 > last.1, "{offset}: {present:?} after {last:?}");
            last = present;
        }
    }
}

//! Whether the work of this worker moves: said by those who do it, asked by whoever wants to know if it is ready.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay::clock::Clock;

/// Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Pulse {
    clock: Clock,
    last: Arc<Mutex<Last>>,
}

/// What was heard last, by the boot-time clock.
#[derive(Debug, Clone, Copy)]
struct Last {
    /// Another process has the role of the only worker (SQLite).
    awaits_role: bool,
    /// Since when this process works, or waits for the role.
    since: Duration,
    beat: Beat,
    renewed_at: Duration,
    /// None: it holds some.
    holds_nothing_since: Option<Duration>,
}

/// What the owner says of itself every few moments.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Beat {
    pub(crate) at: Duration,
    /// Since when outcomes wait to be written and none was.
    pub(crate) unwritten_since: Option<Duration>,
    /// Since when something waits for this worker, and not for a destination, while no attempt came to anything and nothing
    /// was written.
    pub(crate) still_since: Option<Duration>,
    /// For how long the oldest delivery waits that is due.
    pub(crate) oldest_due: Duration,
    /// Outcomes that wait to be written.
    pub(crate) unwritten: usize,
}

/// Longer than any attempt, and than any pause of our own: whoever stands still for so long does not move by itself.
const STILL: Duration = Duration::from_secs(60);
/// A lease that was not renewed for so long has ended.
const UNRENEWED: Duration = Duration::from_secs(15);

impl Pulse {
    /// Of a worker that is about to begin.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let last = Last::begun(clock.boot(), true);
        Self { clock, last: Arc::new(Mutex::new(last)) }
    }

    /// Why this worker is not ready, if it is not. One whose destinations are all ill is: it keeps trying.
    ///
    /// # Errors
    /// In words for people.
    pub fn ready(&self) -> Result<(), String> {
        let last = *self.last();
        last.trouble(self.clock.boot()).map_or(Ok(()), Err)
    }

    /// This process is the worker from now on.
    pub(crate) fn works(&self) {
        *self.last() = Last::begun(self.clock.boot(), false);
    }

    pub(crate) fn beats(&self, beat: Beat) {
        self.last().beat = beat;
    }

    /// Its leases were renewed.
    pub(crate) fn renewed(&self) {
        self.last().renewed_at = self.clock.boot();
    }

    /// It holds so many shards.
    pub(crate) fn holds(&self, shards: usize) {
        let now = self.clock.boot();
        let mut last = self.last();
        last.holds_nothing_since = (shards == 0).then(|| last.holds_nothing_since.unwrap_or(now));
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Last {
    fn begun(now: Duration, awaits_role: bool) -> Self {
        let beat = Beat { at: now, ..Beat::default() };
        Self { awaits_role, since: now, beat, renewed_at: now, holds_nothing_since: Some(now) }
    }

    /// The first thing that is wrong: what follows from it is not said besides.
    fn trouble(&self, now: Duration) -> Option<String> {
        let longer = |since: Duration, limit: Duration| Some(now.saturating_sub(since)).filter(|time| *time > limit);
        if self.awaits_role {
            let waits = longer(self.since, STILL)?;
            return Some(format!("another process has delivered from this database for {} s", waits.as_secs()));
        }
        if let Some(time) = longer(self.beat.at, STILL) {
            return Some(format!("the task that decides what is sent has not run for {} s", time.as_secs()));
        }
        if let Some(time) = longer(self.renewed_at, UNRENEWED) {
            return Some(format!("leases were not renewed for {} s", time.as_secs()));
        }
        if let Some(time) = self.holds_nothing_since.and_then(|since| longer(since, STILL)) {
            return Some(format!("it has held no shard for {} s: other workers hold all of them", time.as_secs()));
        }
        if let Some(time) = self.beat.unwritten_since.and_then(|since| longer(since, STILL)) {
            let (time, count) = (time.as_secs(), self.beat.unwritten);
            return Some(format!("no outcome was written for {time} s, and {count} wait for it"));
        }
        let still = longer(self.beat.still_since?, STILL)?;
        Some(format!(
            "nothing moves: for {} s no attempt came to anything and no outcome was written, and the oldest delivery that is \
             due waits for {} s",
            still.as_secs(),
            self.beat.oldest_due.as_secs(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000 + seconds)
    }

    /// A worker that began at nought and has been well until then.
    fn well(until: u64) -> Last {
        let beat = Beat { at: at(until), ..Beat::default() };
        Last { beat, renewed_at: at(until), holds_nothing_since: None, ..Last::begun(at(0), false) }
    }

    #[test]
    fn an_idle_worker_is_ready_and_so_is_one_that_has_just_begun() {
        assert_eq!(well(500).trouble(at(500)), None);
        assert_eq!(Last::begun(at(0), false).trouble(at(1)), None);
        assert_eq!(Last::begun(at(0), true).trouble(at(60)), None);
    }

    #[test]
    fn what_stands_still_for_long_is_said_in_words() {
        let still = |since| Last { beat: Beat { still_since: Some(at(since)), ..well(500).beat }, ..well(500) };
        let unwritten = |since| {
            let beat = Beat { unwritten_since: Some(at(since)), unwritten: 7, ..still(since).beat };
            Last { beat, ..well(500) }
        };
        for (last, now, words) in [
            (still(440), 500, None),
            (still(439), 500, Some("nothing moves: for 61 s")),
            (unwritten(440), 500, None),
            (unwritten(439), 500, Some("no outcome was written for 61 s, and 7 wait")),
            (Last { holds_nothing_since: Some(at(440)), ..well(500) }, 500, None),
            (Last { holds_nothing_since: Some(at(439)), ..well(500) }, 500, Some("no shard for 61 s")),
            (Last { renewed_at: at(485), ..well(500) }, 500, None),
            (Last { renewed_at: at(484), ..well(500) }, 500, Some("not renewed for 16 s")),
            (Last { renewed_at: at(561), ..well(500) }, 561, Some("not run for 61 s")),
            (Last::begun(at(0), true), 61, Some("another process")),
        ] {
            let said = last.trouble(at(now));
            assert_eq!(said.is_some(), words.is_some(), "{said:?}");
            assert!(words.is_none_or(|words| said.as_ref().is_some_and(|said| said.contains(words))), "{said:?}");
        }
    }
}

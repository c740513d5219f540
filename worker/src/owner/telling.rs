//! What the owner says of itself, every few moments: its numbers, and whether its work moves.

use std::time::Duration;

use tokio::time::Instant;

use super::Owner;
use crate::pulse::Beat;

/// Each look goes through all lines in memory.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// A reader that lags no further is only busy.
const BEHIND: Duration = Duration::from_secs(5);

/// Since when nothing moves.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    since: Option<Duration>,
    /// Something moved since the last look.
    moved: bool,
}

impl Stillness {
    /// Something moves.
    pub(super) fn ends(&mut self) {
        self.moved = true;
    }

    /// Since when something waits and nothing moves, as of this look.
    fn look(&mut self, now: Duration, waits: bool) -> Option<Duration> {
        let is_still = waits && !std::mem::take(&mut self.moved);
        self.since = is_still.then(|| self.since.unwrap_or(now));
        self.since
    }
}

impl Owner {
    pub(super) fn tell(&mut self, now: Instant) {
        if now < self.state.told_at + TELL_EVERY {
            return;
        }
        self.state.told_at = now;
        let (survey, lag) = (self.state.schedule.survey(), self.lag(now));
        let waited = |due_at: i64| Duration::from_millis(u64::try_from(self.clock.now() - due_at).unwrap_or(0));
        let oldest_due = survey.oldest_due.map(waited).unwrap_or_default().max(lag);
        let (boot, waits) = (self.clock.boot(), self.waits(lag));
        let state = &mut self.state;
        let unwritten = state.schedule.unwritten_count() + state.aside.len();
        let waits_to_be_written = state.writing || unwritten > 0;
        let unwritten_since = state.unwritten_still.look(boot, waits_to_be_written);
        // Of those under way none takes a minute: if only they are left, they come to something, or wait again.
        let is_under_way = state.schedule.in_flight() > 0;
        let still_since = state.still.look(boot, waits || is_under_way || waits_to_be_written);
        let (state, numbers) = (&self.state, &self.numbers);
        numbers.oldest_due.set(oldest_due);
        for (gauge, count) in [
            (&numbers.in_flight, state.schedule.in_flight()),
            (&numbers.in_memory, state.schedule.known_count()),
            (&numbers.unwritten, unwritten),
            (&numbers.parked, survey.parked),
            (&numbers.held, survey.held),
            (&numbers.breakers_open, survey.breakers_open),
        ] {
            gauge.set(u32::try_from(count).unwrap_or(u32::MAX));
        }
        self.pulse.beats(Beat { at: boot, unwritten_since, still_since, oldest_due, unwritten });
    }

    /// How far what was read lies behind what is due.
    fn lag(&self, now: Instant) -> Duration {
        let holds_any = !self.leases.held().is_empty();
        let lag = self.state.reader.lag(now, self.clock.now());
        if holds_any && lag > BEHIND { lag } else { Duration::ZERO }
    }

    /// Whether anything waits for this worker: to be parked, to be started, to be asked for or to be read. What waits for
    /// its destination does not.
    fn waits(&self, lag: Duration) -> bool {
        let state = &self.state;
        let is_unread = |shard| !state.health.is_recalled(shard) || state.reader.is_new(shard);
        state.schedule.has_writes()
            || state.schedule.waits_for_us()
            || !lag.is_zero()
            || self.leases.held().iter().any(|lease| is_unread(lease.shard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_still_from_the_first_look_at_which_something_waited_and_nothing_had_moved() {
        let mut stillness = Stillness::default();
        let mut look = |second, waits, moved: bool| {
            if moved {
                stillness.ends();
            }
            stillness.look(Duration::from_secs(second), waits).map(|since| since.as_secs())
        };
        for (second, waits, moved, expected) in [
            (1, false, false, None),
            (2, true, true, None),
            (3, true, false, Some(3)),
            (4, true, false, Some(3)),
            (5, true, true, None),
            (6, true, false, Some(6)),
            (7, false, false, None),
            (8, true, false, Some(8)),
        ] {
            assert_eq!(look(second, waits, moved), expected, "{second}");
        }
    }
}

//! One destination's line: what waits in memory, how much of it may be in flight, and what is parked in the database.

use std::collections::VecDeque;

use entity::pending::Due;
use relay::id::TenantId;

/// In flight to one destination at first; grows by one with each success.
const FIRST_WINDOW: usize = 8;
/// And at most. A healthy receiver answers 64 at a time; more only hides a slow one.
const WIDEST_WINDOW: usize = 64;
/// Kept in memory beyond the window, so that a free slot never waits for the database.
const SPARE: usize = 64;
/// Rows taken back from the parked at a time.
pub(crate) const CHUNK: usize = 128;

/// Whether anything may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// The destination is paused or disabled: what comes due is parked.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Line {
    /// None until a row was seen.
    pub(crate) tenant: Option<TenantId>,
    pub(crate) shard: i16,
    pub(crate) epoch: i64,
    pub(crate) gate: Gate,
    pub(crate) waiting: VecDeque<Due>,
    pub(crate) in_flight: usize,
    pub(crate) window: usize,
    pub(crate) parked: Parked,
    /// It stands in its tenant's ring.
    pub(crate) ringed: bool,
    /// It stands among those that may take back parked rows.
    pub(crate) hungry: bool,
}

/// What is known of a destination's parked rows.
#[derive(Debug)]
pub(crate) struct Parked {
    /// There may be some. Rule P says who may deny it.
    pub(crate) maybe: bool,
    /// How far the line was taken back: rows up to this place are in memory, or were.
    pub(crate) after: i64,
    /// A read is under way.
    pub(crate) reading: bool,
    /// Parks that are queued or unanswered.
    pub(crate) unanswered: usize,
    /// The first place in line of a park that was answered while a read is under way.
    pub(crate) lowest: Option<i64>,
    /// Counts parks, so that a read can tell whether one was queued since it began.
    pub(crate) count: u64,
}

/// A read of parked rows that is about to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// Of the line as it was when the read began.
    pub(crate) epoch: i64,
    pub(crate) after: i64,
    pub(crate) limit: usize,
    /// No park was queued or unanswered when it began.
    pub(crate) clean: bool,
    pub(crate) count: u64,
}

impl Line {
    pub(crate) fn new(tenant: Option<TenantId>, shard: i16, epoch: i64) -> Self {
        Self {
            tenant,
            shard,
            epoch,
            gate: Gate::Open,
            waiting: VecDeque::new(),
            in_flight: 0,
            window: FIRST_WINDOW,
            parked: Parked { maybe: false, after: 0, reading: false, unanswered: 0, lowest: None, count: 0 },
            ringed: false,
            hungry: false,
        }
    }

    /// Whether one more row that has come due may wait in memory. Where older ones are parked it goes behind them.
    pub(crate) fn has_room(&self) -> bool {
        self.gate == Gate::Open && !self.parked.maybe && self.waiting.len() < self.window + SPARE
    }

    pub(crate) fn can_start(&self) -> bool {
        self.gate == Gate::Open && !self.waiting.is_empty() && self.in_flight < self.window
    }

    /// Nothing is known of it that would be lost with it.
    pub(crate) fn is_idle(&self) -> bool {
        self.gate == Gate::Open
            && self.waiting.is_empty()
            && self.in_flight == 0
            && !self.parked.maybe
            && !self.parked.reading
            && self.parked.unanswered == 0
    }

    pub(crate) fn widen(&mut self) {
        self.window = (self.window + 1).min(WIDEST_WINDOW);
    }

    pub(crate) fn narrow(&mut self) {
        self.window = (self.window / 2).max(1);
    }

    /// A park was queued: whoever reads now may miss it.
    pub(crate) fn parks(&mut self) {
        self.parked.maybe = true;
        self.parked.unanswered += 1;
        self.parked.count += 1;
    }

    /// A park was answered. Its row may stand before the point up to which the line was taken back.
    pub(crate) fn parked_at(&mut self, seq: i64) {
        self.parked.unanswered = self.parked.unanswered.saturating_sub(1);
        self.parked.after = self.parked.after.min(seq - 1);
        self.parked.lowest = Some(self.parked.lowest.map_or(seq, |lowest| lowest.min(seq)));
    }

    /// Begins to take back, if there is something to gain.
    pub(crate) fn wants(&mut self) -> Option<Reading> {
        let low = self.waiting.len() < self.window.div_ceil(2);
        if self.gate == Gate::Closed || !self.parked.maybe || self.parked.reading || !low {
            return None;
        }
        self.parked.reading = true;
        self.parked.lowest = None;
        Some(Reading {
            epoch: self.epoch,
            after: self.parked.after,
            limit: CHUNK.min(self.window + SPARE),
            clean: self.parked.unanswered == 0,
            count: self.parked.count,
        })
    }

    /// Rule P: "nothing parked" is said only by a read that returned less than asked, began when no park was queued or
    /// unanswered, and saw none queued since.
    pub(crate) fn took_back(&mut self, reading: Reading, last_seq: Option<i64>, returned: usize) {
        self.parked.reading = false;
        let is_unmoved = self.parked.after == reading.after;
        if returned < reading.limit {
            let nothing_since = reading.clean && reading.count == self.parked.count && self.parked.lowest.is_none();
            self.parked.maybe = !(nothing_since && is_unmoved);
            self.parked.after = 0;
        } else if is_unmoved {
            // A row whose park was answered meanwhile was not taken: the next read begins before it.
            let (last, lowest) = (last_seq.unwrap_or(0), self.parked.lowest.unwrap_or(i64::MAX));
            self.parked.after = last.min(lowest.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let mut line = Line::new(None, 0, 1);
        line.parked.maybe = true;
        line
    }

    #[test]
    fn a_short_read_that_nothing_disturbed_says_that_nothing_is_parked() {
        let mut line = line();
        let reading = line.wants().unwrap();
        line.took_back(reading, Some(5), 5);
        assert!(!line.parked.maybe);
    }

    #[test]
    fn a_short_read_says_nothing_if_a_park_was_queued_before_or_since() {
        for before in [true, false] {
            let mut line = line();
            if before {
                line.parks();
            }
            let reading = line.wants().unwrap();
            if !before {
                line.parks();
            }
            line.took_back(reading, None, 0);
            assert!(line.parked.maybe, "before: {before}");
        }
    }

    #[test]
    fn a_full_read_goes_on_behind_its_last_row_but_not_past_a_park_that_was_answered_meanwhile() {
        let mut undisturbed = line();
        let reading = undisturbed.wants().unwrap();
        undisturbed.took_back(reading, Some(100), reading.limit);
        assert_eq!(undisturbed.parked.after, 100);

        let mut line = line();
        line.parks();
        let reading = line.wants().unwrap();
        line.parked_at(72);
        line.took_back(reading, Some(100), reading.limit);
        assert_eq!((line.parked.after, line.parked.maybe), (71, true));
    }

    #[test]
    fn a_row_that_is_parked_before_the_point_that_was_reached_moves_it_back() {
        let mut line = line();
        let reading = line.wants().unwrap();
        line.took_back(reading, Some(100), reading.limit);
        line.parks();
        line.parked_at(40);
        assert_eq!(line.parked.after, 39);
    }
}

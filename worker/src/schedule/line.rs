//! One destination's line: what waits in memory, how much of it may be in flight, and what is parked in the database.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use entity::pending::Due;
use relay::id::{DeliveryId, TenantId};
use relay::order::WHOLE;

use super::breaker::Breaker;
use super::lanes::Lane;
use super::pace::Pace;
use super::policy::{Ordering, Policy};
use super::{bytes, round};

/// In flight to one destination at first; grows by one with each success.
const FIRST_WINDOW: usize = 8;
/// In flight to one that takes something again after a while: what waited for it does not come all at once.
const CAREFUL_WINDOW: usize = 1;
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
    pub(crate) tenant: TenantId,
    pub(crate) shard: i16,
    pub(crate) epoch: i64,
    pub(crate) gate: Gate,
    /// None until it was asked for: nothing starts before.
    pub(crate) policy: Option<Policy>,
    /// The number of the last question for the policy: an answer to an earlier one is out of date.
    pub(crate) asked: u64,
    pub(crate) waiting: VecDeque<Due>,
    pub(crate) in_flight: usize,
    pub(crate) window: usize,
    pub(crate) pace: Pace,
    pub(crate) breaker: Breaker,
    /// Parked rows that stand in no line, by their place.
    pub(crate) parked: Parked,
    /// Lines with rows that are not kept in mind, by their keys.
    pub(crate) scan: Parked,
    /// Parks of rows that stand behind others, queued or unanswered.
    pub(crate) behind: usize,
    /// Where the destination wants an order.
    pub(crate) lanes: HashMap<i32, Lane>,
    /// It stands in its tenant's ring.
    pub(crate) ringed: bool,
    /// It stands among those that may take back parked rows.
    pub(crate) hungry: bool,
    /// When it is looked at again by itself.
    pub(crate) alarm: Option<Duration>,
}

/// What is known of rows that are in the database only: by their places, or by the keys of their lines.
#[derive(Debug)]
pub(crate) struct Parked {
    /// There may be some. Rule P says who may deny it.
    pub(crate) maybe: bool,
    /// How far it was taken back: rows up to this place are in memory, or were.
    pub(crate) after: i64,
    /// A read is under way.
    pub(crate) reading: bool,
    /// Parks that are queued or unanswered.
    pub(crate) unanswered: usize,
    /// The first place of a park that was answered while a read is under way.
    pub(crate) lowest: Option<i64>,
    /// Counts parks, so that a read can tell whether one was queued since it began.
    pub(crate) count: u64,
}

/// What is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows by their places.
    Rows,
    /// The first rows of lines, by the keys of the lines.
    Lines,
}

/// A read of parked rows that is about to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) kind: Kind,
    /// Of the line as it was when the read began.
    pub(crate) epoch: i64,
    pub(crate) after: i64,
    pub(crate) limit: usize,
    /// No park was queued or unanswered when it began.
    clean: bool,
    count: u64,
}

impl Line {
    /// A line under this epoch of its shard, which is held since `since`.
    pub(crate) fn new(tenant: TenantId, shard: i16, epoch: i64, since: Duration) -> Self {
        Self {
            tenant,
            shard,
            epoch,
            gate: Gate::Open,
            policy: None,
            asked: 0,
            waiting: VecDeque::new(),
            in_flight: 0,
            window: FIRST_WINDOW,
            pace: Pace::begun(since),
            breaker: Breaker::default(),
            parked: Parked::from(0),
            scan: Parked::from(i64::MIN),
            behind: 0,
            lanes: HashMap::new(),
            ringed: false,
            hungry: false,
            alarm: None,
        }
    }

    /// How its rows stand in line, as far as is known.
    pub(crate) fn ordering(&self) -> Ordering {
        self.policy.map_or(Ordering::Any, |policy| policy.order)
    }

    /// The line that a row stands in, if in any.
    pub(crate) fn lane_of(&self, order_key: Option<i32>) -> Option<i32> {
        match self.ordering() {
            Ordering::Any => None,
            Ordering::Whole => Some(WHOLE),
            // What was accepted before the destination wanted this order has no line of its own.
            Ordering::Keyed => order_key.filter(|line| *line != WHOLE),
        }
    }

    /// Whether one more row that has come due may wait in memory. Where older ones are parked it goes behind them.
    pub(crate) fn has_room(&self) -> bool {
        self.gate == Gate::Open && !self.parked.maybe && self.waiting.len() < self.window + SPARE
    }

    /// Whether something may start at this time.
    pub(crate) fn can_start(&self, now: Duration) -> bool {
        self.is_ready() && self.pace.allows(now) && self.breaker.allows(now)
    }

    /// What its next delivery costs of its tenant's turns; nought if none can start.
    pub(crate) fn cost(&self, now: Duration) -> u64 {
        self.waiting.front().filter(|_| self.can_start(now)).map_or(0, |due| round::cost(bytes(due)))
    }

    /// This one starts.
    pub(crate) fn starts(&mut self, id: DeliveryId, now: Duration) {
        self.in_flight += 1;
        self.pace.start(now);
        self.breaker.start(id);
    }

    /// When something may start that waits only for its time.
    pub(crate) fn starts_at(&self) -> Option<Duration> {
        let opens_at = self.breaker.opens_at().filter(|_| self.is_ready())?;
        Some(opens_at.max(self.pace.opens_at()))
    }

    fn is_ready(&self) -> bool {
        let most = self.policy.map_or(0, |policy| policy.most);
        self.gate == Gate::Open && !self.waiting.is_empty() && self.in_flight < self.window.min(most)
    }

    /// Nothing is known of it that would be lost with it.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        self.gate == Gate::Open
            && self.waiting.is_empty()
            && self.in_flight == 0
            && self.parked.is_idle()
            && self.scan.is_idle()
            && self.behind == 0
            && self.lanes.values().all(Lane::is_idle)
            && self.pace.is_rested(now)
            && self.breaker.is_forgettable(now)
    }

    pub(crate) fn widen(&mut self) {
        let widest = self.policy.unwrap_or_default().most;
        self.window = (self.window + 1).min(widest.max(1));
    }

    pub(crate) fn narrow(&mut self) {
        self.window = (self.window / 2).max(1);
    }

    /// It takes something again: it is not flooded with what waited.
    pub(crate) fn go_carefully(&mut self) {
        self.window = CAREFUL_WINDOW;
    }

    /// Begins to take back, if there is something to gain.
    pub(crate) fn wants(&mut self) -> Option<Reading> {
        let is_low = self.waiting.len() < self.window.div_ceil(2);
        if self.gate == Gate::Closed || self.policy.is_none() || !is_low {
            return None;
        }
        let kind = match self.ordering() {
            Ordering::Any if self.parked.can_be_read() => Kind::Rows,
            Ordering::Keyed if self.parked.can_be_read() => Kind::Rows,
            Ordering::Keyed if self.scan.can_be_read() => Kind::Lines,
            Ordering::Any | Ordering::Whole | Ordering::Keyed => return None,
        };
        let (epoch, limit) = (self.epoch, CHUNK.min(self.window + SPARE));
        Some(self.parked_of(kind).begin(kind, epoch, limit))
    }

    pub(crate) fn parked_of(&mut self, kind: Kind) -> &mut Parked {
        match kind {
            Kind::Rows => &mut self.parked,
            Kind::Lines => &mut self.scan,
        }
    }
}

impl Parked {
    fn from(after: i64) -> Self {
        Self { maybe: false, after, reading: false, unanswered: 0, lowest: None, count: 0 }
    }

    fn is_idle(&self) -> bool {
        !self.maybe && !self.reading && self.unanswered == 0
    }

    fn can_be_read(&self) -> bool {
        self.maybe && !self.reading
    }

    /// All of it is read anew, from its beginning: a read that is under way says nothing.
    pub(crate) fn restart(&mut self) {
        self.maybe = true;
        self.count += 1;
        (self.after, self.lowest) = (i64::MIN, Some(i64::MIN));
    }

    /// A park was queued: whoever reads now may miss it.
    pub(crate) fn parks(&mut self) {
        self.maybe = true;
        self.unanswered += 1;
        self.count += 1;
    }

    /// A park was answered. Its row may stand before the point up to which was taken back.
    pub(crate) fn parked_at(&mut self, place: i64) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.after = self.after.min(place.saturating_sub(1));
        self.lowest = Some(self.lowest.map_or(place, |lowest| lowest.min(place)));
    }

    fn begin(&mut self, kind: Kind, epoch: i64, limit: usize) -> Reading {
        self.reading = true;
        self.lowest = None;
        Reading { kind, epoch, after: self.after, limit, clean: self.unanswered == 0, count: self.count }
    }

    /// Rule P: "nothing parked" is said only by a read that returned less than asked, began when no park was queued or
    /// unanswered, and saw none queued since.
    pub(crate) fn took_back(&mut self, reading: Reading, last: Option<i64>, returned: usize) {
        self.reading = false;
        let is_unmoved = self.after == reading.after;
        if returned < reading.limit {
            let nothing_since = reading.clean && reading.count == self.count && self.lowest.is_none();
            self.maybe = !(nothing_since && is_unmoved);
            self.after = i64::MIN;
        } else if is_unmoved {
            // A row whose park was answered meanwhile was not taken: the next read begins before it.
            let (last, lowest) = (last.unwrap_or(i64::MIN), self.lowest.unwrap_or(i64::MAX));
            self.after = last.min(lowest.saturating_sub(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use relay::id::Id;

    use super::*;

    fn line() -> Line {
        let mut line = Line::new(Id::at(1), 0, 1, Duration::ZERO);
        line.policy = Some(Policy::default());
        line.parked.maybe = true;
        line
    }

    fn reading(line: &mut Line) -> Reading {
        let reading = line.wants().unwrap();
        assert_eq!(reading.kind, Kind::Rows);
        reading
    }

    #[test]
    fn a_short_read_that_nothing_disturbed_says_that_nothing_is_parked() {
        let mut line = line();
        let reading = reading(&mut line);
        line.parked.took_back(reading, Some(5), 5);
        assert!(!line.parked.maybe);
    }

    #[test]
    fn a_short_read_says_nothing_if_a_park_was_queued_before_or_since() {
        for before in [true, false] {
            let mut line = line();
            if before {
                line.parked.parks();
            }
            let reading = reading(&mut line);
            if !before {
                line.parked.parks();
            }
            line.parked.took_back(reading, None, 0);
            assert!(line.parked.maybe, "before: {before}");
        }
    }

    #[test]
    fn a_full_read_goes_on_behind_its_last_row_but_not_past_a_park_that_was_answered_meanwhile() {
        let mut undisturbed = line();
        let whole = reading(&mut undisturbed);
        undisturbed.parked.took_back(whole, Some(100), whole.limit);
        assert_eq!(undisturbed.parked.after, 100);

        let mut line = line();
        line.parked.parks();
        let reading = reading(&mut line);
        line.parked.parked_at(72);
        line.parked.took_back(reading, Some(100), reading.limit);
        assert_eq!((line.parked.after, line.parked.maybe), (71, true));
    }

    #[test]
    fn a_row_that_is_parked_before_the_point_that_was_reached_moves_it_back() {
        let mut line = line();
        let reading = reading(&mut line);
        line.parked.took_back(reading, Some(100), reading.limit);
        line.parked.parks();
        line.parked.parked_at(40);
        assert_eq!(line.parked.after, 39);
    }

    #[test]
    fn nothing_starts_or_is_read_before_the_policy_is_known() {
        let mut line = line();
        line.policy = None;
        assert!(line.wants().is_none());
        assert!(line.starts_at().is_none() && !line.can_start(Duration::MAX));
    }
}

//! One destination's line: what waits in memory, how much of it may be in flight, and what is parked in the database. Each
//! class waits by itself, so that none of them fills the room of another.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use entity::pending::Due;
use relay::id::{DeliveryId, TenantId};
use relay::order::WHOLE;

use super::breaker::Breaker;
use super::class::{Class, Each, Passed};
use super::lanes::Lane;
use super::pace::Pace;
use super::parked::{Kind, Parked, Reading};
use super::policy::{Ordering, Policy};
use super::{bytes, round};

/// In flight to one destination at first; grows by one with each success.
const FIRST_WINDOW: usize = 8;
/// In flight to one that takes something again after a while: what waited for it does not come all at once.
const CAREFUL_WINDOW: usize = 1;
/// Kept in memory of each class beyond the window, so that a free slot never waits for the database. The simulation has
/// more than it keeps.
pub(crate) const SPARE: usize = if cfg!(test) { 8 } else { 64 };
/// The same while the process knows few deliveries: to park one and take it back costs more than to keep it, and what comes
/// in bursts is soon gone.
pub(crate) const ROOMY: usize = if cfg!(test) { SPARE } else { 4_096 };
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
    pub(crate) queues: Each<Queue>,
    /// Its starts.
    passed: Passed,
    pub(crate) in_flight: usize,
    pub(crate) window: usize,
    pub(crate) pace: Pace,
    pub(crate) breaker: Breaker,
    /// Lines with rows that are not kept in mind, by their keys.
    pub(crate) scan: Parked,
    /// Parks of rows that stand behind others, queued or unanswered.
    pub(crate) behind: usize,
    /// Where the destination wants an order.
    pub(crate) lanes: HashMap<i32, Lane>,
    /// It stands among those that may take back parked rows.
    pub(crate) hungry: bool,
    /// When it is looked at again by itself.
    pub(crate) alarm: Option<Duration>,
}

/// The rows of one class: some wait in memory, others are parked.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) waiting: VecDeque<Due>,
    pub(crate) parked: Parked,
    /// Its destination stands in its tenant's ring for it.
    pub(crate) ringed: bool,
}

impl Line {
    /// A line under this epoch of its shard, which is held since `since`.
    pub(crate) fn new(tenant: TenantId, shard: i16, epoch: i64, since: Duration) -> Self {
        let mut queues = Each::<Queue>::default();
        // Whoever looks for first attempts finds the others on the way.
        queues[Class::First].parked.after = i64::MIN;
        Self {
            tenant,
            shard,
            epoch,
            gate: Gate::Open,
            policy: None,
            asked: 0,
            queues,
            passed: Passed::default(),
            in_flight: 0,
            window: FIRST_WINDOW,
            pace: Pace::begun(since),
            breaker: Breaker::default(),
            scan: Parked { after: i64::MIN, ..Parked::default() },
            behind: 0,
            lanes: HashMap::new(),
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

    /// What a row is here.
    pub(crate) fn class_of(&self, due: &Due) -> Class {
        Class::of(due, self.lane_of(due.order_key).is_some())
    }

    /// The row waits behind the others of its class.
    pub(crate) fn push(&mut self, due: Due) {
        let class = self.class_of(&due);
        self.queues[class].waiting.push_back(due);
    }

    /// The row waits before the others of its class.
    pub(crate) fn push_front(&mut self, due: Due) {
        let class = self.class_of(&due);
        self.queues[class].waiting.push_front(due);
    }

    /// Nothing waits in memory any more.
    pub(crate) fn take_waiting(&mut self) -> Vec<Due> {
        self.queues.iter_mut().flat_map(|queue| queue.waiting.drain(..)).collect()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.queues.iter().any(|queue| !queue.waiting.is_empty())
    }

    /// Whether rows may be parked that stand in no line.
    pub(crate) fn may_have_parked(&self) -> bool {
        self.queues.iter().any(|queue| queue.parked.maybe)
    }

    /// A row of this class is being parked. When it is the first it is found out what else is parked: now that is little,
    /// and nobody new has to wait later until somebody has looked behind a million replays.
    pub(crate) fn parks(&mut self, class: Class) {
        self.queues[class].parked.parks();
        self.queues[Class::First].parked.look();
    }

    /// Rows are parked that may not be known of. Whoever reads on behind what is known of heeds all that it meets.
    pub(crate) fn may_have_more_parked(&mut self) {
        if !self.may_have_parked() {
            self.queues[Class::First].parked.restart();
        }
    }

    /// Whether one more row of this class that has come due may wait in memory, beside so many beyond the window. Where older ones of it are parked it goes
    /// behind them; what is parked of other classes does not matter, or a million replays would hold up what is new.
    pub(crate) fn has_room(&self, class: Class, spare: usize) -> bool {
        let queue = &self.queues[class];
        self.gate == Gate::Open && !queue.parked.maybe && queue.waiting.len() < self.window + spare
    }

    /// Whether something of this class may start at this time: nothing better waits, or the class has its turn.
    pub(crate) fn can_start(&self, class: Class, now: Duration) -> bool {
        let waits = |class: Class| !self.queues[class].waiting.is_empty();
        self.is_ready()
            && self.pace.allows(now)
            && self.breaker.allows(now)
            && waits(class)
            && (self.passed.is_due(class) || !class.better().any(waits))
    }

    /// What its next delivery of this class costs of its tenant's turns; nought if none can start.
    pub(crate) fn cost(&self, class: Class, now: Duration) -> u64 {
        let next = self.queues[class].waiting.front().filter(|_| self.can_start(class, now));
        next.map_or(0, |due| round::cost(bytes(due)))
    }

    /// This one starts.
    pub(crate) fn starts(&mut self, id: DeliveryId, class: Class, now: Duration) {
        self.in_flight += 1;
        self.passed.started(class);
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
        self.gate == Gate::Open && self.has_waiting() && self.in_flight < self.window.min(most)
    }

    /// Nothing is known of it that would be lost with it.
    pub(crate) fn is_idle(&self, now: Duration) -> bool {
        self.gate == Gate::Open
            && !self.has_waiting()
            && self.in_flight == 0
            && self.queues.iter().all(|queue| queue.parked.is_idle())
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

    /// Begins to take back, if there is something to gain. Whoever runs low is filled up, whatever waits of other classes.
    pub(crate) fn wants(&mut self) -> Option<Reading> {
        if self.gate == Gate::Closed || self.policy.is_none() || self.ordering() == Ordering::Whole {
            return None;
        }
        let low = self.window.div_ceil(2);
        let lacks = |class: &Class| {
            let queue = &self.queues[*class];
            queue.waiting.len() < low && queue.parked.can_be_read()
        };
        let kind = match Class::ALL.into_iter().find(lacks) {
            Some(class) => Kind::Rows(class),
            None if self.wants_lines(low) => Kind::Lines,
            None => return None,
        };
        let (epoch, limit) = (self.epoch, CHUNK.min(self.window + SPARE));
        Some(self.parked_of(kind).begin(kind, epoch, limit))
    }

    fn wants_lines(&self, low: usize) -> bool {
        // The heads of lines: none of them is a replay.
        let heads = self.queues[Class::First].waiting.len() + self.queues[Class::Retry].waiting.len();
        self.ordering() == Ordering::Keyed && heads < low && self.scan.can_be_read()
    }

    pub(crate) fn parked_of(&mut self, kind: Kind) -> &mut Parked {
        match kind {
            Kind::Rows(class) => &mut self.queues[class].parked,
            Kind::Lines => &mut self.scan,
        }
    }
}

#[cfg(test)]
mod tests {
    use relay::id::Id;

    use super::*;

    #[test]
    fn nothing_starts_or_is_read_before_the_policy_is_known() {
        let mut line = Line::new(Id::at(1), 0, 1, Duration::ZERO);
        line.queues[Class::First].parked.restart();
        assert!(line.wants().is_none());
        assert!(line.starts_at().is_none() && !line.can_start(Class::First, Duration::MAX));
        line.policy = Some(Policy::default());
        assert!(line.wants().is_some());
    }
}

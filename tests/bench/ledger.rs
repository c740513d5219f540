//! What happened to each event of a run: when it was to be sent, when it was accepted, and when it arrived where.

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Events of one ledger: more than any run sends. A run that comes to the end of it stops.
const CAPACITY: usize = 4_000_000;
/// Kinds of destinations that are looked at apart.
pub(crate) const GROUPS: usize = 4;
/// The group of those that are not well.
pub(crate) const SICK: usize = GROUPS - 1;

/// Times are microseconds since the ledger was opened; 0: not yet.
pub(crate) struct Ledger {
    opened: Instant,
    next: AtomicU32,
    due: Vec<AtomicU64>,
    accepted: Vec<AtomicU64>,
    arrivals: Vec<AtomicU8>,
    last_arrival: AtomicU64,
    tally: Mutex<Tally>,
}

/// What was counted since the tally was last begun.
pub(crate) struct Tally {
    /// From when the request was to be sent until its 202: an open loop's own lateness counts.
    pub(crate) acknowledge: Histogram<u64>,
    /// From the 202 until the request arrived at a destination, for each group.
    pub(crate) deliver: [Histogram<u64>; GROUPS],
    /// The same, for requests that came before the 202 had been read: they count as no time at all.
    pub(crate) early: u64,
    pub(crate) accepted: u64,
    /// Those of them whose destinations are well.
    pub(crate) to_arrive: u64,
    /// Requests that were answered with anything but 202, or not at all.
    pub(crate) refused: u64,
    pub(crate) arrived: [u64; GROUPS],
    /// Arrivals of events that this run did not send: a backlog that was there before it.
    pub(crate) foreign: u64,
}

impl Tally {
    fn new() -> Self {
        // Up to a minute, to three digits.
        let histogram = || Histogram::new_with_bounds(1, 60_000_000, 3).unwrap();
        Self {
            acknowledge: histogram(),
            deliver: std::array::from_fn(|_| histogram()),
            early: 0,
            accepted: 0,
            to_arrive: 0,
            refused: 0,
            arrived: [0; GROUPS],
            foreign: 0,
        }
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.arrived.iter().sum()
    }

    /// At destinations that are well.
    pub(crate) fn arrived_well(&self) -> u64 {
        self.arrived[..SICK].iter().sum()
    }
}

impl Ledger {
    pub(crate) fn open() -> Self {
        let zeros = || std::iter::repeat_with(AtomicU64::default).take(CAPACITY).collect();
        Self {
            opened: Instant::now(),
            next: AtomicU32::new(0),
            due: zeros(),
            accepted: zeros(),
            arrivals: std::iter::repeat_with(AtomicU8::default).take(CAPACITY).collect(),
            last_arrival: AtomicU64::new(0),
            tally: Mutex::new(Tally::new()),
        }
    }

    fn now(&self) -> u64 {
        self.micros(Instant::now())
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.opened).as_micros()).unwrap() + 1
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next event, which was to be sent at `due`. None: the ledger is full.
    pub(crate) fn send(&self, due: Instant) -> Option<u32> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.due.get(number as usize)?.store(self.micros(due), Ordering::Relaxed);
        Some(number)
    }

    /// How many were sent so far.
    pub(crate) fn sent(&self) -> u32 {
        self.next.load(Ordering::Relaxed)
    }

    pub(crate) fn accepted(&self, number: u32, arrives: bool) {
        let now = self.now();
        let due = self.due[number as usize].load(Ordering::Relaxed);
        self.accepted[number as usize].store(now, Ordering::Relaxed);
        let mut tally = self.tally();
        tally.accepted += 1;
        tally.to_arrive += u64::from(arrives);
        tally.acknowledge.saturating_record((now - due).max(1));
    }

    pub(crate) fn refused(&self) {
        self.tally().refused += 1;
    }

    /// A destination of this group received an event.
    pub(crate) fn arrived(&self, number: usize, group: usize) {
        let now = self.now();
        self.last_arrival.store(now, Ordering::Relaxed);
        let mut tally = self.tally();
        if number >= self.sent() as usize {
            tally.foreign += 1;
            return;
        }
        self.arrivals[number].fetch_add(1, Ordering::Relaxed);
        tally.arrived[group] += 1;
        let accepted = self.accepted[number].load(Ordering::Relaxed);
        if accepted == 0 {
            tally.early += 1;
        }
        let took = if accepted == 0 { 1 } else { (now - accepted).max(1) };
        tally.deliver[group].saturating_record(took);
    }

    /// Begins to count anew, and gives what was counted.
    pub(crate) fn begin(&self) -> Tally {
        std::mem::replace(&mut *self.tally(), Tally::new())
    }

    /// Something of what was counted so far.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Tally) -> T) -> T {
        at(&self.tally())
    }

    pub(crate) fn last_arrival(&self) -> Instant {
        self.opened + Duration::from_micros(self.last_arrival.load(Ordering::Relaxed))
    }

    /// Of the accepted events among these numbers that are to arrive: deliveries that never arrived, and arrivals beyond the one for each of
    /// `fan_out` destinations.
    pub(crate) fn lost_and_twice(
        &self,
        numbers: std::ops::Range<u32>,
        fan_out: u8,
        arrives: impl Fn(u32) -> bool,
    ) -> (u64, u64) {
        let (mut lost, mut twice) = (0, 0);
        for number in
            numbers.filter(|number| arrives(*number)).map(|number| number as usize).filter(|it| *it < CAPACITY)
        {
            let count = self.arrivals[number].load(Ordering::Relaxed);
            if self.accepted[number].load(Ordering::Relaxed) > 0 {
                lost += u64::from(fan_out.saturating_sub(count));
            }
            twice += u64::from(count.saturating_sub(fan_out));
        }
        (lost, twice)
    }
}

//! Whether a destination is asked at all: while it is ill, one request now and then finds out whether it is well again.

use std::collections::VecDeque;
use std::time::Duration;

use relay::id::DeliveryId;

/// What an attempt says of its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Nothing: a test, or nothing was asked.
    None,
    /// It took the delivery.
    Well,
    /// It refused it, and so is there.
    Refusal,
    Ill {
        timed_out: bool,
        /// How long it wants to be left alone.
        quiet: Option<Duration>,
    },
}

impl Sign {
    /// Whether it counts among the failures without a success in between, after which a destination is disabled.
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Refusal | Self::Ill { .. })
    }
}

/// So many of the last requests, at least, say something.
const ENOUGH: u32 = 20;
/// In so many seconds.
const LATELY: u64 = 30;
/// So many timeouts in a row say as much: each holds a slot for as long as it may.
const TIMEOUTS: u32 = 5;
/// Until the first look whether it is well again, and at most: each look costs a delivery one of its attempts.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(crate) struct Breaker {
    state: State,
    /// Seconds in which something ended, oldest first.
    lately: VecDeque<Tally>,
    timeouts: u32,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Nothing starts before `until`.
    Open { until: Duration, wait: Duration },
    /// This delivery finds out.
    Probing { probe: DeliveryId, wait: Duration },
}

#[derive(Debug, Clone, Copy)]
struct Tally {
    second: u64,
    ended: u32,
    ill: u32,
}

/// Begins the count at nought, so that a scraper sees it before the first time.
pub(crate) fn begin_counting() {
    metrics::describe_counter!(
        OPENED,
        "Destinations that were left alone for a while, for their failures or at their wish"
    );
    metrics::counter!(OPENED).increment(0);
}

/// A breaker has opened.
pub(super) fn count() {
    metrics::counter!(OPENED).increment(1);
}

const OPENED: &str = "hookyard_breakers_opened_total";

/// What a sign led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Nothing,
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn allows(&self, now: Duration) -> bool {
        match self.state {
            State::Closed => true,
            State::Open { until, .. } => now >= until,
            State::Probing { .. } => false,
        }
    }

    /// It is left alone, but for one that finds out whether it is well again.
    pub(crate) fn is_open(&self) -> bool {
        self.state != State::Closed
    }

    /// When something may start; None: when the probe has ended.
    pub(crate) fn opens_at(&self) -> Option<Duration> {
        match self.state {
            State::Closed => Some(Duration::ZERO),
            State::Open { until, .. } => Some(until),
            State::Probing { .. } => None,
        }
    }

    /// This one starts; [`Breaker::allows`] said that it may.
    pub(crate) fn start(&mut self, id: DeliveryId) {
        if let State::Open { wait, .. } = self.state {
            self.state = State::Probing { probe: id, wait };
        }
    }

    /// This one ended, with this sign.
    pub(crate) fn ended(&mut self, id: DeliveryId, sign: Sign, now: Duration) -> Turn {
        match self.state {
            State::Probing { probe, wait } if probe == id => self.probed(sign, wait, now),
            State::Closed => self.counted(sign, now),
            // Begun before it opened; only the wish to be left alone for longer counts.
            State::Open { until, wait } => {
                if let Sign::Ill { quiet: Some(quiet), .. } = sign {
                    self.state = State::Open { until: until.max(now + quiet.min(LONGEST_WAIT)), wait };
                }
                Turn::Nothing
            }
            State::Probing { .. } => Turn::Nothing,
        }
    }

    fn probed(&mut self, sign: Sign, wait: Duration, now: Duration) -> Turn {
        match sign {
            Sign::Well | Sign::Refusal => {
                *self = Self::default();
                Turn::Closed
            }
            Sign::Ill { quiet, .. } => {
                let wait = (wait * 2).min(LONGEST_WAIT);
                self.state = State::Open { until: now + wait.max(quiet.unwrap_or_default().min(LONGEST_WAIT)), wait };
                Turn::Nothing
            }
            // It was not asked: somebody else is.
            Sign::None => {
                self.state = State::Open { until: now, wait };
                Turn::Nothing
            }
        }
    }

    fn counted(&mut self, sign: Sign, now: Duration) -> Turn {
        if sign == Sign::None {
            return Turn::Nothing;
        }
        self.tally(matches!(sign, Sign::Ill { .. }), now.as_secs());
        self.timeouts = if matches!(sign, Sign::Ill { timed_out: true, .. }) { self.timeouts + 1 } else { 0 };
        let quiet = if let Sign::Ill { quiet, .. } = sign { quiet } else { None };
        let until = match quiet {
            Some(quiet) => now + quiet.min(LONGEST_WAIT),
            None if self.is_ill() => now + FIRST_WAIT,
            None => return Turn::Nothing,
        };
        *self = Self { state: State::Open { until, wait: FIRST_WAIT }, ..Self::default() };
        Turn::Opened
    }

    fn tally(&mut self, ill: bool, second: u64) {
        while self.lately.front().is_some_and(|tally| tally.second + LATELY <= second) {
            self.lately.pop_front();
        }
        if self.lately.back().is_none_or(|tally| tally.second != second) {
            self.lately.push_back(Tally { second, ended: 0, ill: 0 });
        }
        if let Some(tally) = self.lately.back_mut() {
            tally.ended += 1;
            tally.ill += u32::from(ill);
        }
    }

    fn is_ill(&self) -> bool {
        let sum = |count: fn(&Tally) -> u32| self.lately.iter().map(count).sum::<u32>();
        let (ended, ill) = (sum(|tally| tally.ended), sum(|tally| tally.ill));
        self.timeouts >= TIMEOUTS || ended >= ENOUGH && 2 * ill >= ended
    }

    /// Whether one that begins now would say the same.
    pub(crate) fn is_forgettable(&self, now: Duration) -> bool {
        let is_old = self.lately.back().is_none_or(|tally| tally.second + LATELY <= now.as_secs() || tally.ill == 0);
        self.state == State::Closed && self.timeouts == 0 && is_old
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ILL: Sign = Sign::Ill { timed_out: false, quiet: None };
    const LATE: Sign = Sign::Ill { timed_out: true, quiet: None };

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn id(number: u128) -> DeliveryId {
        uuid::Uuid::from_u128(number).into()
    }

    /// Ends these one after the other at the same time.
    fn after(signs: &[Sign], now: Duration) -> Breaker {
        let mut breaker = Breaker::default();
        for sign in signs {
            breaker.ended(id(1), *sign, now);
        }
        breaker
    }

    #[test]
    fn it_opens_at_half_of_twenty_and_not_before() {
        let mixed = |ill: usize, well: usize| {
            let mut signs = vec![Sign::Well; well];
            signs.extend(vec![ILL; ill]);
            after(&signs, s(100)).allows(s(100))
        };
        for (ill, well, allows) in
            [(19, 0, true), (20, 0, false), (10, 10, false), (9, 11, true), (10, 11, true), (11, 11, false)]
        {
            assert_eq!(mixed(ill, well), allows, "{ill} of {}", ill + well);
        }
        let refused = after(&[Sign::Refusal; 40], s(100));
        assert!(refused.allows(s(100)), "whoever refuses is there");
    }

    #[test]
    fn only_the_last_thirty_seconds_count() {
        let mut breaker = after(&[ILL; 19], s(100));
        breaker.ended(id(1), ILL, s(130));
        assert!(breaker.allows(s(130)));
        let mut breaker = after(&[ILL; 19], s(100));
        breaker.ended(id(1), ILL, s(129));
        assert!(!breaker.allows(s(129)));
    }

    #[test]
    fn five_timeouts_in_a_row_open_it() {
        assert!(after(&[LATE; 4], s(1)).allows(s(1)));
        assert!(!after(&[LATE; 5], s(1)).allows(s(1)));
        assert!(after(&[LATE, LATE, LATE, LATE, Sign::Well, LATE], s(1)).allows(s(1)));
        assert!(after(&[LATE, LATE, LATE, LATE, ILL, LATE], s(1)).allows(s(1)));
    }

    #[test]
    fn one_probe_at_a_time_finds_out_and_each_failure_waits_twice_as_long() {
        let mut breaker = after(&[LATE; 5], s(0));
        let (mut now, mut waits) = (s(0), Vec::new());
        for number in 0..9 {
            let opens = breaker.opens_at().unwrap();
            waits.push((opens - now).as_secs());
            assert!(!breaker.allows(opens - Duration::from_millis(1)) && breaker.allows(opens));
            breaker.start(id(number));
            assert!(!breaker.allows(opens + s(10_000)) && breaker.opens_at().is_none());
            assert_eq!(breaker.ended(id(99), Sign::Well, opens), Turn::Nothing, "begun before it opened");
            now = opens;
            assert_eq!(breaker.ended(id(number), ILL, now), Turn::Nothing);
        }
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 600, 600, 600]);
        let opens = breaker.opens_at().unwrap();
        breaker.start(id(7));
        assert_eq!(breaker.ended(id(7), Sign::None, opens), Turn::Nothing);
        assert!(breaker.allows(opens), "it was not asked");
        breaker.start(id(8));
        assert_eq!(breaker.ended(id(8), Sign::Refusal, opens), Turn::Closed);
        assert!(breaker.allows(opens) && breaker.is_forgettable(opens));
    }

    #[test]
    fn who_asks_to_be_left_alone_is() {
        let quiet = |seconds| Sign::Ill { timed_out: false, quiet: Some(s(seconds)) };
        let mut breaker = Breaker::default();
        assert_eq!(breaker.ended(id(1), quiet(30), s(100)), Turn::Opened);
        assert_eq!(breaker.opens_at(), Some(s(130)));
        breaker.ended(id(2), quiet(60), s(101));
        assert_eq!(breaker.opens_at(), Some(s(161)), "longer");
        breaker.ended(id(3), quiet(1), s(102));
        assert_eq!(breaker.opens_at(), Some(s(161)), "never shorter");
        breaker.start(id(4));
        breaker.ended(id(4), quiet(36_000), s(161));
        assert_eq!(breaker.opens_at(), Some(s(761)), "and not for ever");
    }

    #[test]
    fn what_says_nothing_is_forgotten() {
        assert!(Breaker::default().is_forgettable(s(0)));
        assert!(after(&[Sign::Well], s(5)).is_forgettable(s(5)));
        assert!(!after(&[ILL], s(5)).is_forgettable(s(34)));
        assert!(after(&[ILL], s(5)).is_forgettable(s(35)));
        assert!(!after(&[LATE; 5], s(5)).is_forgettable(s(500)));
    }
}

//! How often something took how long, in few steps: each is an eighth of the power of two below it, so that what is read
//! back is right to within 7 %.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts by step. Only steps that something fell into take any room.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram(BTreeMap<u16, u64>);

/// Steps within a doubling, and how many bits tell them apart. Below the first doubling each millisecond is one.
const STEPS: u64 = 1 << BITS;
const BITS: u32 = 3;

impl Histogram {
    /// It took so many milliseconds once more.
    pub fn add(&mut self, millis: i64) {
        *self.0.entry(step(millis.max(0).unsigned_abs())).or_default() += 1;
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Milliseconds within which so many of a hundred were done; None of nothing.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let total: u64 = self.0.values().sum();
        let mut left = (total * percent).div_ceil(100).max(1);
        for (step, count) in &self.0 {
            if left <= *count {
                let (from, width) = span(*step);
                // They are taken to lie evenly in their step.
                return Some(from + width * (2 * left - 1) / (2 * count));
            }
            left -= count;
        }
        None
    }
}

impl AddAssign<&Self> for Histogram {
    fn add_assign(&mut self, other: &Self) {
        for (step, count) in &other.0 {
            *self.0.entry(*step).or_default() += count;
        }
    }
}

fn step(millis: u64) -> u16 {
    let doubling = u64::from(millis.max(STEPS).ilog2() - BITS);
    let step = if millis < STEPS { millis } else { STEPS * (doubling + 1) + (millis >> doubling) % STEPS };
    u16::try_from(step).expect("64 doublings of 8 steps fit")
}

/// Where a step begins, and how many milliseconds it has.
fn span(step: u16) -> (u64, u64) {
    let (doubling, place) = (u64::from(step) / STEPS, u64::from(step) % STEPS);
    match doubling.checked_sub(1) {
        None => (place, 1),
        Some(doubling) => ((STEPS + place) << doubling, 1 << doubling),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other_without_a_gap() {
        let mut next = 0;
        for number in 0..=step(1 << 40) {
            let (from, width) = span(number);
            assert_eq!(from, next, "{number}");
            assert_eq!((step(from), step(from + width - 1)), (number, number));
            next = from + width;
        }
    }

    #[test]
    fn a_percentile_is_right_to_within_7_percent() {
        for millis in [0, 1, 7, 8, 9, 100, 1_234, 60_000, 86_400_000, 7_776_000_000] {
            let mut one = Histogram::default();
            one.add(millis);
            let read = i64::try_from(one.percentile(99).unwrap()).unwrap();
            assert!((read - millis).abs() * 100 <= 7 * millis, "{read} for {millis}");
        }
        let mut many = Histogram::default();
        (1..=1_000).for_each(|millis| many.add(millis));
        for (percent, expected) in [(50, 500), (95, 950), (99, 990), (100, 1_000)] {
            let read = many.percentile(percent).unwrap();
            assert!(read.abs_diff(expected) * 100 <= 7 * expected, "p{percent}: {read}");
        }
        assert_eq!(Histogram::default().percentile(50), None);
    }

    #[test]
    fn what_several_counted_is_what_one_would_have_counted() {
        let (mut whole, mut parts) = (Histogram::default(), [Histogram::default(), Histogram::default()]);
        for millis in [3, 3, 70, 5_000, -1] {
            whole.add(millis);
            parts[usize::from(millis > 3)].add(millis);
        }
        let [mut sum, other] = parts;
        sum += &other;
        assert_eq!(sum, whole);
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Histogram>(&text).unwrap(), whole, "{text}");
    }
}

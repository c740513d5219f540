//! Numbers by their value, however they are written.

use std::cmp::Ordering;

use serde::de::IgnoredAny;

/// Whole numbers are exact as far as an `i128` goes. What one can say, and what is not a number, is never a float here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Float(f64),
}

/// The first float beyond every `i128`: 2¹²⁷.
const BEYOND: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;

impl Number {
    /// A text that is nothing but a number in JSON, which is stricter than Rust: `+1`, `01` and `inf` are none.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        text.parse().map(Self::Whole).ok().or_else(|| text.parse().map(Self::of_float).ok())
    }

    fn of_float(float: f64) -> Self {
        let is_whole = float.fract() == 0.0 && (-BEYOND..BEYOND).contains(&float);
        if is_whole { Self::Whole(float as i128) } else { Self::Float(float) }
    }
}

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (*self, *other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(&other),
            (Self::Float(one), Self::Float(other)) => one.total_cmp(&other),
            (Self::Whole(one), Self::Float(other)) => against(one, other),
            (Self::Float(one), Self::Whole(other)) => against(other, one).reverse(),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A float that is no [`Number::Whole`] is never equal to one.
fn against(whole: i128, float: f64) -> Ordering {
    if (whole as f64) > float { Ordering::Greater } else { Ordering::Less }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: &str = "170141183460469231731687303715884105727";
    const MIN: &str = "-170141183460469231731687303715884105728";

    #[test]
    fn only_a_number_is_one() {
        for text in ["0", "-0", "1", "-1", "1.0", "1e0", "1E+2", "1e-2", "0.1", "1e400", MAX, MIN] {
            assert!(Number::read(text).is_some(), "{text}");
        }
        for text in [
            "", "-", "+1", "01", "-01", "1.", ".1", "1e", " 1", "1 ", "\n1", "1 1", "true", "null", "\"1\"", "[1]",
            "0x1", "1_0", "NaN", "inf", "1,0", "\u{661}",
        ] {
            assert_eq!(Number::read(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_compare_by_value() {
        let beyond = "170141183460469231731687303715884105728";
        for (one, other, order) in [
            ("1", "1.0", Ordering::Equal),
            ("1", "1e0", Ordering::Equal),
            ("100", "1E+2", Ordering::Equal),
            ("0", "-0.0", Ordering::Equal),
            ("-0", "0e9", Ordering::Equal),
            ("0.1", "1e-1", Ordering::Equal),
            ("0.1", "0.10", Ordering::Equal),
            ("1", "2", Ordering::Less),
            ("-2", "-1", Ordering::Less),
            ("9", "10", Ordering::Less),
            ("1", "1.5", Ordering::Less),
            ("1.5", "2", Ordering::Less),
            ("-1.5", "-1", Ordering::Less),
            ("1.25", "1.5", Ordering::Less),
            ("0.30000000000000004", "0.3", Ordering::Greater),
            ("9007199254740992", "9007199254740993", Ordering::Less),
            ("9007199254740992.0", "9007199254740993", Ordering::Less),
            ("18446744073709551615", "18446744073709551616", Ordering::Less),
            ("170141183460469231731687303715884105726", MAX, Ordering::Less),
            (MIN, "-170141183460469231731687303715884105727", Ordering::Less),
            (MAX, beyond, Ordering::Less),
            (MAX, "1e400", Ordering::Less),
            ("-1e400", MIN, Ordering::Less),
            (MIN, "-170141183460469231731687303715884105728.0", Ordering::Equal),
            ("-1e39", MIN, Ordering::Less),
            (beyond, "1e39", Ordering::Less),
            ("1e400", "1e500", Ordering::Equal),
        ] {
            let [one, other] = [one, other].map(|text| Number::read(text).unwrap());
            assert_eq!(one.cmp(&other), order, "{one:?} {other:?}");
            assert_eq!(other.cmp(&one), order.reverse(), "{one:?} {other:?}");
            assert_eq!(one == other, order.is_eq(), "{one:?} {other:?}");
        }
    }
}

//! How long a key is good for.

use std::str::FromStr;

/// A time from now on, as in `90d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term(i64);

/// A value that clap shows together with the flag.
#[derive(Debug, thiserror::Error)]
#[error("takes a number of minutes, hours or days, such as 30m, 12h or 90d, and no more than 3650d")]
pub(super) struct NoTerm;

const MINUTE_MS: i64 = 60_000;
const LONGEST_MS: i64 = 3650 * 24 * 60 * MINUTE_MS;

impl Term {
    /// When it is over, if it begins then; milliseconds since 1970.
    pub(super) const fn after(self, now: i64) -> i64 {
        now + self.0
    }
}

impl FromStr for Term {
    type Err = NoTerm;

    fn from_str(text: &str) -> Result<Self, NoTerm> {
        let units = [('m', MINUTE_MS), ('h', 60 * MINUTE_MS), ('d', 24 * 60 * MINUTE_MS)];
        let read = |(unit, millis)| text.strip_suffix(unit)?.parse::<u32>().ok().map(|count| i64::from(count) * millis);
        let term = units.into_iter().find_map(read);
        term.filter(|millis| (1..=LONGEST_MS).contains(millis)).map(Self).ok_or(NoTerm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_has_a_unit_and_a_bound() {
        for (text, minutes) in [("1m", 1), ("90m", 90), ("12h", 720), ("90d", 129_600), ("3650d", 5_256_000)] {
            assert_eq!(text.parse::<Term>().unwrap().after(7), 7 + minutes * MINUTE_MS, "{text}");
        }
        for bad in ["", "d", "0d", "90", "90s", "-1d", "1.5h", " 1d", "3651d", "99999999999d"] {
            assert!(bad.parse::<Term>().is_err(), "{bad}");
        }
    }
}

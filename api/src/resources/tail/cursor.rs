//! Where a tail can be taken up again: a time up to which all was told, and what was told of the time since. So nothing is
//! left out, and nothing told twice unless there was too much of it to remember.

use std::collections::{HashSet, VecDeque};
use std::fmt::{self, Display};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use relay::id::Uuid;

/// What `Last-Event-ID` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Milliseconds since 1970.
    pub(super) at: i64,
    /// Marks of what was told of the time since.
    pub(super) told: HashSet<u32>,
}

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Each with its time, by which it would be found again.
    last: VecDeque<(i64, u32)>,
}

/// So many marks fit into a line of 1,400 bytes, which no client and no proxy minds in a header.
const MARKS: usize = 256;

/// Stands for something that can be told; `stage` tells apart what can be told of it. Two have the same once in four
/// billion times.
pub(super) fn mark(id: Uuid, stage: u16) -> u32 {
    let [.., a, b, c, d] = id.into_bytes();
    u32::from_be_bytes([a, b, c, d]) ^ u32::from(stage)
}

impl Told {
    /// What was told before a stream broke off, at the latest at `until`.
    pub(super) fn before(cursor: &Cursor, until: i64) -> Self {
        Self { last: cursor.told.iter().map(|mark| (until, *mark)).collect() }
    }

    pub(super) fn note(&mut self, at: i64, mark: u32) {
        if self.last.len() == MARKS {
            self.last.pop_front();
        }
        self.last.push_back((at, mark));
    }

    /// All of what was made or ended before `settled` was told.
    pub(super) fn cursor(&self, settled: i64) -> Cursor {
        let told = self.last.iter().filter(|(time, _)| *time >= settled).map(|(_, mark)| *mark);
        Cursor { at: settled, told: told.collect() }
    }
}

impl Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let marks: Vec<u8> = self.told.iter().flat_map(|mark| mark.to_be_bytes()).collect();
        write!(out, "{}.{}", self.at, URL_SAFE_NO_PAD.encode(marks))
    }
}

/// Not what this stream gave as an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (at, marks) = text.split_once('.').ok_or(NoCursor)?;
        let at = at.parse().ok().filter(|at| *at >= 0).ok_or(NoCursor)?;
        let marks = URL_SAFE_NO_PAD.decode(marks).map_err(|_| NoCursor)?;
        let (marks, []) = marks.as_chunks() else { return Err(NoCursor) };
        if marks.len() > MARKS {
            return Err(NoCursor);
        }
        Ok(Self { at, told: marks.iter().map(|mark| u32::from_be_bytes(*mark)).collect() })
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        let mut told = Told::default();
        (0..5).for_each(|number| told.note(1_000 + i64::from(number), number));
        for settled in [0, 1_002, 9_999] {
            let cursor = told.cursor(settled);
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        assert_eq!(told.cursor(1_002).told, [2, 3, 4].into());
        let too_long = format!("5.{}", URL_SAFE_NO_PAD.encode([0; 4 * (MARKS + 1)]));
        for text in ["", "5", "-1.", "x.", "5.A", "5.AAAA", "5.%", "9999999999999999999999.", &too_long] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text:?}");
        }
        assert_eq!("5.".parse(), Ok(Cursor { at: 5, told: HashSet::new() }));
    }

    /// Something of its time may be seen later than all that was told.
    #[test]
    fn what_is_too_much_to_remember_is_told_again_and_nothing_left_out() {
        let mut told = Told::default();
        (0..1_000u32).for_each(|number| told.note(i64::from(number), number));
        let cursor = told.cursor(100);
        assert_eq!((cursor.at, cursor.told.len()), (100, MARKS));
        assert!(cursor.told.contains(&999) && !cursor.told.contains(&100));
        assert!(cursor.to_string().len() < 1_400);
    }

    #[test]
    fn a_cursor_remembers_what_was_told_before_another_break() {
        let before = Cursor { at: 1_000, told: [1, 2].into() };
        let mut told = Told::before(&before, 1_500);
        told.note(1_600, 3);
        assert_eq!(told.cursor(1_000).told, [1, 2, 3].into());
        assert_eq!(told.cursor(1_501).told, [3].into());
    }

    #[test]
    fn what_becomes_of_one_thing_has_marks_of_its_own() {
        let id = Uuid::from_u128(u128::MAX / 3);
        let marks: HashSet<u32> = [0, 1, 2, u16::MAX].map(|stage| mark(id, stage)).into();
        assert_eq!(marks.len(), 4);
        assert_ne!(mark(id, 0), mark(Uuid::from_u128(id.as_u128() + 1), 0));
    }
}

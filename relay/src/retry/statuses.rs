//! Which answers are tried again after: statuses one by one, or as ranges.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Some statuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Statuses(Vec<RangeInclusive<u16>>);

/// Not a status that a delivery can be tried again after, at this place in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no status from 300 to 599 such as 429, nor a range such as \"5xx\" or \"500-504\"")]
pub struct NotAStatus(pub usize);

impl Statuses {
    /// Whether this status is among them.
    #[must_use]
    pub fn hold(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    /// As they are written: `429`, `5xx`, `500-504`.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|range| Shown(range).to_string())
    }
}

impl TryFrom<Vec<String>> for Statuses {
    type Error = NotAStatus;

    fn try_from(texts: Vec<String>) -> Result<Self, NotAStatus> {
        let ranges = texts.iter().enumerate().map(|(place, text)| range(text).ok_or(NotAStatus(place)));
        ranges.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Statuses> for Vec<String> {
    fn from(statuses: Statuses) -> Self {
        statuses.texts().collect()
    }
}

struct Shown<'a>(&'a RangeInclusive<u16>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (*self.0.start(), *self.0.end());
        match last - first {
            0 => write!(out, "{first}"),
            99 if first.is_multiple_of(100) => write!(out, "{}xx", first / 100),
            _ => write!(out, "{first}-{last}"),
        }
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| {
        let is_number = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|status| is_number && (300..600).contains(status))
    };
    if let Some(hundred) = text.strip_suffix("xx") {
        let first = status(&format!("{hundred}00"))?;
        return Some(first..=first + 99);
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_read_back_as_they_are_written() {
        for (text, shown) in [
            ("300", Some("300")),
            ("599", Some("599")),
            ("5xx", Some("5xx")),
            ("3xx", Some("3xx")),
            ("500-599", Some("5xx")),
            ("500-504", Some("500-504")),
            ("429-429", Some("429")),
            ("299", None),
            ("600", None),
            ("2xx", None),
            ("6xx", None),
            ("xx", None),
            ("55xx", None),
            ("504-500", None),
            ("500-", None),
            ("+50", None),
            ("0500", None),
            ("", None),
        ] {
            let read = Statuses::try_from(vec![text.to_owned()]);
            assert_eq!(read.as_ref().ok().and_then(|read| read.texts().next()).as_deref(), shown, "{text}");
            if shown.is_none() {
                assert_eq!(Statuses::try_from(vec!["500".to_owned(), text.to_owned()]), Err(NotAStatus(1)), "{text}");
            }
        }
    }

    #[test]
    fn a_range_holds_its_ends_and_no_more() {
        let statuses = Statuses::try_from(vec!["410".to_owned(), "500-502".to_owned()]).unwrap();
        let held: Vec<u16> = (300..600).filter(|status| statuses.hold(*status)).collect();
        assert_eq!(held, [410, 500, 501, 502]);
    }
}

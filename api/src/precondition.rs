//! `If-Match` and `If-None-Match` (RFC 9110, 13.1): nobody overwrites what they have not seen, or makes what is there.

use poem::http::HeaderMap;

use crate::answer::etag;

/// What a request demands of the thing that it changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Preconditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
}

/// What is not as it was demanded, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    #[error("`if-match` does not name the present version, \"{0}\". Read it again and repeat the change.")]
    Changed(i64),
    #[error("`if-match` names a version, but there is nothing yet. Leave the header out to make it.")]
    Absent,
    #[error("`if-none-match` names what is there: version \"{0}\". Leave the header out to change it.")]
    There(i64),
}

impl Preconditions {
    /// What the headers demand.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        // Several lines are one list (RFC 9110, 5.3). An unreadable one matches nothing.
        let text = |name: &str| {
            let lines = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
            let lines = lines.collect::<Vec<_>>();
            (!lines.is_empty()).then(|| lines.join(","))
        };
        Self { if_match: text("if-match"), if_none_match: text("if-none-match") }
    }

    /// Whether they hold of this version, or of nothing.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self, present: Option<i64>) -> Result<(), Unmet> {
        let (if_match, if_none_match) = (self.if_match.as_deref(), self.if_none_match.as_deref());
        match (present, if_match, if_none_match) {
            (None, Some(_), _) => Err(Unmet::Absent),
            (Some(version), Some(wanted), _) if !names(wanted, version) => Err(Unmet::Changed(version)),
            // Weak tags are as good as others here.
            (Some(version), _, Some(unwanted)) if names(&unwanted.replace("W/", ""), version) => {
                Err(Unmet::There(version))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a list of tags names this version. A weak tag never does.
fn names(tags: &str, version: i64) -> bool {
    let etag = etag(version);
    tags.split(',').map(str::trim).any(|tag| tag == "*" || tag == etag)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_names_versions() {
        for (header, named) in [
            ("\"3\"", true),
            ("*", true),
            ("\"1\", \"3\"", true),
            ("\"2\"", false),
            ("W/\"3\"", false),
            ("3", false),
            ("", false),
        ] {
            assert_eq!(names(header, 3), named, "{header}");
        }
    }

    #[test]
    fn tags_in_several_lines_are_one_list() {
        let of = |name: &'static str, lines: [&str; 2]| {
            let lines = lines.map(|line| (poem::http::HeaderName::from_static(name), line.parse().unwrap()));
            Preconditions::of(&lines.into_iter().collect()).check(Some(3))
        };
        assert_eq!(of("if-match", ["\"2\"", "\"3\""]), Ok(()));
        assert_eq!(of("if-match", ["\"2\"", "\"1\""]), Err(Unmet::Changed(3)));
        assert_eq!(of("if-none-match", ["\"2\"", "*"]), Err(Unmet::There(3)));
    }

    #[test]
    fn what_is_there_and_what_is_not_meet_different_demands() {
        for (if_match, if_none_match, of_3, of_nothing) in [
            (None, None, Ok(()), Ok(())),
            (Some("\"3\""), None, Ok(()), Err(Unmet::Absent)),
            (Some("*"), None, Ok(()), Err(Unmet::Absent)),
            (Some("\"2\""), None, Err(Unmet::Changed(3)), Err(Unmet::Absent)),
            (None, Some("*"), Err(Unmet::There(3)), Ok(())),
            (None, Some("\"3\""), Err(Unmet::There(3)), Ok(())),
            (None, Some("W/\"3\""), Err(Unmet::There(3)), Ok(())),
            (None, Some("\"2\""), Ok(()), Ok(())),
            (Some("\"3\""), Some("*"), Err(Unmet::There(3)), Err(Unmet::Absent)),
        ] {
            let text = |header: Option<&str>| header.map(str::to_owned);
            let preconditions = Preconditions { if_match: text(if_match), if_none_match: text(if_none_match) };
            let found = (preconditions.check(Some(3)), preconditions.check(None));
            assert_eq!(found, (of_3, of_nothing), "{preconditions:?}");
        }
    }
}

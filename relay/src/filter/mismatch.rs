//! Why an event is not wanted.

use std::fmt::{self, Write as _};

use super::clause::{Clause, Listed};

/// The clause that did not hold, in the filter's words. The event's own words are not for everybody who sees why it was
/// filtered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(String);

/// In characters: what fits beside a delivery in a list.
const LONGEST: usize = 500;

impl Mismatch {
    pub(super) fn of(clause: &Clause) -> Self {
        let mut told = Cut { text: String::new(), left: LONGEST };
        let result = match clause {
            Clause::Any(clauses) => write!(told, "none of: {}", Listed(clauses)),
            _ => write!(told, "{clause}"),
        };
        if result.is_err() {
            told.text.pop();
            told.text.push('…');
        }
        Self(told.text)
    }
}

/// Takes so many characters, then refuses.
struct Cut {
    text: String,
    left: usize,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(letter);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::super::clause::Test;
    use super::super::operator::Operator;
    use super::super::{Filter, Subject};
    use super::*;

    fn mismatch(filter: Value) -> String {
        let subject = Subject {
            body: br#"{"state": "personal", "list": ["personal"]}"#,
            headers: &[("x-name".to_owned(), "personal".to_owned())],
            query: Some("name=personal"),
            attributes: &BTreeMap::from([("name".to_owned(), "personal".to_owned())]),
        };
        let filter = Filter::try_from(filter).unwrap();
        filter.check(&subject).unwrap_err().to_string()
    }

    #[test]
    fn a_mismatch_tells_the_clause_and_nothing_of_the_event() {
        let [a, b, c] = ["a", "b", "c"].map(|text| json!({"body": {"/state": text}}));
        let [said_a, said_b, said_c] = ["a", "b", "c"].map(|text| format!(r#"body /state $eq "{text}""#));
        for (filter, told) in [
            (
                json!({"body": {"/state": {"$in": ["Approved", 1, null]}}}),
                r#"body /state $in ["Approved",1,null]"#.into(),
            ),
            (json!({"body": {"/state": "a\n\u{e9}"}}), "body /state $eq \"a\\n\u{e9}\"".into()),
            (json!({"body": {"": "a"}}), r#"body $eq "a""#.into()),
            (json!({"body": {"/state": {"$ne": "personal"}}}), r#"body /state $ne "personal""#.into()),
            (json!({"body": {"/list": {"$contains": 1}}}), "body /list $contains 1".into()),
            (json!({"headers": {"X-Name": {"$exists": false}}}), "headers X-Name $exists false".into()),
            (json!({"query": {"name": 1}}), "query name $eq 1".into()),
            (json!({"attributes": {"name": {"$gt": "z"}}}), r#"attributes name $gt "z""#.into()),
            (
                json!({"body": {"/state": {"$exists": true, "$startsWith": ["x"]}}}),
                r#"body /state $startsWith ["x"]"#.into(),
            ),
            (json!({"attributes": {"name": "personal"}, "query": {"none": 1}}), "query none $eq 1".into()),
            (json!({"$and": [a, b]}), said_a.clone()),
            (json!({"$or": [a]}), said_a.clone()),
            (json!({"$or": [a, b]}), format!("none of: {said_a}; {said_b}")),
            (json!({"$or": [a, {"$or": [b, c]}]}), format!("none of: {said_a}; any of: ({said_b}; {said_c})")),
            (json!({"$or": [a, {"$and": [b, c]}]}), format!("none of: {said_a}; all of: ({said_b}; {said_c})")),
            (json!({"body": {"/state": {"$or": ["a", "b"]}}}), format!("none of: {said_a}; {said_b}")),
            (json!({"$not": {"$not": a}}), format!("not: not: {said_a}")),
            (
                json!({"body": {"/state": {"$not": {"$or": ["a", "personal"]}}}}),
                format!(r#"not: any of: ({said_a}; body /state $eq "personal")"#),
            ),
        ] {
            assert_eq!(mismatch(filter.clone()), told, "{filter}");
        }
    }

    #[test]
    fn a_long_mismatch_is_cut_between_two_letters() {
        for letter in ["x", "\u{e9}", "\u{1f600}"] {
            for (length, told) in [
                (LONGEST - 1, letter.repeat(LONGEST - 1)),
                (LONGEST, letter.repeat(LONGEST)),
                (LONGEST + 1, format!("{}…", letter.repeat(LONGEST - 1))),
                (LONGEST * 20, format!("{}…", letter.repeat(LONGEST - 1))),
            ] {
                let test = Test { place: 0, operator: Operator::Exists, is_wanted: true, words: letter.repeat(length) };
                assert_eq!(Mismatch::of(&Clause::Test(test)).to_string(), told, "{length} {letter}");
            }
        }
    }
}

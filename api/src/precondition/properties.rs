use poem::http::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::option;
use proptest::sample::select;

use super::*;
use crate::property::of_each;

const TAGS: [&str; 8] = ["*", "\"1\"", "\"2\"", "W/\"1\"", "1", "\"\"", "\"1", ""];

type Lines = Vec<Vec<&'static str>>;

fn append(headers: &mut HeaderMap, name: &'static str, lines: &Lines) {
    for line in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::try_from(line.join(" , ")).unwrap());
    }
}

/// RFC 9110, 8.8.3.2: `If-Match` compares strongly, `If-None-Match` weakly.
fn is_named(lines: &Lines, present: i64, is_weak: bool) -> bool {
    let (strong, weak) = (format!("\"{present}\""), format!("W/\"{present}\""));
    lines.iter().flatten().any(|tag| *tag == "*" || *tag == strong || is_weak && *tag == weak)
}

/// A list may come in several lines (RFC 9110, 5.3).
#[test]
fn a_demand_is_met_by_any_of_its_tags_in_whichever_line_it_stands() {
    let lines = || vec(vec(select(TAGS.as_slice()), 1..3), 0..3);
    of_each((lines(), lines(), option::of(1..3_i64)), |(wanted, unwanted, present)| {
        let mut headers = HeaderMap::new();
        append(&mut headers, "if-match", &wanted);
        append(&mut headers, "if-none-match", &unwanted);
        let expected = match present {
            None if wanted.is_empty() => Ok(()),
            None => Err(Unmet::Absent),
            Some(version) if !wanted.is_empty() && !is_named(&wanted, version, false) => Err(Unmet::Changed(version)),
            Some(version) if is_named(&unwanted, version, true) => Err(Unmet::There(version)),
            Some(_) => Ok(()),
        };
        assert_eq!(Preconditions::of(&headers).check(present), expected);
    });
}

use proptest::option;

use super::*;
use crate::property::{nearly, of_each};

/// What it says, segment by segment.
fn wants(pattern: &str, event_type: Option<&str>) -> bool {
    let Some(event_type) = event_type else { return pattern == "*" };
    let wanted: Vec<&str> = pattern.split('.').collect();
    let said: Vec<&str> = event_type.split('.').collect();
    match wanted.split_last() {
        Some((&"*", above)) => said.len() > above.len() && said.starts_with(above),
        _ => wanted == said,
    }
}

fn is_pattern(text: &str) -> bool {
    let segments: Vec<&str> = text.split('.').collect();
    let (last, above) = segments.split_last().unwrap();
    let is_short = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
    is_short && !above.join(".").contains('*') && (*last == "*" || !last.contains('*')) && text != ".*"
}

#[test]
fn a_pattern_wants_what_its_segments_say() {
    of_each(("([ab]?\\.){0,2}[ab*]", option::of("([ab]?\\.){0,3}[ab]?")), |(text, event_type)| {
        if let Ok(pattern) = text.parse::<Pattern>() {
            assert_eq!(pattern.matches(event_type.as_deref()), wants(&text, event_type.as_deref()), "{pattern:?}");
        }
    });
}

#[test]
fn a_star_stands_alone_or_last_in_every_pattern_and_each_reads_back() {
    of_each(nearly("[a*.]{0,3}|[a.]{0,3}(\\.[*])?|[ä.]{125,130}"), |text| {
        let pattern = text.parse::<Pattern>();
        assert_eq!(pattern.is_ok(), is_pattern(&text), "{pattern:?}");
        assert!(pattern.is_err() || pattern.unwrap().to_string() == text);
    });
}

#[test]
fn a_derived_type_is_as_good_as_the_type() {
    let types = || option::of("([ab]\\.){0,2}[ab]?");
    of_each(("([ab]\\.){0,2}[ab*]", types(), types()), |(text, one, other)| {
        if let Ok(pattern) = text.parse::<Pattern>() {
            let either = pattern.matches_either(one.as_deref(), other.as_deref());
            assert_eq!(either, wants(&text, one.as_deref()) || wants(&text, other.as_deref()));
        }
    });
}

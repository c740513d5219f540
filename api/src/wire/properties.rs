use proptest::prelude::{Strategy, any};
use proptest::string::string_regex;

use super::*;
use crate::property::{nearly, of_each};

/// Texts that clients make by the published document; this is the longest that is not told by a pattern.
fn by_its_pattern<T: Meaning>(longest: usize) {
    let pattern = T::pattern().unwrap();
    let texts = string_regex(pattern.strip_prefix('^').unwrap().strip_suffix('$').unwrap()).unwrap();
    of_each(texts, |text| {
        if let Err(error) = text.parse::<T>() {
            assert!(text.len() > longest, "{text:?} fits {pattern}, and {error}");
        }
    });
}

#[test]
fn whatever_fits_the_published_pattern_is_taken() {
    by_its_pattern::<Slug>(usize::MAX);
    by_its_pattern::<Key>(usize::MAX);
    by_its_pattern::<Kinds>(usize::MAX);
    by_its_pattern::<HeaderName>(usize::MAX);
    by_its_pattern::<id::EventId>(usize::MAX);
    by_its_pattern::<Pattern>(relay::event_type::MAX_BYTES);
    by_its_pattern::<RequestId>(relay::preset::MAX_VALUE_BYTES);
}

fn reads_back<T: Meaning>(texts: impl Strategy<Value = String>) {
    of_each(texts, |text| {
        if let Ok(read) = text.parse::<T>() {
            let again = read.to_string().parse::<T>().map(|again| again.to_string());
            assert_eq!(again.ok(), Some(read.to_string()), "{text}");
        }
    });
}

#[test]
fn whatever_is_taken_can_be_sent_again_as_it_is_shown() {
    let day = "(0000-01-01|9999-12-31|[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]))";
    let time = "([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\\.[0-9]{1,10})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    let moment = string_regex(&format!("{day}[Tt ]{time}")).unwrap();
    reads_back::<Moment>(nearly(moment));
    reads_back::<Cidr>(nearly(
        "[0-9]{1,3}\\.[0-9]{1,2}\\.0\\.[0-9]{1,3}(/[0-9]{1,2})?|[0-9a-f]{1,4}::[0-9a-f]{1,4}(/[0-9]{1,3})?",
    ));
    reads_back::<Slug>(nearly("[a-z0-9-]{1,41}"));
    reads_back::<HeaderName>(nearly("[A-Za-z-]{1,9}"));
    reads_back::<Kinds>(nearly("event(, ?(delivery|rejection|event)){0,3}"));
    reads_back::<Key>(nearly("[a-z._-]{1,65}"));
}

/// Of an id's time there are 48 bits.
#[test]
fn whatever_time_is_taken_ids_stand_on_its_right_side() {
    of_each((0..253_402_300_800_i64, 0..1_000_i64, any::<bool>()), |(seconds, millis, is_later)| {
        let at: Moment = Moment(seconds * 1_000 + millis).to_string().parse().unwrap();
        let made = at.0 + if is_later { 1 } else { 0 };
        assert_eq!(id::EventId::at(made).uuid() >= id::first_of(at.0 + 1), is_later);
    });
}

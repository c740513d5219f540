use proptest::collection::vec;
use proptest::sample::select;

use super::*;
use crate::property::{nearly, of_each};

#[test]
fn two_requests_share_an_answer_only_if_each_of_their_parts_is_the_same() {
    // The same bytes, cut in two ways.
    let cuts = || [0..5_usize, 0..5];
    of_each((vec(select(b"/\0a".as_slice()), 4), cuts(), cuts()), |(bytes, one, other)| {
        let parts = |mut cuts: [usize; 2]| {
            cuts.sort_unstable();
            [&bytes[..cuts[0]], &bytes[cuts[0]..cuts[1]], &bytes[cuts[1]..]]
        };
        let (one, other) = (parts(one), parts(other));
        assert_eq!(id(&one) == id(&other), one == other);
    });
}

#[test]
fn a_key_is_of_visible_characters_and_not_of_too_many() {
    of_each(nearly("[!-~]{0,4}|[!-~]{250,260}"), |text| {
        let is_good = (1..=255).contains(&text.len()) && text.chars().all(|letter| ('!'..='~').contains(&letter));
        assert_eq!(is_key(text.as_bytes()), is_good);
    });
}

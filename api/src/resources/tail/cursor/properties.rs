use proptest::collection::vec;
use proptest::prelude::any;

use super::*;
use crate::property::{nearly, of_each};

#[test]
fn what_a_stream_gives_as_an_id_is_read_as_it_was_meant() {
    of_each((vec((0..2_000_i64, any::<u32>()), 0..300), 0..2_000_i64), |(all, settled)| {
        let mut told = Told::default();
        all.iter().for_each(|(at, mark)| told.note(*at, *mark));
        let cursor = told.cursor(settled);
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        let last = all.iter().rev().take(MARKS).filter(|(at, _)| *at >= settled);
        assert_eq!((cursor.at, cursor.told), (settled, last.map(|(_, mark)| *mark).collect()));
    });
}

#[test]
fn whatever_is_taken_up_again_is_a_time_since_1970_and_few_marks() {
    of_each(nearly("[0-9]{1,20}\\.([A-Za-z0-9_-]{16}){0,3}|[0-9]\\.[A-Za-z0-9]{1300,1400}"), |text| {
        let Ok(cursor) = text.parse::<Cursor>() else { return };
        assert!(cursor.at >= 0 && cursor.told.len() <= MARKS);
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    });
}

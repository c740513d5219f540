use proptest::collection::vec;
use proptest::prelude::any;

use super::*;
use crate::property::of_each;

#[test]
fn headers_of_any_bytes_read_back_in_their_order() {
    of_each(vec(("[A-Za-z-]{1,8}", vec(any::<u8>(), 0..12)), 0..6), |headers| {
        let read = Headers::read(&column(&headers));
        let back: Vec<_> = read.iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(back, headers);
        assert_eq!(read.texts().len(), headers.len());
    });
}

/// A row of another release, or of somebody else.
#[test]
fn whatever_stands_in_the_column_becomes_headers() {
    of_each(r#"\[(\["x(-[a-z])?","[ -~]{0,3}.?"\],?){0,2}\]|.{0,8}"#, |column| {
        let read = Headers::read(&column);
        assert!(read.map().len() <= read.iter().count() && read.texts().len() == read.iter().count());
    });
}

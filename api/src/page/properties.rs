use proptest::prelude::{Just, any};
use relay::id::{Uuid, kind};

use super::*;
use crate::property::{nearly, of_each};

const LIST: &str = "ten_1/sources";

/// One whose key has the longest id.
fn keyring() -> Keyring {
    Keyring::parse(&format!("{}:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "k".repeat(32))).unwrap()
}

fn id(bits: u128) -> Id<kind::Source> {
    Uuid::from_u128(bits).into()
}

#[test]
fn a_cursor_leads_back_in_its_own_list_and_nowhere_in_another() {
    let keyring = keyring();
    let bits = (any::<u128>(), any::<Option<u128>>());
    of_each((bits, "[a-z_/]{1,9}", nearly("[a-z_/]{1,9}")), |((bits, begun), list, other)| {
        let place = (id(bits), begun.map(id));
        let cursor = seal(&keyring, &list, place);
        assert_eq!(open(&keyring, &list, &cursor), Some(place));
        assert_eq!(open(&keyring, &other, &cursor), (list == other).then_some(place));
        assert_eq!(open::<kind::Event>(&keyring, &list, &cursor), None);
        assert!(cursor.len() <= 500, "the document says so");
    });
}

#[test]
fn no_cursor_is_taken_but_the_one_that_was_given() {
    let keyring = keyring();
    let given = seal(&keyring, LIST, (id(7), None));
    of_each(nearly(Just(given.clone())), |text| {
        assert_eq!(open(&keyring, LIST, &text), (text == given).then(|| (id(7), None)));
    });
    of_each(nearly("[A-Za-z0-9_-]{0,200}"), |text| assert_eq!(open::<kind::Source>(&keyring, LIST, &text), None));
}

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::sample::subsequence;

use super::*;
use crate::property::{nearly, of_each};

const KEY: &str = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
/// The same but for the last bit.
const NAMESAKE: &str = "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=";
const STRANGER: &str = "s:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const OWNER: &str = "ten_1/dst_1";

fn keyring(text: &str) -> Keyring {
    Keyring::parse(text).unwrap()
}

#[test]
fn whatever_was_sealed_opens_for_its_owner_and_its_key_and_no_other() {
    let [key, namesake, stranger] = [KEY, NAMESAKE, STRANGER].map(keyring);
    of_each((vec(any::<u8>(), 0..40), "[a-z_/]{0,12}", nearly("[a-z_/]{0,12}")), |(plain, owner, other)| {
        let sealed = key.seal(&plain, &owner);
        assert_eq!(key.open(&sealed, &owner).unwrap().expose_secret(), plain);
        assert_eq!(key.open_text(&sealed, &owner).is_ok(), std::str::from_utf8(&plain).is_ok());
        assert_eq!(key.open(&sealed, &other).is_ok(), other == owner);
        assert_eq!(namesake.open(&sealed, &owner).unwrap_err(), OpenError::Tampered);
        assert_eq!(stranger.open(&sealed, &owner).unwrap_err(), OpenError::UnknownKey("k".to_owned()));
        assert_eq!(key_of(&sealed), Some("k"));
    });
}

/// Each of them, whatever the base64 ends in.
#[test]
fn a_sealed_value_with_one_bit_changed_does_not_open() {
    let keyring = keyring(KEY);
    for plain in ["", "1", "12", "123"] {
        let sealed = keyring.seal(plain.as_bytes(), OWNER).into_bytes();
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = std::str::from_utf8(&changed).is_ok_and(|changed| keyring.open(changed, OWNER).is_ok());
            assert!(!opened, "{}", String::from_utf8_lossy(&changed));
        }
    }
}

#[test]
fn a_part_of_a_sealed_value_does_not_open() {
    let keyring = keyring(KEY);
    for plain in ["", "1", "12", "123"] {
        let sealed = keyring.seal(plain.as_bytes(), OWNER);
        for (from, to) in (0..sealed.len()).flat_map(|to| [(0, to), (to + 1, sealed.len())]) {
            assert!(keyring.open(&sealed[from..to], OWNER).is_err(), "{}", &sealed[from..to]);
        }
    }
}

#[test]
fn there_is_one_text_for_a_sealed_value() {
    let keyring = keyring(KEY);
    of_each(
        nearly("[a-z]{0,8}".prop_map(|plain| Keyring::parse(KEY).unwrap().seal(plain.as_bytes(), OWNER))),
        |text| {
            if let Ok(plain) = keyring.open_text(&text, OWNER) {
                let [version, id, nonce, rest] = text.split('|').collect::<Vec<_>>()[..] else { panic!("{text}") };
                assert_eq!((version, id, nonce.len()), ("v1", "k", 32));
                assert_eq!(STANDARD.decode(rest).unwrap().len(), plain.expose_secret().len() + 16);
            }
        },
    );
}

#[test]
fn a_keyring_is_the_entries_between_its_commas() {
    let ids = subsequence(vec!["a", "B-1", "c_c", "d"], 0..=4).prop_shuffle();
    of_each((ids, vec("[ ,]{0,3}", 4)), |(ids, spaces)| {
        let entry = |(id, space): (&&str, &String)| format!("{space}{}", KEY.replacen('k', id, 1)) + space;
        let text = ids.iter().zip(&spaces).map(entry).collect::<Vec<_>>().join(",");
        match Keyring::parse(&text) {
            Ok(keyring) => assert_eq!(keyring.ids(), ids),
            Err(error) => assert!(ids.is_empty() && error == KeyringError::Empty, "{error}"),
        }
    });
    of_each(nearly(Just(format!("{KEY},{STRANGER}"))), |text| {
        if let Err(error) = Keyring::parse(&text) {
            assert!(!error.to_string().contains("AAAA"), "{error}");
        }
    });
}

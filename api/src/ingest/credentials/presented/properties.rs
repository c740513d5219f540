use poem::http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any};

use super::*;
use crate::property::{nearly, of_each};

#[test]
fn a_name_and_a_password_of_any_bytes_arrive_as_they_were_sent() {
    let name = vec(any::<u8>().prop_filter("a name has no colon", |byte| *byte != b':'), 0..8);
    of_each((name, vec(any::<u8>(), 0..8), "[Bb][Aa][Ss][Ii][Cc] {1,2}"), |(name, password, scheme)| {
        let pair = STANDARD.encode([&name, b":".as_slice(), &password].concat());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::try_from(format!("{scheme}{pair}")).unwrap());
        assert_eq!(Authorization::of(&headers), Authorization::Basic(name, password));
    });
}

#[test]
fn a_token_is_all_that_stands_behind_its_scheme() {
    of_each(nearly("(Bearer|Basic|Digest) {0,2}[!-~]{0,8} {0,2}"), |text| {
        let Ok(value) = HeaderValue::from_str(&text) else { return };
        let (scheme, rest) = text.split_once(' ').unwrap_or((&text, ""));
        let expected = scheme.eq_ignore_ascii_case("bearer").then(|| rest.trim_ascii().as_bytes().to_vec());
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value);
        let read = match Authorization::of(&headers) {
            Authorization::Bearer(token) => Some(token),
            _ => None,
        };
        assert_eq!(read, expected);
    });
}

use http::HeaderMap;

use super::*;
use crate::property::{nearly, of_each};

#[test]
fn whatever_is_read_as_a_place_is_written_as_it_was() {
    of_each(nearly("(header:[A-Za-z-]{0,4}|json:(/[a*]{0,2}){0,3}|query:.{0,3}|form:.{0,3})"), |text| {
        if let Ok(place) = text.parse::<Place>() {
            assert!(place.to_string() == text || text.to_ascii_lowercase() == place.to_string(), "{place}");
            assert_eq!(place.to_string().parse(), Ok(place));
        }
    });
}

#[test]
fn an_item_is_found_however_it_is_escaped() {
    of_each(("[^\0-\x1f\x7f-\u{9f}]{1,6}", ".{0,8}", "[a-z]{1,3}"), |(name, value, other)| {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair(&format!("{name}{other}"), "other").append_pair(&name, &value).finish();
        let headers = HeaderMap::new();
        let read = |place: &str, query: &str, body: &str| {
            let inbound =
                Inbound { method: "POST", headers: &headers, path: "", query: Some(query), body: body.as_bytes() };
            place.parse::<Place>().unwrap().read(&inbound)
        };
        assert_eq!(read(&format!("query:{name}"), &form, "").as_ref(), Some(&value));
        assert_eq!(read(&format!("form:{name}"), "", &form).as_ref(), Some(&value));
    });
}

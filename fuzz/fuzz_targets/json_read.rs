//! Finds in a body what serde's own pointers find.
//!
//! Input: pointers, between tabs; a body.

#![no_main]

use fuzz::sent::line;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let (pointers, body) = line(input);
    let Ok(pointers) = std::str::from_utf8(pointers) else { return };
    let pointers: Vec<_> = pointers.split('\t').collect();
    let found = relay::json::read(body, &pointers);
    assert_eq!(found.len(), pointers.len());

    let bare = relay::json::unmarked(body);
    if serde_json::from_slice::<IgnoredAny>(bare).is_err() {
        assert!(found.iter().all(Option::is_none), "{pointers:?} {found:?}");
    }
    let Ok(whole) = serde_json::from_slice::<Value>(bare) else { return };
    for (pointer, found) in pointers.iter().zip(found) {
        match whole.pointer(pointer) {
            Some(Value::String(text)) => assert_eq!(found.as_ref(), Some(text), "{pointer}"),
            Some(number @ Value::Number(_)) => {
                let found = found.and_then(|found| serde_json::from_str::<Value>(&found).ok());
                assert_eq!(found.as_ref(), Some(number), "{pointer}");
            }
            _ => assert_eq!(found, None, "{pointer}"),
        }
    }
});

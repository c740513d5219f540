//! Reads what is one word: an id, a pattern, `Retry-After`, `traceparent`, statuses, a sealed value.
//!
//! Input: the word.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use fuzz::sent::NOW;
use libfuzzer_sys::fuzz_target;
use relay::event_type::Pattern;
use relay::id::EventId;
use relay::keyring::Keyring;
use relay::retry::{Failure, RetryPolicy, Statuses, parse_retry_after};
use relay::trace::TraceParent;

static KEYRING: LazyLock<Keyring> =
    LazyLock::new(|| Keyring::parse("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").expect("it is a keyring"));
/// The longest that `Retry-After` can ask for.
const LONGEST: Duration = Duration::from_hours(10);

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(id) = text.parse::<EventId>() {
        assert_eq!(id.to_string(), text);
    }
    if let Ok(pattern) = text.parse::<Pattern>() {
        assert_eq!(pattern.to_string(), text);
        assert!(pattern.matches(Some(text)) && pattern.matches(None) == (text == "*"), "{text}");
    }
    if let Some(parent) = TraceParent::read(text) {
        assert_eq!(parent.to_string()[2..53], text[2..53]);
    }
    let asked = parse_retry_after(text, NOW);
    let wait = RetryPolicy::default().wait_after(1, &Failure::Status(503), asked, 1.0);
    assert!(wait.is_ok_and(|wait| wait >= asked.unwrap_or_default().min(LONGEST) && wait <= LONGEST), "{text}");
    if let Ok(statuses) = Statuses::try_from(vec![text.to_owned()]) {
        assert_eq!(Statuses::try_from(Vec::from(statuses.clone())), Ok(statuses), "{text}");
    }
    assert!(KEYRING.open(text, "owner").is_err(), "nobody sealed {text}");
});

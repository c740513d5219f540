//! The id that a provider gave to a call of its API.

use std::fmt::{self, Display};
use std::str::FromStr;

use relay::preset::MAX_VALUE_BYTES;

use super::Meaning;

/// As events carry it: what could not be taken out of an event cannot be registered either.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

/// Why a text is no request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a request id is 1 to {MAX_VALUE_BYTES} bytes without control characters")]
pub struct NoRequestId;

impl FromStr for RequestId {
    type Err = NoRequestId;

    fn from_str(text: &str) -> Result<Self, NoRequestId> {
        let is_id = matches!(text.len(), 1..=MAX_VALUE_BYTES) && !text.chars().any(char::is_control);
        if is_id { Ok(Self(text.to_owned())) } else { Err(NoRequestId) }
    }
}

impl Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl Meaning for RequestId {
    const FORMAT: &'static str = "request-id";

    // Bounded in bytes, which no pattern can say: the code is a little narrower for what is not ASCII.
    fn pattern() -> Option<String> {
        Some(format!(r"^[^\u0000-\u001f\u007f-\u009f]{{1,{MAX_VALUE_BYTES}}}$"))
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_is_what_an_event_can_carry() {
        for (text, good) in [
            ("a1B2c3D4e5", true),
            ("é 漢", true),
            (&"x".repeat(512), true),
            ("", false),
            (&"x".repeat(513), false),
            (&"é".repeat(257), false),
            ("a\n", false),
            ("\u{85}", false),
        ] {
            assert_eq!(text.parse::<RequestId>().is_ok(), good, "{text:?}");
        }
    }
}

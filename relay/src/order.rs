//! In which order a destination gets its deliveries, and in which of its lines an event stands.

use serde::{Deserialize, Serialize};

use crate::inbound::Inbound;
use crate::place::Place;
use crate::secret::fingerprint;

/// What a destination asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Any order.
    #[default]
    None,
    /// One after another as their events came; with a key, those whose events have the same value there.
    Fifo {
        /// A header, or a JSON pointer.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        key: Option<Place>,
    },
}

/// The line of a destination that has only one.
pub const WHOLE: i32 = 0;

impl Order {
    /// The line that an event stands in: [`WHOLE`], or what its key hashes to, so that the same key is always the same
    /// line (and, once in four billion, another key as well, which then waits more than it had to). Events without a key
    /// are one line. None where there is no order.
    #[must_use]
    pub fn line(&self, inbound: &Inbound<'_>) -> Option<i32> {
        match self {
            Self::None => None,
            Self::Fifo { key: None } => Some(WHOLE),
            Self::Fifo { key: Some(place) } => Some(line_of(&place.read(inbound).unwrap_or_default())),
        }
    }
}

fn line_of(key: &str) -> i32 {
    let [a, b, c, d, ..] = fingerprint(key.as_bytes());
    match i32::from_be_bytes([a, b, c, d]) {
        WHOLE => 1,
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn the_same_key_is_the_same_line_and_none_is_the_whole_destinations() {
        let line = |order: &Order, body: &str| {
            let (headers, body) = (HeaderMap::new(), body.as_bytes());
            order.line(&Inbound { method: "POST", headers: &headers, path: "", query: None, body })
        };
        let keyed = Order::Fifo { key: Some("json:/id".parse().unwrap()) };
        assert_eq!(line(&Order::None, r#"{"id": 1}"#), None);
        assert_eq!(line(&Order::Fifo { key: None }, r#"{"id": 1}"#), Some(WHOLE));
        let (one, two) = (line(&keyed, r#"{"id": "1"}"#), line(&keyed, r#"{"id": "2"}"#));
        assert!(one.is_some() && one != two && one != Some(WHOLE));
        assert_eq!(one, line(&keyed, r#"{"other": [], "id": "1"}"#));
        assert_eq!(one, line(&keyed, r#"{"id": 1}"#), "a number is what it is written as");
        let without = line(&keyed, "no JSON");
        assert!(without.is_some() && without == line(&keyed, "{}") && without != one);
    }

    #[test]
    fn it_reads_back_from_its_column() {
        for text in [r#"{"mode":"none"}"#, r#"{"mode":"fifo"}"#, r#"{"mode":"fifo","key":"header:x-id"}"#] {
            let order: Order = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&order).unwrap(), text);
        }
        assert!(serde_json::from_str::<Order>(r#"{"mode":"lifo"}"#).is_err());
    }
}

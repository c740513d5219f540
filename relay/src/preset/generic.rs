//! Any sender that has no preset of its own.

use super::{Authentication, Extracted, Places, Preset};

pub(super) const PRESET: Preset = Preset {
    name: "generic",
    title: "Any sender",
    description: "Takes requests of any shape and keeps them as they are.",
    notes: &[
        "Say in the source's `verification` how its requests are to be verified: `credentials`, or `none` if the secret URL is to be enough.",
        "No type is read from these events, so only the pattern `*` matches them.",
    ],
    authentication: &[Authentication::None, Authentication::Basic],
    default_verification: None,
    source_addresses: &[],
    handshakes: &[],
    extract: Places { event_type: None, derived_type: None, external_id: None, occurred_at: None, request_id: None },
    event_types: &[],
    read: |_| Extracted::default(),
};

#[cfg(test)]
mod tests {
    use super::super::Inbound;
    use super::*;

    #[test]
    fn nothing_is_read_from_an_event() {
        let headers = [("X-Event-Type".to_owned(), b"a".to_vec())];
        let body = br#"{"id": "1", "type": "a", "event": "b", "requestId": "r"}"#;
        let inbound = Inbound { headers: &headers, query: Some("type=a"), body };
        assert_eq!(PRESET.extract(&inbound), Extracted::default());
    }
}

//! Any sender that has no preset of its own.

use super::{Authentication, Dedupe, Places, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "generic",
    title: "Any sender",
    description: "Takes requests of any shape and keeps them as they are.",
    notes: &[
        "Say in the source's `verification` how its requests are to be verified; `none` if the secret URL is to be enough.",
        "Say in the source's `extract` where type, id and time of an event stand; without it only the pattern `*` matches.",
    ],
    authentication: &[
        Authentication::None,
        Authentication::Basic,
        Authentication::Oauth2Client,
        Authentication::ApiKey,
        Authentication::Bearer,
        Authentication::Hmac,
        Authentication::PublicKey,
        Authentication::VerifyToken,
        Authentication::Jwt,
    ],
    schemes: &[],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[],
    extract: Places::NONE,
    dedupe: Dedupe::BY_ID,
    event_types: &[],
    sample: "{}",
    refine: None,
};

#[cfg(test)]
mod tests {
    use super::super::tests::inbound;
    use super::super::{Extract, Extracted};
    use super::*;

    #[test]
    fn nothing_is_read_from_an_event() {
        let body = br#"{"id": "1", "type": "a", "event": "b", "requestId": "r"}"#;
        assert_eq!(Extract::default().read(&PRESET, &inbound(body)), Extracted::default());
    }
}

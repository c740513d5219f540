//! The requests by which a provider tries a URL before it sends events there: answered, never stored, and never an oracle.
//!
//! Only the exact shape that a provider documents is one. What comes back is a text that the provider chose, so it is held
//! to an alphabet in which nothing can be written that a browser would run; and where we sign it, to one in which no body
//! or signed message can be written: whoever guesses the URL must not get signatures from us.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use serde_json::Value;
use sha2::Sha256;

use crate::id::CredentialId;
use crate::inbound::Inbound;
use crate::verification::{Failure, Key, Keys};

mod signed;
mod unsigned;

/// How a provider tries a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// `{"type": "url_verification", "challenge": "…"}`, signed.
    Slack,
    /// `GET ?hub.mode=subscribe&hub.verify_token=…&hub.challenge=…`.
    Meta,
    /// `{"event": "endpoint.url_validation", …}`, signed.
    Zoom,
    /// `GET ?crc_token=…`.
    X,
    /// `Twitch-Eventsub-Message-Type: webhook_callback_verification`, signed.
    Twitch,
    /// A signed ping.
    Discord,
    /// `POST ?validationToken=…`.
    MsGraph,
    /// `aeg-event-type: SubscriptionValidation`.
    EventGrid,
    /// `OPTIONS` with `WebHook-Request-Origin`.
    CloudEvents,
    /// `GET` with `X-Okta-Verification-Challenge`.
    Okta,
}

/// What the provider hears. `X-Content-Type-Options: nosniff` has to go with it.
#[derive(Debug, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub content_type: Option<&'static str>,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// The answer to a handshake, or why it gets none: a request that is one is never stored.
pub type Answer = Result<Reply, Failure>;

impl Handshake {
    /// As the API names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Meta => "meta",
            Self::Zoom => "zoom",
            Self::X => "x",
            Self::Twitch => "twitch",
            Self::Discord => "discord",
            Self::MsGraph => "ms_graph",
            Self::EventGrid => "event_grid",
            Self::CloudEvents => "cloud_events",
            Self::Okta => "okta",
        }
    }

    /// The answer to a request that the provider does not sign: looked for before anything is verified. Nothing if the
    /// request is no handshake of this kind.
    #[must_use]
    pub fn unsigned(self, inbound: &Inbound<'_>, keys: &Keys) -> Option<Answer> {
        match self {
            Self::Meta => unsigned::meta(inbound, keys),
            Self::X => unsigned::x(inbound, keys),
            Self::MsGraph => unsigned::ms_graph(inbound),
            Self::CloudEvents => unsigned::cloud_events(inbound),
            Self::Slack | Self::Zoom | Self::Twitch | Self::Discord | Self::EventGrid | Self::Okta => None,
        }
    }

    /// The answer to a request that the source's verification let in, `by` this credential if by any: looked for before
    /// anything is stored. Nothing if the request is no handshake of this kind.
    #[must_use]
    pub fn signed(self, inbound: &Inbound<'_>, keys: &Keys, by: Option<CredentialId>) -> Option<Answer> {
        match self {
            Self::Slack => signed::slack(inbound),
            Self::Zoom => signed::zoom(inbound, keys, by),
            Self::Twitch => signed::twitch(inbound),
            Self::Discord => signed::discord(inbound).map(Ok),
            Self::EventGrid => signed::event_grid(inbound),
            Self::Okta => signed::okta(inbound),
            Self::Meta | Self::X | Self::MsGraph | Self::CloudEvents => None,
        }
    }
}

impl Reply {
    fn text(body: String) -> Self {
        Self { status: 200, content_type: Some("text/plain"), headers: Vec::new(), body }
    }

    fn json(body: &Value) -> Self {
        Self { status: 200, content_type: Some("application/json"), headers: Vec::new(), body: body.to_string() }
    }
}

/// What all providers but one write their challenges in.
fn challenge(text: Option<String>) -> Result<String, Failure> {
    within(text, 256, |byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn within(text: Option<String>, longest: usize, is_fit: fn(u8) -> bool) -> Result<String, Failure> {
    let text = text.ok_or(Failure::Missing)?;
    let all_fit = (1..=longest).contains(&text.len()) && text.bytes().all(is_fit);
    if all_fit { Ok(text) } else { Err(Failure::Malformed) }
}

/// The one value of a header, as text.
fn header(inbound: &Inbound<'_>, name: &str) -> Option<String> {
    String::from_utf8(inbound.header(name)?.to_vec()).ok()
}

fn mac(key: &Key, text: &str) -> [u8; 32] {
    let secret = key.value.expose_secret().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use proptest::collection::vec;
    use proptest::sample::select;

    use super::*;
    use crate::property::{nearly, of_each};

    const ALL: [Handshake; 10] = [
        Handshake::Slack,
        Handshake::Meta,
        Handshake::Zoom,
        Handshake::X,
        Handshake::Twitch,
        Handshake::Discord,
        Handshake::MsGraph,
        Handshake::EventGrid,
        Handshake::CloudEvents,
        Handshake::Okta,
    ];

    /// A request in a test.
    pub(super) struct Try {
        pub(super) method: &'static str,
        pub(super) headers: HeaderMap,
        pub(super) query: Option<String>,
        pub(super) body: String,
    }

    impl Try {
        pub(super) fn new(method: &'static str) -> Self {
            Self { method, headers: HeaderMap::new(), query: None, body: String::new() }
        }

        pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
            self.headers.append(name, value.parse().unwrap());
            self
        }

        pub(super) fn query(self, items: &[(&str, &str)]) -> Self {
            let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(items).finish();
            Self { query: Some(query), ..self }
        }

        pub(super) fn body(self, body: impl Into<String>) -> Self {
            Self { body: body.into(), ..self }
        }

        pub(super) fn inbound(&self) -> Inbound<'_> {
            let query = self.query.as_deref();
            Inbound { method: self.method, headers: &self.headers, path: "", query, body: self.body.as_bytes() }
        }
    }

    pub(super) fn keys(values: &[&str]) -> Vec<Key> {
        values.iter().map(|value| Key { id: CredentialId::at(1), value: (*value).into() }).collect()
    }

    /// What must never come back, nor be signed, whoever asks.
    pub(super) fn hostile() -> Vec<String> {
        let known =
            ["", "<script>alert(1)</script>", "{\"a\":1}", "a\r\nb", "a\0b", "é", "v0~1614265330~{}", "a\"b", "a&b"];
        known.map(str::to_owned).into_iter().chain(["x".repeat(1025)]).collect()
    }

    #[test]
    fn an_event_is_no_handshake() {
        let keys = Keys { hmac: keys(&["s"]), tokens: keys(&["t"]), ..Keys::default() };
        for event in [
            Try::new("POST").body(r#"{"type": "event_callback", "event": "meeting.ended", "challenge": "x"}"#),
            Try::new("POST").body("[]").header("aeg-event-type", "Notification"),
            Try::new("POST").body("payload=%7B%7D").query(&[("a", "b")]),
            Try::new("GET"),
            Try::new("OPTIONS"),
            Try::new("POST"),
        ] {
            for handshake in ALL {
                let inbound = event.inbound();
                assert!(handshake.unsigned(&inbound, &keys).is_none(), "{handshake:?} {inbound:?}");
                assert!(handshake.signed(&inbound, &keys, None).is_none(), "{handshake:?} {inbound:?}");
            }
        }
    }

    /// Whatever is nearly one is answered with nothing that a browser would run, and with headers that can be sent.
    #[test]
    fn what_is_nearly_a_handshake_is_no_oracle() {
        let query = nearly(
            "hub.mode=subscribe&hub.verify_token=t&hub.challenge=[a-z0-9]{1,9}|crc_token=[a-z]{1,9}|validationToken=[a-z]{1,9}",
        );
        let body = nearly(
            "\\{\"type\":\"url_verification\",\"challenge\":\"[a-z]{1,9}\"\\}|\\{\"challenge\":\"[a-z]{1,9}\"\\}|\\{\"type\":[01]\\}|\
            \\{\"event\":\"endpoint.url_validation\",\"payload\":\\{\"plainToken\":\"[a-z]{1,9}\"\\}\\}|\
            \\[\\{\"data\":\\{\"validationCode\":\"[a-z]{1,9}\"\\}\\}\\]",
        );
        let names = vec![
            "twitch-eventsub-message-type",
            "aeg-event-type",
            "webhook-request-origin",
            "webhook-request-rate",
            "x-okta-verification-challenge",
        ];
        let value = nearly("webhook_callback_verification|SubscriptionValidation|a.example|120");
        let method = select(vec!["GET", "POST", "OPTIONS"]);
        let answered = std::cell::Cell::new(0);
        of_each((method, query, vec((select(names), value), 0..4), body), |(method, query, headers, body)| {
            let keys = Keys { hmac: keys(&["s"]), tokens: keys(&["t"]), ..Keys::default() };
            let mut asked = Try { query: Some(query), ..Try::new(method) }.body(body);
            for (name, value) in &headers {
                if let Ok(value) = HeaderValue::from_str(value) {
                    asked.headers.append(*name, value);
                }
            }
            let inbound = asked.inbound();
            for handshake in ALL {
                let answers = [handshake.unsigned(&inbound, &keys), handshake.signed(&inbound, &keys, None)];
                for reply in answers.into_iter().flatten().flatten() {
                    answered.set(answered.get() + 1);
                    assert!((200..300).contains(&reply.status), "{handshake:?} {reply:?}");
                    let is_harmless = |byte: u8| (b' '..0x7f).contains(&byte) && !b"<>&".contains(&byte);
                    assert!(reply.body.bytes().all(is_harmless), "{handshake:?} {reply:?}");
                    assert!(reply.headers.iter().all(|(_, value)| HeaderValue::from_str(value).is_ok()), "{reply:?}");
                }
            }
        });
        assert!(answered.get() > 20, "only {} were answered", answered.get());
    }

    #[test]
    fn a_challenge_is_short_and_of_few_letters() {
        for (text, fit) in
            [("a", true), ("A-z_09", true), (&"x".repeat(256), true), (&"x".repeat(257), false), ("a b", false)]
        {
            assert_eq!(challenge(Some(text.to_owned())).is_ok(), fit, "{text}");
        }
        for text in hostile() {
            assert_eq!(challenge(Some(text.clone())), Err(Failure::Malformed), "{text}");
        }
    }
}

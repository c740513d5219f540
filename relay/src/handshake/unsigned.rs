//! Handshakes that anybody could send who knows the URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Answer, Reply, challenge, header, mac, within};
use crate::inbound::Inbound;
use crate::secret;
use crate::verification::{Failure, Keys};

/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started/>
pub(super) fn meta(inbound: &Inbound<'_>, keys: &Keys) -> Option<Answer> {
    let is_one = inbound.method == "GET" && inbound.query_item("hub.mode").as_deref() == Some("subscribe");
    is_one.then(|| {
        let token = inbound.query_item("hub.verify_token").ok_or(Failure::Missing)?;
        check_token(&token, keys)?;
        challenge(inbound.query_item("hub.challenge")).map(Reply::text)
    })
}

fn check_token(token: &str, keys: &Keys) -> Result<(), Failure> {
    if keys.tokens.is_empty() {
        return Err(Failure::NoCredential);
    }
    let is_equal =
        |key: &crate::verification::Key| secret::equal(key.value.expose_secret().as_bytes(), token.as_bytes());
    // All are compared, so that the time does not tell which it was.
    let any = keys.tokens.iter().fold(false, |any, key| any | is_equal(key));
    if any && !token.is_empty() { Ok(()) } else { Err(Failure::Mismatch) }
}

/// X signs bodies with the same key and nothing around them, so nothing is signed here that could be a body: the alphabet
/// leaves out all of JSON but bare words and numbers, and those are refused as well. X's own tokens are a UUID in base64.
/// <https://docs.x.com/x-api/webhooks/introduction>
pub(super) fn x(inbound: &Inbound<'_>, keys: &Keys) -> Option<Answer> {
    let token = inbound.query_item("crc_token").filter(|_| inbound.method == "GET")?;
    let answer = || {
        let token = challenge(Some(token))?;
        if serde_json::from_str::<IgnoredAny>(&token).is_ok() {
            return Err(Failure::Malformed);
        }
        let key = keys.hmac.first().ok_or(Failure::NoCredential)?;
        let signature = STANDARD.encode(mac(key, &token));
        Ok(Reply::json(&json!({"response_token": format!("sha256={signature}")})))
    };
    Some(answer())
}

/// The token is opaque by Microsoft's word, and in fact a sentence: `Validation: Testing client application reachability
/// for subscription Request-Id: …`; hence the space, the colon and the stop.
/// <https://learn.microsoft.com/graph/change-notifications-delivery-webhooks>
pub(super) fn ms_graph(inbound: &Inbound<'_>) -> Option<Answer> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b" :.-_".contains(&byte);
    let token = inbound.query_item("validationToken").filter(|_| matches!(inbound.method, "POST" | "GET"))?;
    Some(within(Some(token), 1024, is_fit).map(Reply::text))
}

/// The protection of `CloudEvents` against abuse. The sender's `WebHook-Request-Callback` is never called.
/// <https://github.com/cloudevents/spec/blob/main/cloudevents/http-webhook.md>
pub(super) fn cloud_events(inbound: &Inbound<'_>) -> Option<Answer> {
    let is_one = inbound.method == "OPTIONS" && inbound.headers.contains_key("webhook-request-origin");
    is_one.then(|| {
        // The origin is a DNS name.
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        let origin = within(header(inbound, "webhook-request-origin"), 253, is_fit)?;
        let mut headers = vec![("allow", "POST".to_owned()), ("webhook-allowed-origin", origin)];
        if inbound.headers.contains_key("webhook-request-rate") {
            let rate =
                header(inbound, "webhook-request-rate").filter(|rate| is_rate(rate)).ok_or(Failure::Malformed)?;
            headers.push(("webhook-allowed-rate", rate));
        }
        Ok(Reply { status: 200, content_type: None, headers, body: String::new() })
    })
}

/// Requests a minute, or as many as there are.
fn is_rate(text: &str) -> bool {
    let is_number = text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "*" || (is_number && text.bytes().any(|byte| byte != b'0'))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Try, hostile, keys};
    use super::super::{Handshake, Reply};
    use super::*;

    fn answer(handshake: Handshake, request: &Try, keys: &Keys) -> Option<Answer> {
        assert!(handshake.signed(&request.inbound(), keys, None).is_none());
        handshake.unsigned(&request.inbound(), keys)
    }

    fn text(body: &str) -> Option<Answer> {
        Some(Ok(Reply::text(body.to_owned())))
    }

    #[test]
    fn meta_hears_its_challenge_if_it_knows_a_token() {
        let live = Keys { tokens: keys(&["old", "new"]), ..Keys::default() };
        let ask = |mode: &str, token: &str, challenge: &str| {
            let query = [("hub.mode", mode), ("hub.verify_token", token), ("hub.challenge", challenge)];
            answer(Handshake::Meta, &Try::new("GET").query(&query), &live)
        };
        for (mode, token, challenge, expected) in [
            ("subscribe", "old", "1158201444", text("1158201444")),
            ("subscribe", "new", "a-B_9", text("a-B_9")),
            ("subscribe", "other", "1", Some(Err(Failure::Mismatch))),
            ("subscribe", "", "1", Some(Err(Failure::Mismatch))),
            ("subscribe", "new ", "1", Some(Err(Failure::Mismatch))),
            ("unsubscribe", "new", "1", None),
            ("Subscribe", "new", "1", None),
        ] {
            assert_eq!(ask(mode, token, challenge), expected, "{mode} {token} {challenge}");
        }
        let empty = Keys { tokens: keys(&["", "new"]), ..Keys::default() };
        let query = [("hub.mode", "subscribe"), ("hub.verify_token", ""), ("hub.challenge", "1")];
        let nothing = answer(Handshake::Meta, &Try::new("GET").query(&query), &empty);
        assert_eq!(nothing, Some(Err(Failure::Mismatch)));
        for challenge in hostile() {
            assert_eq!(ask("subscribe", "new", &challenge), Some(Err(Failure::Malformed)), "{challenge}");
        }
    }

    #[test]
    fn meta_hears_nothing_without_a_token_a_challenge_or_a_get() {
        let live = Keys { tokens: keys(&["new"]), ..Keys::default() };
        let whole = [("hub.mode", "subscribe"), ("hub.verify_token", "new"), ("hub.challenge", "1")];
        for (request, keys, expected) in [
            (Try::new("GET").query(&whole), &Keys::default(), Some(Err(Failure::NoCredential))),
            (Try::new("GET").query(&whole[..1]), &live, Some(Err(Failure::Missing))),
            (Try::new("GET").query(&whole[..2]), &live, Some(Err(Failure::Missing))),
            (Try::new("GET").query(&whole[1..]), &live, None),
            (Try::new("POST").query(&whole), &live, None),
            (Try::new("GET"), &live, None),
        ] {
            assert_eq!(answer(Handshake::Meta, &request, keys), expected, "{:?}", request.inbound());
        }
    }

    #[test]
    fn x_hears_its_token_signed() {
        let consumer = Keys { hmac: keys(&["consumer", "older"]), ..Keys::default() };
        let ask = |method, token: &str, keys: &Keys| {
            let request = Try::new(method).query(&[("crc_token", token), ("nonce", "MTc2OTUx")]);
            answer(Handshake::X, &request, keys)
        };
        let signed = r#"{"response_token":"sha256=A4uj7q9CTfeSdDqFdmP1UA5KYUJASOH5hYnhucmzi7M="}"#;
        let reply = ask("GET", "9b4507b3", &consumer).unwrap().unwrap();
        assert_eq!((reply.status, reply.content_type, reply.body.as_str()), (200, Some("application/json"), signed));

        let uuid = "M2RkODJkZmMtYjlkYi00NmQ4LTk0MGUtM2JjYzkwM2Q4MjQ0";
        assert!(ask("GET", uuid, &consumer).unwrap().is_ok());
        assert_eq!(ask("GET", uuid, &Keys::default()), Some(Err(Failure::NoCredential)));
        assert_eq!(ask("POST", uuid, &consumer), None);
    }

    #[test]
    fn x_gets_nothing_signed_that_could_be_a_body() {
        let consumer = Keys { hmac: keys(&["consumer"]), ..Keys::default() };
        let json =
            ["true", "null", "0", "12345", "-1", "1e5", "[]", "\"a\"", "{\"for_user_id\":\"1\"}"].map(str::to_owned);
        let form = ["crc_token=a&nonce=b".to_owned()];
        for token in hostile().into_iter().chain(json).chain(form) {
            let request = Try::new("GET").query(&[("crc_token", &token)]);
            assert_eq!(answer(Handshake::X, &request, &consumer), Some(Err(Failure::Malformed)), "{token}");
        }
    }

    #[test]
    fn graph_hears_its_sentence_decoded() {
        let sentence = "Validation: Testing client application reachability for subscription Request-Id: \
                        522a8e7e-096a-494c-aaf1-ac0dcfca45b7";
        let encoded = "Validation%3a+Testing+client+application+reachability+for+subscription+Request-Id%3a+\
                       522a8e7e-096a-494c-aaf1-ac0dcfca45b7";
        for method in ["POST", "GET"] {
            let request = Try { query: Some(format!("validationToken={encoded}")), ..Try::new(method) };
            assert_eq!(answer(Handshake::MsGraph, &request, &Keys::default()), text(sentence), "{method}");
        }
        let request = Try::new("PUT").query(&[("validationToken", sentence)]);
        assert_eq!(answer(Handshake::MsGraph, &request, &Keys::default()), None);
        for token in hostile() {
            let request = Try::new("POST").query(&[("validationToken", &token)]);
            let answer = answer(Handshake::MsGraph, &request, &Keys::default());
            assert_eq!(answer, Some(Err(Failure::Malformed)), "{token}");
        }
    }

    #[test]
    fn cloud_events_are_allowed_from_whom_they_come() {
        let from = |origin| Try::new("OPTIONS").header("webhook-request-origin", origin);
        let rated = |rate| from("eventgrid.azure.net").header("webhook-request-rate", rate);
        let allowed = |rate: Option<&str>| {
            let known = [("allow", "POST"), ("webhook-allowed-origin", "eventgrid.azure.net")];
            let headers = known.into_iter().chain(rate.map(|rate| ("webhook-allowed-rate", rate)));
            let headers = headers.map(|(name, value)| (name, value.to_owned())).collect();
            Some(Ok(Reply { status: 200, content_type: None, headers, body: String::new() }))
        };
        let refused = || Some(Err(Failure::Malformed));
        let asked_by_post = Try { method: "POST", ..from("eventgrid.azure.net") };
        for (request, expected) in [
            (from("eventgrid.azure.net"), allowed(None)),
            (rated("120"), allowed(Some("120"))),
            (rated("*"), allowed(Some("*"))),
            (rated("0"), refused()),
            (rated("-1"), refused()),
            (rated(""), refused()),
            (rated("1000000000"), refused()),
            (from("https://a.example"), refused()),
            (from("*"), refused()),
            (from(""), refused()),
            (from(&"a".repeat(254)), refused()),
            (from("a").header("webhook-request-origin", "b"), Some(Err(Failure::Missing))),
            (Try::new("OPTIONS"), None),
            (asked_by_post, None),
        ] {
            let answer = answer(Handshake::CloudEvents, &request, &Keys::default());
            assert_eq!(answer, expected, "{:?}", request.headers);
        }
    }
}

//! Handshakes that the provider proves to be its own, as it does its events.

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::{Answer, Reply, challenge, header, mac};
use crate::id::CredentialId;
use crate::inbound::Inbound;
use crate::json::{read, unmarked};
use crate::verification::{Failure, Keys};

/// <https://docs.slack.dev/reference/events/url_verification/>
pub(super) fn slack(inbound: &Inbound<'_>) -> Option<Answer> {
    let [kind, asked] = texts(inbound, ["/type", "/challenge"])?;
    (kind.as_deref() == Some("url_verification")).then(|| challenge(asked).map(Reply::text))
}

/// What Zoom signs begins with `v0:`; the alphabet has no colon. Repeated every 72 hours.
/// <https://developers.zoom.us/docs/api/webhooks/#validate-your-webhook-endpoint>
pub(super) fn zoom(inbound: &Inbound<'_>, keys: &Keys, by: Option<CredentialId>) -> Option<Answer> {
    let [event, token] = texts(inbound, ["/event", "/payload/plainToken"])?;
    (event.as_deref() == Some("endpoint.url_validation")).then(|| {
        let token = challenge(token)?;
        let signer = keys.hmac.iter().find(|key| Some(key.id) == by).or(keys.hmac.first());
        let encrypted = HEXLOWER.encode(&mac(signer.ok_or(Failure::NoCredential)?, &token));
        Ok(Reply::json(&json!({"plainToken": token, "encryptedToken": encrypted})))
    })
}

/// A `revocation` is an event like any other.
/// <https://dev.twitch.tv/docs/eventsub/handling-webhook-events/#responding-to-a-challenge-request>
pub(super) fn twitch(inbound: &Inbound<'_>) -> Option<Answer> {
    let kind = inbound.header("twitch-eventsub-message-type")?;
    if kind != b"webhook_callback_verification" {
        return None;
    }
    let [asked] = texts(inbound, ["/challenge"])?;
    Some(challenge(asked).map(Reply::text))
}

/// A ping of Discord's: of interactions type 1, of webhook events type 0. An event of the latter is of type 1 too, and
/// told by having an `event`.
#[derive(Deserialize)]
struct Ping {
    r#type: u64,
    #[serde(default)]
    event: Option<IgnoredAny>,
}

/// <https://docs.discord.com/developers/events/webhook-events>
pub(super) fn discord(inbound: &Inbound<'_>) -> Option<Reply> {
    let body = unmarked(inbound.body);
    // Serde would take a list for an object as well.
    let may_be_one = inbound.method == "POST" && body.trim_ascii_start().starts_with(b"{");
    match serde_json::from_slice(body).ok().filter(|_| may_be_one)? {
        Ping { r#type: 1, event: None } => Some(Reply::json(&json!({"type": 1}))),
        // Discord refuses an answer without a content type, although this one has no content.
        Ping { r#type: 0, event: None } => Some(Reply {
            status: 204,
            content_type: Some("application/json"),
            headers: Vec::new(),
            body: String::new(),
        }),
        Ping { .. } => None,
    }
}

/// A validation comes alone; some services put it into a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Validation {
    Listed([Code; 1]),
    Bare(Code),
}

#[derive(Deserialize)]
struct Code {
    data: CodeData,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodeData {
    validation_code: String,
}

/// <https://learn.microsoft.com/azure/event-grid/end-point-validation-event-grid-events-schema>
pub(super) fn event_grid(inbound: &Inbound<'_>) -> Option<Answer> {
    let is_one = inbound.method == "POST" && inbound.header("aeg-event-type") == Some(b"SubscriptionValidation");
    is_one.then(|| {
        let read: Validation = serde_json::from_slice(unmarked(inbound.body)).map_err(|_| Failure::Malformed)?;
        let (Validation::Listed([validation]) | Validation::Bare(validation)) = read;
        let code = challenge(Some(validation.data.validation_code))?;
        Ok(Reply::json(&json!({"validationResponse": code})))
    })
}

/// Okta sends the source's secret along with it, as with every event.
/// <https://developer.okta.com/docs/concepts/event-hooks/#one-time-verification-request>
pub(super) fn okta(inbound: &Inbound<'_>) -> Option<Answer> {
    const NAME: &str = "x-okta-verification-challenge";
    let is_one = inbound.method == "GET" && inbound.headers.contains_key(NAME);
    is_one.then(|| Ok(Reply::json(&json!({"verification": challenge(header(inbound, NAME))?}))))
}

/// What stands at these pointers of a body that was posted.
fn texts<const N: usize>(inbound: &Inbound<'_>, pointers: [&str; N]) -> Option<[Option<String>; N]> {
    if inbound.method != "POST" {
        return None;
    }
    read(inbound.body, &pointers).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Try, hostile, keys};
    use super::super::{Handshake, Reply};
    use super::*;

    fn answer(handshake: Handshake, request: &Try, keys: &Keys) -> Option<Answer> {
        assert!(handshake.unsigned(&request.inbound(), keys).is_none());
        handshake.signed(&request.inbound(), keys, None)
    }

    fn post(handshake: Handshake, body: &str) -> Option<Answer> {
        answer(handshake, &Try::new("POST").body(body), &Keys::default())
    }

    fn text(body: &str) -> Option<Answer> {
        Some(Ok(Reply::text(body.to_owned())))
    }

    fn json(body: &str) -> Option<Answer> {
        Some(Ok(Reply { body: body.to_owned(), ..Reply::json(&json!(null)) }))
    }

    #[test]
    fn slack_hears_its_challenge() {
        let documented = r#"{"token": "Jhj5dZrVaK7ZwHHjRyZWjbDl", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "type": "url_verification"}"#;
        for (body, expected) in [
            (documented, text("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P")),
            (r#"{"type": "url_verification"}"#, Some(Err(Failure::Missing))),
            (r#"{"type": "url_verification", "challenge": ["x"]}"#, Some(Err(Failure::Missing))),
            (r#"{"type": "url_verification ", "challenge": "x"}"#, None),
            (r#"{"type": "event_callback", "event": {"type": "url_verification"}, "challenge": "x"}"#, None),
            (r#"{"challenge": "x"}"#, None),
            ("type=url_verification&challenge=x", None),
        ] {
            assert_eq!(post(Handshake::Slack, body), expected, "{body}");
        }
        for challenge in hostile() {
            let body = json!({"type": "url_verification", "challenge": challenge}).to_string();
            assert_eq!(post(Handshake::Slack, &body), Some(Err(Failure::Malformed)), "{body}");
        }
        let request = Try::new("GET").body(documented);
        assert_eq!(answer(Handshake::Slack, &request, &Keys::default()), None);
    }

    /// The token is that of Zoom's documentation, which does not say the secret of its answer.
    #[test]
    fn zoom_hears_its_token_under_the_secret_that_it_signed_with() {
        let body = r#"{"payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}, "event_ts": 1654503849680, "event": "endpoint.url_validation"}"#;
        let (new, old) = (
            "b17f0320a1322a509340a1a835b3d9edbc491f0b0790ed2d20d0604d39dfe922",
            "17ea4a7258f66dad5075422c5f32cb13a7f8bc398e97e2ec4804b2ad388483ca",
        );
        let mut live = Keys { hmac: keys(&["zoom-secret", "old-secret"]), ..Keys::default() };
        live.hmac[1].id = CredentialId::at(2);
        let stranger = CredentialId::at(3);
        for (by, encrypted) in
            [(None, new), (Some(live.hmac[0].id), new), (Some(live.hmac[1].id), old), (Some(stranger), new)]
        {
            let request = Try::new("POST").body(body);
            let expected = format!(r#"{{"encryptedToken":"{encrypted}","plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#);
            assert_eq!(Handshake::Zoom.signed(&request.inbound(), &live, by), json(&expected), "{by:?}");
        }
        assert_eq!(post(Handshake::Zoom, body), Some(Err(Failure::NoCredential)));
    }

    #[test]
    fn zoom_gets_nothing_signed_that_could_be_a_message() {
        let live = Keys { hmac: keys(&["zoom-secret"]), ..Keys::default() };
        let ask = |event: &str, token: &str| {
            let body = json!({"event": event, "payload": {"plainToken": token}}).to_string();
            answer(Handshake::Zoom, &Try::new("POST").body(body), &live)
        };
        for token in hostile().iter().map(String::as_str).chain(["v0:1654503849:{}", "v0:1654503849:"]) {
            assert_eq!(ask("endpoint.url_validation", token), Some(Err(Failure::Malformed)), "{token}");
        }
        assert_eq!(ask("endpoint.url_validation.", "a"), None);
        assert_eq!(ask("meeting.ended", "a"), None);
    }

    #[test]
    fn twitch_hears_its_challenge_and_nothing_to_a_revocation() {
        let ask = |kind, body: &str| {
            let request = Try::new("POST").header("twitch-eventsub-message-type", kind).body(body);
            answer(Handshake::Twitch, &request, &Keys::default())
        };
        let body = r#"{"challenge": "pogchamp-kappa-360noscope-vohiyo", "subscription": {}}"#;
        for (kind, body, expected) in [
            ("webhook_callback_verification", body, text("pogchamp-kappa-360noscope-vohiyo")),
            ("webhook_callback_verification", "{}", Some(Err(Failure::Missing))),
            ("webhook_callback_verification", r#"{"challenge": "<b>"}"#, Some(Err(Failure::Malformed))),
            ("revocation", body, None),
            ("notification", body, None),
            ("Webhook_callback_verification", body, None),
        ] {
            assert_eq!(ask(kind, body), expected, "{kind} {body}");
        }
        assert_eq!(post(Handshake::Twitch, body), None);
    }

    #[test]
    fn discord_hears_an_answer_to_its_pings_only() {
        let acknowledged =
            Reply { status: 204, content_type: Some("application/json"), headers: Vec::new(), body: String::new() };
        for (body, expected) in [
            (r#"{"type":1}"#, json(r#"{"type":1}"#)),
            (r#"{"id": "1", "token": "t", "type": 1, "version": 1, "user": {}}"#, json(r#"{"type":1}"#)),
            (r#"{"version": 1, "application_id": "1", "type": 0}"#, Some(Ok(acknowledged))),
            (r#"{"version": 1, "type": 1, "event": {"type": "ENTITLEMENT_CREATE"}}"#, None),
            (r#"{"version": 1, "type": 0, "event": {}}"#, None),
            (r#"{"type": 2}"#, None),
            (r#"{"type": "1"}"#, None),
            (r#"{"type": 1.0}"#, None),
            (r#"{"type": 1, "type": 1}"#, None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(post(Handshake::Discord, body), expected, "{body}");
        }
    }

    #[test]
    fn event_grid_hears_its_code() {
        let ask = |body: &str| {
            let request = Try::new("POST").header("aeg-event-type", "SubscriptionValidation").body(body);
            answer(Handshake::EventGrid, &request, &Keys::default())
        };
        let event = r#"{"id": "1", "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6-c7b8-40c8-89fe-f46f9e9622b6", "validationUrl": "https://rp-eastus2.eventgrid.azure.net/"}}"#;
        let told = json(r#"{"validationResponse":"512d38b6-c7b8-40c8-89fe-f46f9e9622b6"}"#);
        let refused = Some(Err(Failure::Malformed));
        for (body, expected) in [
            (event.to_owned(), &told),
            (format!("[{event}]"), &told),
            (format!("[{event}, {event}]"), &refused),
            ("[]".to_owned(), &refused),
            (r#"{"data": {"validationCode": 5}}"#.to_owned(), &refused),
            (r#"{"data": {"validationCode": "<b>"}}"#.to_owned(), &refused),
            (r#"{"data": {}}"#.to_owned(), &refused),
            (String::new(), &refused),
        ] {
            assert_eq!(&ask(&body), expected, "{body}");
        }
        assert_eq!(post(Handshake::EventGrid, event), None);
        let request = Try::new("POST").header("aeg-event-type", "Notification").body(event);
        assert_eq!(answer(Handshake::EventGrid, &request, &Keys::default()), None);
    }

    #[test]
    fn okta_hears_its_challenge() {
        let ask = |method, value| {
            let request = Try::new(method).header("x-okta-verification-challenge", value);
            answer(Handshake::Okta, &request, &Keys::default())
        };
        let documented = "Me_rShK8JHsTnbyYrWXCEoMGbM_zsZ6k0hLPZ_Pg";
        assert_eq!(ask("GET", documented), json(&format!(r#"{{"verification":"{documented}"}}"#)));
        for (value, failure) in [("", Failure::Malformed), ("<b>", Failure::Malformed), ("a b", Failure::Malformed)] {
            assert_eq!(ask("GET", value), Some(Err(failure)), "{value}");
        }
        assert_eq!(ask("POST", documented), None);
        let twice =
            Try::new("GET").header("x-okta-verification-challenge", "a").header("x-okta-verification-challenge", "b");
        assert_eq!(answer(Handshake::Okta, &twice, &Keys::default()), Some(Err(Failure::Missing)));
    }
}

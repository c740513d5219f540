//! The signed request that a destination sees.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entity::destination::Auth;
use entity::work::Work;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use relay::id::{EventId, SubscriptionId};
use relay::signature::{self, SigningSecret};
use secrecy::ExposeSecret;

mod passed_on;

use passed_on::Stored;

/// What a request says besides the event's own words.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) event: EventId,
    pub(crate) subscription: Option<SubscriptionId>,
    /// Counts from 1.
    pub(crate) attempt: u32,
    /// Milliseconds since 1970; the signature says the second.
    pub(crate) now: i64,
    /// Eight random bytes: this attempt's place in its trace.
    pub(crate) span: [u8; 8],
    /// Which of the provider's headers go along.
    pub(crate) passed_on: Vec<String>,
}

/// The headers of one attempt. The id is the event's on every try; time and signature are fresh each time.
#[must_use]
pub(crate) fn headers(work: &Work, facts: &Facts, auth: &Auth, secrets: &[SigningSecret]) -> HeaderMap {
    let stored = Stored::read(&work.headers);
    let mut headers = stored.passed_on(&facts.passed_on);
    let id = facts.event.to_string();
    let timestamp = facts.now.div_euclid(1000);
    let mut set = |name: &'static str, value: String| {
        // Every value is our own ASCII, or was a header or an extracted string without control characters.
        if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    if !secrets.is_empty() {
        set("webhook-signature", signature::sign(secrets, &id, timestamp, &work.body));
    }
    set("webhook-timestamp", timestamp.to_string());
    set("hookyard-attempt", facts.attempt.to_string());
    set("hookyard-hops", (work.hops + 1).to_string());
    set("traceparent", traceparent(&stored, &id_of(facts.event), facts.span));
    set("webhook-id", id);
    let named = [
        ("hookyard-event-type", work.event_type.clone()),
        ("hookyard-request-id", work.request_id.clone()),
        ("hookyard-source", work.source_id.map(|id| id.to_string())),
        ("hookyard-subscription", facts.subscription.map(|id| id.to_string())),
        ("hookyard-test", work.test.then(|| "true".to_owned())),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            set(name, value);
        }
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Hookyard/", env!("CARGO_PKG_VERSION"))));
    authenticate(&mut headers, auth);
    headers
}

fn authenticate(headers: &mut HeaderMap, auth: &Auth) {
    if let Auth::Basic { username, password } = auth {
        let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
        let mut value = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is ASCII");
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}

/// The provider's trace goes on; where there is none, the event's id is one.
fn traceparent(stored: &Stored, event: &str, span: [u8; 8]) -> String {
    let provider = stored.one("traceparent").and_then(|value| String::from_utf8(value).ok());
    let trace = provider.as_deref().and_then(trace_id).unwrap_or(event);
    format!("00-{trace}-{:016x}-01", u64::from_be_bytes(span).max(1))
}

/// The trace id of a well-formed `traceparent` of version 00.
fn trace_id(value: &str) -> Option<&str> {
    let mut parts = value.split('-');
    let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_whole =
        version == "00" && parts.next().is_none() && is_hex(trace, 32) && is_hex(span, 16) && is_hex(flags, 2);
    (is_whole && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

fn id_of(event: EventId) -> String {
    format!("{:032x}", event.uuid().as_u128())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work {
        Work {
            source_id: None,
            event_type: Some("Form.Created".into()),
            request_id: None,
            test: false,
            hops: 0,
            headers: r#"[["content-type","application/json"],["X-Other","1"],["content-encoding","gzip"]]"#.into(),
            body: bytes::Bytes::from_static(b"\xff\x00"),
        }
    }

    fn facts(now: i64) -> Facts {
        Facts { event: EventId::at(1), subscription: None, attempt: 2, now, span: [1; 8], passed_on: Vec::new() }
    }

    #[test]
    fn the_signature_verifies_and_the_id_stays_while_the_time_moves() {
        let (secret, facts) = (SigningSecret::generate(), facts(1_700_000_000_999));
        let headers = headers(&work(), &facts, &Auth::None, std::slice::from_ref(&secret));
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(text("webhook-timestamp"), "1700000000");
        assert!(signature::verify(
            &secret,
            &text("webhook-id"),
            "1700000000",
            &work().body,
            &text("webhook-signature")
        ));
        assert_eq!(text("hookyard-attempt"), "2");
    }

    #[test]
    fn only_what_describes_the_body_is_forwarded() {
        let headers = headers(&work(), &facts(0), &Auth::None, &[]);
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["content-encoding"], "gzip");
        assert!(!headers.contains_key("x-other"));
        assert!(!headers.contains_key("authorization"));
    }

    #[test]
    fn no_header_of_the_provider_takes_the_place_of_ours() {
        let stored = [
            ("webhook-id", "theirs"),
            ("webhook-timestamp", "theirs"),
            ("webhook-signature", "theirs"),
            ("hookyard-attempt", "theirs"),
            ("x-other", "theirs"),
        ];
        let work = Work { headers: serde_json::to_string(&stored).unwrap(), ..work() };
        let facts = Facts { passed_on: stored.map(|(name, _)| name.to_owned()).into(), ..facts(0) };
        let headers = headers(&work, &facts, &Auth::None, &[SigningSecret::generate()]);
        let theirs: Vec<_> =
            headers.iter().filter(|(_, value)| *value == "theirs").map(|(name, _)| name.as_str()).collect();
        let provider = ["id", "timestamp", "signature"].map(|name| format!("hookyard-provider-webhook-{name}"));
        assert_eq!(theirs, [&provider[0], &provider[1], &provider[2], "x-other"]);
        for ours in ["webhook-id", "webhook-timestamp", "webhook-signature", "hookyard-attempt"] {
            assert_eq!(headers.get_all(ours).iter().count(), 1, "{ours}");
        }
    }

    #[test]
    fn a_providers_trace_goes_on() {
        let given = r#"[["traceparent","00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]]"#;
        assert_eq!(
            traceparent(&Stored::read(given), "e", [0, 0, 0, 0, 0, 0, 0, 7]),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000007-01"
        );
        let broken = r#"[["traceparent","00-0AF-1-01"]]"#;
        assert!(traceparent(&Stored::read(broken), "e", [0; 8]).starts_with("00-e-"));
    }
}

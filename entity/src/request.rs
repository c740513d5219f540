//! The signed request that a destination sees.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use relay::header::{self, Said};
use relay::id::{EventId, SubscriptionId};
use relay::signature;
use relay::stored::Headers;
use relay::trace::{Sampling, Trace, TraceParent};
use secrecy::{ExposeSecret, SecretString};

mod passed_on;

use crate::destination::{Auth, Opened};
use crate::work::Work;

/// What a request says besides the event's own words.
#[derive(Debug, Clone)]
pub struct Facts {
    pub event: EventId,
    pub subscription: Option<SubscriptionId>,
    /// Counts from 1.
    pub attempt: u32,
    /// Milliseconds since 1970; the signature says the second.
    pub now: i64,
    /// This attempt's place in its trace: any number but nought.
    pub span: u64,
    /// Which traces are recorded: the destination hears whether this one is.
    pub sampling: Sampling,
    /// Which of the provider's headers go along.
    pub passed_on: Vec<String>,
}

/// The headers of one attempt. The id is the event's on every try; time and signatures are fresh each time. `token` is
/// what a token endpoint gave for it.
#[must_use]
pub fn headers(work: &Work, facts: &Facts, opened: &Opened, token: Option<&SecretString>) -> HeaderMap {
    let stored = Headers::read(&work.headers);
    let mut headers = passed_on::passed_on(&stored, &facts.passed_on, opened.settings.signing);
    let event = facts.event.to_string();
    add_custom(&mut headers, work, &event, opened);
    add_own(&mut headers, work, facts, traceparent(&stored, facts));
    sign(&mut headers, &work.body, (&event, facts.now), opened);
    set(&mut headers, "webhook-id", event);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("Hookyard/", env!("CARGO_PKG_VERSION"))));
    authenticate(&mut headers, &opened.auth, token);
    headers
}

/// What the tenant has deliveries say.
fn add_custom(headers: &mut HeaderMap, work: &Work, event: &str, opened: &Opened) {
    let source = work.source_id.map(|id| id.to_string());
    let said = Said {
        event_id: event,
        event_type: work.event_type.as_deref(),
        derived_type: work.derived_type.as_deref(),
        external_id: work.external_id.as_deref(),
        request_id: work.request_id.as_deref(),
        source_id: source.as_deref(),
        attributes: &work.attributes,
    };
    for (name, template) in &opened.settings.headers {
        if let (Ok(name), Some(value)) = (HeaderName::try_from(name), template.fill(&said)) {
            headers.insert(name, value);
        }
    }
}

/// What every delivery says of itself.
fn add_own(headers: &mut HeaderMap, work: &Work, facts: &Facts, traceparent: String) {
    set(headers, "webhook-timestamp", facts.now.div_euclid(1000).to_string());
    set(headers, "hookyard-attempt", facts.attempt.to_string());
    set(headers, "hookyard-hops", (work.hops + 1).to_string());
    set(headers, "traceparent", traceparent);
    let named = [
        ("hookyard-event-type", work.event_type.clone()),
        ("hookyard-request-id", work.request_id.clone()),
        ("hookyard-source", work.source_id.map(|id| id.to_string())),
        ("hookyard-subscription", facts.subscription.map(|id| id.to_string())),
        ("hookyard-test", work.test.then(|| "true".to_owned())),
    ];
    for (name, value) in named {
        if let Some(value) = value {
            set(headers, name, value);
        }
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: String) {
    // Every value is our own ASCII, or was a header or an extracted string without control characters.
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// By every secret and key that is live; GitHub's header has room for one, the oldest, which is the one that a receiver
/// surely knows.
fn sign(headers: &mut HeaderMap, body: &[u8], (event, now): (&str, i64), opened: &Opened) {
    let (styles, timestamp) = (opened.settings.signing, now.div_euclid(1000));
    let live: Vec<_> = opened.signers.live(now).collect();
    let secrets: Vec<_> = live.iter().map(|signer| signer.secret.clone()).collect();
    let keys: Vec<_> = live.iter().filter(|_| styles.v1a).filter_map(|signer| signer.key.clone()).collect();
    let mut prove =
        |name, signature: String| headers.insert(HeaderName::from_static(name), header::secret_value(&signature));
    prove("webhook-signature", signature::sign(&secrets, &keys, event, timestamp, body));
    if let Some(oldest) = secrets.last().filter(|_| styles.github_header) {
        prove(GITHUB, signature::github(oldest, body));
    }
    if styles.stripe_header {
        prove(STRIPE, signature::stripe(&secrets, timestamp, body));
    }
}

/// Where GitHub's receivers look for a signature, and Stripe's.
const GITHUB: &str = "x-hub-signature-256";
const STRIPE: &str = "stripe-signature";

fn authenticate(headers: &mut HeaderMap, auth: &Auth, token: Option<&SecretString>) {
    let bearer =
        |token: &SecretString| (AUTHORIZATION, header::secret_value(&format!("Bearer {}", token.expose_secret())));
    let proof = match (auth, token) {
        (Auth::None, _) | (Auth::OAuth2(_), None) => None,
        (Auth::Basic { username, password }, _) => {
            let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
            Some((AUTHORIZATION, header::secret_value(&format!("Basic {pair}"))))
        }
        (Auth::Bearer { token }, _) | (Auth::OAuth2(_), Some(token)) => Some(bearer(token)),
        (Auth::Header { name, value }, _) => {
            HeaderName::try_from(name).ok().map(|name| (name, header::secret_value(value.expose_secret())))
        }
    };
    if let Some((name, value)) = proof {
        headers.insert(name, value);
    }
}

/// The provider's trace goes on; where there is none, the event's id is one.
fn traceparent(stored: &Headers, facts: &Facts) -> String {
    let trace = Trace::of_stored(facts.event, stored);
    TraceParent { trace: trace.id, span: facts.span, sampled: facts.sampling.flag(&trace) }.to_string()
}

#[cfg(test)]
mod tests {
    use crate::destination::{ClientAuth, OAuth2Client, Settings, Signers, Styles};

    use super::*;

    fn work() -> Work {
        Work {
            source_id: None,
            event_type: Some("Form.Created".into()),
            derived_type: None,
            external_id: None,
            request_id: None,
            query: None,
            attributes: [("order".to_owned(), "42".to_owned())].into(),
            test: false,
            hops: 0,
            headers: r#"[["content-type","application/json"],["X-Other","1"],["content-encoding","gzip"]]"#.into(),
            body: bytes::Bytes::from_static(b"\xff\x00"),
        }
    }

    fn facts(now: i64) -> Facts {
        let (event, sampling) = (EventId::at(1), Sampling::Off);
        Facts { event, subscription: None, attempt: 2, now, span: 7, sampling, passed_on: Vec::new() }
    }

    fn opened(auth: Auth, settings: Settings) -> Opened {
        Opened { auth, signers: Signers::generate(settings.signing.v1a), settings, tls: None }
    }

    fn plain() -> Opened {
        opened(Auth::None, Settings::default())
    }

    fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers[name].to_str().unwrap()
    }

    #[test]
    fn the_signature_verifies_and_the_id_stays_while_the_time_moves() {
        let (opened, facts) = (plain(), facts(1_700_000_000_999));
        let headers = headers(&work(), &facts, &opened, None);
        assert_eq!(text(&headers, "webhook-timestamp"), "1700000000");
        assert!(signature::verify(
            &opened.signers.newest().secret,
            text(&headers, "webhook-id"),
            "1700000000",
            &work().body,
            text(&headers, "webhook-signature")
        ));
        assert_eq!(text(&headers, "hookyard-attempt"), "2");
    }

    #[test]
    fn every_live_secret_signs_in_every_style_that_is_wanted() {
        let signing = Styles { v1a: true, github_header: true, stripe_header: true };
        let mut opened = opened(Auth::None, Settings { signing, ..Settings::default() });
        opened.signers.rotate(0, 10_000, true).unwrap();
        for (now, live) in [(9_999, 2), (10_000, 1)] {
            let headers = headers(&work(), &facts(now), &opened, None);
            let (standard, stripe) = (text(&headers, "webhook-signature"), text(&headers, STRIPE));
            assert_eq!((standard.matches("v1,").count(), standard.matches("v1a,").count()), (live, live), "{standard}");
            assert_eq!(stripe.matches("v1=").count(), live, "{stripe}");
            let oldest = opened.signers.live(now).last().unwrap();
            assert_eq!(text(&headers, GITHUB), signature::github(&oldest.secret, &work().body), "{now}");
        }
        let headers = headers(&work(), &facts(0), &plain(), None);
        assert!(!headers.contains_key(GITHUB) && !headers.contains_key(STRIPE));
        assert_eq!(text(&headers, "webhook-signature").matches(',').count(), 1);
    }

    #[test]
    fn each_kind_of_authentication_says_what_it_has_to() {
        let secret = |text: &str| SecretString::from(text);
        let oauth = Auth::OAuth2(OAuth2Client {
            token_url: String::new(),
            client_id: String::new(),
            client_secret: secret(""),
            scope: None,
            client_auth: ClientAuth::Basic,
        });
        let token = secret("fetched");
        for (auth, name, value) in [
            (Auth::None, "authorization", None),
            (Auth::Basic { username: "u".into(), password: secret("p") }, "authorization", Some("Basic dTpw")),
            (Auth::Bearer { token: secret("t") }, "authorization", Some("Bearer t")),
            (Auth::Header { name: "x-key".into(), value: secret("k") }, "x-key", Some("k")),
            (Auth::Header { name: "authorization".into(), value: secret("Key k") }, "authorization", Some("Key k")),
            (oauth, "authorization", Some("Bearer fetched")),
        ] {
            let kind = auth.kind();
            let headers = headers(&work(), &facts(0), &opened(auth, Settings::default()), Some(&token));
            assert_eq!(headers.get(name).map(|value| value.to_str().unwrap()), value, "{kind}");
            assert!(value.is_none() || headers[name].is_sensitive(), "{kind}");
        }
    }

    #[test]
    fn custom_headers_are_filled_or_left_out_and_take_the_place_of_the_providers() {
        let headers = [("x-order", "{attribute:order}"), ("x-none", "{external_id}"), ("x-other", "ours")];
        let headers = headers.map(|(name, text)| (name.to_owned(), text.parse().unwrap())).into();
        let opened = opened(Auth::None, Settings { headers, ..Settings::default() });
        let facts = Facts { passed_on: vec!["x-other".to_owned()], ..facts(0) };
        let headers = super::headers(&work(), &facts, &opened, None);
        assert_eq!((text(&headers, "x-order"), text(&headers, "x-other")), ("42", "ours"));
        assert!(!headers.contains_key("x-none"));
        assert_eq!(headers.get_all("x-other").iter().count(), 1);
    }

    #[test]
    fn only_what_describes_the_body_is_forwarded() {
        let headers = headers(&work(), &facts(0), &plain(), None);
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
            ("x-hub-signature-256", "theirs"),
            ("stripe-signature", "theirs"),
            ("hookyard-attempt", "theirs"),
            ("x-other", "theirs"),
        ];
        let work = Work { headers: serde_json::to_string(&stored).unwrap(), ..work() };
        let facts = Facts { passed_on: stored.map(|(name, _)| name.to_owned()).into(), ..facts(0) };
        let theirs = |signing| -> Vec<String> {
            let opened = opened(Auth::None, Settings { signing, ..Settings::default() });
            let headers = headers(&work, &facts, &opened, None);
            for ours in ["webhook-id", "webhook-timestamp", "webhook-signature", "hookyard-attempt"] {
                assert_eq!(headers.get_all(ours).iter().count(), 1, "{ours}");
            }
            headers.iter().filter(|(_, value)| *value == "theirs").map(|(name, _)| name.to_string()).collect()
        };
        let always = ["id", "timestamp", "signature"].map(|name| format!("hookyard-provider-webhook-{name}"));
        let rest = ["x-hub-signature-256", "stripe-signature", "x-other"].map(str::to_owned);
        assert_eq!(theirs(Styles::default()), [&always[..], &rest].concat());
        let moved = ["hookyard-provider-x-hub-signature-256", "hookyard-provider-stripe-signature", "x-other"];
        let both = Styles { github_header: true, stripe_header: true, ..Styles::default() };
        assert_eq!(theirs(both), [&always[..], &moved.map(str::to_owned)].concat());
    }

    #[test]
    fn a_providers_trace_goes_on_with_a_span_of_the_attempts() {
        let given =
            |flags| format!(r#"[["traceparent","00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}"]]"#);
        for flags in ["00", "01"] {
            assert_eq!(
                traceparent(&Headers::read(&given(flags)), &facts(0)),
                format!("00-0af7651916cd43dd8448eb211c80319c-0000000000000007-{flags}")
            );
        }
        let (broken, facts) = (r#"[["traceparent","00-0AF-1-01"]]"#, facts(0));
        let expected = format!("00-{}-0000000000000007-01", facts.event.uuid().simple());
        assert_eq!(traceparent(&Headers::read(broken), &facts), expected);
    }
}

//! The provider's own headers that a source passes on, beside what describes the body.

use entity::destination::Styles;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use relay::passed_on::is_never_passed_on;

/// Headers as the event keeps them: in their order, repeats kept, values byte by byte.
#[derive(Debug)]
pub(super) struct Stored(Vec<(String, String)>);

/// Passed on once, named or not.
static OF_THE_BODY: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_ENCODING];

/// What stands in the place of a value that authenticated the request.
const REDACTED: &str = "[redacted]";

/// Providers that sign as we do use our names. Theirs are passed on behind this: what they sign is their id, their time
/// and the body, so that all of it can still be verified.
const PROVIDER: &str = "hookyard-provider-";
const COLLIDING: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// Whether a delivery in these styles uses this name itself.
fn collides(name: &str, styles: Styles) -> bool {
    COLLIDING.contains(&name)
        || styles.github_header && name == super::GITHUB
        || styles.stripe_header && name == super::STRIPE
}

impl Stored {
    /// Reads the column; what is no list of pairs is none.
    pub(super) fn read(column: &str) -> Self {
        Self(serde_json::from_str(column).unwrap_or_default())
    }

    /// The first value of this name.
    pub(super) fn one(&self, name: &str) -> Option<Vec<u8>> {
        let (_, value) = self.0.iter().find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        bytes(value)
    }

    /// What goes along: what the provider said of the body, without which the bytes could not be read, and the headers
    /// that the source names, in the order they came.
    pub(super) fn passed_on(&self, named: &[String], styles: Styles) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for name in &OF_THE_BODY {
            if let Some(value) =
                self.one(name.as_str()).as_deref().and_then(|value| HeaderValue::from_bytes(value).ok())
            {
                headers.insert(name, value);
            }
        }
        let wanted = |name: &str| named.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        for (name, value) in self.0.iter().filter(|(name, value)| wanted(name) && value != REDACTED) {
            if let Some(name) = passed_name(name, styles)
                && let Some(value) = bytes(value).and_then(|value| HeaderValue::from_bytes(&value).ok())
            {
                headers.append(name, value);
            }
        }
        headers
    }
}

/// Under which name a header is passed on, if it may be and is not in any case.
fn passed_name(name: &str, styles: Styles) -> Option<HeaderName> {
    let name = name.to_ascii_lowercase();
    if is_never_passed_on(&name) || OF_THE_BODY.iter().any(|passed| *passed == *name) {
        return None;
    }
    let name = if collides(&name, styles) { format!("{PROVIDER}{name}") } else { name };
    HeaderName::try_from(name).ok()
}

/// Each letter is the byte of that number.
fn bytes(value: &str) -> Option<Vec<u8>> {
    value.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed_on(stored: &[(&str, &str)], named: &[&str]) -> Vec<(String, Vec<u8>)> {
        let column = serde_json::to_string(stored).unwrap();
        let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
        let headers = Stored::read(&column).passed_on(&named, Styles::default());
        headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_header_that_is_named_is_passed_on_under_a_name_that_is_free() {
        for (name, under) in [
            ("stripe-signature", Some("stripe-signature")),
            ("X-Hub-Signature-256", Some("x-hub-signature-256")),
            ("svix-id", Some("svix-id")),
            ("webhook-id", Some("hookyard-provider-webhook-id")),
            ("Webhook-Timestamp", Some("hookyard-provider-webhook-timestamp")),
            ("webhook-signature", Some("hookyard-provider-webhook-signature")),
            ("webhook-ids", Some("webhook-ids")),
            ("tracestate", Some("tracestate")),
            ("tea", Some("tea")),
            ("proxyless", Some("proxyless")),
            ("content-length", None),
            ("Content-Length", None),
            ("transfer-encoding", None),
            ("connection", None),
            ("host", None),
            ("te", None),
            ("trailer", None),
            ("upgrade", None),
            ("keep-alive", None),
            ("expect", None),
            ("authorization", None),
            ("proxy-authorization", None),
            ("Proxy-Connection", None),
            ("cookie", None),
            ("hookyard-hops", None),
            ("hookyard-provider-webhook-id", None),
            ("traceparent", None),
            ("user-agent", None),
        ] {
            let expected: Vec<_> = under.map(|under| (under.to_owned(), b"v".to_vec())).into_iter().collect();
            assert_eq!(passed_on(&[(name, "v")], &[name]), expected, "{name}");
            assert_eq!(passed_on(&[(name, "v")], &[&name.to_uppercase()]), expected, "{name}, named in capitals");
            assert_eq!(passed_on(&[(name, "v")], &["another"]), [], "{name}, which nobody named");
        }
    }

    #[test]
    fn order_and_repeats_and_every_byte_are_kept() {
        let stored = [("x-b", "2"), ("x-unnamed", "0"), ("x-a", "\u{ff}"), ("x-b", ""), ("content-type", "text/plain")];
        let passed = passed_on(&stored, &["x-a", "content-type", "x-b"]);
        let expected: [(&str, &[u8]); 4] =
            [("content-type", b"text/plain"), ("x-b", b"2"), ("x-b", b""), ("x-a", b"\xff")];
        assert_eq!(passed, expected.map(|(name, value)| (name.to_owned(), value.to_vec())));
    }

    #[test]
    fn what_was_struck_out_stays_out() {
        let stored = [("x-key", "[redacted]"), ("x-key", "[redacted] "), ("x-other", "1")];
        let passed = passed_on(&stored, &["x-key", "x-other"]);
        assert_eq!(
            passed.iter().map(|(_, value)| value.as_slice()).collect::<Vec<_>>(),
            [b"[redacted] ".as_slice(), b"1"]
        );
    }

    #[test]
    fn what_cannot_be_read_passes_nothing_on() {
        assert!(Stored::read("{").passed_on(&["x".to_owned()], Styles::default()).is_empty());
        assert_eq!(passed_on(&[("no name", "1"), ("x", "\u{100}"), ("y", "a\nb")], &["no name", "x", "y"]), []);
    }
}

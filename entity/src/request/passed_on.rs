//! The provider's own headers that a source passes on, beside what describes the body.

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use relay::passed_on::is_never_passed_on;
use relay::stored::Headers;

use crate::destination::Styles;

/// Passed on once, named or not.
static OF_THE_BODY: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_ENCODING];

/// Providers that sign as we do use our names. Theirs are passed on behind this: what they sign is their id, their time
/// and the body, so that all of it can still be verified.
const PROVIDER: &str = "hookyard-provider-";
const COLLIDING: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// What goes along: what the provider said of the body, without which the bytes could not be read, and the headers that
/// the source names, in the order they came.
pub(super) fn passed_on(stored: &Headers, named: &[String], styles: Styles) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in &OF_THE_BODY {
        if let Some(value) = stored.one(name.as_str()).and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    let wanted = |name: &str| named.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
    for (name, value) in stored.iter().filter(|(name, _)| wanted(name)) {
        if let Some(name) = passed_name(name, styles)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            headers.append(name, value);
        }
    }
    headers
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

/// Whether a delivery in these styles uses this name itself.
fn collides(name: &str, styles: Styles) -> bool {
    COLLIDING.contains(&name)
        || styles.github_header && name == super::GITHUB
        || styles.stripe_header && name == super::STRIPE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(stored: &[(&str, &str)], named: &[&str]) -> Vec<(String, Vec<u8>)> {
        let column = serde_json::to_string(stored).unwrap();
        let named: Vec<_> = named.iter().map(|name| (*name).to_owned()).collect();
        let headers = passed_on(&Headers::read(&column), &named, Styles::default());
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
            assert_eq!(names(&[(name, "v")], &[name]), expected, "{name}");
            assert_eq!(names(&[(name, "v")], &[&name.to_uppercase()]), expected, "{name}, named in capitals");
            assert_eq!(names(&[(name, "v")], &["another"]), [], "{name}, which nobody named");
        }
    }
}

//! Headers that a tenant has its deliveries say besides: which names they may have, and values that are made of what an
//! event says of itself.

use std::fmt;
use std::str::FromStr;

use http::{HeaderName, HeaderValue};

mod template;

pub use template::{Said, Template, TemplateError};

/// The name of a header that a tenant may set, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CustomName(HeaderName);

/// Why a header of this name cannot be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No header has such a name.
    #[error("is not the name of a header: letters, digits and !#$%&'*+-.^_`|~, at most {LONGEST_NAME} of them")]
    NotAName,
    /// HTTP itself, the relay or a proxy on the way says it.
    #[error("cannot be set: HTTP itself, the relay or a proxy on the way says what it says")]
    Reserved,
    /// It proves who sends.
    #[error("cannot be set here: set the destination's `auth` instead, which keeps what is secret sealed")]
    Proves,
}

/// Longer names are mistakes.
const LONGEST_NAME: usize = 100;

/// What moves a request from hop to hop or frames its body (RFC 9110, 7.6.1), says who somebody is to a receiver that
/// trusts our addresses, unlocks a cloud's metadata, or is the event's and the delivery's own.
const RESERVED: [&str; 27] = [
    "accept-encoding",
    "alt-used",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "metadata",
    "metadata-flavor",
    "stripe-signature",
    "te",
    "trailer",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-hub-signature",
    "x-hub-signature-256",
    "x-real-ip",
    "x-client-ip",
];
const RESERVED_PREFIXES: [&str; 6] =
    ["hookyard-", "proxy-", "webhook-", "x-forwarded-", "x-aws-ec2-metadata-", "x-google-metadata-"];

impl CustomName {
    /// The name of a header whose value proves who sends: it may be `Authorization`, too.
    ///
    /// # Errors
    /// It is no name, or not one that may be set.
    pub fn of_a_proof(text: &str) -> Result<Self, NameError> {
        match text.parse() {
            Err(NameError::Proves) => Ok(Self(http::header::AUTHORIZATION)),
            name => name,
        }
    }

    /// As requests have it.
    #[must_use]
    pub fn as_header(&self) -> &HeaderName {
        &self.0
    }
}

impl FromStr for CustomName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let name = HeaderName::from_str(text).map_err(|_| NameError::NotAName)?;
        if name.as_str().len() > LONGEST_NAME {
            return Err(NameError::NotAName);
        }
        if name == http::header::AUTHORIZATION {
            return Err(NameError::Proves);
        }
        let is_reserved = RESERVED.contains(&name.as_str())
            || RESERVED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix));
        if is_reserved { Err(NameError::Reserved) } else { Ok(Self(name)) }
    }
}

impl fmt::Display for CustomName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str())
    }
}

/// Whether a text can be the value of a header as it is: visible ASCII and spaces, at most `longest` bytes, no space at
/// either end.
#[must_use]
pub fn is_value(text: &str, longest: usize) -> bool {
    let is_visible = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    is_visible && text.len() <= longest && text.trim_matches(' ').len() == text.len()
}

/// The value of a header, which is not shown where the header is.
///
/// # Panics
/// Where [`is_value`] was not asked before.
#[must_use]
pub fn secret_value(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).expect("visible ASCII is a header's value");
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use serde::Deserialize;

    use super::*;

    #[test]
    fn a_name_is_free_or_says_why_not() {
        let long = "x".repeat(100);
        for (name, error) in [
            ("X-Tenant", None),
            ("x-forwarded", None),
            ("webhook", None),
            ("accept", None),
            (long.as_str(), None),
            (&format!("{long}x"), Some(NameError::NotAName)),
            ("", Some(NameError::NotAName)),
            ("x y", Some(NameError::NotAName)),
            ("x:", Some(NameError::NotAName)),
            ("Authorization", Some(NameError::Proves)),
            ("HOST", Some(NameError::Reserved)),
            ("Content-Type", Some(NameError::Reserved)),
            ("X-Forwarded-Proto", Some(NameError::Reserved)),
            ("Webhook-Id", Some(NameError::Reserved)),
            ("Hookyard-Hops", Some(NameError::Reserved)),
            ("Proxy-Authorization", Some(NameError::Reserved)),
            ("X-Hub-Signature-256", Some(NameError::Reserved)),
        ] {
            assert_eq!(name.parse::<CustomName>().err(), error, "{name}");
        }
        assert_eq!(CustomName::of_a_proof("AUTHORIZATION").unwrap().to_string(), "authorization");
        assert_eq!(CustomName::of_a_proof("X-Api-Key").unwrap().to_string(), "x-api-key");
        assert_eq!(CustomName::of_a_proof("cookie"), Err(NameError::Reserved));
    }

    #[test]
    fn a_value_is_visible() {
        for (text, good) in [
            ("", true),
            ("a b", true),
            ("~", true),
            (" a", false),
            ("a ", false),
            ("a\tb", false),
            ("\u{7f}", false),
            ("ä", false),
        ] {
            assert_eq!(is_value(text, 10), good, "{text:?}");
        }
        assert!(is_value("0123456789", 10) && !is_value("01234567890", 10));
    }

    #[test]
    fn no_header_of_the_case_file_can_be_set() {
        #[derive(Deserialize)]
        struct Case {
            id: String,
            layer: String,
            #[serde(default)]
            headers: HashMap<String, String>,
        }
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../tests/data/ssrf-cases.json")).unwrap();
        let cases: Vec<_> = cases.into_iter().filter(|case| case.layer == "header").collect();
        assert_eq!(cases.len(), 6);
        for case in &cases {
            assert!(!case.headers.is_empty(), "{}", case.id);
            for (name, value) in &case.headers {
                let can_be_set = name.parse::<CustomName>().is_ok() && value.parse::<Template>().is_ok();
                assert!(!can_be_set, "{}: {name}: {value}", case.id);
            }
        }
    }
}

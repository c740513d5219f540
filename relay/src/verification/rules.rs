//! What a tenant's own verification has to keep to, whatever its kind.

use std::str::FromStr;

use super::Fault;

/// In bytes, of names, prefixes, pointers and the like.
pub(super) const LONGEST: usize = 200;
/// In bytes.
const LONGEST_URL: usize = 2048;

pub(super) fn fault(pointer: &'static str, detail: impl Into<String>) -> Fault {
    Fault { pointer, detail: detail.into() }
}

pub(super) fn text(pointer: &'static str, text: &str) -> Result<(), Fault> {
    if matches!(text.len(), 1..=LONGEST) && !text.chars().any(char::is_control) {
        return Ok(());
    }
    Err(fault(pointer, format!("must be 1 to {LONGEST} bytes without control characters")))
}

pub(super) fn header(pointer: &'static str, name: &str) -> Result<(), Fault> {
    if is_header(name) {
        return Ok(());
    }
    Err(fault(pointer, format!("must be the name of a header of at most {LONGEST} characters, such as `X-Signature`")))
}

pub(super) fn is_header(name: &str) -> bool {
    name.len() <= LONGEST && http::HeaderName::from_str(name).is_ok()
}

pub(super) fn pointer(at: &'static str, pointer: &str) -> Result<(), Fault> {
    if is_pointer(pointer) {
        return Ok(());
    }
    Err(fault(at, format!("must be a JSON pointer of at most {LONGEST} bytes, such as `/signature`")))
}

pub(super) fn is_pointer(text: &str) -> bool {
    text.len() <= LONGEST && text.starts_with('/')
}

pub(super) fn public_url(url: Option<&str>) -> Result<(), Fault> {
    let Some(url) = url else { return Ok(()) };
    let parsed = url::Url::parse(url).ok().filter(|parsed| {
        matches!(parsed.scheme(), "http" | "https") && parsed.query().is_none() && parsed.fragment().is_none()
    });
    if parsed.is_some() && url.len() <= LONGEST_URL && url.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let detail = "must be the http or https URL that the provider was given, without its query";
    Err(fault("/public_url", detail))
}

//! A request as a text that can be read and changed by hand: `/path?query`, headers, an empty line, the body.

use http::{HeaderMap, HeaderName, HeaderValue};
use relay::inbound::Inbound;
use relay::verification::Presented;

/// A request that was read from such a text. What is no header is passed over.
#[derive(Debug, Clone)]
pub struct Sent {
    /// The source's, with `path`.
    pub url: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// Whole seconds, so that every unit can say it.
pub const NOW: i64 = 1_763_629_200_000;

const SOURCE: &str = "https://relay.example/in/acme/key";

impl Sent {
    #[must_use]
    pub fn read(text: &[u8], now: i64) -> Self {
        let (target, mut rest) = line(text);
        let target = String::from_utf8_lossy(target);
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (&*target, None),
        };
        let mut headers = HeaderMap::new();
        while !rest.is_empty() {
            let (header, after) = line(rest);
            rest = after;
            match header.iter().position(|byte| *byte == b':') {
                _ if header.is_empty() => break,
                Some(colon) => append(&mut headers, &header[..colon], header[colon + 1..].trim_ascii()),
                None => {}
            }
        }
        Self { url: [SOURCE, path].concat(), path: path.to_owned(), query, headers, body: rest.to_vec(), now }
    }

    #[must_use]
    pub fn inbound(&self) -> Inbound<'_> {
        let Self { headers, path, query, body, .. } = self;
        Inbound { method: "POST", headers, path, query: query.as_deref(), body }
    }

    #[must_use]
    pub fn presented(&self) -> Presented<'_> {
        Presented { inbound: self.inbound(), url: &self.url, now: self.now }
    }

    /// The header that stands there once.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let values: Vec<_> = self.headers.get_all(name).into_iter().collect();
        if let [value] = values[..] { Some(value.as_bytes()) } else { None }
    }
}

fn append(headers: &mut HeaderMap, name: &[u8], value: &[u8]) {
    if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
        let _ = headers.try_append(name, value);
    }
}

/// The first line, and what follows it.
#[must_use]
pub fn line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    (&text[..end], text.get(end + 1..).unwrap_or_default())
}

/// What stands before a mark and what stands behind it, if it is there.
#[must_use]
pub fn halves<'t>(text: &'t [u8], mark: &[u8]) -> (&'t [u8], Option<&'t [u8]>) {
    match text.windows(mark.len()).position(|window| window == mark) {
        Some(start) => (&text[..start], Some(&text[start + mark.len()..])),
        None => (text, None),
    }
}

/// A text with these in the places of their marks.
#[must_use]
pub fn filled(mut text: &[u8], marks: &[(&[u8], &str)]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        match marks.iter().find(|(mark, _)| text.starts_with(mark)) {
            Some((mark, value)) => {
                whole.extend_from_slice(value.as_bytes());
                text = &text[mark.len()..];
            }
            None => {
                whole.push(*first);
                text = rest;
            }
        }
    }
    whole
}

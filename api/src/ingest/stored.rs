//! Headers and query as they are stored: in their order, repeats kept, every byte; but never what authenticated the
//! request.

use entity::source::{Configured, Verification};
use poem::http::HeaderMap;
use relay::place::Place;
use relay::verification::{Jwt, Token};

use relay::stored::REDACTED;

use super::target;
use super::{credentials, proof};

/// Their values are secrets wherever they appear.
const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
/// A content type that is longer is kept only among the headers.
const LONGEST_TYPE: usize = 512;

/// Where a source's requests hold what authenticates them, besides the places where everybody's do.
#[derive(Debug, Default)]
pub(super) struct Secrets<'a> {
    headers: Vec<&'a str>,
    query: Vec<&'a str>,
}

impl<'a> Secrets<'a> {
    /// The places of its keys, and of the tokens that it or its provider demands.
    pub(super) fn of(source: &'a Configured) -> Self {
        let mut secrets = Self { headers: credentials::key_headers(source), query: Vec::new() };
        // Also what the preset would demand: whatever is demanded now, the provider may send its secrets.
        let presets = source.preset().schemes.iter().map(|scheme| &scheme.verification);
        for scheme in proof::schemes(source).chain(presets) {
            match scheme {
                Verification::Token(Token { from: Place::Header(name) }) => secrets.headers.push(name),
                Verification::Token(Token { from: Place::Query(name) }) => secrets.query.push(name),
                Verification::Jwt(Jwt { header: Some(name), .. }) => secrets.headers.push(name),
                _ => {}
            }
        }
        secrets
    }

    fn is_secret(&self, name: &str) -> bool {
        SECRET.contains(&name) || self.headers.iter().any(|secret| secret.eq_ignore_ascii_case(name))
    }

    /// The headers that hold no secret.
    pub(super) fn without(&self, headers: &HeaderMap) -> HeaderMap {
        let visible = headers.iter().filter(|(name, _)| !self.is_secret(name.as_str()));
        visible.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Names and values, with secrets struck out.
    pub(super) fn headers(&self, headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
        let kept = |name: &str, value: &[u8]| if self.is_secret(name) { REDACTED.into() } else { value.to_vec() };
        headers.iter().map(|(name, value)| (name.to_string(), kept(name.as_str(), value.as_bytes()))).collect()
    }

    /// A query as it was sent, with secrets struck out.
    pub(super) fn query(&self, query: &str) -> String {
        target::redacted(query, &self.query)
    }
}

/// What the request says its body is.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("content-type")?.to_str().ok()?;
    (value.len() <= LONGEST_TYPE).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_authenticates_is_struck_out_and_the_rest_keeps_every_byte() {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", "Basic c2VjcmV0".parse().unwrap());
        headers.append("x-twice", "1".parse().unwrap());
        headers.append("x-twice", poem::http::HeaderValue::from_bytes(b"\xff").unwrap());
        headers.append("x-key", "secret".parse().unwrap());
        headers.append("x-key", "secret too".parse().unwrap());
        assert_eq!(
            relay::stored::column(&Secrets { headers: vec!["X-Key"], query: Vec::new() }.headers(&headers)),
            r#"[["authorization","[redacted]"],["x-twice","1"],["x-twice","ÿ"],["x-key","[redacted]"],["x-key","[redacted]"]]"#
        );
    }
}

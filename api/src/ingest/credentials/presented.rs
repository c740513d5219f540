//! What a request holds that could be a credential.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entity::credential::{self, Kind};
use poem::http::HeaderMap;
use poem::http::header::AUTHORIZATION;

/// In `Authorization`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Authorization {
    None,
    /// Name and password, as bytes: RFC 7617 leaves their encoding to the sender.
    Basic(Vec<u8>, Vec<u8>),
    Bearer(Vec<u8>),
    /// Anything else; also when there are several.
    Other,
}

impl Authorization {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let value = match single(headers, AUTHORIZATION.as_str()) {
            Ok(Some(value)) => value,
            Ok(None) => return Self::None,
            Err(Several) => return Self::Other,
        };
        let space = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
        if scheme.eq_ignore_ascii_case(b"basic") {
            return pair(rest).map_or(Self::Other, |(name, password)| Self::Basic(name, password));
        }
        if scheme.eq_ignore_ascii_case(b"bearer") { Self::Bearer(rest.to_vec()) } else { Self::Other }
    }

    /// What of a request this credential could be meant by; nothing if it is another's, or its kind presents nothing.
    pub(super) fn secret_for<'a>(&'a self, row: &credential::Model, headers: &'a HeaderMap) -> Option<&'a [u8]> {
        match (row.kind()?, self) {
            (Kind::Basic, Self::Basic(name, password)) => {
                (row.name.as_deref().map(str::as_bytes) == Some(name)).then_some(password)
            }
            (Kind::Bearer, Self::Bearer(token)) => Some(token),
            (Kind::ApiKey, _) => single(headers, row.name.as_deref()?).ok()?,
            _ => None,
        }
    }
}

/// A header that may be sent once was sent several times: whoever stands before us may have meant another.
struct Several;

fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(poem::http::HeaderValue::as_bytes)),
        _ => Err(Several),
    }
}

fn pair(encoded: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut pair = STANDARD.decode(encoded).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    let password = pair.split_off(colon + 1);
    pair.truncate(colon);
    Some((pair, password))
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons_and_any_bytes() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            Authorization::of(&headers)
        };
        let pair = STANDARD.encode(b"u:p:\xff");
        let basic = Authorization::Basic(b"u".to_vec(), b"p:\xff".to_vec());
        for (value, expected) in [
            (format!("Basic {pair}"), basic.clone()),
            (format!("bASIC  {pair} "), basic),
            (format!("Bearer {pair}"), Authorization::Bearer(pair.into_bytes())),
            ("bearer a b".to_owned(), Authorization::Bearer(b"a b".to_vec())),
            ("Bearer".to_owned(), Authorization::Bearer(Vec::new())),
            ("Basic".to_owned(), Authorization::Other),
            ("Basic dQ==".to_owned(), Authorization::Other),
            ("Digest x".to_owned(), Authorization::Other),
            ("a-key-as-it-is".to_owned(), Authorization::Other),
        ] {
            assert_eq!(read(&value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_sent_twice_is_not_taken() {
        let mut headers = HeaderMap::new();
        assert_eq!(Authorization::of(&headers), Authorization::None);
        for _ in 0..2 {
            headers.append(AUTHORIZATION, "Basic dTpw".parse().unwrap());
            headers.append("x-key", "k".parse().unwrap());
        }
        assert_eq!(Authorization::of(&headers), Authorization::Other);
        assert!(single(&headers, "x-key").is_err());
    }
}

//! Where something stands in a request, in the API's notation: `header:NAME`, `json:/pointer`, `query:name`, `form:name`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::inbound::Inbound;

/// One place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A header that stands there once; its name in lower case.
    Header(Cow<'static, str>),
    /// A JSON pointer (RFC 6901) into the body.
    Json(Cow<'static, str>),
    /// An item of the query.
    Query(Cow<'static, str>),
    /// An item of a body of the type `application/x-www-form-urlencoded`.
    Form(Cow<'static, str>),
}

/// Not a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a place: `header:NAME`, `json:/pointer`, `query:name` or `form:name`")]
pub struct NotAPlace;

/// Longer names are mistakes.
const LONGEST: usize = 200;

impl Place {
    /// A header, its name in lower case.
    #[must_use]
    pub const fn header(name: &'static str) -> Self {
        Self::Header(Cow::Borrowed(name))
    }

    /// A JSON pointer.
    #[must_use]
    pub const fn json(pointer: &'static str) -> Self {
        Self::Json(Cow::Borrowed(pointer))
    }

    /// An item of the query.
    #[must_use]
    pub const fn query(name: &'static str) -> Self {
        Self::Query(Cow::Borrowed(name))
    }

    /// An item of a form.
    #[must_use]
    pub const fn form(name: &'static str) -> Self {
        Self::Form(Cow::Borrowed(name))
    }

    /// What stands there, if it is a text or a number; numbers as they are written.
    #[must_use]
    pub fn read(&self, inbound: &Inbound<'_>) -> Option<String> {
        match self {
            Self::Header(name) => String::from_utf8(inbound.header(name)?.to_vec()).ok(),
            Self::Query(name) => inbound.query_item(name),
            Self::Form(name) => {
                let items = url::form_urlencoded::parse(inbound.body);
                items.into_iter().find(|(found, _)| found == name).map(|(_, value)| value.into_owned())
            }
            Self::Json(pointer) => crate::json::read(inbound.body, &[pointer]).pop()?,
        }
    }
}

impl FromStr for Place {
    type Err = NotAPlace;

    fn from_str(text: &str) -> Result<Self, NotAPlace> {
        let (kind, name) = text.split_once(':').ok_or(NotAPlace)?;
        let is_fit = matches!(name.len(), 1..=LONGEST) && !name.chars().any(char::is_control);
        let place = match kind {
            _ if !is_fit => return Err(NotAPlace),
            "header" => {
                let name = http::HeaderName::from_str(name).map_err(|_| NotAPlace)?;
                Self::Header(name.as_str().to_owned().into())
            }
            "json" if name.starts_with('/') => Self::Json(name.to_owned().into()),
            "query" => Self::Query(name.to_owned().into()),
            "form" => Self::Form(name.to_owned().into()),
            _ => return Err(NotAPlace),
        };
        Ok(place)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, name) = match self {
            Self::Header(name) => ("header", name),
            Self::Json(name) => ("json", name),
            Self::Query(name) => ("query", name),
            Self::Form(name) => ("form", name),
        };
        write!(out, "{kind}:{name}")
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_place_reads_back_as_itself() {
        for (text, written) in [
            ("header:X-Id", Some("header:x-id")),
            ("json:/a/b~1c", Some("json:/a/b~1c")),
            ("query:a b", Some("query:a b")),
            ("form:MessageSid", Some("form:MessageSid")),
            ("header:", None),
            ("header:a b", None),
            ("json:a", None),
            ("json:", None),
            ("body:/a", None),
            ("X-Id", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Place>().ok().map(|place| place.to_string()).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn what_stands_there_is_read() {
        let mut headers = HeaderMap::new();
        headers.insert("x-once", "1".parse().unwrap());
        headers.append("x-twice", "1".parse().unwrap());
        headers.append("x-twice", "1".parse().unwrap());
        let read = |place: &str, body: &str| {
            let inbound = Inbound {
                method: "POST",
                headers: &headers,
                path: "",
                query: Some("a=1%202&a=3"),
                body: body.as_bytes(),
            };
            place.parse::<Place>().unwrap().read(&inbound)
        };
        for (place, body, value) in [
            ("header:X-Once", "", Some("1")),
            ("header:x-twice", "", None),
            ("header:x-none", "", None),
            ("query:a", "", Some("1 2")),
            ("query:b", "", None),
            ("form:b", "a=1&b=%C3%A4+", Some("ä ")),
            ("json:/a/1", r#"{"a": [0, "x"]}"#, Some("x")),
            ("json:/a", r#"{"a": 12.50}"#, Some("12.50")),
            ("json:/a", r#"{"a": {}}"#, None),
            ("json:/a", r#"{"a": true}"#, None),
            ("json:/a", "[1", None),
        ] {
            assert_eq!(read(place, body).as_deref(), value, "{place} {body}");
        }
    }
}

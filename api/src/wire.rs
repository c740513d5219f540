//! The small types of the wire: texts that mean something, each with the one place where it is parsed, shown and
//! described in the document.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::ops::Deref;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat};
use ipnet::IpNet;
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use relay::clock::WRITABLE;
use relay::event_type::Pattern;
use relay::id::{self, Kind, kind};
use relay::place::Place;
use relay::preset::Find;
use relay::verification::{Template, TimeFrom};
use secrecy::SecretString;
use serde_json::Value;

mod filter;
mod key;
mod kinds;
mod request_id;
mod retry_status;

pub use filter::Filter;
pub use key::{Key, KeyInPath, NoKey};
pub use kinds::{Kind as NewsKind, Kinds};
pub use request_id::RequestId;
pub use retry_status::{FORMAT as RETRY_STATUS, RetryStatus};

/// A meaning that a JSON string can have.
pub trait Meaning: FromStr<Err: Display> + Display + Send + Sync + 'static {
    /// The schema's `format`. Published, and enforced by [`fault`].
    const FORMAT: &'static str;

    /// For readers of the document and makers of clients.
    #[must_use]
    fn pattern() -> Option<String> {
        None
    }
}

/// A JSON string that was parsed as what it means.
#[derive(Hash, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

/// An id. One of another kind does not parse.
pub type Id<K> = Text<id::Id<K>>;
/// A time, RFC 3339 with milliseconds.
pub type Time = Text<Moment>;

/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// A tenant's name in URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug(String);

/// A network, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(pub IpNet);

/// A header's name, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HeaderName(poem::http::HeaderName);

/// Why a text does not mean what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Meaningless {
    #[error("not a time as in 2026-11-22T10:00:00.000Z (RFC 3339)")]
    Time,
    #[error("a slug is 2 to 40 of a-z, 0-9 and -")]
    Slug,
    #[error("not an address or network as in 203.0.113.7 or 203.0.113.0/24")]
    Cidr,
    #[error("not the name of a header")]
    HeaderName,
}

/// A kind of thing that the API has.
pub trait Thing: Kind {
    /// The word in audit rows.
    const OBJECT: &'static str;
    const ID_FORMAT: &'static str;
}

macro_rules! things {
    ($($kind:ident $object:literal),* $(,)?) => {
        $(impl Thing for kind::$kind {
            const OBJECT: &'static str = $object;
            const ID_FORMAT: &'static str = concat!($object, "-id");
        })*

        /// The id of a thing, by the word for it in audit rows.
        #[must_use]
        pub fn id_of(object: &str, id: id::Uuid) -> String {
            match object {
                $($object => id::Id::<kind::$kind>::from(id).to_string(),)*
                _ => id.to_string(),
            }
        }

        /// What is wrong with a text of this format; formats that are not ours are only descriptions.
        #[must_use]
        pub fn fault(format: &str, text: &str) -> Option<String> {
            fn of<T: Meaning>(text: &str) -> Option<String> {
                text.parse::<T>().err().map(|error| error.to_string())
            }
            match format {
                Moment::FORMAT => of::<Moment>(text),
                Slug::FORMAT => of::<Slug>(text),
                Pattern::FORMAT => of::<Pattern>(text),
                Cidr::FORMAT => of::<Cidr>(text),
                HeaderName::FORMAT => of::<HeaderName>(text),
                Place::FORMAT => of::<Place>(text),
                Find::FORMAT => of::<Find>(text),
                Template::FORMAT => of::<Template>(text),
                TimeFrom::FORMAT => of::<TimeFrom>(text),
                RequestId::FORMAT => of::<RequestId>(text),
                Key::FORMAT => of::<Key>(text),
                Kinds::FORMAT => of::<Kinds>(text),
                $(<kind::$kind as Thing>::ID_FORMAT => of::<id::Id<kind::$kind>>(text),)*
                _ => None,
            }
        }
    };
}

things! {
    Tenant "tenant", Source "source", Destination "destination", Subscription "subscription", Event "event",
    Delivery "delivery", ApiKey "api-key", Credential "credential", Rejection "rejection", AuditEntry "audit-entry",
    Replay "replay",
}

impl<K: Thing> Meaning for id::Id<K> {
    const FORMAT: &'static str = K::ID_FORMAT;

    fn pattern() -> Option<String> {
        Some(format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", K::PREFIX))
    }
}

impl Meaning for Moment {
    const FORMAT: &'static str = "date-time";
}

impl Meaning for Pattern {
    const FORMAT: &'static str = "event-type-pattern";

    // How many bytes it may have is not said, since patterns count characters.
    fn pattern() -> Option<String> {
        let text = r"[^*\u0000-\u001f\u007f-\u009f]";
        Some(format!(r"^(\*|{text}+|{text}+\.\*)$"))
    }
}

impl Meaning for Cidr {
    const FORMAT: &'static str = "cidr";
}

impl Meaning for HeaderName {
    const FORMAT: &'static str = "header-name";

    fn pattern() -> Option<String> {
        Some("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$".to_owned())
    }
}

impl Meaning for Place {
    const FORMAT: &'static str = "place";
}

impl Meaning for Find {
    const FORMAT: &'static str = "places";
}

impl Meaning for Template {
    const FORMAT: &'static str = "signed-template";
}

impl Meaning for TimeFrom {
    const FORMAT: &'static str = "place-of-time";
}

impl Meaning for Slug {
    const FORMAT: &'static str = "slug";

    fn pattern() -> Option<String> {
        Some("^[a-z0-9-]{2,40}$".to_owned())
    }
}

impl FromStr for Moment {
    type Err = Meaningless;

    fn from_str(text: &str) -> Result<Self, Meaningless> {
        // Its own year has four digits, and the year that it is shown with may have none.
        let millis = DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis());
        millis.filter(|millis| WRITABLE.contains(millis)).map(Self).ok_or(Meaningless::Time)
    }
}

impl Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_timestamp_millis(self.0).unwrap_or(DateTime::UNIX_EPOCH);
        out.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Slug {
    type Err = Meaningless;

    fn from_str(text: &str) -> Result<Self, Meaningless> {
        let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let is_slug = matches!(text.len(), 2..=40) && text.bytes().all(fits);
        if is_slug { Ok(Self(text.to_owned())) } else { Err(Meaningless::Slug) }
    }
}

impl Display for Slug {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Host bits are cleared: a list of networks is compared and shown in one form.
impl FromStr for Cidr {
    type Err = Meaningless;

    fn from_str(text: &str) -> Result<Self, Meaningless> {
        let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
        let network = text.parse::<IpNet>().or_else(|_| address()).map_err(|_| Meaningless::Cidr)?;
        Ok(Self(network.trunc()))
    }
}

impl Display for Cidr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, out)
    }
}

impl FromStr for HeaderName {
    type Err = Meaningless;

    fn from_str(text: &str) -> Result<Self, Meaningless> {
        text.parse().map(Self).map_err(|_| Meaningless::HeaderName)
    }
}

impl Display for HeaderName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_str())
    }
}

impl<T> Deref for Text<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<K> From<id::Id<K>> for Id<K> {
    fn from(id: id::Id<K>) -> Self {
        Self(id)
    }
}

/// A secret that is taken in: it can neither be shown nor logged. Longer ones are no passwords, and slow to hash.
#[derive(Debug, Clone)]
pub struct Secret<const LONGEST: usize = 1024>(pub SecretString);

/// A private key in PEM: the longest in use, of RSA with 8,192 bits, has half as many bytes.
pub type PrivateKey = Secret<{ 16 * 1024 }>;

impl<const LONGEST: usize> Type for Secret<LONGEST> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "secret".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema {
            min_length: Some(1),
            max_length: Some(LONGEST),
            write_only: true,
            ..MetaSchema::new_with_format("string", "password")
        }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<const LONGEST: usize> ParseFromJSON for Secret<LONGEST> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text.into())),
            // The value is not repeated: it may be a secret all the same.
            _ => Err(ParseError::custom("must be a string")),
        }
    }
}

impl<const LONGEST: usize> ToJSON for Secret<LONGEST> {
    fn to_json(&self) -> Option<Value> {
        None
    }
}

/// A time of a row.
#[must_use]
pub fn time(millis: i64) -> Time {
    Text(Moment(millis))
}

impl<T: Meaning> Type for Text<T> {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        T::FORMAT.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let schema = MetaSchema { pattern: T::pattern(), ..MetaSchema::new_with_format("string", T::FORMAT) };
        MetaSchemaRef::Inline(Box::new(schema))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl<T: Meaning> ParseFromJSON for Text<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Self::parse_from_parameter(&text),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl<T: Meaning> ParseFromParameter for Text<T> {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        text.parse().map(Self).map_err(ParseError::custom)
    }
}

impl<T: Meaning> ToJSON for Text<T> {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_is_what_urls_can_hold_for_years() {
        for (text, good) in [
            ("ac", true),
            ("acme-2", true),
            (&"a".repeat(40), true),
            ("a", false),
            ("", false),
            (&"a".repeat(41), false),
            ("Acme", false),
            ("ac_me", false),
            ("äö", false),
        ] {
            assert_eq!(text.parse::<Slug>().is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_time_has_milliseconds_and_reads_back() {
        let time: Moment = "2026-11-22T10:00:00.123456+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-22T09:00:00.123Z");
        assert_eq!(time.to_string().parse(), Ok(time));
        assert_eq!(Moment(0).to_string(), "1970-01-01T00:00:00.000Z");
        for (text, shown) in [
            ("2026-11-22", None),
            ("0000-01-01T00:00:00Z", Some("0000-01-01T00:00:00.000Z")),
            ("0000-01-01T00:00:00+00:01", None),
            ("9999-12-31T23:59:59.999Z", Some("9999-12-31T23:59:59.999Z")),
            ("9999-12-31T23:59:60Z", None),
            ("9999-12-31T23:59:59-00:01", None),
        ] {
            assert_eq!(text.parse::<Moment>().ok().map(|time| time.to_string()).as_deref(), shown, "{text}");
        }
    }

    #[test]
    fn a_format_of_ours_is_enforced_and_others_are_not() {
        assert_eq!(fault("source-id", "dst_01h2xcejqtf2nbrexx3vqjhp41").as_deref(), Some("not an id of a source"));
        assert_eq!(fault("source-id", "src_01h2xcejqtf2nbrexx3vqjhp41"), None);
        assert!(fault("event-type-pattern", "a*b").is_some());
        assert!(fault("place-of-time", "X-T").is_some());
        assert_eq!(fault("int32", "x"), None);
    }
}

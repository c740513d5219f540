//! A status, or a range of them: a number or a text in JSON.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

/// As it is written: `429`, `5xx`, `500-504`. What it means is checked where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryStatus(pub String);

/// The document makes a number or a text of this.
pub const FORMAT: &str = "retry-status";

impl Type for RetryStatus {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        FORMAT.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", FORMAT)))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromJSON for RetryStatus {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(Value::String(text)) => Ok(Self(text)),
            Some(Value::Number(number)) => Ok(Self(number.to_string())),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

/// One status as a number, a range as a text.
impl ToJSON for RetryStatus {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.parse::<u16>().map_or_else(|_| Value::String(self.0.clone()), Value::from))
    }
}

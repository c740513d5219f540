//! The filter of a subscription: an object in JSON.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::{Value, json};

/// As it is written. What it means, and every mistake in it by its place, is found where it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(pub Value);

impl Type for Filter {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "filter".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        let example = json!({
            "body": { "/Payload/status": { "$in": ["Approved", "Rejected"] } },
            "attributes": { "country": { "$ne": "LT" } },
        });
        MetaSchemaRef::Inline(Box::new(MetaSchema { example: Some(example), ..MetaSchema::new("object") }))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(self.as_raw_value().into_iter())
    }
}

impl ParseFromJSON for Filter {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            Some(object @ Value::Object(_)) => Ok(Self(object)),
            other => Err(ParseError::expected_type(other.unwrap_or_default())),
        }
    }
}

impl ToJSON for Filter {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.clone())
    }
}

//! A header's value with gaps that each event fills: `order {attribute:order} is {event_type}`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use serde::{Deserialize, Serialize};

use super::is_value;

/// Texts and gaps, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Gap(Gap),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Gap {
    EventId,
    EventType,
    DerivedType,
    ExternalId,
    RequestId,
    SourceId,
    Attribute(String),
}

/// What an event says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub event_id: &'a str,
    pub event_type: Option<&'a str>,
    pub derived_type: Option<&'a str>,
    pub external_id: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub source_id: Option<&'a str>,
    pub attributes: &'a BTreeMap<String, String>,
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Its texts could not stand in a header.
    #[error(
        "is not the value of a header: visible ASCII characters and single spaces between them, at most {LONGEST} bytes"
    )]
    NotAValue,
    /// A brace that opens no gap, or closes none.
    #[error("has a brace that stands alone: write {{{{ for {{ and }}}} for }}")]
    Brace,
    /// A gap that nothing fills.
    #[error(
        "has an unknown gap {{{0}}}: known are {{event_id}}, {{event_type}}, {{derived_type}}, {{external_id}}, {{request_id}}, {{source_id}} and {{attribute:NAME}}"
    )]
    UnknownGap(String),
}

/// The longest value, with its gaps and once they are filled: what common servers take is twice as long.
const LONGEST: usize = 4 * 1024;

impl Template {
    /// The value for an event; nothing if it does not say what a gap needs, or says more than a header holds.
    #[must_use]
    pub fn fill(&self, said: &Said<'_>) -> Option<HeaderValue> {
        let mut value = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => value += text,
                Part::Gap(gap) => value += gap.read(said)?,
            }
        }
        // What events say of themselves holds no control characters; letters beyond ASCII go as UTF-8.
        if value.len() <= LONGEST { HeaderValue::from_bytes(value.trim().as_bytes()).ok() } else { None }
    }
}

impl Gap {
    fn read<'a>(&self, said: &Said<'a>) -> Option<&'a str> {
        match self {
            Self::EventId => Some(said.event_id),
            Self::EventType => said.event_type,
            Self::DerivedType => said.derived_type,
            Self::ExternalId => said.external_id,
            Self::RequestId => said.request_id,
            Self::SourceId => said.source_id,
            Self::Attribute(name) => said.attributes.get(name).map(String::as_str),
        }
    }
}

impl FromStr for Gap {
    type Err = TemplateError;

    fn from_str(name: &str) -> Result<Self, TemplateError> {
        Ok(match name {
            "event_id" => Self::EventId,
            "event_type" => Self::EventType,
            "derived_type" => Self::DerivedType,
            "external_id" => Self::ExternalId,
            "request_id" => Self::RequestId,
            "source_id" => Self::SourceId,
            _ => match name.strip_prefix("attribute:") {
                Some(attribute) if !attribute.is_empty() => Self::Attribute(attribute.to_owned()),
                _ => return Err(TemplateError::UnknownGap(name.to_owned())),
            },
        })
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::EventId => "event_id",
            Self::EventType => "event_type",
            Self::DerivedType => "derived_type",
            Self::ExternalId => "external_id",
            Self::RequestId => "request_id",
            Self::SourceId => "source_id",
            Self::Attribute(name) => return write!(out, "attribute:{name}"),
        })
    }
}

impl FromStr for Template {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if !is_value(text, LONGEST) {
            return Err(TemplateError::NotAValue);
        }
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal += &rest[..at];
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                literal += brace;
                rest = after;
                continue;
            }
            let (name, after) = after
                .split_once('}')
                .filter(|(name, _)| brace == "{" && !name.contains('{'))
                .ok_or(TemplateError::Brace)?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(Part::Gap(name.parse()?));
            rest = after;
        }
        literal += rest;
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => out.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Part::Gap(gap) => write!(out, "{{{gap}}}"),
        })
    }
}

impl Serialize for Template {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(template: &str, event_type: Option<&str>, attributes: &[(&str, &str)]) -> Option<String> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let said = Said {
            event_id: "evt_1",
            event_type,
            derived_type: None,
            external_id: Some("e"),
            request_id: Some("r"),
            source_id: Some("src_1"),
            attributes: &attributes,
        };
        let value = template.parse::<Template>().unwrap().fill(&said)?;
        Some(String::from_utf8(value.as_bytes().to_vec()).unwrap())
    }

    #[test]
    fn gaps_are_filled_or_the_header_is_left_out() {
        let order = [("order", "42"), ("name", "Zoë"), ("long", &"x".repeat(4093))];
        for (template, value) in [
            ("", Some("")),
            ("plain", Some("plain")),
            ("{event_type}", Some("a.b")),
            ("{event_id}/{external_id}/{request_id}/{source_id}", Some("evt_1/e/r/src_1")),
            ("order {attribute:order}!", Some("order 42!")),
            ("{attribute:name}", Some("Zoë")),
            ("{{event_type}}", Some("{event_type}")),
            ("{{{event_type}}}", Some("{a.b}")),
            ("a}}b{{", Some("a}b{")),
            ("{derived_type}", None),
            ("x {attribute:missing}", None),
            ("123{attribute:long}", Some(&format!("123{}", order[2].1))),
            ("1234{attribute:long}", None),
        ] {
            assert_eq!(fill(template, Some("a.b"), &order).as_deref(), value, "{template}");
        }
        assert_eq!(fill("{event_type}", None, &[]), None);
    }

    #[test]
    fn what_is_no_template_says_why() {
        let unknown = |name: &str| TemplateError::UnknownGap(name.to_owned());
        for (text, error) in [
            ("a\r\nb: c", TemplateError::NotAValue),
            ("ä", TemplateError::NotAValue),
            (" a", TemplateError::NotAValue),
            (&"x".repeat(4097), TemplateError::NotAValue),
            ("{", TemplateError::Brace),
            ("}", TemplateError::Brace),
            ("{event_type", TemplateError::Brace),
            ("event_type}", TemplateError::Brace),
            ("{a{b}", TemplateError::Brace),
            ("{}", unknown("")),
            ("{body}", unknown("body")),
            ("{attribute:}", unknown("attribute:")),
            ("{EVENT_TYPE}", unknown("EVENT_TYPE")),
        ] {
            assert_eq!(text.parse::<Template>().unwrap_err(), error, "{text}");
        }
        assert!(TemplateError::Brace.to_string().contains("{{ for {"));
        assert!(unknown("x").to_string().contains("{x}: known are {event_id}"));
    }

    #[test]
    fn a_template_reads_back_as_it_was_written() {
        for text in ["", "a", "{event_type} {{x}} {attribute:a b}", "{{{source_id}}}"] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
    }
}

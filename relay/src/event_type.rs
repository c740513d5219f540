//! Patterns that say which event types a subscription wants.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `*`, `X.*` or an exact event type. Case matters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// `*`: every event, also one without a type.
    All,
    /// `X.*`: every type that begins with this text, which ends in a full stop; at any depth.
    Under(String),
    /// Just this type.
    Exact(String),
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing at all.
    #[error("an event type pattern must not be empty; `*` means every event")]
    Empty,
    /// Longer than [`MAX_BYTES`].
    #[error("an event type pattern may have at most {MAX_BYTES} bytes")]
    TooLong,
    /// A control character.
    #[error("an event type pattern must not contain control characters")]
    Control,
    /// A `*` that is neither the whole nor the last segment.
    #[error("`*` may stand alone or as the last segment, as in `invoice.*`, and nowhere else")]
    Star,
}

/// The longest pattern. Event types of known providers have less than 80 bytes; 256 leaves room and keeps rows small.
pub const MAX_BYTES: usize = 256;

impl Pattern {
    /// Whether an event of this type is wanted. An event without a type is wanted by `*` only.
    #[must_use]
    pub fn matches(&self, event_type: Option<&str>) -> bool {
        match (self, event_type) {
            (Self::All, _) => true,
            (_, None) => false,
            (Self::Under(beginning), Some(event_type)) => event_type.starts_with(beginning.as_str()),
            (Self::Exact(wanted), Some(event_type)) => wanted == event_type,
        }
    }

    /// Whether an event is wanted for its type or for the finer one that its preset derived.
    #[must_use]
    pub fn matches_either(&self, event_type: Option<&str>, derived: Option<&str>) -> bool {
        self.matches(event_type) || self.matches(derived)
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(PatternError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PatternError::Control);
        }
        if text == "*" {
            return Ok(Self::All);
        }
        let beginning = text.strip_suffix('*').filter(|rest| rest.len() > 1 && rest.ends_with('.'));
        match beginning {
            _ if beginning.unwrap_or(text).contains('*') => Err(PatternError::Star),
            Some(beginning) => Ok(Self::Under(beginning.to_owned())),
            None => Ok(Self::Exact(text.to_owned())),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => out.write_str("*"),
            Self::Under(beginning) => write!(out, "{beginning}*"),
            Self::Exact(wanted) => out.write_str(wanted),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_it_says() {
        for (pattern, event_type, wanted) in [
            ("*", Some("invoice.paid"), true),
            ("*", Some(""), true),
            ("*", None, true),
            ("invoice.*", Some("invoice.paid"), true),
            ("invoice.*", Some("invoice.item.added"), true),
            ("invoice.*", Some("invoice."), true),
            ("invoice.*", Some("invoice"), false),
            ("invoice.*", Some("invoices.paid"), false),
            ("invoice.*", Some("Invoice.paid"), false),
            ("invoice.*", Some("an.invoice.paid"), false),
            ("invoice.*", None, false),
            ("KybIdentification.Document.*", Some("KybIdentification.Document.Created"), true),
            ("KybIdentification.Document.*", Some("KybIdentification.Created"), false),
            ("invoice.paid", Some("invoice.paid"), true),
            ("invoice.paid", Some("invoice.paid.late"), false),
            ("invoice.paid", Some("invoice.Paid"), false),
            ("invoice.paid", Some("invoice"), false),
            ("invoice.paid", None, false),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(event_type), wanted, "{pattern} {event_type:?}");
        }
    }

    #[test]
    fn a_derived_type_matches_as_well() {
        let kyc = Some("evaluation.kyc.completed");
        for (pattern, event_type, derived, wanted) in [
            ("evaluation", Some("evaluation"), kyc, true),
            ("evaluation.*", Some("evaluation"), kyc, true),
            ("evaluation.kyc.*", Some("evaluation"), kyc, true),
            ("evaluation.fraud.*", Some("evaluation"), kyc, false),
            ("evaluation.*", Some("evaluation"), None, false),
            ("*", None, None, true),
            ("evaluation", None, None, false),
        ] {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches_either(event_type, derived), wanted, "{pattern} {event_type:?} {derived:?}");
        }
    }

    #[test]
    fn a_pattern_reads_back_as_itself() {
        for text in ["*", "a.*", "a.b.*", "a", "a.b", ".", "customer created", "ünlü.*", &"x".repeat(MAX_BYTES)] {
            let pattern: Pattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), text);
            assert_eq!(serde_json::to_value(&pattern).unwrap(), text);
            assert_eq!(serde_json::from_value::<Pattern>(text.into()).unwrap(), pattern);
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, error) in [
            ("", PatternError::Empty),
            (&"x".repeat(MAX_BYTES + 1), PatternError::TooLong),
            ("a\0", PatternError::Control),
            ("a\n", PatternError::Control),
            ("**", PatternError::Star),
            ("a*", PatternError::Star),
            ("invoice*", PatternError::Star),
            ("*.a", PatternError::Star),
            ("a.*.b", PatternError::Star),
            ("a.*.*", PatternError::Star),
            ("*.*", PatternError::Star),
            (".*", PatternError::Star),
        ] {
            assert_eq!(text.parse::<Pattern>(), Err(error), "{text}");
        }
        assert!(serde_json::from_value::<Pattern>("a*".into()).is_err());
    }
}

//! Where a filter looks, and by which names.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::mistake::Mistake;
use super::operator;
use super::parse::{DEEPEST_POINTER, LONGEST_TEXT};
use super::seen::Scalar;

/// One place that a filter looks at.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) section: Section,
    pub(super) name: String,
    /// What is sought in a list that stands there, so that a long one is gone through once for all of it.
    pub(super) sought: BTreeSet<Scalar<'static>>,
}

/// A part of an event, and what names mean in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// JSON pointers.
    Body,
    /// In any case.
    Headers,
    Query,
    Attributes,
}

impl Section {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "body" => Some(Self::Body),
            "headers" => Some(Self::Headers),
            "query" => Some(Self::Query),
            "attributes" => Some(Self::Attributes),
            _ => None,
        }
    }

    /// A name with control characters could not be told in the reason of a delivery.
    pub(super) fn check(self, name: &str) -> Result<(), Mistake> {
        let is_fit = name.len() <= LONGEST_TEXT && !name.chars().any(char::is_control);
        match self {
            _ if operator::is_known(name) => Err(Mistake::OperatorAsName),
            _ if !is_fit => Err(Mistake::NoName),
            Self::Body if !is_pointer(name) => Err(Mistake::NoPointer),
            Self::Body if name.matches('/').count() > DEEPEST_POINTER => Err(Mistake::DeepPointer),
            Self::Headers if http::HeaderName::from_str(name).is_err() => Err(Mistake::NoHeader),
            Self::Query | Self::Attributes if name.is_empty() => Err(Mistake::NoName),
            _ => Ok(()),
        }
    }
}

fn is_pointer(name: &str) -> bool {
    let is_escaped = |rest: &str| rest.starts_with(['0', '1']);
    (name.is_empty() || name.starts_with('/')) && name.split('~').skip(1).all(is_escaped)
}

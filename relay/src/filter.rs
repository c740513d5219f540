//! The filter of a subscription: what must hold of an event's body, headers, query and attributes for it to be delivered.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

mod clause;

mod mismatch;
mod mistake;
mod number;
mod operator;
mod parse;
mod place;
#[cfg(test)]
mod properties;
mod seen;

pub use mismatch::Mismatch;
pub use mistake::{Mistake, NotAFilter};

use clause::Clause;
use place::Place;
use seen::Seen;

/// Such as `{"body": {"/order/state": {"$in": ["paid"]}}, "headers": {"x-env": "live"}}`: everything that stands in it must
/// hold. Reads back as the JSON it was read from; a clone is the same filter.
#[derive(Debug, Clone)]
pub struct Filter(Arc<Parsed>);

#[derive(Debug)]
struct Parsed {
    json: Value,
    clause: Clause,
    /// What the tests are about; they tell them by their places in the list.
    places: Vec<Place>,
}

/// What a filter looks at, as the event keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The raw body; what is no JSON has no members.
    pub body: &'a [u8],
    /// Names, in any case, and values.
    pub headers: &'a [(String, String)],
    /// As it was sent, after the question mark.
    pub query: Option<&'a str>,
    /// What the source extracted.
    pub attributes: &'a BTreeMap<String, String>,
}

impl Filter {
    /// Whether all of it holds, and if not, which of its clauses does not.
    pub fn check(&self, subject: &Subject<'_>) -> Result<(), Mismatch> {
        let seen = Seen::of(subject, &self.0.places);
        match self.0.clause.failing(&seen) {
            Some(clause) => Err(Mismatch::of(clause)),
            None => Ok(()),
        }
    }
}

impl TryFrom<Value> for Filter {
    type Error = NotAFilter;

    fn try_from(json: Value) -> Result<Self, NotAFilter> {
        let (clause, places) = parse::parse(&json)?;
        Ok(Self(Arc::new(Parsed { json, clause, places })))
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        self.0.json == other.0.json
    }
}

impl Eq for Filter {}

impl Serialize for Filter {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Value::deserialize(from)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

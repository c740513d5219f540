//! What is seen of an event at each place that a filter looks at.

use std::borrow::Cow;
use std::collections::BTreeSet;

use url::form_urlencoded;

use super::Subject;
use super::number::Number;
use super::place::{Place, Section};
use crate::json;
use crate::stored::REDACTED;

/// The values at each place: none where it is absent, several where a header or an item of the query is repeated.
#[derive(Debug)]
pub(super) struct Seen<'a>(Vec<Vec<Found<'a>>>);

/// A value that is there. A text outside the body is also the number or the truth value that it spells.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found<'a> {
    Scalar(Scalar<'a>),
    /// What is in it of what is sought there.
    List(BTreeSet<&'a Scalar<'a>>),
    /// An object, or a text that cannot be: half of a surrogate pair.
    Other,
}

/// A value of one piece.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
}

impl<'a> Seen<'a> {
    /// Looks at everything once.
    pub(super) fn of(subject: &Subject<'a>, places: &'a [Place]) -> Self {
        let pointers = places.iter().filter(|place| place.section == Section::Body);
        let pointers: Vec<&str> = pointers.map(|place| place.name.as_str()).collect();
        let members = if pointers.is_empty() { None } else { json::written(subject.body, &pointers) };
        let mut members = members.unwrap_or_default().into_iter();
        let items: Vec<_> = form_urlencoded::parse(subject.query.unwrap_or_default().as_bytes()).collect();
        let found = places.iter().map(|Place { section, name, sought }| match section {
            Section::Body => members.next().flatten().map(|written| Found::read(written, sought)).into_iter().collect(),
            Section::Headers => {
                let values = subject.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
                spelt(values.map(|(_, value)| Cow::Borrowed(value.as_str())))
            }
            Section::Query => {
                let values = items.iter().filter(|(found, _)| found == name);
                spelt(values.map(|(_, value)| value.clone()))
            }
            Section::Attributes => {
                let value = subject.attributes.get(name).map(|value| Cow::Borrowed(value.as_str()));
                value.into_iter().flat_map(Found::spelt).collect()
            }
        });
        Self(found.collect())
    }

    pub(super) fn at(&self, place: usize) -> &[Found<'a>] {
        self.0.get(place).map_or(&[], Vec::as_slice)
    }
}

/// A filter that saw what was struck out could tell which requests had a secret there.
fn spelt<'a>(values: impl Iterator<Item = Cow<'a, str>>) -> Vec<Found<'a>> {
    values.filter(|value| value != REDACTED).flat_map(Found::spelt).collect()
}

impl<'a> Found<'a> {
    fn read(written: &'a str, sought: &'a BTreeSet<Scalar<'a>>) -> Self {
        if !written.starts_with('[') {
            return Scalar::read(written).map_or(Self::Other, Self::Scalar);
        }
        let mut contained = BTreeSet::new();
        if !sought.is_empty() {
            contained.extend(json::items(written).filter_map(|item| sought.get(&Scalar::read(item)?)));
        }
        Self::List(contained)
    }

    fn spelt(text: Cow<'a, str>) -> Vec<Self> {
        let other = match &*text {
            "true" => Some(Scalar::Bool(true)),
            "false" => Some(Scalar::Bool(false)),
            text => Number::read(text).map(Scalar::Number),
        };
        [Scalar::Text(text)].into_iter().chain(other).map(Self::Scalar).collect()
    }
}

impl<'a> Scalar<'a> {
    fn read(written: &'a str) -> Option<Self> {
        match written.as_bytes().first()? {
            b'[' | b'{' => None,
            b'"' => json::text(written).map(Self::Text),
            b'n' => Some(Self::Null),
            b't' => Some(Self::Bool(true)),
            b'f' => Some(Self::Bool(false)),
            _ => Number::read(written).map(Self::Number),
        }
    }
}

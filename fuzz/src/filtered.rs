//! What a filter means, worked out value by value.

use std::cmp::Ordering;

use serde_json::Value;

/// What a filter looks at: names and values, and the body as a whole if it is JSON.
#[derive(Debug)]
pub struct Event {
    pub body: Option<Value>,
    pub headers: Vec<(String, String)>,
    pub query: Vec<(String, String)>,
    pub attributes: Vec<(String, String)>,
}

/// What stands at one place; a text outside the body may be meant as something else.
enum Stands<'e> {
    Json(&'e Value),
    Text(&'e str),
}

/// Whether an event passes a filter, which must be one.
#[must_use]
pub fn passes(filter: &Value, event: &Event) -> bool {
    members(filter).all(|(member, value)| match member.as_str() {
        "$and" => items(value).all(|filter| passes(filter, event)),
        "$or" => items(value).any(|filter| passes(filter, event)),
        "$not" => !passes(value, event),
        section => members(value).all(|(name, condition)| holds(condition, &event.at(section, name))),
    })
}

impl Event {
    fn at(&self, section: &str, name: &str) -> Vec<Stands<'_>> {
        let named = |pairs| named(pairs, |found| found == name);
        match section {
            "body" => self.body.iter().filter_map(|body| body.pointer(name)).map(Stands::Json).collect(),
            "headers" => visible(self::named(&self.headers, |found| found.eq_ignore_ascii_case(name))),
            "query" => visible(named(&self.query)),
            _ => named(&self.attributes).into_iter().map(Stands::Text).collect(),
        }
    }
}

fn named(pairs: &[(String, String)], is: impl Fn(&str) -> bool) -> Vec<&str> {
    pairs.iter().filter(|(name, _)| is(name)).map(|(_, value)| value.as_str()).collect()
}

fn visible(values: Vec<&str>) -> Vec<Stands<'_>> {
    values.into_iter().filter(|value| *value != "[redacted]").map(Stands::Text).collect()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn holds(condition: &Value, values: &[Stands<'_>]) -> bool {
    let Value::Object(operators) = condition else { return any(values, |value| value.is(condition)) };
    operators.iter().all(|(operator, operand)| match operator.as_str() {
        "$and" => items(operand).all(|condition| holds(condition, values)),
        "$or" => items(operand).any(|condition| holds(condition, values)),
        "$not" => !holds(operand, values),
        "$eq" => any(values, |value| value.is(operand)),
        "$ne" => !any(values, |value| value.is(operand)),
        "$in" => any(values, |value| items(operand).any(|operand| value.is(operand))),
        "$nin" => !any(values, |value| items(operand).any(|operand| value.is(operand))),
        "$gt" => any(values, |value| value.order(operand) == Some(Ordering::Greater)),
        "$lt" => any(values, |value| value.order(operand) == Some(Ordering::Less)),
        "$gte" => any(values, |value| matches!(value.order(operand), Some(Ordering::Greater | Ordering::Equal))),
        "$lte" => any(values, |value| matches!(value.order(operand), Some(Ordering::Less | Ordering::Equal))),
        "$startsWith" => any(values, |value| value.is_like(operand, |text, part| text.starts_with(part))),
        "$endsWith" => any(values, |value| value.is_like(operand, |text, part| text.ends_with(part))),
        "$contains" => any(values, |value| value.contains(operand)),
        "$exists" => values.is_empty() != (operand == true),
        operator => panic!("{operator}"),
    })
}

fn any(values: &[Stands<'_>], holds: impl Fn(&Stands<'_>) -> bool) -> bool {
    values.iter().any(holds)
}

impl Stands<'_> {
    /// As the operand is: outside the body, `1` is both a text and a number.
    fn like(&self, operand: &Value) -> Option<Value> {
        let value = match self {
            Self::Json(value) => (*value).clone(),
            Self::Text(text) if operand.is_string() => (*text).into(),
            Self::Text(text) if text.trim_ascii() != *text => return None,
            Self::Text(text) => serde_json::from_str(text).ok().filter(|value: &Value| !value.is_null())?,
        };
        (std::mem::discriminant(&value) == std::mem::discriminant(operand)).then_some(value)
    }

    fn is(&self, operand: &Value) -> bool {
        match (self.like(operand), operand) {
            (Some(Value::Number(_)), _) => self.order(operand) == Some(Ordering::Equal),
            (value, operand) => value.as_ref() == Some(operand),
        }
    }

    fn order(&self, operand: &Value) -> Option<Ordering> {
        match (self.like(operand)?, operand) {
            (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
            (Value::String(one), Value::String(other)) => Some(one.as_bytes().cmp(other.as_bytes())),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Json(value) => value.as_str(),
            Self::Text(text) => Some(text),
        }
    }

    fn is_like(&self, operand: &Value, is_like: fn(&str, &str) -> bool) -> bool {
        let parts = operand.as_str().into_iter().chain(items(operand).filter_map(Value::as_str));
        self.text().is_some_and(|text| parts.into_iter().any(|part| is_like(text, part)))
    }

    fn contains(&self, operand: &Value) -> bool {
        match self {
            Self::Json(Value::Array(items)) => items.iter().any(|item| Stands::Json(item).is(operand)),
            _ => self.text().zip(operand.as_str()).is_some_and(|(text, part)| text.contains(part)),
        }
    }
}

/// Whether floats tell all its numbers apart, so that what is here compares them well enough.
#[must_use]
pub fn has_short_numbers(text: &str) -> bool {
    let runs = text.split(|letter: char| !letter.is_ascii_digit());
    let mut exponents = text.split(['e', 'E']).skip(1).map(|rest| rest.trim_start_matches(['+', '-']));
    let is_long = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count() > 2;
    runs.into_iter().all(|run| run.len() < 16) && !exponents.any(is_long)
}

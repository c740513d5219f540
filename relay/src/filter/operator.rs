//! What can be demanded of a value.

use std::cmp::Ordering;

use serde_json::Value;

use super::mistake::{Mistake, NotAFilter};
use super::number::Number;
use super::parse::{LONGEST_LIST, LONGEST_TEXT};
use super::seen::{Found, Scalar};

/// What holds of a value or does not. None of them holds of what is absent.
#[derive(Debug)]
pub(super) enum Operator {
    AnyOf(Vec<Scalar<'static>>),
    /// Of values of the same type; texts by their bytes.
    Compared(fn(Ordering) -> bool, Scalar<'static>),
    StartsWith(Vec<String>),
    EndsWith(Vec<String>),
    Contains(Scalar<'static>),
    Exists,
}

/// Besides operators, what combines them.
const KNOWN: [&str; 15] = [
    "$and",
    "$contains",
    "$endsWith",
    "$eq",
    "$exists",
    "$gt",
    "$gte",
    "$in",
    "$lt",
    "$lte",
    "$ne",
    "$nin",
    "$not",
    "$or",
    "$startsWith",
];
/// 2⁵³: from here on floats do not tell whole numbers apart.
const BIG: f64 = 9_007_199_254_740_992.0;
/// As others call them.
const MISSPELT: [(&str, &str); 2] = [("$neq", "$ne"), ("$exist", "$exists")];

/// Whether this means something, in any case.
pub(super) fn is_known(name: &str) -> bool {
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name))
}

impl Operator {
    /// The operator, and whether it is demanded to hold or not to.
    pub(super) fn read(name: &str, operand: &Value) -> Result<(Self, bool), NotAFilter> {
        let operator = match name {
            "$eq" | "$ne" => Self::AnyOf(vec![scalar(operand)?]),
            "$in" | "$nin" => Self::AnyOf(list(operand.as_array().ok_or(Mistake::NoList)?, scalar)?),
            "$gt" => Self::Compared(Ordering::is_gt, bound(operand)?),
            "$gte" => Self::Compared(Ordering::is_ge, bound(operand)?),
            "$lt" => Self::Compared(Ordering::is_lt, bound(operand)?),
            "$lte" => Self::Compared(Ordering::is_le, bound(operand)?),
            "$startsWith" => Self::StartsWith(texts(operand)?),
            "$endsWith" => Self::EndsWith(texts(operand)?),
            "$contains" => Self::Contains(scalar(operand)?),
            "$exists" => return Ok((Self::Exists, operand.as_bool().ok_or(Mistake::NoBool)?)),
            _ => return Err(unknown(name).into()),
        };
        Ok((operator, !matches!(name, "$ne" | "$nin")))
    }

    pub(super) fn holds(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Self::Exists, _) => true,
            (Self::AnyOf(operands), Found::Scalar(value)) => operands.contains(value),
            (Self::Compared(is_fit, bound), Found::Scalar(value)) => value.compared(bound).is_some_and(is_fit),
            (Self::StartsWith(texts), Found::Scalar(Scalar::Text(value))) => {
                texts.iter().any(|text| value.starts_with(text))
            }
            (Self::EndsWith(texts), Found::Scalar(Scalar::Text(value))) => {
                texts.iter().any(|text| value.ends_with(text))
            }
            (Self::Contains(Scalar::Text(part)), Found::Scalar(Scalar::Text(value))) => value.contains(&**part),
            (Self::Contains(wanted), Found::List(contained)) => contained.contains(wanted),
            _ => false,
        }
    }
}

impl Scalar<'_> {
    fn compared(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => Some(one.cmp(other)),
            (Self::Text(one), Self::Text(other)) => Some(one.cmp(other)),
            _ => None,
        }
    }
}

fn unknown(name: &str) -> Mistake {
    let meant = MISSPELT.iter().find(|(misspelt, _)| *misspelt == name).map(|(_, meant)| *meant);
    let meant = meant.or_else(|| KNOWN.into_iter().find(|known| known.eq_ignore_ascii_case(name)));
    match meant {
        Some(meant) => Mistake::Misspelt(meant),
        None if name.starts_with('$') => Mistake::UnknownOperator,
        None => Mistake::NestedMember,
    }
}

fn scalar(operand: &Value) -> Result<Scalar<'static>, Mistake> {
    match operand {
        Value::Null => Ok(Scalar::Null),
        Value::Bool(value) => Ok(Scalar::Bool(*value)),
        // What was written may have been another number: JSON's reader has no whole ones of this size.
        Value::Number(number)
            if number.as_f64().filter(|_| number.is_f64()).is_some_and(|float| float.abs() >= BIG) =>
        {
            Err(Mistake::BigNumber)
        }
        Value::Number(number) => Number::read(&number.to_string()).map(Scalar::Number).ok_or(Mistake::NoScalar),
        Value::String(_) => Ok(Scalar::Text(text(operand)?.into())),
        Value::Array(_) | Value::Object(_) => Err(Mistake::NoScalar),
    }
}

fn bound(operand: &Value) -> Result<Scalar<'static>, Mistake> {
    match operand {
        Value::Number(_) | Value::String(_) => scalar(operand),
        _ => Err(Mistake::NoNumberOrText),
    }
}

fn texts(operand: &Value) -> Result<Vec<String>, NotAFilter> {
    match operand {
        Value::Array(items) => list(items, text),
        _ => Ok(vec![text(operand)?]),
    }
}

fn text(operand: &Value) -> Result<String, Mistake> {
    let text = operand.as_str().ok_or(Mistake::NoTexts)?;
    if text.len() > LONGEST_TEXT { Err(Mistake::LongText) } else { Ok(text.to_owned()) }
}

fn list<T>(items: &[Value], read: fn(&Value) -> Result<T, Mistake>) -> Result<Vec<T>, NotAFilter> {
    if !matches!(items.len(), 1..=LONGEST_LIST) {
        return Err(Mistake::NoList.into());
    }
    let items = items.iter().enumerate();
    items
        .map(|(index, item)| read(item).map_err(|mistake| NotAFilter::from(mistake).below(&index.to_string())))
        .collect()
}

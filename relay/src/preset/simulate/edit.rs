//! Writing a value into a body in JSON. Every other byte stays as it is.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// The body with this text at a pointer (RFC 6901): as a number where it is one and takes the place of one. Objects that
/// are missing on the way are made. Nothing if something else is in the way.
pub(super) fn put(body: &str, pointer: &str, text: &str) -> Option<String> {
    let whole: &RawValue = serde_json::from_str(body).ok()?;
    Some(with(body, whole, &edited(whole, pointer, text)?))
}

fn edited(value: &RawValue, pointer: &str, text: &str) -> Option<String> {
    let Some((name, rest)) = split(pointer) else { return Some(scalar(value.get(), text)) };
    let inner = match value.get().as_bytes().first()? {
        b'{' => serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()).ok()?.get(&name).copied(),
        b'[' => {
            Some(serde_json::from_str::<Vec<&RawValue>>(value.get()).ok()?.get(name.parse::<usize>().ok()?).copied()?)
        }
        _ => return None,
    };
    match inner {
        Some(inner) => Some(with(value.get(), inner, &edited(inner, rest, text)?)),
        None => Some(with_member(value.get(), &name, &nested(rest, text))),
    }
}

/// The first name of a pointer, and what is below it.
fn split(pointer: &str) -> Option<(String, &str)> {
    let pointer = pointer.strip_prefix('/')?;
    let (name, rest) = pointer.split_at(pointer.find('/').unwrap_or(pointer.len()));
    Some((name.replace("~1", "/").replace("~0", "~"), rest))
}

/// `whole` with another text where `part`, a piece of it, stands.
fn with(whole: &str, part: &RawValue, text: &str) -> String {
    let start = part.get().as_ptr().addr() - whole.as_ptr().addr();
    [&whole[..start], text, &whole[start + part.get().len()..]].concat()
}

fn with_member(object: &str, name: &str, value: &str) -> String {
    let rest = &object[1..];
    let comma = if rest.trim_start().starts_with('}') { "" } else { ", " };
    format!("{{{}: {value}{comma}{rest}", Value::from(name))
}

fn nested(pointer: &str, text: &str) -> String {
    match split(pointer) {
        Some((name, rest)) => format!("{{{}: {}}}", Value::from(name), nested(rest, text)),
        None => Value::from(text).to_string(),
    }
}

fn scalar(before: &str, text: &str) -> String {
    let was_number = before.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let stays_number = was_number && serde_json::from_str::<Number>(text).is_ok();
    if stays_number { text.to_owned() } else { Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::put;

    #[test]
    fn one_value_changes_and_no_other_byte() {
        for (body, pointer, text, expected) in [
            (r#"{"b":1, "a" : "x" }"#, "/a", "y", Some(r#"{"b":1, "a" : "y" }"#)),
            (" {\"a\":\n\"x\"}\n", "/a", "\"\n", Some(" {\"a\":\n\"\\\"\\n\"}\n")),
            (r#"{"a": 1.50}"#, "/a", "2", Some(r#"{"a": 2}"#)),
            (r#"{"a": -1}"#, "/a", "2", Some(r#"{"a": 2}"#)),
            (r#"{"a": 1}"#, "/a", "x", Some(r#"{"a": "x"}"#)),
            (r#"{"a": 1}"#, "/a", "02", Some(r#"{"a": "02"}"#)),
            (r#"{"a": "1"}"#, "/a", "2", Some(r#"{"a": "2"}"#)),
            (r#"{"a": {"c": [1]}}"#, "/a", "x", Some(r#"{"a": "x"}"#)),
            (r#"[{"a": [{"b": "x"}, 2]}]"#, "/0/a/0/b", "y", Some(r#"[{"a": [{"b": "y"}, 2]}]"#)),
            (r#"{"a/b": {"c~d": "x"}}"#, "/a~1b/c~0d", "y", Some(r#"{"a/b": {"c~d": "y"}}"#)),
            (r#"{"\u0061": "x"}"#, "/a", "y", Some(r#"{"\u0061": "y"}"#)),
            (r#"{"a": "x", "a": "x"}"#, "/a", "y", Some(r#"{"a": "x", "a": "y"}"#)),
            (r#"{"b": 1}"#, "/a", "y", Some(r#"{"a": "y", "b": 1}"#)),
            ("{ }", "/a/b", "y", Some(r#"{"a": {"b": "y"} }"#)),
            (r#"{"a": {}}"#, "/a/b/c\"", "y", Some(r#"{"a": {"b": {"c\"": "y"}}}"#)),
            (r#"{"a": "x"}"#, "/a/b", "y", None),
            ("[]", "/0", "y", None),
            ("[1]", "/a", "y", None),
            ("a=x", "/a", "y", None),
            ("", "/a", "y", None),
        ] {
            assert_eq!(put(body, pointer, text).as_deref(), expected, "{body} {pointer} {text}");
        }
    }
}

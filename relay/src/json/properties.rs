use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any};
use proptest::{option, prop_oneof};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::*;
use crate::property::{nearly, of_each};

const NAMES: &str = "[ab01/~\"é\\\\]{0,2}";

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        nearly(NAMES).prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |below| {
        let list = vec(below.clone(), 0..4).prop_map(Value::from);
        let object = btree_map(NAMES, below, 0..4).prop_map(|fields| fields.into_iter().collect());
        prop_oneof![list, object]
    })
}

/// Pointers to everything in it, and to some that is not.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Array(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        Value::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), field)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in &below {
        pointers(value, &format!("{here}/{}", name.replace('~', "~0").replace('/', "~1")), all);
    }
    all.extend([here.to_owned(), format!("{here}/a"), format!("{here}/{}", below.len())]);
}

fn shown(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[test]
fn what_is_found_in_a_body_is_what_serde_finds_there() {
    of_each((value(), any::<bool>()), |(value, is_spaced)| {
        let body = if is_spaced { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        let (body, mut all) = (body.unwrap(), Vec::new());
        pointers(&value, "", &mut all);
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let expected: Vec<_> = all.iter().map(|pointer| value.pointer(pointer)).collect();
        let whole = |text: Option<&str>| text.map(|text| serde_json::from_str::<Value>(text).unwrap());
        let written: Vec<_> = written(body.as_bytes(), &all).unwrap().into_iter().map(whole).collect();
        assert_eq!(written.iter().map(Option::as_ref).collect::<Vec<_>>(), expected, "{all:?}");
        let texts: Vec<_> = expected.into_iter().map(|value| value.and_then(shown)).collect();
        assert_eq!(read(body.as_bytes(), &all), texts, "{all:?}");
    });
}

#[test]
fn nothing_is_found_in_what_is_no_json() {
    let body = nearly(value().prop_map(|value| value.to_string()));
    of_each((body, option::of("(/[ab01~-]{0,2}){0,3}")), |(body, pointer)| {
        let pointer = pointer.as_deref().unwrap_or("a");
        let bare = body.strip_prefix('\u{feff}').unwrap_or(&body);
        let is_json = serde_json::from_str::<IgnoredAny>(bare).is_ok();
        assert_eq!(written(body.as_bytes(), &[pointer]).is_some(), is_json);
        let found = read(body.as_bytes(), &[pointer]).pop().unwrap();
        assert!(found.is_none() || is_json);
        if let Ok(value) = serde_json::from_str::<Value>(bare) {
            assert_eq!(found.is_some(), value.pointer(pointer).and_then(shown).is_some(), "{pointer}");
        }
    });
}

#[test]
fn a_list_is_told_item_by_item_whatever_the_items_are() {
    of_each((vec(value(), 0..5), any::<bool>()), |(list, is_spaced)| {
        let text = if is_spaced { serde_json::to_string_pretty(&list) } else { serde_json::to_string(&list) };
        let told: Vec<Value> = items(&text.unwrap()).map(|item| serde_json::from_str(item).unwrap()).collect();
        assert_eq!(told, list);
    });
}

//! Checks a value against a schema of the published document, so that what the document says is what is enforced, and
//! every fault is named by its place.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::wire;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A JSON pointer.
    pub pointer: String,
    pub detail: String,
}

/// Everything that is wrong with `value`; nothing if it fits the schema called `name`.
#[must_use]
pub fn faults(schemas: &Map<String, Value>, name: &str, value: &Value) -> Vec<Fault> {
    let mut check = Check { schemas, faults: Vec::new() };
    check.value(check.named(name), value, "");
    check.faults
}

/// Beyond this many, more of them help nobody.
const MOST: usize = 20;

struct Check<'a> {
    schemas: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn named(&self, name: &str) -> &'a Value {
        self.schemas.get(name).unwrap_or(&Value::Null)
    }

    fn fault(&mut self, pointer: &str, detail: impl Into<String>) {
        if self.faults.len() < MOST {
            self.faults.push(Fault { pointer: pointer.to_owned(), detail: detail.into() });
        }
    }

    fn value(&mut self, schema: &'a Value, value: &Value, at: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap_or(name);
            return self.value(self.named(name), value, at);
        }
        if let Some(options) = schema["anyOf"].as_array() {
            return self.nullable(options, value, at);
        }
        if let Some(options) = schema["oneOf"].as_array() {
            return self.union(schema, options, value, at);
        }
        if !has_type(&schema["type"], value) {
            return self.fault(at, format!("must be {}", type_words(&schema["type"])));
        }
        match value {
            Value::Object(fields) => self.object(schema, fields, at),
            Value::Array(items) => self.array(schema, items, at),
            Value::String(text) => self.text(schema, text, at),
            Value::Number(number) => self.number(schema, number.as_f64().unwrap_or(f64::NAN), at),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// `anyOf` is what the document makes of a reference that may be null, and of nothing else.
    fn nullable(&mut self, options: &'a [Value], value: &Value, at: &str) {
        let null = options.iter().any(|option| option["type"] == "null");
        if !(null && value.is_null())
            && let Some(option) = options.iter().find(|option| option["type"] != "null")
        {
            self.value(option, value, at);
        }
    }

    /// A flat union: its discriminator says which of the schemas holds.
    fn union(&mut self, schema: &'a Value, options: &'a [Value], value: &Value, at: &str) {
        let Value::Object(fields) = value else { return self.fault(at, "must be an object") };
        let Some(discriminator) = schema["discriminator"]["propertyName"].as_str() else { return };
        let kind = fields.get(discriminator);
        let names = |option: &&'a Value| self.resolved(option)["properties"][discriminator]["enum"][0].as_str();
        let known: Vec<&str> = options.iter().filter_map(|option| names(&option)).collect();
        let chosen =
            options.iter().find(|option| names(option).is_some_and(|name| kind.is_some_and(|kind| kind == name)));
        match (kind, chosen) {
            (_, Some(option)) => self.value(option, value, at),
            (None, None) => self.fault(&join(at, discriminator), format!("is missing: one of {}", known.join(", "))),
            (Some(_), None) => self.fault(&join(at, discriminator), format!("must be one of {}", known.join(", "))),
        }
    }

    fn resolved(&self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
            Some(name) => self.named(name),
            None => schema,
        }
    }

    fn object(&mut self, schema: &'a Value, fields: &Map<String, Value>, at: &str) {
        if let Some(range) = strays([&schema["minProperties"], &schema["maxProperties"]], fields.len()) {
            return self.fault(at, format!("must have {range} members"));
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !fields.contains_key(*name)) {
            self.fault(&join(at, name), "is missing");
        }
        for (name, value) in fields {
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(property), _) => self.value(property, value, &join(at, name)),
                (None, Value::Bool(false)) if self.faults.len() == MOST => {}
                (None, Value::Bool(false)) => self.fault(&join(at, name), unknown(name, &schema["properties"])),
                (None, member) => self.value(member, value, &join(at, name)),
            }
        }
    }

    fn array(&mut self, schema: &'a Value, items: &[Value], at: &str) {
        if let Some(range) = strays([&schema["minItems"], &schema["maxItems"]], items.len()) {
            // What is in a list of a wrong length is not looked at: it may be a million things.
            return self.fault(at, format!("must have {range} items"));
        }
        for (place, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &join(at, &place.to_string()));
        }
        // Names of headers in another case are the same.
        let is_name = schema["items"]["format"] == "header-name";
        let same = |item: &Value| match item {
            Value::String(name) if is_name => Value::String(name.to_ascii_lowercase()),
            other => other.clone(),
        };
        let mut seen = HashSet::new();
        if schema["uniqueItems"] == Value::Bool(true)
            && let Some(place) = items.iter().position(|item| !seen.insert(same(item)))
        {
            let is_the_same = items[..place].contains(&items[place]);
            let detail = if is_the_same { "stands there twice" } else { "stands there twice, in another case" };
            self.fault(&join(at, &place.to_string()), detail);
        }
    }

    fn text(&mut self, schema: &'a Value, text: &str, at: &str) {
        if let Some(range) = strays([&schema["minLength"], &schema["maxLength"]], text.chars().count()) {
            self.fault(at, format!("must have {range} characters"));
        }
        if let Some(known) = schema["enum"].as_array().filter(|known| !known.iter().any(|name| name == text)) {
            let known: Vec<&str> = known.iter().filter_map(Value::as_str).collect();
            self.fault(at, format!("must be one of {}", known.join(", ")));
        }
        // No database column can hold it, and nothing that has a meaning contains it.
        if text.contains('\0') {
            self.fault(at, "must not contain the character U+0000");
        } else if let Some(detail) = schema["format"].as_str().and_then(|format| wire::fault(format, text)) {
            self.fault(at, detail);
        }
    }

    fn number(&mut self, schema: &'a Value, number: f64, at: &str) {
        let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
        if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
            self.fault(at, format!("must be {}", range(least, most)));
        }
    }
}

/// How alike, of 1, two names are when one is taken for a slip of the other.
const ALIKE: f64 = 0.85;
/// The longest name that may be a slip of one of ours.
const LONGEST_SLIP: usize = 64;

/// What could stand there instead, and what was probably meant.
fn unknown(name: &str, properties: &Value) -> String {
    let known: Vec<&str> = properties.as_object().into_iter().flatten().map(|(known, _)| known.as_str()).collect();
    let alike = |known: &&str| if name.len() <= LONGEST_SLIP { strsim::jaro_winkler(name, known) } else { 0.0 };
    let meant = known.iter().max_by(|one, other| alike(one).total_cmp(&alike(other)));
    match (meant.filter(|known| alike(known) >= ALIKE), known.is_empty()) {
        (Some(meant), _) => format!("is unknown here; perhaps `{meant}` was meant. Known are {}", known.join(", ")),
        (None, false) => format!("is unknown here. Known are {}", known.join(", ")),
        (None, true) => "is unknown here, as is every other name".to_owned(),
    }
}

/// The range that a length is outside of.
fn strays(bounds: [&Value; 2], length: usize) -> Option<String> {
    let [least, most] = bounds.map(|bound| bound.as_u64().and_then(|bound| usize::try_from(bound).ok()));
    let is_within = least.is_none_or(|least| length >= least) && most.is_none_or(|most| length <= most);
    (!is_within).then(|| range(least, most))
}

fn has_type(types: &Value, value: &Value) -> bool {
    match types {
        Value::Array(types) => types.iter().any(|one| has_type(one, value)),
        Value::String(name) => match name.as_str() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "integer" => value.is_i64() || value.is_u64(),
            _ => value.is_number(),
        },
        // A schema without a type takes anything.
        _ => true,
    }
}

fn type_words(types: &Value) -> String {
    let word = |name: &str| match name {
        "object" | "array" | "integer" => format!("an {name}"),
        "null" => name.to_owned(),
        _ => format!("a {name}"),
    };
    match types {
        Value::Array(types) => types.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        other => word(other.as_str().unwrap_or("value")),
    }
}

fn range<T: std::fmt::Display>(least: Option<T>, most: Option<T>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => String::new(),
    }
}

/// The pointer of a member (RFC 6901).
pub(crate) fn join(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: &Value) -> Vec<(String, String)> {
        let schemas = json!({
            "New": {
                "type": "object", "additionalProperties": false, "required": ["name", "auth"],
                "properties": {
                    "name": {"type": "string", "minLength": 1, "maxLength": 3},
                    "auth": {"$ref": "#/components/schemas/Auth"},
                    "to": {"type": ["string", "null"], "format": "date-time"},
                    "sources": {"type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string", "format": "source-id"}},
                    "timeout_s": {"type": "integer", "minimum": 1, "maximum": 30},
                    "spare": {"anyOf": [{"$ref": "#/components/schemas/Auth"}, {"type": "null"}]},
                    "state": {"type": "string", "enum": ["on", "off"]},
                    "a/b": {"type": "boolean"},
                    "forward": {"type": "array", "uniqueItems": true, "items": {"type": "string", "format": "header-name"}},
                    "by_name": {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string", "format": "slug"}}
                }
            },
            "Auth": {
                "oneOf": [{"$ref": "#/components/schemas/None"}, {"$ref": "#/components/schemas/Basic"}],
                "discriminator": {"propertyName": "kind"}
            },
            "None": {"type": "object", "additionalProperties": false, "required": ["kind"],
                     "properties": {"kind": {"type": "string", "enum": ["none"]}}},
            "Basic": {"type": "object", "additionalProperties": false, "required": ["kind", "username"],
                      "properties": {"kind": {"type": "string", "enum": ["basic"]}, "username": {"type": "string"}}}
        });
        let mut base = json!({"name": "n", "auth": {"kind": "none"}});
        for (name, value) in value.as_object().unwrap() {
            base[name] = value.clone();
        }
        let found = faults(schemas.as_object().unwrap(), "New", &base);
        found.into_iter().map(|fault| (fault.pointer, fault.detail)).collect()
    }

    #[test]
    fn what_fits_has_no_fault() {
        for value in [
            json!({}),
            json!({"to": null}),
            json!({"to": "2026-11-22T10:00:00Z", "timeout_s": 30, "state": "on", "spare": null}),
            json!({"auth": {"kind": "basic", "username": "u"}, "spare": {"kind": "none"}}),
            json!({"sources": ["src_01h2xcejqtf2nbrexx3vqjhp41"], "a/b": true, "name": "äöü"}),
            json!({"by_name": {}}),
            json!({"by_name": {"a": "ab", "b": "cd"}}),
        ] {
            assert_eq!(check(&value), [], "{value}");
        }
    }

    #[test]
    fn each_fault_is_named_by_its_place() {
        for (value, pointer, detail) in [
            (json!({"name": 3}), "/name", "must be a string"),
            (json!({"name": null}), "/name", "must be a string"),
            (json!({"name": ""}), "/name", "must have 1 to 3 characters"),
            (json!({"name": "abcd"}), "/name", "must have 1 to 3 characters"),
            (json!({"name": "a\0"}), "/name", "must not contain the character U+0000"),
            (
                json!({"filter": {}}),
                "/filter",
                "is unknown here. Known are a/b, auth, by_name, forward, name, sources, spare, state, timeout_s, to",
            ),
            (
                json!({"timeout": 1}),
                "/timeout",
                "is unknown here; perhaps `timeout_s` was meant. Known are a/b, auth, by_name, forward, name, sources, spare, state, timeout_s, to",
            ),
            (json!({"auth": []}), "/auth", "must be an object"),
            (json!({"auth": {}}), "/auth/kind", "is missing: one of none, basic"),
            (json!({"auth": {"kind": "bearer"}}), "/auth/kind", "must be one of none, basic"),
            (json!({"auth": {"kind": "basic"}}), "/auth/username", "is missing"),
            (json!({"auth": {"kind": "none", "x": 1}}), "/auth/x", "is unknown here. Known are kind"),
            (json!({"spare": {"kind": 1}}), "/spare/kind", "must be one of none, basic"),
            (json!({"to": "soon"}), "/to", "not a time as in 2026-11-22T10:00:00.000Z (RFC 3339)"),
            (json!({"to": 1}), "/to", "must be a string or null"),
            (json!({"sources": []}), "/sources", "must have at least 1 items"),
            (json!({"sources": ["x"]}), "/sources/0", "not an id of a source"),
            (json!({"timeout_s": 0}), "/timeout_s", "must be 1 to 30"),
            (json!({"timeout_s": 31}), "/timeout_s", "must be 1 to 30"),
            (json!({"timeout_s": 1.0}), "/timeout_s", "must be an integer"),
            (json!({"timeout_s": "1"}), "/timeout_s", "must be an integer"),
            (json!({"state": "maybe"}), "/state", "must be one of on, off"),
            (json!({"a/b": 1}), "/a~1b", "must be a boolean"),
            (json!({"by_name": {"a": "ab", "b/c": 1}}), "/by_name/b~1c", "must be a string"),
            (json!({"by_name": {"a": "A"}}), "/by_name/a", "a slug is 2 to 40 of a-z, 0-9 and -"),
            (json!({"by_name": {"a": "ab", "b": "ab", "c": 1}}), "/by_name", "must have at most 2 members"),
            (json!({"forward": ["x-a", "X-B", "x-b"]}), "/forward/2", "stands there twice, in another case"),
            (json!({"forward": ["x-a", "x-b", "x-b"]}), "/forward/2", "stands there twice"),
        ] {
            assert_eq!(check(&value), [(pointer.to_owned(), detail.to_owned())], "{value}");
        }
    }

    #[test]
    fn every_fault_is_told() {
        let found = check(&json!({"name": 1, "timeout_s": 0, "x": 1}));
        assert_eq!(
            found.iter().map(|(pointer, _)| pointer.as_str()).collect::<Vec<_>>(),
            ["/name", "/timeout_s", "/x"]
        );
        let twice = check(&json!({"sources": ["src_01h2xcejqtf2nbrexx3vqjhp41", "src_01h2xcejqtf2nbrexx3vqjhp41"]}));
        assert_eq!(twice, [("/sources/1".to_owned(), "stands there twice".to_owned())]);
    }
}

//! Makes valid OpenAPI 3.1 of what the generator writes, and says in the document what the code enforces.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{headers, ingest, oauth};
use crate::input::QUERY_MEDIA_TYPE;
use crate::wire::RETRY_STATUS;

/// The published document, and every schema, also those that became parameters.
pub(super) fn upgrade(mut document: Value) -> (Value, Map<String, Value>) {
    document["openapi"] = json!("3.1.0");
    if document["servers"] == json!([]) {
        document.as_object_mut().map(|members| members.remove("servers"));
    }
    modernise(&mut document);
    flatten_unions(&mut document["components"]["schemas"]);
    let mut schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
    close(&mut schemas, &asked_for(&document["paths"]));
    for (method, operation) in operations(&mut document["paths"]) {
        show_query(operation, &schemas);
        show_body(method, operation, &schemas);
    }
    for (method, operation) in operations(&mut document["paths"]) {
        headers::of_admin(method, operation);
    }
    document["paths"][ingest::PATH] = ingest::operations();
    document["paths"][oauth::PATH] = oauth::operations();
    for (_, operation) in operations(&mut document["paths"]) {
        headers::of_all(operation);
    }
    document["components"]["schemas"] = Value::Object(schemas.clone());
    document["components"]["headers"] = headers::components();
    prune(&mut document);
    (document, schemas)
}

/// Whether nothing in this schema is required.
pub(super) fn is_optional(schemas: &Map<String, Value>, name: &str) -> bool {
    schemas.get(name).is_some_and(|schema| {
        let requires_nothing = schema["required"].as_array().is_none_or(Vec::is_empty);
        schema["type"] == "object" && schema["oneOf"].is_null() && requires_nothing
    })
}

/// Rewrites what 3.0 says in another way, everywhere.
fn modernise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(modernise),
        Value::Object(members) => {
            if let Some(content) = members.remove("application/json; charset=utf-8") {
                members.insert("application/json".to_owned(), content);
            }
            members.values_mut().for_each(modernise);
            modernise_schema(members);
        }
        _ => {}
    }
}

fn modernise_schema(schema: &mut Map<String, Value>) {
    bound_integers(schema);
    if schema.get("format").and_then(Value::as_str) == Some(RETRY_STATUS) {
        schema.insert("type".to_owned(), json!(["integer", "string"]));
        schema.insert("minimum".to_owned(), json!(300));
        schema.insert("maximum".to_owned(), json!(599));
        schema.insert("examples".to_owned(), json!([429, "5xx", "500-504"]));
    }
    // The name of the schema says the same.
    if schema.get("title").is_some_and(Value::is_string) && schema.contains_key("type") {
        schema.remove("title");
    }
    if let Some(example) = schema.remove("example").filter(|_| schema.contains_key("type")) {
        schema.insert("examples".to_owned(), json!([example]));
    }
    let is_nullable = schema.remove("nullable") == Some(Value::Bool(true));
    // A reference that something is added to: {"allOf": [{"$ref": …}, {what is added}], what is added}.
    let reference = match schema.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([reference, added]) if reference.get("$ref").is_some() && added.get("properties").is_none() => {
            Some(reference["$ref"].clone())
        }
        _ => None,
    };
    if let Some(reference) = reference {
        schema.remove("allOf");
        if is_nullable {
            schema.insert("anyOf".to_owned(), json!([{"$ref": reference}, {"type": "null"}]));
        } else {
            schema.insert("$ref".to_owned(), reference);
        }
    } else if is_nullable && let Some(Value::String(kind)) = schema.get("type").cloned() {
        schema.insert("type".to_owned(), json!([kind, "null"]));
    }
}

/// The size of an integer is no format that everybody knows; bounds are.
fn bound_integers(schema: &mut Map<String, Value>) {
    for name in ["minimum", "maximum"] {
        let whole = schema.get(name).and_then(Value::as_f64).filter(|bound| bound.fract() == 0.0);
        if let Some(bound) = whole {
            schema.insert(name.to_owned(), json!(bound as i64));
        }
    }
    let (least, most) = match schema.get("format").and_then(Value::as_str) {
        Some("uint16") => (0, i64::from(u16::MAX)),
        Some("uint32") => (0, i64::from(u32::MAX)),
        Some("int16") => (i64::from(i16::MIN), i64::from(i16::MAX)),
        _ => return,
    };
    schema.remove("format");
    schema.entry("minimum").or_insert(json!(least));
    schema.entry("maximum").or_insert(json!(most));
}

/// `{"allOf": [{the discriminator}, {"$ref": …}]}` becomes one object, so that it can refuse unknown fields.
fn flatten_unions(schemas: &mut Value) {
    let all = schemas.clone();
    for schema in schemas.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let Some([tag, reference]) = schema["allOf"].as_array().map(Vec::as_slice) else { continue };
        let Some(object) = named(&all, reference) else { continue };
        let mut flat = object.clone();
        for (name, property) in tag["properties"].as_object().into_iter().flatten() {
            flat["properties"][name] = property.clone();
        }
        let required = [&tag["required"], &object["required"]].into_iter().filter_map(Value::as_array).flatten();
        flat["required"] = required.cloned().collect();
        *schema = flat;
    }
}

fn named<'a>(schemas: &'a Value, reference: &Value) -> Option<&'a Value> {
    schemas.get(reference["$ref"].as_str()?.rsplit('/').next()?)
}

/// The schemas that requests are made of.
fn asked_for(paths: &Value) -> BTreeSet<String> {
    let mut bodies = Vec::new();
    for operation in paths.as_object().into_iter().flatten().flat_map(|(_, methods)| methods.as_object()).flatten() {
        bodies.push(operation.1["requestBody"].clone());
    }
    references(&Value::Array(bodies))
}

/// Refuses unknown fields in these schemas and all that they refer to.
fn close(schemas: &mut Map<String, Value>, names: &BTreeSet<String>) {
    for name in names {
        let Some(schema) = schemas.get_mut(name) else { continue };
        let is_closed = schema["additionalProperties"] == Value::Bool(false);
        if schema["type"] == "object" && schema["oneOf"].is_null() && !is_closed {
            schema["additionalProperties"] = json!(false);
        }
        let further = references(schema);
        if !is_closed {
            close(schemas, &further);
        }
    }
}

fn references(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).and_then(|reference| reference.rsplit('/').next());
            members.values().flat_map(references).chain(own.map(str::to_owned)).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn operations(paths: &mut Value) -> impl Iterator<Item = (&String, &mut Value)> {
    paths.as_object_mut().into_iter().flat_map(Map::values_mut).filter_map(Value::as_object_mut).flatten()
}

/// A schema that stands for the query becomes parameters.
fn show_query(operation: &mut Value, schemas: &Map<String, Value>) {
    let content = operation.get("requestBody").and_then(|body| body["content"].get(QUERY_MEDIA_TYPE));
    let Some(schema) = content.map(|media| media["schema"].clone()) else { return };
    operation.as_object_mut().map(|members| members.remove("requestBody"));
    let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    for (name, property) in schemas.get(name).and_then(|schema| schema["properties"].as_object()).into_iter().flatten()
    {
        let mut schema = property.clone();
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        let parameter =
            json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema});
        add(operation, "parameters", parameter);
    }
}

/// Only a POST whose fields are all optional may come without a body.
fn show_body(method: &str, operation: &mut Value, schemas: &Map<String, Value>) {
    let Some(body) = operation.get_mut("requestBody") else { return };
    let schema = &body["content"]["application/json"]["schema"]["$ref"];
    let name = schema.as_str().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
    body["required"] = json!(method != "post" || !is_optional(schemas, name));
}

pub(super) fn add(operation: &mut Value, list: &str, item: Value) {
    match operation[list].as_array_mut() {
        Some(items) => items.push(item),
        None => operation[list] = json!([item]),
    }
}

/// Leaves out schemas that nothing refers to any more.
fn prune(document: &mut Value) {
    let mut used = references(&document["paths"]);
    loop {
        let schemas = &document["components"]["schemas"];
        let further: BTreeSet<_> = used.iter().flat_map(|name| references(&schemas[name])).collect();
        if further.is_subset(&used) {
            break;
        }
        used.extend(further);
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.retain(|name, _| used.contains(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modern(mut value: Value) -> Value {
        modernise(&mut value);
        value
    }

    #[test]
    fn what_may_be_null_says_so_as_3_1_has_it() {
        let reference = "#/components/schemas/A";
        for (old, new) in [
            (json!({"type": "string", "nullable": true}), json!({"type": ["string", "null"]})),
            (json!({"type": "string"}), json!({"type": "string"})),
            (
                json!({"allOf": [{"$ref": reference}, {"nullable": true}], "nullable": true}),
                json!({"anyOf": [{"$ref": reference}, {"type": "null"}]}),
            ),
            (
                json!({"allOf": [{"$ref": reference}, {"description": "d"}], "description": "d"}),
                json!({"$ref": reference, "description": "d"}),
            ),
            (
                json!({"type": "integer", "format": "uint16"}),
                json!({"type": "integer", "minimum": 0, "maximum": 65535}),
            ),
            (
                json!({"type": "integer", "format": "int16", "minimum": 1, "maximum": 30}),
                json!({"type": "integer", "minimum": 1, "maximum": 30}),
            ),
            (json!({"type": "integer", "format": "int64"}), json!({"type": "integer", "format": "int64"})),
        ] {
            assert_eq!(modern(old), new);
        }
    }

    #[test]
    fn a_union_becomes_one_object_and_refuses_unknown_fields() {
        let mut schemas = json!({
            "A": {"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}},
            "U_A": {"allOf": [
                {"type": "object", "required": ["kind"], "properties": {"kind": {"type": "string", "enum": ["a"]}}},
                {"$ref": "#/components/schemas/A"}
            ]},
            "U": {"oneOf": [{"$ref": "#/components/schemas/U_A"}]}
        });
        flatten_unions(&mut schemas);
        let mut schemas = schemas.as_object().unwrap().clone();
        close(&mut schemas, &BTreeSet::from(["U".to_owned()]));
        assert_eq!(schemas["U_A"]["required"], json!(["kind", "x"]));
        assert_eq!(schemas["U_A"]["additionalProperties"], json!(false));
        assert_eq!(schemas["U_A"]["properties"].as_object().unwrap().len(), 2);
    }
}

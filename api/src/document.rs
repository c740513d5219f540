//! The published contract: generated from the handlers, made valid OpenAPI 3.1, and enforced by what it says.

use std::sync::LazyLock;

use poem::http::Method;
use serde_json::{Map, Value};

use crate::resources;

pub(crate) mod docs;
mod headers;
mod ingest;
mod oauth;
mod upgrade;

/// The document as it is published.
#[must_use]
pub fn document() -> Value {
    DOCUMENT.published.clone()
}

/// The document as text, as it is served and committed.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", DOCUMENT.published)
}

/// Every schema, by name: also those that the published document shows as parameters.
pub(crate) fn schemas() -> &'static Map<String, Value> {
    &DOCUMENT.schemas
}

/// Whether a body with this schema may be left out: nothing in it is required.
pub(crate) fn is_optional(schema: &str) -> bool {
    upgrade::is_optional(&DOCUMENT.schemas, schema)
}

/// The methods that a path has.
pub(crate) fn methods_of(path: &str) -> Vec<String> {
    let paths = DOCUMENT.published["paths"].as_object().into_iter().flatten();
    let Some((_, operations)) = paths.into_iter().find(|(template, _)| fits(template, path)) else {
        // What is not in the document is the document itself, and its page.
        return vec!["GET".to_owned(), "HEAD".to_owned()];
    };
    let mut methods: Vec<String> =
        operations.as_object().into_iter().flatten().map(|(name, _)| name.to_uppercase()).collect();
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".to_owned());
    }
    methods
}

/// What the document says of an operation. A HEAD is a GET.
pub(crate) fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let method = if method == Method::HEAD { Method::GET } else { method.clone() };
    let paths = DOCUMENT.published["paths"].as_object()?;
    let (_, operations) = paths.iter().find(|(template, _)| fits(template, path))?;
    operations.get(method.as_str().to_ascii_lowercase())
}

/// Whether a path is one of this template.
pub(crate) fn fits(template: &str, path: &str) -> bool {
    let [mut wanted, mut given] = [template, path].map(|path| path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

struct Document {
    published: Value,
    schemas: Map<String, Value>,
}

static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let generated = serde_json::from_str(&resources::service().spec()).expect("the generator writes JSON");
    let (published, schemas) = upgrade::upgrade(generated);
    Document { published, schemas }
});

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
        let paths = DOCUMENT.published["paths"].as_object().unwrap();
        paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
    }

    #[test]
    fn every_operation_has_its_own_name_a_summary_and_a_tag() {
        let mut names = HashSet::new();
        for (path, method, operation) in operations() {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(!name.is_empty() && names.insert(name), "{method} {path}: {name}");
            assert!(operation["summary"].is_string(), "{name}");
            assert!(operation["tags"][0].is_string(), "{name}");
        }
    }

    /// Parameters are bound by their place, so a swap would only show in their names.
    #[test]
    fn the_parameters_of_a_path_stand_in_its_order() {
        for (path, method, operation) in operations() {
            let wanted: Vec<_> = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let declared: Vec<_> =
                parameters.filter(|p| p["in"] == "path").map(|p| p["name"].as_str().unwrap()).collect();
            assert_eq!(declared, wanted, "{method} {path}");
        }
    }

    #[test]
    fn every_operation_of_a_handler_is_published() {
        use poem_openapi::OpenApi;
        let made: usize =
            resources::Apis::meta().iter().flat_map(|api| &api.paths).map(|path| path.operations.len()).sum();
        assert_eq!(operations().filter(|(path, ..)| path.starts_with("/v1")).count(), made);
    }

    #[test]
    fn every_reference_leads_somewhere_and_nothing_of_3_0_is_left() {
        fn walk(value: &Value, seen: &mut dyn FnMut(&str, &Value)) {
            match value {
                Value::Object(members) => members.iter().for_each(|(name, value)| {
                    seen(name, value);
                    walk(value, seen);
                }),
                Value::Array(items) => items.iter().for_each(|item| walk(item, seen)),
                _ => {}
            }
        }
        walk(&DOCUMENT.published, &mut |name, value| {
            if name == "$ref" {
                let target = value.as_str().unwrap().strip_prefix('#').unwrap();
                assert!(DOCUMENT.published.pointer(target).is_some_and(Value::is_object), "{target}");
            }
            assert!(!["nullable", "allOf", "exclusiveMinimum", "exclusiveMaximum"].contains(&name), "{name}");
            assert!(!name.contains("charset") && name != crate::input::QUERY_MEDIA_TYPE, "{name}");
        });
    }

    #[test]
    fn bodies_know_no_fields_but_their_own() {
        for (path, method, operation) in operations() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = schema["$ref"].as_str() else { continue };
            let schema = &DOCUMENT.schemas[name.rsplit('/').next().unwrap()];
            let is_closed = schema["additionalProperties"] == false || schema["oneOf"].is_array();
            assert!(is_closed || path.starts_with("/in/"), "{method} {path}: {schema}");
        }
    }

    #[test]
    fn the_methods_of_a_path_are_found_by_its_template() {
        assert_eq!(methods_of("/v1/tenants"), ["GET", "POST", "HEAD"]);
        assert_eq!(methods_of("/v1/tenants/x"), ["DELETE", "GET", "PATCH", "HEAD"]);
        assert_eq!(methods_of("/docs"), ["GET", "HEAD"]);
        assert!(!fits("/v1/tenants/{t}", "/v1/tenants/"));
    }
}

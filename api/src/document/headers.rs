//! The headers that operations have in common, which no handler shows.

use serde_json::{Value, json};

use super::upgrade::add;
use crate::idempotency::MAX_KEY;

/// What is said of the headers of answers, once for all operations.
pub(super) fn components() -> Value {
    let header = |description| json!({"description": description, "schema": {"type": "string"}});
    json!({
        REQUEST_ID: header("Names this request, also in the log and in the audit log."),
        RATE_LIMIT_POLICY: header("How many requests (`q`) are answered within how many seconds (`w`), by each api process; as draft-ietf-httpapi-ratelimit-headers has it."),
        RATE_LIMIT: header("How many of them are left (`r`), and in how many seconds there are all of them again (`t`). Beyond them it is 429."),
    })
}

/// Of every operation.
pub(super) fn of_all(operation: &mut Value) {
    answer_with(operation, REQUEST_ID);
}

/// Of the admin API's: what a method can demand, and how often a key may ask.
pub(super) fn of_admin(method: &str, operation: &mut Value) {
    let header = |name, description, schema| json!({"name": name, "in": "header", "required": false, "description": description, "schema": schema});
    if method == "post" {
        let schema = json!({"type": "string", "pattern": format!("^[!-~]{{1,{MAX_KEY}}}$")});
        add(operation, "parameters", header("idempotency-key", IDEMPOTENCY_KEY, schema));
    }
    if ["put", "patch", "delete"].contains(&method) && operation["operationId"] != ERASE {
        add(operation, "parameters", header("if-match", IF_MATCH, json!({"type": "string"})));
    }
    if method == "put" {
        add(operation, "parameters", header("if-none-match", IF_NONE_MATCH, json!({"type": "string"})));
    }
    if operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty()) {
        answer_with(operation, RATE_LIMIT_POLICY);
        answer_with(operation, RATE_LIMIT);
    }
}

fn answer_with(operation: &mut Value, header: &str) {
    for response in operation["responses"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut) {
        response["headers"][header] = json!({"$ref": format!("#/components/headers/{header}")});
    }
}

/// A body has no version: it is there, or it is not.
const ERASE: &str = "erase_event_body";
const REQUEST_ID: &str = "request-id";
const RATE_LIMIT_POLICY: &str = "ratelimit-policy";
const RATE_LIMIT: &str = "ratelimit";
const IDEMPOTENCY_KEY: &str =
    "The same request under the same key is done once; its answer is given again for 24 hours.";
const IF_MATCH: &str = "The `etag` that was read: the change is refused with 412 if it is not the present one.";
const IF_NONE_MATCH: &str = "`*`: what is there already is not changed, and answered with 412.";

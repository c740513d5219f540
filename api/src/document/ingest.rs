//! The way in for providers, described by hand: its handler takes any bytes, which no generator can see.

use serde_json::{Value, json};

pub(super) const PATH: &str = "/in/{tenant}/{source_key}";

pub(super) fn operations() -> Value {
    json!({"post": {
        "operationId": "receive_event",
        "tags": ["receiving"],
        "summary": "Receive an event from a provider",
        "description": DESCRIPTION,
        "parameters": [path("tenant", "The tenant's slug."), path("source_key", "The secret part of a source's URL.")],
        "requestBody": {"required": false, "content": {"*/*": {"schema": {}}}},
        "responses": responses(),
        "security": []
    }})
}

const DESCRIPTION: &str = "The URL of a source. The body is kept and sent on byte for byte, whatever it is. Answered once \
    the event and its deliveries are committed; a repeat, as the source's `dedupe` has it, gets the same answer. PUT, \
    PATCH, GET and DELETE are taken in the same way, with a body or without; HEAD only tells whether the URL is good. What \
    follows the key in the path is kept with the event, and so is the query. A request by which a provider tries the URL \
    is answered as the provider asks for, and not stored.";

fn path(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}})
}

fn responses() -> Value {
    let id = json!({"type": "string", "format": "event-id"});
    let stored = json!({"hookyard-event-id": {"description": "The event's id.", "schema": id}});
    let accepted = json!({"type": "object", "required": ["event_id"], "properties": {"event_id": id}});
    json!({
        "202": {
            "description": "Committed.",
            "headers": stored,
            "content": {"application/json": {"schema": accepted}}
        },
        "2XX": {
            "description": "Committed, where the source has a `response`: what it says. Or an answer to a provider that tried the URL.",
            "headers": stored,
            "content": {"*/*": {"schema": {}}}
        },
        "400": refused("The body broke off."),
        "401": challenging("The request does not prove what the source demands."),
        "403": refused("The sender's address is not one that the source takes."),
        "404": refused("No such URL, or its source is disabled."),
        "405": allowing("Not a method that webhooks are sent with."),
        "408": refused("The body did not arrive in time."),
        "413": refused("The body is larger than the source takes."),
        "429": waiting("More requests than the source or its tenant takes."),
        "500": refused("A fault of the relay's own. Send it again."),
        "503": waiting("Not now: nothing was stored. Send it again.")
    })
}

fn refused(description: &str) -> Value {
    let schema = json!({"$ref": "#/components/schemas/Problem"});
    json!({"description": description, "content": {"application/problem+json": {"schema": schema}}})
}

fn challenging(description: &str) -> Value {
    with_header(refused(description), "www-authenticate", "What may be presented instead.", "string")
}

fn allowing(description: &str) -> Value {
    with_header(refused(description), "allow", "The methods that are taken.", "string")
}

fn waiting(description: &str) -> Value {
    with_header(refused(description), "retry-after", "Seconds to wait.", "integer")
}

fn with_header(mut response: Value, name: &str, description: &str, kind: &str) -> Value {
    response["headers"] = json!({name: {"description": description, "schema": {"type": kind}}});
    response
}

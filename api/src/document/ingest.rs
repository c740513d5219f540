//! The way in for providers, described by hand: its handler takes any bytes, which no generator can see.

use serde_json::{Value, json};

pub(super) const PATH: &str = "/in/{tenant}/{source_key}";

pub(super) fn operations() -> Value {
    let path = |name: &str, description: &str| json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}});
    json!({"post": {
        "operationId": "receive_event",
        "tags": ["receiving"],
        "summary": "Receive an event from a provider",
        "description": "The URL of a source. The body is kept and sent on byte for byte, whatever it is. Answered once the event and its deliveries are committed; a repeat of the same external id gets the same answer.",
        "parameters": [path("tenant", "The tenant's slug."), path("source_key", "The secret part of a source's URL.")],
        "requestBody": {"required": false, "content": {"*/*": {"schema": {}}}},
        "responses": {
            "202": {"description": "Committed.", "content": {"application/json": {"schema": {
                "type": "object", "required": ["event_id"],
                "properties": {"event_id": {"type": "string", "format": "event-id"}}
            }}}},
            "401": {"description": "The request does not prove what the source demands."},
            "404": {"description": "No such URL."},
            "413": {"description": "The body is larger than the source takes."},
            "503": {"description": "Not now. Send it again after `retry-after` seconds; nothing was stored."}
        },
        "security": []
    }})
}

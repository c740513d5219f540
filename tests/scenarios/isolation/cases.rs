//! One case for each operation of the document: who calls it, and with what body.

use harness::{Value, json};

use super::document::Operation;
use super::ids::Ids;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    /// Needs no key.
    Anybody,
    /// Has a source's URL, and what it asks for: see `a_provider_is_let_in_at_its_own_source_alone`.
    Provider,
    Operator,
    Tenant,
}

#[derive(Debug)]
pub(super) struct Case {
    /// As in [`Operation::call`].
    call: &'static str,
    pub(super) caller: Caller,
    body: fn(&Ids) -> Value,
    /// What stands behind the path: that an answer which goes on and on ends soon.
    pub(super) query: &'static str,
}

impl Case {
    /// The body for a call about these.
    pub(super) fn body(&self, ids: &Ids) -> Option<Value> {
        Some((self.body)(ids)).filter(|body| !body.is_null())
    }
}

/// The case of an operation, if somebody thought of one.
pub(super) fn find(operation: &Operation) -> Option<&'static Case> {
    CASES.iter().find(|case| case.call == operation.call)
}

/// Cases of operations that there are no more.
pub(super) fn stale(operations: &[Operation]) -> Vec<&'static str> {
    let is_there = |case: &&Case| operations.iter().any(|operation| operation.call == case.call);
    CASES.iter().filter(|case| !is_there(case)).map(|case| case.call).collect()
}

type IdOf = fn(&Ids) -> &str;

/// Parameters of lists that are ids: list, parameter, id.
pub(super) const QUERIES: [(&str, &str, IdOf); 8] = [
    ("/events", "source_id", |ids| &ids.source),
    ("/events", "destination_id", |ids| &ids.destination),
    ("/events", "subscription_id", |ids| &ids.subscription),
    ("/deliveries", "event_id", |ids| &ids.event),
    ("/deliveries", "destination_id", |ids| &ids.destination),
    ("/deliveries", "subscription_id", |ids| &ids.subscription),
    ("/deliveries", "replay_id", |ids| &ids.replay),
    ("/deliveries", "source_id", |ids| &ids.source),
];

/// Fields of a replay's filter that are ids.
pub(super) const FILTERS: [(&str, IdOf); 3] = [
    ("source_id", |ids| &ids.source),
    ("destination_id", |ids| &ids.destination),
    ("subscription_id", |ids| &ids.subscription),
];

const fn nothing(_: &Ids) -> Value {
    Value::Null
}

const fn public(call: &'static str) -> Case {
    Case { call, caller: Caller::Anybody, body: nothing, query: "" }
}

const fn bare(call: &'static str) -> Case {
    Case { call, caller: Caller::Tenant, body: nothing, query: "" }
}

const fn for_a_second(call: &'static str) -> Case {
    Case { query: "?duration_s=1", ..bare(call) }
}

const fn with(call: &'static str, body: fn(&Ids) -> Value) -> Case {
    Case { call, caller: Caller::Tenant, body, query: "" }
}

const fn by_operator(call: &'static str, body: fn(&Ids) -> Value) -> Case {
    Case { call, caller: Caller::Operator, body, query: "" }
}

const fn by_provider(call: &'static str) -> Case {
    Case { call, caller: Caller::Provider, body: nothing, query: "" }
}

static CASES: &[Case] = &[
    public("GET /v1/providers"),
    public("GET /v1/providers/{}"),
    public("GET /v1/egress-addresses"),
    by_provider("POST /in/{}/{}"),
    by_provider("POST /oauth/token"),
    by_operator("GET /v1/tenants", nothing),
    by_operator(
        "POST /v1/tenants",
        |_| json!({ "name": "new", "slug": format!("new-{}", uuid::Uuid::now_v7().simple()) }),
    ),
    by_operator("GET /v1/audit-log", nothing),
    by_operator("GET /v1/tenants/{}", nothing),
    by_operator("PATCH /v1/tenants/{}", |_| json!({ "name": "changed" })),
    by_operator("DELETE /v1/tenants/{}", nothing),
    bare("GET /v1/tenants/{}/api-keys"),
    with("POST /v1/tenants/{}/api-keys", |_| json!({ "name": "new", "scopes": ["read"] })),
    bare("GET /v1/tenants/{}/api-keys/{}"),
    bare("DELETE /v1/tenants/{}/api-keys/{}"),
    bare("GET /v1/tenants/{}/sources"),
    with(
        "POST /v1/tenants/{}/sources",
        |_| json!({ "name": "new", "provider": "ondato", "verification": { "kind": "none" } }),
    ),
    with("PUT /v1/tenants/{}/sources/by-key/{}", |_| json!({ "name": "new", "provider": "ondato" })),
    bare("GET /v1/tenants/{}/sources/{}"),
    with("PATCH /v1/tenants/{}/sources/{}", |_| json!({ "name": "changed" })),
    bare("DELETE /v1/tenants/{}/sources/{}"),
    bare("POST /v1/tenants/{}/sources/{}/rotate-url"),
    with("POST /v1/tenants/{}/sources/{}/simulate", |_| json!({ "event_type": "KycIdentification.Approved" })),
    bare("GET /v1/tenants/{}/sources/{}/rejections"),
    bare("GET /v1/tenants/{}/sources/{}/credentials"),
    with("POST /v1/tenants/{}/sources/{}/credentials", |_| json!({ "kind": "basic", "username": "new" })),
    with(
        "PUT /v1/tenants/{}/sources/{}/credentials/by-key/{}",
        |_| json!({ "kind": "basic", "username": "new", "password": "a password" }),
    ),
    bare("GET /v1/tenants/{}/sources/{}/credentials/{}"),
    with("PATCH /v1/tenants/{}/sources/{}/credentials/{}", |_| json!({ "expires_at": null })),
    bare("DELETE /v1/tenants/{}/sources/{}/credentials/{}"),
    bare("GET /v1/tenants/{}/destinations"),
    with("POST /v1/tenants/{}/destinations", |_| json!({ "name": "new", "url": "http://127.0.0.1:9/" })),
    with("PUT /v1/tenants/{}/destinations/by-key/{}", |_| json!({ "name": "new", "url": "http://127.0.0.1:9/" })),
    bare("GET /v1/tenants/{}/destinations/{}"),
    with("PATCH /v1/tenants/{}/destinations/{}", |_| json!({ "name": "changed" })),
    bare("DELETE /v1/tenants/{}/destinations/{}"),
    bare("POST /v1/tenants/{}/destinations/{}/secrets"),
    bare("POST /v1/tenants/{}/destinations/{}/pause"),
    bare("POST /v1/tenants/{}/destinations/{}/resume"),
    with("POST /v1/tenants/{}/destinations/{}/test", |_| json!({})),
    bare("GET /v1/tenants/{}/subscriptions"),
    with(
        "POST /v1/tenants/{}/subscriptions",
        |ids| json!({ "destination_id": ids.destination, "source_ids": [ids.source], "event_types": ["*"] }),
    ),
    with(
        "PUT /v1/tenants/{}/subscriptions/by-key/{}",
        |ids| json!({ "destination_id": ids.destination, "source_ids": [ids.source], "event_types": ["*"] }),
    ),
    with("POST /v1/tenants/{}/subscriptions/explain", |ids| json!({ "event_id": ids.event })),
    bare("GET /v1/tenants/{}/subscriptions/{}"),
    with("PATCH /v1/tenants/{}/subscriptions/{}", |ids| json!({ "source_ids": [ids.source] })),
    bare("DELETE /v1/tenants/{}/subscriptions/{}"),
    with("POST /v1/tenants/{}/request-ids", |ids| json!({ "request_ids": ["AbCdEf0123"], "source_id": ids.source })),
    bare("GET /v1/tenants/{}/events"),
    bare("GET /v1/tenants/{}/events/{}"),
    bare("GET /v1/tenants/{}/events/{}/body"),
    bare("DELETE /v1/tenants/{}/events/{}/body"),
    with("POST /v1/tenants/{}/events/{}/replay", |ids| json!({ "destination_ids": [ids.destination] })),
    bare("GET /v1/tenants/{}/deliveries"),
    bare("GET /v1/tenants/{}/deliveries/{}"),
    bare("POST /v1/tenants/{}/deliveries/{}/retry"),
    bare("POST /v1/tenants/{}/deliveries/{}/cancel"),
    bare("GET /v1/tenants/{}/replays"),
    with("POST /v1/tenants/{}/replays", |ids| json!({ "filter": {}, "destination_ids": [ids.destination] })),
    bare("GET /v1/tenants/{}/replays/{}"),
    bare("POST /v1/tenants/{}/replays/{}/cancel"),
    bare("GET /v1/tenants/{}/audit-log"),
    bare("GET /v1/tenants/{}/stats"),
    for_a_second("GET /v1/tenants/{}/tail"),
];

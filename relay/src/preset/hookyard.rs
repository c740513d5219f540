//! Hookyard itself: the source that every tenant has built in, of what happens to its own things.

use super::{Authentication, Dedupe, EventType, Places, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "hookyard",
    title: "Hookyard",
    description: "What happens to a tenant's own destinations, deliveries, sources and quotas: every tenant has this source built in.",
    notes: &[
        "The source is there already (`GET /v1/tenants/{tenant_id}/sources`, the last of the list): none can be made, changed or deleted, and nobody can post to it.",
        "Subscribe to it like to any other by naming it in `source_ids`. A subscription to all sources hears of it only where its destination says `operational`.",
        "No destination is told of what happens to itself.",
    ],
    authentication: &[Authentication::None],
    schemes: &[],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: None,
        external_id: None,
        occurred_at: Some("json:/timestamp"),
        request_id: None,
        attributes: &[
            ("destination_id", "json:/data/destination_id"),
            ("source_id", "json:/data/source_id"),
            ("state", "json:/data/state"),
        ],
    },
    dedupe: Dedupe::NOT,
    event_types: EVENT_TYPES,
    sample: "{}",
    refine: None,
};

const EVENT_TYPES: &[EventType] = &[
    EventType {
        name: "destination.paused",
        description: "A person paused a destination; its deliveries wait.",
        samples: &[
            r#"{"type": "destination.paused", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "paused", "state_reason": null}}"#,
        ],
    },
    EventType {
        name: "destination.resumed",
        description: "A person resumed a destination; what waited is delivered.",
        samples: &[
            r#"{"type": "destination.resumed", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "active", "state_reason": null}}"#,
        ],
    },
    EventType {
        name: "destination.disabled",
        description: "A destination was disabled, and its deliveries wait: it answered 410, or nothing was delivered to it for 120 hours.",
        samples: &[
            r#"{"type": "destination.disabled", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "disabled", "state_reason": "failing"}}"#,
            r#"{"type": "destination.disabled", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "disabled", "state_reason": "gone"}}"#,
        ],
    },
    EventType {
        name: "destination.healed",
        description: "A probe reached a destination that failures had disabled; what waited is delivered.",
        samples: &[
            r#"{"type": "destination.healed", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "active", "state_reason": null}}"#,
        ],
    },
    EventType {
        name: "destination.failing",
        description: "Nothing was delivered to a destination for an hour, though it was tried; after 120 hours it is disabled.",
        samples: &[
            r#"{"type": "destination.failing", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "active", "failing_since": "2026-11-28T09:00:00.000Z"}}"#,
        ],
    },
    EventType {
        name: "destination.expiring",
        description: "What waits for a destination, paused, disabled, too slow or failing, fails as `expired` within three days, because its body is kept no longer.",
        samples: &[
            r#"{"type": "destination.expiring", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "paused", "waiting_since": "2026-11-01T10:00:00.000Z", "expires_at": "2026-12-01T10:00:00.000Z"}}"#,
        ],
    },
    EventType {
        name: "delivery.failed",
        description: "Deliveries to a destination failed for good within the last seconds: how many, and the first 20 of them. Not told of what this source itself sent.",
        samples: &[
            r#"{"type": "delivery.failed", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"destination_id": "dst_01h2xcejqtf2nbrexx3vqjhp41", "name": "Ledger", "state": "active", "count": 1, "deliveries": [{"delivery_id": "dlv_01h2xcejqtf2nbrexx3vqjhp41", "event_id": "evt_01h2xcejqtf2nbrexx3vqjhp41", "event_type": "order.paid", "reason": "attempts exhausted", "last_status": 503}]}}"#,
        ],
    },
    EventType {
        name: "source.rejecting",
        description: "A source refused ten requests or more within five minutes: with a wrong signature or password, from an address that is not listed, or too many. Told once an hour.",
        samples: &[
            r#"{"type": "source.rejecting", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"source_id": "src_01h2xcejqtf2nbrexx3vqjhp41", "name": "Payments", "refused": 10, "causes": ["signature_wrong"]}}"#,
        ],
    },
    EventType {
        name: "quota.near",
        description: "More than four fifths of what a tenant, or one of its sources, may send at once were used up, or of the things that it may have. Told once an hour.",
        samples: &[
            r#"{"type": "quota.near", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"quota": "events_per_s", "source_id": null, "name": null, "per_second": 100, "burst": 200, "limit": null, "used": null}}"#,
            r#"{"type": "quota.near", "timestamp": "2026-11-28T10:00:00.000Z", "data": {"quota": "destinations", "source_id": null, "name": null, "per_second": null, "burst": null, "limit": 500, "used": 401}}"#,
        ],
    },
];

//! Hookyard itself: the source that every tenant has built in, of what happens to its destinations.

use super::{Authentication, Dedupe, EventType, Places, Preset};

pub(super) static PRESET: Preset = Preset {
    name: "hookyard",
    title: "Hookyard",
    description: "What happens to a tenant's own destinations: every tenant has this source built in.",
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
        attributes: &[("destination_id", "json:/data/destination_id"), ("state", "json:/data/state")],
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
];

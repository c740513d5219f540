//! Onfido: identity verification of persons.

use super::catalogue::catalogue;
use super::scheme::{RAW, header, mac_of_body};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

pub(super) static PRESET: Preset = Preset {
    name: "onfido",
    title: "Onfido",
    description: "Identity verification of persons.",
    notes: &[
        "Create a webhook in Onfido's dashboard or through its API, with the source's URL and the events you need.",
        "Copy the webhook's token into an `hmac` credential: it is shown when the webhook is created.",
        "The event type is the action, such as `check.completed`.",
        "Onfido sends no id of an event: resource, action and time of completion together tell a repeat.",
        "Live and sandbox have webhooks of their own: make a source for each.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-sha2-signature",
        is_default: true,
        verification: mac_of_body(Algorithm::HmacSha256, header("x-sha2-signature", RAW, Encoding::Hex)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-sha2-signature"],
    extract: Places {
        event_type: Some("json:/payload/action"),
        derived_type: None,
        external_id: Some(
            "json:/payload/object/id + json:/payload/action + json:/payload/object/completed_at_iso8601 or json:/payload/object/id + json:/payload/action",
        ),
        occurred_at: Some("json:/payload/object/completed_at_iso8601"),
        request_id: None,
        attributes: &[
            ("resource_type", "json:/payload/resource_type"),
            ("object_id", "json:/payload/object/id"),
            ("status", "json:/payload/object/status"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("report.completed", "A report was completed."),
        ("report.withdrawn", "A report was withdrawn."),
        ("report.awaiting_approval", "A report waits for approval."),
        ("report.resumed", "A paused report was resumed."),
        ("report.cancelled", "A report was cancelled."),
        ("check.started", "A check was started."),
        ("check.reopened", "A check was reopened."),
        ("check.withdrawn", "A check was withdrawn."),
        ("check.completed", "A check was completed."),
        ("check.form_completed", "An applicant completed the form of a check."),
        ("workflow_run.completed", "A run of a Studio workflow ended."),
        ("workflow_task.started", "A task of a Studio workflow was started."),
        ("workflow_task.completed", "A task of a Studio workflow was completed."),
        ("watchlist_monitor.matches_updated", "The matches of a watchlist monitor changed."),
    ]),
    sample: r#"{
	"payload": {
		"resource_type": "check",
		"action": "check.completed",
		"object": {
			"id": "12345-23122-32123",
			"status": "complete",
			"completed_at_iso8601": "2019-10-28T15:00:39Z",
			"href": "https://api.onfido.com/v3.6/checks/12345-23122-32123"
		}
	}
}"#,
    refine: None,
};

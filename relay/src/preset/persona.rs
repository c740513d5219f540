//! Persona: identity verification of persons.

use std::borrow::Cow;

use super::catalogue::catalogue;
use super::scheme::{header, mac_of, time_beside};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Encoding, Parse};

pub(super) static PRESET: Preset = Preset {
    name: "persona",
    title: "Persona",
    description: "Identity verification of persons.",
    notes: &[
        "Add a webhook in Persona's dashboard (`Webhooks`) with the source's URL, choose the events you need and enable it.",
        "Copy the webhook's secret into an `hmac` credential.",
        "When you rotate the secret, add the new one as a second credential; Persona signs with both meanwhile.",
        "Events may arrive out of order: compare `occurred_at`. Keys may be written as `created-at`, `createdAt` or `created_at`; all are understood.",
        "Sandbox and production have webhooks of their own: make a source for each.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "persona-signature",
        is_default: true,
        verification: mac_of(header("persona-signature", SETS, Encoding::Hex), "{ts}.{body}", Some(time_beside(300))),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["persona-signature"],
    extract: Places {
        event_type: Some("json:/data/attributes/name"),
        derived_type: None,
        external_id: Some("json:/data/id"),
        occurred_at: Some(
            "json:/data/attributes/created-at or json:/data/attributes/createdAt or json:/data/attributes/created_at",
        ),
        request_id: None,
        attributes: &[
            ("object_id", "json:/data/attributes/payload/data/id"),
            ("status", "json:/data/attributes/payload/data/attributes/status"),
            (
                "reference_id",
                "json:/data/attributes/payload/data/attributes/reference-id or json:/data/attributes/payload/data/attributes/referenceId or json:/data/attributes/payload/data/attributes/reference_id",
            ),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("account.created", "An account was created."),
        ("account.archived", "An account was archived."),
        ("account.redacted", "The personal data of an account was removed."),
        ("case.created", "A case was created."),
        ("case.assigned", "A case was assigned."),
        ("case.resolved", "A case was resolved."),
        ("case.reopened", "A case was reopened."),
        ("case.updated", "A case was updated."),
        ("document.created", "A document was created."),
        ("document.submitted", "A document was submitted."),
        ("document.processed", "A document was processed."),
        ("inquiry.created", "An inquiry was created."),
        ("inquiry.started", "A person began an inquiry."),
        ("inquiry.completed", "A person passed all required verifications of an inquiry."),
        ("inquiry.failed", "A person used up the attempts of an inquiry."),
        ("inquiry.expired", "An inquiry expired before it was completed."),
        ("inquiry.marked-for-review", "An inquiry was marked for review."),
        ("inquiry.approved", "An inquiry was approved."),
        ("inquiry.declined", "An inquiry was declined."),
        ("inquiry.transitioned", "An inquiry moved to another step of its template."),
        ("report/watchlist.matched", "A watchlist report found matches."),
        ("report/watchlist.ready", "A watchlist report is complete."),
        ("transaction.created", "A transaction was created."),
        ("transaction.status-updated", "The status of a transaction changed."),
        ("verification.created", "A verification was created."),
        ("verification.submitted", "A verification was submitted."),
        ("verification.passed", "A verification was passed."),
        ("verification.failed", "A verification failed."),
        ("verification.requires-retry", "A verification has to be tried again."),
        ("verification.canceled", "A verification was cancelled."),
    ]),
    sample: r#"{
	"data": {
		"type": "event",
		"id": "evt_XGuLYbUJTAfsdRAbEd1oc1qm",
		"attributes": {
			"name": "inquiry.completed",
			"payload": {
				"data": {
					"type": "inquiry",
					"id": "inq_2CVZ4HyVg7qaboXz2PUHknAn",
					"attributes": {"status": "completed", "reference-id": "customer-7"}
				}
			},
			"created-at": "2020-05-18T20:16:26.000Z"
		}
	}
}"#,
    refine: None,
};

/// `t=…,v1=…`; while a secret is rotated there are two of these, each with a time of its own.
const SETS: Parse = Parse::Kv {
    pair: Cow::Borrowed(","),
    kv: Cow::Borrowed("="),
    sig: Cow::Borrowed(&[Cow::Borrowed("v1")]),
    ts: Some(Cow::Borrowed("t")),
    sets: Some(Cow::Borrowed(" ")),
};

//! Veriff: identity verification of persons.

use std::borrow::Cow;

use super::scheme::{RAW, header};
use super::{Authentication, Dedupe, DedupeBy, EventType, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding, Equal, Hmac, SecretForm, Template, Verification};

/// A decision.
macro_rules! decided {
    ($status:literal, $code:literal) => {
        concat!(
            r#"{
	"status": "success",
	"verification": {
		"id": "12df6045-3846-3e45-946a-14fa6136d78b",
		"attemptId": "00bca969-b53a-4fad-b065-874d41a7b2b8",
		"code": "#,
            $code,
            r#",
		"status": ""#,
            $status,
            r#"",
		"vendorData": "customer-7",
		"acceptanceTime": "2021-06-30T16:52:12.344Z",
		"decisionTime": "2021-06-30T16:55:40.512Z"
	}
}"#
        )
    };
}

macro_rules! decision {
    ($status:literal, $code:literal, $description:literal) => {
        EventType { name: $status, description: $description, samples: &[decided!($status, $code)] }
    };
}

/// What a person did.
macro_rules! event {
    ($action:literal, $code:literal, $description:literal) => {
        EventType {
            name: $action,
            description: $description,
            samples: &[concat!(
                r#"{
	"id": "f04bdb47-d3be-4b28-b028-a652feb060b5",
	"attemptId": "e1e7a5fb-6ed5-4d5b-9b5b-2d2c4c0bd2d9",
	"feature": "selfid",
	"code": "#,
                $code,
                r#",
	"action": ""#,
                $action,
                r#"",
	"time": "2021-06-30T16:52:12.344Z",
	"vendorData": "customer-7"
}"#
            )],
        }
    };
}

pub(super) static PRESET: Preset = Preset {
    name: "veriff",
    title: "Veriff",
    description: "Identity verification of persons.",
    notes: &[
        "Enter the source's URL in the settings of your integration in Veriff's customer portal, as the URL of decisions, of events, or of both.",
        "Put the integration's shared secret key into an `hmac` credential and its API key into an `external` credential: Veriff sends the API key as `x-auth-client`, and both are checked.",
        "The event type is the status of a decision, such as `approved`, or the action of an event, such as `submitted`.",
        "A session that is resubmitted has several decisions: the session and its attempt together tell a repeat.",
    ],
    authentication: &[Authentication::Hmac, Authentication::External],
    schemes: &[Scheme {
        name: "x-hmac-signature",
        is_default: true,
        verification: Verification::Hmac(Hmac {
            signature: header("x-hmac-signature", RAW, Encoding::Hex),
            algorithm: Algorithm::HmacSha256,
            secret: SecretForm::Utf8,
            signed: Template::new("{body}"),
            timestamp: None,
            also_equal: Cow::Borrowed(OF_THIS_INTEGRATION),
            public_url: None,
        }),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-hmac-signature", "x-auth-client"],
    extract: Places {
        event_type: Some("json:/eventType or json:/action or json:/verification/status"),
        derived_type: None,
        external_id: Some(
            "json:/verification/id + json:/verification/attemptId + json:/verification/status or json:/id + json:/attemptId + json:/action or json:/sessionId + json:/attemptId + json:/eventType",
        ),
        occurred_at: Some("json:/verification/decisionTime or json:/time"),
        request_id: None,
        attributes: &[
            ("session_id", "json:/verification/id or json:/sessionId or json:/id"),
            ("vendor_data", "json:/verification/vendorData or json:/vendorData"),
            ("code", "json:/verification/code or json:/code"),
        ],
    },
    // Veriff tries for up to a week.
    dedupe: Dedupe { by: DedupeBy::ExternalId, window_s: Dedupe::WEEK_S + 86_400 },
    event_types: &[
        event!("started", "7001", "A person began a session."),
        event!("submitted", "7002", "A person submitted a session."),
        decision!("approved", "9001", "A person was verified."),
        decision!("declined", "9102", "A person was not verified."),
        decision!("resubmission_requested", "9103", "A person has to try again."),
        decision!("review", "9121", "A session is under review."),
        decision!("expired", "9104", "A session expired before it was used."),
        decision!("abandoned", "9104", "A session was begun and never submitted."),
    ],
    sample: decided!("approved", "9001"),
    refine: None,
};

const OF_THIS_INTEGRATION: &[Equal] = &[Equal { header: Cow::Borrowed("x-auth-client"), value: None }];

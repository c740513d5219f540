//! `CloudEvents`: a way of describing events that many senders share.

use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::Verification;

pub(super) static PRESET: Preset = Preset {
    name: "cloudevents",
    title: "CloudEvents",
    description: "Any sender that describes events as cloudevents.io says, in the body or in headers.",
    notes: &[
        "Nothing is signed: create a credential of the source that your sender can present, `bearer`, `basic`, `oauth2_client` or `api_key`.",
        "Your sender may ask with `OPTIONS` whether it may send; it is answered.",
        "Type, id, source and time are read from a body of the kind `application/cloudevents+json`, or from the headers `ce-*`, which deliveries take along.",
        "An event is known again by its source and id together. A batch is one event here, with the type and time of the first and without an id.",
    ],
    authentication: &[
        Authentication::Basic,
        Authentication::Oauth2Client,
        Authentication::ApiKey,
        Authentication::Bearer,
    ],
    schemes: &[Scheme { name: "credentials", is_default: true, verification: Verification::Credentials {} }],
    source_addresses: &[],
    handshakes: &[Handshake::CloudEvents],
    forward_headers: &["ce-specversion", "ce-type", "ce-source", "ce-id", "ce-time", "ce-subject", "ce-dataschema"],
    extract: Places {
        event_type: Some("header:ce-type or json:/type or json:/0/type"),
        derived_type: None,
        external_id: Some("header:ce-id + header:ce-source or json:/id + json:/source"),
        occurred_at: Some("header:ce-time or json:/time or json:/0/time"),
        request_id: None,
        attributes: &[
            ("source", "header:ce-source or json:/source or json:/0/source"),
            ("subject", "header:ce-subject or json:/subject or json:/0/subject"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &[],
    sample: r#"{
	"specversion": "1.0",
	"type": "com.example.someevent",
	"source": "/mycontext",
	"id": "A234-1234-1234",
	"time": "2018-04-05T17:31:00Z",
	"datacontenttype": "application/json",
	"data": {"appinfoA": "abc", "appinfoB": 123}
}"#,
    refine: None,
};

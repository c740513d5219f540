//! Vercel: deployments, projects and domains.

use super::catalogue::catalogue;
use super::scheme::{RAW, header, mac_of_body};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

pub(super) static PRESET: Preset = Preset {
    name: "vercel",
    title: "Vercel",
    description: "Deployments, projects and domains.",
    notes: &[
        "Add a webhook in your team's settings with the source's URL, the events and the projects you need.",
        "Copy the secret, which is shown once, into an `hmac` credential. For the webhooks of an integration it is the integration's client secret.",
        "Vercel signs with HMAC-SHA1, which still stands, but nothing newer: keep the source's URL secret too.",
        "Vercel tries for up to 24 hours.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-vercel-signature",
        is_default: true,
        verification: mac_of_body(Algorithm::HmacSha1, header("x-vercel-signature", RAW, Encoding::Hex)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-vercel-signature"],
    extract: Places {
        event_type: Some("json:/type"),
        derived_type: None,
        external_id: Some("json:/id"),
        occurred_at: Some("json:/createdAt"),
        request_id: None,
        attributes: &[
            ("team_id", "json:/payload/team/id"),
            ("project_id", "json:/payload/project/id"),
            ("deployment_id", "json:/payload/deployment/id"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("deployment.created", "A deployment began."),
        ("deployment.succeeded", "A deployment succeeded."),
        ("deployment.promoted", "A deployment was promoted to production."),
        ("deployment.error", "A deployment failed."),
        ("deployment.canceled", "A deployment was cancelled."),
        ("domain.created", "A domain was added."),
        ("project.created", "A project was created."),
        ("project.removed", "A project was removed."),
        ("integration-configuration.removed", "Your integration was removed."),
        ("integration-configuration.permission-upgraded", "Your integration got further permissions."),
        ("integration-configuration.scope-change-confirmed", "Your integration's change of scope was confirmed."),
    ]),
    sample: r#"{
	"id": "uev_Jz3mVqfTGNMwoPNhcTqbTqWQ",
	"type": "deployment.succeeded",
	"createdAt": 1655804462671,
	"region": "sfo1",
	"payload": {
		"team": {"id": "team_4xYp1zIqMbgpVwnh1vJxTB9D"},
		"project": {"id": "prj_rej9WaMgRf4gXxHpRJGt6Hsw"},
		"deployment": {"id": "dpl_FjHqKqFKCzf4hnK1zqhQ6dR1", "name": "my-site", "url": "my-site-a1b2c3.vercel.app"}
	}
}"#,
    refine: None,
};

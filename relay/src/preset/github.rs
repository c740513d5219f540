//! GitHub: repositories, issues, pull requests and actions.

use super::derived::derived_type;
use super::scheme::{header, mac_of_body, prefix};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

mod event_types;

pub(super) static PRESET: Preset = Preset {
    name: "github",
    title: "GitHub",
    description: "Repositories, issues, pull requests and actions.",
    notes: &[
        "Add a webhook in the settings of your repository, organisation or GitHub App: the source's URL as payload URL, content type `application/json`, and a long random secret.",
        "Put the same secret into an `hmac` credential.",
        "The event type is the header `X-GitHub-Event`, such as `issues`; patterns also match the type with the action, such as `issues.opened`.",
        "With the content type `application/x-www-form-urlencoded` signatures are verified as well, but nothing is read from the body.",
        "GitHub does not repeat a failed delivery by itself. One that you redeliver keeps its id, so within 7 days it counts as a repeat: replay the event here instead.",
        "The source addresses are the `hooks` of https://api.github.com/meta and have changed before.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-hub-signature-256",
        is_default: true,
        verification: mac_of_body(
            Algorithm::HmacSha256,
            header("x-hub-signature-256", prefix("sha256="), Encoding::Hex),
        ),
    }],
    source_addresses: &[
        "192.30.252.0/22",
        "185.199.108.0/22",
        "140.82.112.0/20",
        "143.55.64.0/20",
        "2a0a:a440::/29",
        "2606:50c0::/32",
    ],
    handshakes: &[],
    forward_headers: &["x-hub-signature-256", "x-github-event", "x-github-delivery"],
    extract: Places {
        event_type: Some("header:x-github-event"),
        derived_type: Some("{header:x-github-event}.{json:/action}"),
        external_id: Some("header:x-github-delivery"),
        occurred_at: None,
        request_id: None,
        attributes: &[
            ("action", "json:/action"),
            ("repository", "json:/repository/full_name"),
            ("organization", "json:/organization/login"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &event_types::EVENT_TYPES,
    sample: r#"{
	"action": "opened",
	"issue": {"id": 1, "number": 42, "title": "Something is wrong", "state": "open"},
	"repository": {"id": 1296269, "name": "Hello-World", "full_name": "octocat/Hello-World", "private": false},
	"sender": {"id": 1, "login": "octocat", "type": "User"}
}"#,
    refine: Some(|inbound, extracted| extracted.derived_type = derived_type(inbound, extracted, "/action")),
};

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::super::Extract;
    use super::*;
    use crate::inbound::Inbound;

    #[test]
    fn an_action_makes_the_type_finer() {
        let mut headers = HeaderMap::new();
        headers.insert("x-github-event", "issues".parse().unwrap());
        for (body, derived) in [
            (r#"{"action": "opened"}"#, Some("issues.opened")),
            (r#"{"action": null}"#, None),
            ("{}", None),
            ("payload=%7B%7D", None),
        ] {
            let inbound = Inbound { method: "POST", headers: &headers, path: "", query: None, body: body.as_bytes() };
            let extracted = Extract::of(&PRESET, &Extract::default()).read(&PRESET, &inbound);
            assert_eq!(extracted.event_type.as_deref(), Some("issues"), "{body}");
            assert_eq!(extracted.derived_type.as_deref(), derived, "{body}");
        }
    }
}

//! GitLab: repositories, merge requests and pipelines.

use super::catalogue::catalogue;
use super::derived::derived_type;
use super::standard_webhooks::V1;
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::Verification;

pub(super) static PRESET: Preset = Preset {
    name: "gitlab",
    title: "GitLab",
    description: "Repositories, merge requests and pipelines.",
    notes: &[
        "Add a webhook in the settings of your project or group: the source's URL, and the triggers you need.",
        "With a secret token: create an `api_key` credential with the header `x-gitlab-token` and enter its key as the secret token. It proves the sender, not the body.",
        "With a signing token, where your GitLab has them: put the token, which begins with `whsec_`, into an `hmac` credential. Prefer it.",
        "The event type is the body's `object_kind`, such as `merge_request`, or its `event_name`; patterns also match the type with the action, such as `merge_request.open`.",
        "GitLab before 17.4 sends no id that repeats keep, so that a repeat is taken for a new event.",
        "A webhook that keeps failing is disabled by GitLab.",
    ],
    authentication: &[Authentication::ApiKey, Authentication::Hmac],
    schemes: &[
        Scheme { name: "secret-token", is_default: true, verification: Verification::Credentials {} },
        Scheme { name: "signing-token", is_default: true, verification: V1 },
    ],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["webhook-id", "webhook-timestamp", "webhook-signature", "x-gitlab-event", "idempotency-key"],
    extract: Places {
        event_type: Some("json:/object_kind or json:/event_name"),
        derived_type: Some("{json:/object_kind}.{json:/object_attributes/action}"),
        // Not X-Gitlab-Event-UUID: events that one webhook sets off share it.
        external_id: Some("header:webhook-id or header:idempotency-key"),
        occurred_at: Some("header:webhook-timestamp"),
        request_id: None,
        attributes: &[
            ("action", "json:/object_attributes/action or json:/action"),
            ("project", "json:/project/path_with_namespace"),
            ("instance", "header:x-gitlab-instance"),
        ],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("push", "Commits were pushed."),
        ("tag_push", "Tags were created or deleted."),
        ("issue", "An issue was created, updated, closed or reopened."),
        ("note", "Someone commented on a commit, merge request, issue or snippet."),
        ("merge_request", "A merge request was created, updated, approved, merged or closed."),
        ("wiki_page", "A wiki page was created, updated or deleted."),
        ("pipeline", "The status of a pipeline changed."),
        ("build", "The status of a job changed."),
        ("deployment", "A deployment started, succeeded, failed or was cancelled."),
        ("feature_flag", "A feature flag was turned on or off."),
        ("release", "A release was created, updated or deleted."),
        ("milestone", "A milestone was created, closed, reopened or deleted."),
        ("emoji", "An emoji reaction was added or removed."),
        ("access_token", "An access token expires soon."),
        ("vulnerability", "A vulnerability was created or has a new status."),
        ("user_add_to_group", "A user was added to a group."),
        ("user_update_for_group", "A user's access to a group changed."),
        ("user_remove_from_group", "A user was removed from a group."),
        ("subgroup_create", "A subgroup was created."),
        ("subgroup_destroy", "A subgroup was removed."),
        ("project_create", "A project was created."),
        ("project_destroy", "A project was removed."),
    ]),
    sample: r#"{
	"object_kind": "merge_request",
	"event_type": "merge_request",
	"user": {"id": 1, "username": "root"},
	"project": {"id": 1, "name": "Gitlab Test", "path_with_namespace": "gitlabhq/gitlab-test"},
	"object_attributes": {"id": 99, "iid": 1, "title": "MS-Viewport", "state": "opened", "action": "open"}
}"#,
    refine: Some(|inbound, extracted| {
        extracted.derived_type = derived_type(inbound, extracted, "/object_attributes/action");
    }),
};

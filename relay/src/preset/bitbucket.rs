//! Bitbucket Cloud: repositories and pull requests.

use super::catalogue::catalogue;
use super::scheme::{header, mac_of_body, prefix};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Algorithm, Encoding};

pub(super) static PRESET: Preset = Preset {
    name: "bitbucket",
    title: "Bitbucket",
    description: "Repositories and pull requests of Bitbucket Cloud.",
    notes: &[
        "Add a webhook in the settings of your repository or workspace: the source's URL, a secret, and the triggers you need.",
        "Put the same secret into an `hmac` credential. A webhook without a secret is not signed and will be refused.",
        "The event type is the header `X-Event-Key`, such as `pullrequest:created`. The pattern `X.*` goes by full stops, so name each of these types.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-hub-signature",
        is_default: true,
        verification: mac_of_body(Algorithm::HmacSha256, header("x-hub-signature", prefix("sha256="), Encoding::Hex)),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-hub-signature", "x-event-key", "x-request-uuid"],
    extract: Places {
        event_type: Some("header:x-event-key"),
        derived_type: None,
        external_id: Some("header:x-request-uuid"),
        occurred_at: None,
        request_id: None,
        attributes: &[("repository", "json:/repository/full_name"), ("hook", "header:x-hook-uuid")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("repo:push", "Commits, branches or tags were pushed."),
        ("repo:fork", "A repository was forked."),
        ("repo:updated", "The name, description, website or language of a repository changed."),
        ("repo:transfer", "A repository was transferred to another owner."),
        ("repo:commit_comment_created", "Someone commented on a commit."),
        ("repo:commit_status_created", "A build status was attached to a commit."),
        ("repo:commit_status_updated", "The build status of a commit changed."),
        ("issue:created", "An issue was created."),
        ("issue:updated", "An issue changed."),
        ("issue:comment_created", "Someone commented on an issue."),
        ("pullrequest:created", "A pull request was created."),
        ("pullrequest:updated", "A pull request changed."),
        ("pullrequest:changes_request_created", "A reviewer asked for changes of a pull request."),
        ("pullrequest:changes_request_removed", "A reviewer no longer asks for changes of a pull request."),
        ("pullrequest:approved", "A pull request was approved."),
        ("pullrequest:unapproved", "An approval of a pull request was taken back."),
        ("pullrequest:fulfilled", "A pull request was merged."),
        ("pullrequest:rejected", "A pull request was declined."),
        ("pullrequest:comment_created", "Someone commented on a pull request."),
        ("pullrequest:comment_updated", "A comment on a pull request was edited."),
        ("pullrequest:comment_deleted", "A comment on a pull request was deleted."),
    ]),
    sample: r#"{
	"actor": {"type": "user", "nickname": "emmap1", "uuid": "{a54f16da-24e9-4d7f-a3a7-b1ba2cd98aa3}"},
	"repository": {"type": "repository", "name": "my-repo", "full_name": "my-team/my-repo"},
	"pullrequest": {"id": 1, "title": "Change of the readme", "state": "OPEN"}
}"#,
    refine: None,
};

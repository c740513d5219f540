//! Okta: what happens to users, groups and applications (event hooks).

use super::catalogue::catalogue;
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::verification::Verification;

pub(super) static PRESET: Preset = Preset {
    name: "okta",
    title: "Okta",
    description: "What happens to the users, groups and applications of an Okta organisation (event hooks).",
    notes: &[
        "Create an `api_key` credential with a header of its own, such as `x-okta-key`: Okta signs nothing, so this key proves the sender.",
        "Add an event hook under `Workflow`, `Event Hooks`: the source's URL, that header as authentication field, its key as authentication secret, and the events you need.",
        "Then press `Verify`. The challenge is answered for you.",
        "Okta may put several events into one request, which is one event here, with the type of the first.",
        "Okta tries once more at most, and wants an answer within 3 seconds.",
    ],
    authentication: &[Authentication::ApiKey, Authentication::Basic, Authentication::Bearer],
    schemes: &[Scheme { name: "credentials", is_default: true, verification: Verification::Credentials {} }],
    source_addresses: &[],
    handshakes: &[Handshake::Okta],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/data/events/0/eventType"),
        derived_type: None,
        external_id: Some("json:/eventId"),
        occurred_at: Some("json:/eventTime"),
        request_id: None,
        attributes: &[("organization", "json:/source"), ("outcome", "json:/data/events/0/outcome/result")],
    },
    dedupe: Dedupe::BY_ID,
    event_types: &catalogue([
        ("user.lifecycle.create", "A user was created."),
        ("user.lifecycle.activate", "A user was activated."),
        ("user.lifecycle.deactivate", "A user was deactivated."),
        ("user.lifecycle.suspend", "A user was suspended."),
        ("user.lifecycle.unsuspend", "A user is no longer suspended."),
        ("user.lifecycle.delete.initiated", "The deletion of a user began."),
        ("user.account.lock", "A user's account was locked."),
        ("user.account.unlock", "A user's account was unlocked."),
        ("user.account.update_profile", "A user's profile changed."),
        ("user.account.update_password", "A user changed their password."),
        ("user.account.reset_password", "A user's password was reset."),
        ("user.session.start", "A user signed in."),
        ("user.session.end", "A user signed out."),
        ("user.mfa.factor.activate", "A user set a factor up."),
        ("user.mfa.factor.deactivate", "A user's factor was reset."),
        ("group.user_membership.add", "A user was added to a group."),
        ("group.user_membership.remove", "A user was removed from a group."),
        ("group.lifecycle.create", "A group was created."),
        ("group.lifecycle.delete", "A group was deleted."),
        ("application.user_membership.add", "A user was assigned to an application."),
        ("application.user_membership.remove", "A user is no longer assigned to an application."),
        ("application.lifecycle.create", "An application was created."),
        ("application.lifecycle.deactivate", "An application was deactivated."),
        ("application.lifecycle.delete", "An application was deleted."),
    ]),
    sample: r#"{
	"eventType": "com.okta.event_hook",
	"eventTypeVersion": "1.0",
	"cloudEventsVersion": "0.1",
	"source": "https://example.okta.com/api/v1/eventHooks/whoq3b2d6mNd8vMxO0g3",
	"eventId": "b5a188b9-5ece-4636-b041-482ffda96311",
	"eventTime": "2020-01-17T21:23:56.000Z",
	"contentType": "application/json",
	"data": {
		"events": [
			{
				"uuid": "9e1a5b1c-3a2a-11ea-9b0f-6d0c0d6e1f5a",
				"published": "2020-01-17T21:23:55.000Z",
				"eventType": "user.account.update_profile",
				"severity": "INFO",
				"outcome": {"result": "SUCCESS", "reason": null},
				"target": [{"id": "00uq3b2d6mNd8vMxO0g3", "type": "User"}]
			}
		]
	}
}"#,
    refine: None,
};

//! Microsoft Graph: changes of what is in Microsoft 365 (change notifications).

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Authentication, Dedupe, EventType, Extracted, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::inbound::Inbound;
use crate::json;
use crate::place::Place;
use crate::verification::{Token, Verification};

/// A notification about the subscription itself.
macro_rules! lifecycle {
    ($event:literal) => {
        concat!(
            r#"{
	"value": [
		{
			"lifecycleEvent": ""#,
            $event,
            r#"",
			"subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
			"subscriptionExpirationDateTime": "2016-03-20T11:00:00.0000000Z",
			"clientState": "secretClientValue",
			"tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95"
		}
	]
}"#
        )
    };
}

pub(super) static PRESET: Preset = Preset {
    name: "ms-graph",
    title: "Microsoft Graph",
    description: "Changes of mail, files, users and other resources of Microsoft 365.",
    notes: &[
        "Choose a long random text of at most 128 characters and put it into a `verify_token` credential.",
        "Then create subscriptions through Microsoft Graph with the source's URL as `notificationUrl` (and `lifecycleNotificationUrl`) and that text as `clientState`. The challenge is answered for you.",
        "Every notification of a request must carry the text. It proves the sender, not what is sent.",
        "Subscriptions end after minutes or days, as the resource has it: renew them in time.",
        "Graph may put several notifications into one request, which is one event here, with the type of the first. Only one that is alone and has an id is known again when it is repeated.",
    ],
    authentication: &[Authentication::VerifyToken],
    schemes: &[Scheme {
        name: "client-state",
        is_default: true,
        verification: Verification::Token(Token { from: Place::Json(Cow::Borrowed("/value/*/clientState")) }),
    }],
    source_addresses: &[],
    handshakes: &[Handshake::MsGraph],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/value/0/lifecycleEvent or json:/value/0/changeType"),
        derived_type: None,
        external_id: Some("json:/value/0/id"),
        occurred_at: None,
        request_id: None,
        attributes: &[
            ("subscription_id", "json:/value/0/subscriptionId"),
            ("resource", "json:/value/0/resource"),
            ("tenant_id", "json:/value/0/tenantId"),
        ],
    },
    // Not by the body: where there is no id, two changes of one resource may look the same.
    dedupe: Dedupe::BY_ID,
    event_types: &[
        EventType { name: "created", description: "A resource was created.", samples: &[] },
        EventType { name: "updated", description: "A resource was updated.", samples: &[] },
        EventType { name: "deleted", description: "A resource was deleted.", samples: &[] },
        EventType {
            name: "reauthorizationRequired",
            description: "A subscription has to be authorised again or renewed.",
            samples: &[lifecycle!("reauthorizationRequired")],
        },
        EventType {
            name: "subscriptionRemoved",
            description: "A subscription was removed; create it again.",
            samples: &[lifecycle!("subscriptionRemoved")],
        },
        EventType {
            name: "missed",
            description: "Notifications may have been lost: read the resource anew.",
            samples: &[lifecycle!("missed")],
        },
    ],
    sample: r##"{
	"value": [
		{
			"id": "lsgTZMr9KwAAA",
			"subscriptionId": "7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
			"subscriptionExpirationDateTime": "2016-03-20T11:00:00.0000000Z",
			"clientState": "secretClientValue",
			"changeType": "created",
			"resource": "users/ddfcd489-628b-40d7-b48b-57002df800e5/messages/AAMkADMxZmEzMDM1LTFjODQtNGVkMC04YzY3",
			"tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
			"resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": "AAMkADMxZmEzMDM1LTFjODQtNGVkMC04YzY3"}
		}
	]
}"##,
    refine: Some(refine),
};

/// The first notification's id does not stand for several: another request may begin with it.
fn refine(inbound: &Inbound<'_>, extracted: &mut Extracted) {
    if !is_alone(inbound.body) {
        extracted.external_id = None;
    }
}

fn is_alone(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Batch {
        value: Vec<IgnoredAny>,
    }
    serde_json::from_slice(json::unmarked(body)).is_ok_and(|batch: Batch| batch.value.len() == 1)
}

#[cfg(test)]
mod tests {
    use super::super::Extract;
    use super::super::tests::inbound;
    use super::*;

    #[test]
    fn only_a_notification_that_is_alone_has_an_id() {
        for (body, id) in [
            (r#"{"value": [{"id": "1", "subscriptionId": "s"}]}"#, Some("1")),
            (r#"{"value": [{"id": "1", "subscriptionId": "s"}, {"id": "2", "subscriptionId": "s"}]}"#, None),
            (r#"{"value": [{"id": "1", "subscriptionId": "s"}, {"id": "2"}]}"#, None),
            (r#"{"value": [{"id": "1", "subscriptionId": "s"}, {"id": "1", "subscriptionId": "s"}]}"#, None),
            (r#"{"value": [{"id": "1"}, null]}"#, None),
            (r#"{"value": {"0": {"id": "1"}}}"#, None),
            (r#"{"value": [{"subscriptionId": "s"}]}"#, None),
        ] {
            let extracted = Extract::of(&PRESET, &Extract::default()).read(&PRESET, &inbound(body.as_bytes()));
            assert_eq!(extracted.external_id.as_deref(), id, "{body}");
        }
    }
}

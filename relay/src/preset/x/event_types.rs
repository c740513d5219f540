//! The kinds of activity that X documents, each named after the member of the body that holds its events.

use super::super::EventType;

pub(super) const EVENT_TYPES: &[EventType] = &[
    EventType {
        name: "tweet_create_events",
        description: "The account posted, or someone replied to, reposted, quoted or mentioned it.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"tweet_create_events": [{"id_str": "1050118621198921728", "text": "Hello", "user": {"id_str": "2244994945"}}]
}"#],
    },
    EventType {
        name: "tweet_delete_events",
        description: "A post was deleted.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"tweet_delete_events": [{"status": {"id": "1045405559317569537", "user_id": "930524282358325248"}}]
}"#],
    },
    EventType {
        name: "favorite_events",
        description: "A post was liked.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"favorite_events": [{"id": "a7ba59eab0bfcba386f7acedac279542", "timestamp_ms": 1490814020000}]
}"#],
    },
    EventType {
        name: "follow_events",
        description: "Someone followed or unfollowed the account, or the account someone.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"follow_events": [{"type": "follow", "source": {"id": "15"}, "target": {"id": "2244994945"}}]
}"#],
    },
    EventType {
        name: "block_events",
        description: "The account blocked or unblocked someone.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"block_events": [{"type": "block", "source": {"id": "2244994945"}, "target": {"id": "15"}}]
}"#],
    },
    EventType {
        name: "mute_events",
        description: "The account muted or unmuted someone.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"mute_events": [{"type": "mute", "source": {"id": "2244994945"}, "target": {"id": "15"}}]
}"#],
    },
    EventType {
        name: "direct_message_events",
        description: "A direct message was sent or received.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"direct_message_events": [{"type": "message_create", "id": "954491830116155396"}]
}"#],
    },
    EventType {
        name: "direct_message_indicate_typing_events",
        description: "Someone types a direct message.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"direct_message_indicate_typing_events": [{"sender_id": "15", "target": {"recipient_id": "2244994945"}}]
}"#],
    },
    EventType {
        name: "direct_message_mark_read_events",
        description: "Someone read a direct message.",
        samples: &[r#"{
	"for_user_id": "2244994945",
	"direct_message_mark_read_events": [{"sender_id": "15", "last_read_event_id": "954491830116155396"}]
}"#],
    },
    EventType {
        name: "user_event",
        description: "A user took your app's access away.",
        samples: &[r#"{
	"user_event": {"revoke": {"target": {"app_id": "13090192"}, "source": {"user_id": "2244994945"}}}
}"#],
    },
];

//! Azure Event Grid: events of Azure's services and of one's own.

use super::catalogue::catalogue;
use super::{Authentication, Dedupe, DedupeBy, Places, Preset, Scheme};
use crate::handshake::Handshake;
use crate::place::Place;
use crate::verification::{Token, Verification};

pub(super) static PRESET: Preset = Preset {
    name: "event-grid",
    title: "Azure Event Grid",
    description: "Events of Azure's services and of your own, in Event Grid's schema or as CloudEvents.",
    notes: &[
        "Event Grid signs nothing. Either create an `api_key` credential and add its header to the event subscription's delivery properties, as a secret;",
        "or put a long random text into a `verify_token` credential and append it to the source's URL as `?code=…`.",
        "Then create an event subscription with the endpoint type web hook and the source's URL. The validation is answered for you, in either schema.",
        "With output batching one request is one event here, with the type, id and time of the first.",
        "What is the same byte by byte within 2 days is taken for a repeat; Event Grid tries for one.",
    ],
    authentication: &[Authentication::ApiKey, Authentication::VerifyToken],
    schemes: &[
        Scheme { name: "header", is_default: true, verification: Verification::Credentials {} },
        Scheme {
            name: "code",
            is_default: true,
            verification: Verification::Token(Token { from: Place::query("code") }),
        },
    ],
    source_addresses: &[],
    handshakes: &[Handshake::EventGrid, Handshake::CloudEvents],
    forward_headers: &[],
    extract: Places {
        event_type: Some("json:/0/eventType or json:/0/type or json:/type"),
        derived_type: None,
        external_id: Some("json:/0/id or json:/id"),
        occurred_at: Some("json:/0/eventTime or json:/0/time or json:/time"),
        request_id: None,
        attributes: &[
            ("subject", "json:/0/subject or json:/subject"),
            ("topic", "json:/0/topic or json:/0/source or json:/source"),
        ],
    },
    // The first event's id does not stand for a batch: another one may begin with it.
    dedupe: Dedupe { by: DedupeBy::Body, window_s: 2 * 86_400 },
    event_types: &catalogue([
        ("Microsoft.Storage.BlobCreated", "A blob was created or replaced."),
        ("Microsoft.Storage.BlobDeleted", "A blob was deleted."),
        ("Microsoft.Storage.BlobRenamed", "A blob was renamed."),
        ("Microsoft.Resources.ResourceWriteSuccess", "A resource was created or updated."),
        ("Microsoft.Resources.ResourceWriteFailure", "A resource could not be created or updated."),
        ("Microsoft.Resources.ResourceDeleteSuccess", "A resource was deleted."),
        ("Microsoft.Resources.ResourceDeleteFailure", "A resource could not be deleted."),
        ("Microsoft.Resources.ResourceActionSuccess", "An action on a resource succeeded."),
        ("Microsoft.ContainerRegistry.ImagePushed", "An image was pushed."),
        ("Microsoft.ContainerRegistry.ImageDeleted", "An image was deleted."),
        ("Microsoft.Devices.DeviceCreated", "A device was registered with an IoT hub."),
        ("Microsoft.Devices.DeviceDeleted", "A device was removed from an IoT hub."),
        ("Microsoft.Devices.DeviceConnected", "A device connected to an IoT hub."),
        ("Microsoft.Devices.DeviceDisconnected", "A device disconnected from an IoT hub."),
        ("Microsoft.KeyVault.SecretNearExpiry", "A secret expires soon."),
        ("Microsoft.KeyVault.SecretExpired", "A secret expired."),
        ("Microsoft.KeyVault.CertificateNearExpiry", "A certificate expires soon."),
        ("Microsoft.AppConfiguration.KeyValueModified", "A setting was created or changed."),
        ("Microsoft.Communication.SMSReceived", "A text message was received."),
    ]),
    sample: r#"[
	{
		"id": "831e1650-001e-001b-66ab-eeb76e069631",
		"topic": "/subscriptions/7f9a6d0e/resourceGroups/Storage/providers/Microsoft.Storage/storageAccounts/my-account",
		"subject": "/blobServices/default/containers/my-container/blobs/new-file.txt",
		"eventType": "Microsoft.Storage.BlobCreated",
		"eventTime": "2017-06-26T18:41:00.958410Z",
		"data": {"api": "PutBlockList", "contentType": "text/plain", "contentLength": 524288},
		"dataVersion": "",
		"metadataVersion": "1"
	}
]"#,
    refine: None,
};

//! Webflow: sites, forms and their content.

use super::catalogue::catalogue;
use super::scheme::{RAW, header, mac_of, time};
use super::{Authentication, Dedupe, Places, Preset, Scheme};
use crate::verification::{Encoding, Unit};

pub(super) static PRESET: Preset = Preset {
    name: "webflow",
    title: "Webflow",
    description: "Sites, forms and their content.",
    notes: &[
        "Create webhooks through Webflow's API with the source's URL: those made in a site's settings are not signed, and are refused.",
        "Put the secret into an `hmac` credential: your app's client secret, or, if you used a site token, the secret that came with the webhook.",
        "Webflow sends no id of an event: what is the same byte by byte within a day is taken for a repeat.",
    ],
    authentication: &[Authentication::Hmac],
    schemes: &[Scheme {
        name: "x-webflow-signature",
        is_default: true,
        verification: mac_of(
            header("x-webflow-signature", RAW, Encoding::Hex),
            "{ts}:{body}",
            Some(time("x-webflow-timestamp", Unit::Ms, 300)),
        ),
    }],
    source_addresses: &[],
    handshakes: &[],
    forward_headers: &["x-webflow-signature", "x-webflow-timestamp"],
    extract: Places {
        event_type: Some("json:/triggerType"),
        derived_type: None,
        external_id: None,
        occurred_at: Some("header:x-webflow-timestamp"),
        request_id: None,
        attributes: &[("site_id", "json:/payload/siteId"), ("object_id", "json:/payload/id")],
    },
    dedupe: Dedupe::BY_BODY,
    event_types: &catalogue([
        ("form_submission", "A visitor sent a form."),
        ("site_publish", "A site was published."),
        ("page_created", "A page was created."),
        ("page_metadata_updated", "The metadata of a page changed."),
        ("page_deleted", "A page was deleted."),
        ("ecomm_new_order", "An order was placed."),
        ("ecomm_order_changed", "An order changed."),
        ("ecomm_inventory_changed", "The stock of an item changed."),
        ("collection_item_created", "An item of a collection was created."),
        ("collection_item_changed", "An item of a collection changed."),
        ("collection_item_deleted", "An item of a collection was deleted."),
        ("collection_item_unpublished", "An item of a collection was unpublished."),
    ]),
    sample: r#"{
	"triggerType": "form_submission",
	"payload": {
		"name": "Contact Us",
		"siteId": "65427cf400e02b306eaa049c",
		"data": {"First Name": "Zaphod", "Last Name": "Beeblebrox"},
		"submittedAt": "2022-09-14T12:35:16.117Z",
		"id": "6321ca84df3949bfc6752327",
		"formId": "65429eadebe8a9f3a30f62d0"
	}
}"#,
    refine: None,
};

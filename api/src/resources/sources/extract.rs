//! Where a source's events say what they are, as the API has it.

use std::collections::BTreeMap;

use poem_openapi::Object;
use relay::preset::{self, Find, Preset};

use crate::error::Error;
use crate::schema::join;
use crate::wire::Text;

/// Where the parts of an event are found: `header:NAME`, `json:/pointer` (RFC 6901, into the body), `query:name`, or
/// `form:name` (an item of a body of the type `application/x-www-form-urlencoded`). Alternatives, tried in their order,
/// are joined by ` or `; parts that make one text, with `:` between them, by ` + `: at most 8 of each, and 64 places in
/// all. What is not said is where the provider has it.
#[derive(Debug, Clone, Default, Object)]
pub struct Extract {
    /// What kind of event it is, such as `header:x-event or json:/type`.
    #[oai(nullable)]
    pub event_type: Option<Text<Find>>,
    /// The provider's own id, such as `json:/data/id`, or `form:MessageSid + form:MessageStatus` where one id has
    /// several events.
    #[oai(nullable)]
    pub external_id: Option<Text<Find>>,
    /// When it happened, such as `json:/created_at`. There stands RFC 3339, or seconds or milliseconds since 1970.
    #[oai(nullable)]
    pub occurred_at: Option<Text<Find>>,
    /// The id of the API call that led to the event, such as `header:x-request-id or query:request`.
    #[oai(nullable)]
    pub request_id: Option<Text<Find>>,
    /// What else is kept beside the event, by a name of 1 to 40 of a-z, 0-9 and _: at most 20, such as
    /// `{"country": "json:/order/country"}`.
    #[oai(nullable, validator(max_properties = 20))]
    pub attributes: Option<BTreeMap<String, Text<Find>>>,
}

/// Names of attributes stand in filters and in URLs.
const LONGEST_NAME: usize = 40;

impl Extract {
    /// What it means, if a source can have it.
    pub(super) fn meant(self) -> Result<preset::Extract, Error> {
        let attributes = self.attributes.unwrap_or_default();
        for name in attributes.keys() {
            let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
            if !matches!(name.len(), 1..=LONGEST_NAME) || !name.bytes().all(fits) {
                let detail = format!("has a name that is not 1 to {LONGEST_NAME} of a-z, 0-9 and _");
                return Err(Error::field(join("/extract/attributes", name), detail));
            }
        }
        let find = |text: Option<Text<Find>>| text.map(|text| text.0);
        let meant = preset::Extract {
            event_type: find(self.event_type),
            external_id: find(self.external_id),
            occurred_at: find(self.occurred_at),
            request_id: find(self.request_id),
            attributes: attributes.into_iter().map(|(name, find)| (name, find.0)).collect(),
        };
        meant.check().map_err(|error| Error::field("/extract", error.to_string()))?;
        Ok(meant)
    }

    /// Where they are in fact.
    pub(super) fn show(preset: &Preset, said: &preset::Extract) -> Self {
        let extract = preset::Extract::of(preset, said);
        Self {
            event_type: extract.event_type.map(Text),
            external_id: extract.external_id.map(Text),
            occurred_at: extract.occurred_at.map(Text),
            request_id: extract.request_id.map(Text),
            attributes: Some(extract.attributes.into_iter().map(|(name, find)| (name, Text(find))).collect()),
        }
    }
}

//! What is known of each provider: how it authenticates, which event types it has, and where its events keep their
//! type, id, time and request id.

use serde::{Deserialize, Serialize};

mod extract;
mod generic;
mod ondato;
mod waldo;

pub use extract::{Extracted, Inbound, MAX_VALUE_BYTES};

/// A known sender. Presets are named after providers.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Preset {
    /// The name in the API.
    pub name: &'static str,
    /// The provider's own name.
    pub title: &'static str,
    /// Who the provider is, in one sentence.
    pub description: &'static str,
    /// What a tenant has to know or to do, one sentence each.
    pub notes: &'static [&'static str],
    /// How requests of this provider can be verified.
    pub authentication: &'static [Authentication],
    /// How they are verified unless the source says otherwise; nothing if the source must say.
    pub default_verification: Option<Verification>,
    /// The addresses that requests come from, as far as the provider publishes them.
    pub source_addresses: &'static [&'static str],
    /// The requests that are answered without being stored; by name.
    pub handshakes: &'static [&'static str],
    /// Where the parts of an event are found.
    pub extract: Places,
    /// The types of events that the provider documents.
    pub event_types: &'static [EventType],
    #[serde(skip)]
    read: fn(&Inbound<'_>) -> Extracted,
}

/// A way for a provider to prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Authentication {
    /// Only the URL's key.
    None,
    /// User name and password, RFC 7617.
    Basic,
}

/// What a source demands of a request; written `{"kind": "none"}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verification {
    /// Nothing beyond the URL's key.
    None,
    /// Any live credential of the source.
    Credentials,
}

/// Where the parts of an event are found, in the API's notation: `header:NAME`, `json:/pointer`, `query:name`; several
/// places in the order they are tried. Nothing if the provider does not send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Places {
    /// What kind of event it is.
    pub event_type: Option<&'static str>,
    /// A finer type that patterns match as well.
    pub derived_type: Option<&'static str>,
    /// The provider's own id of the event.
    pub external_id: Option<&'static str>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<&'static str>,
    /// The id of the API call that led to the event.
    pub request_id: Option<&'static str>,
}

/// A type of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EventType {
    /// As the provider writes it.
    pub name: &'static str,
    /// When it is sent.
    pub description: &'static str,
    /// Bodies as the provider sends them, in JSON; the first is the typical one.
    pub samples: &'static [&'static str],
}

/// All presets, by name.
static ALL: [Preset; 3] = [generic::PRESET, ondato::PRESET, waldo::PRESET];

/// All presets, in the order of their names.
#[must_use]
pub fn all() -> &'static [Preset] {
    &ALL
}

/// The preset of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    ALL.iter().find(|preset| preset.name == name)
}

impl Preset {
    /// What this provider's event says of itself. What is missing, too long or not text is left out; never an error.
    #[must_use]
    pub fn extract(&self, inbound: &Inbound<'_>) -> Extracted {
        (self.read)(inbound)
    }

    /// The event type of this name.
    #[must_use]
    pub fn event_type(&self, name: &str) -> Option<&'static EventType> {
        self.event_types.iter().find(|event_type| event_type.name == name)
    }
}

impl EventType {
    /// The typical body.
    #[must_use]
    pub fn sample(&self) -> &'static str {
        self.samples.first().copied().unwrap_or("{}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_is_found_by_its_name_only() {
        assert_eq!(all().iter().map(|preset| preset.name).collect::<Vec<_>>(), ["generic", "ondato", "waldo"]);
        for preset in all() {
            assert_eq!(find(preset.name).map(|found| found.title), Some(preset.title));
        }
        for name in ["", "Ondato", "ondato "] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn every_sample_is_recognised_as_what_it_is_a_sample_of() {
        for preset in all() {
            for event_type in preset.event_types {
                assert!(!event_type.samples.is_empty(), "{}", event_type.name);
                assert!(!event_type.description.is_empty(), "{}", event_type.name);
                for sample in event_type.samples {
                    let inbound = Inbound { headers: &[], query: None, body: sample.as_bytes() };
                    let extracted = preset.extract(&inbound);
                    assert_eq!(extracted.event_type.as_deref(), Some(event_type.name), "{sample}");
                }
            }
        }
    }

    #[test]
    fn a_verification_is_written_as_the_api_has_it() {
        for (verification, text) in
            [(Verification::None, r#"{"kind":"none"}"#), (Verification::Credentials, r#"{"kind":"credentials"}"#)]
        {
            assert_eq!(serde_json::to_string(&verification).unwrap(), text);
            assert_eq!(serde_json::from_str::<Verification>(text).unwrap(), verification);
        }
        assert!(serde_json::from_str::<Verification>(r#"{"kind":"hmac"}"#).is_err());
    }

    #[test]
    fn source_addresses_are_addresses() {
        for address in all().iter().flat_map(|preset| preset.source_addresses) {
            assert!(address.parse::<std::net::IpAddr>().is_ok(), "{address}");
        }
    }

    #[test]
    fn a_preset_that_proves_nothing_asks_the_source_to_say_so() {
        for preset in all() {
            let proves = preset.authentication.iter().any(|kind| *kind != Authentication::None);
            assert_eq!(preset.default_verification.is_some(), proves && preset.name == "ondato", "{}", preset.name);
        }
    }
}

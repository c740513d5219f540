//! The providers that are known: read only, and open to everybody.

use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::preset::{self, Authentication, Preset};

use super::Tag;
use super::sources::Verification;
use crate::answer::Found;
use crate::error::Error;

/// A known sender of webhooks.
#[derive(Debug, Object)]
pub struct Provider {
    /// What a source names as its provider.
    pub name: String,
    /// The provider's own name.
    pub title: String,
    pub description: String,
    /// What a tenant has to know or to do.
    pub notes: Vec<String>,
    /// How its requests can be verified.
    pub authentication: Vec<AuthenticationKind>,
    /// How they are verified unless the source says otherwise; null if the source must say.
    #[oai(nullable)]
    pub default_verification: Option<Verification>,
    /// Where its requests come from, as far as it is published.
    pub source_addresses: Vec<String>,
    /// Requests that are answered without being stored.
    pub handshakes: Vec<String>,
    pub extract: Extract,
    /// The types of events that it documents.
    pub event_types: Vec<EventType>,
}

/// How a provider can prove who it is.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AuthenticationKind {
    /// Only the URL itself.
    None,
    /// User name and password.
    Basic,
}

/// Where the parts of an event are found: `header:NAME`, `json:/pointer` or `query:name`; null if it is not sent.
#[derive(Debug, Object)]
pub struct Extract {
    #[oai(nullable)]
    pub event_type: Option<String>,
    /// A finer type, which patterns match as well.
    #[oai(nullable)]
    pub derived_type: Option<String>,
    #[oai(nullable)]
    pub external_id: Option<String>,
    #[oai(nullable)]
    pub occurred_at: Option<String>,
    #[oai(nullable)]
    pub request_id: Option<String>,
}

/// A type of events.
#[derive(Debug, Object)]
pub struct EventType {
    pub name: String,
    /// When it is sent.
    pub description: String,
    /// Bodies as the provider sends them.
    pub samples: Vec<String>,
}

/// All providers.
#[derive(Debug, Object)]
pub struct Providers {
    pub items: Vec<Provider>,
    /// There is only one page.
    #[oai(nullable)]
    pub next_cursor: Option<String>,
}

impl Provider {
    fn show(preset: &Preset) -> Self {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let event_type = |known: &preset::EventType| EventType {
            name: known.name.to_owned(),
            description: known.description.to_owned(),
            samples: texts(known.samples),
        };
        Self {
            name: preset.name.to_owned(),
            title: preset.title.to_owned(),
            description: preset.description.to_owned(),
            notes: texts(preset.notes),
            authentication: preset.authentication.iter().map(|kind| (*kind).into()).collect(),
            default_verification: preset.default_verification.map(Into::into),
            source_addresses: texts(preset.source_addresses),
            handshakes: texts(preset.handshakes),
            extract: Extract::show(&preset.extract),
            event_types: preset.event_types.iter().map(event_type).collect(),
        }
    }
}

impl Extract {
    fn show(places: &preset::Places) -> Self {
        let text = |place: Option<&str>| place.map(str::to_owned);
        Self {
            event_type: text(places.event_type),
            derived_type: text(places.derived_type),
            external_id: text(places.external_id),
            occurred_at: text(places.occurred_at),
            request_id: text(places.request_id),
        }
    }
}

impl From<Authentication> for AuthenticationKind {
    fn from(kind: Authentication) -> Self {
        match kind {
            Authentication::None => Self::None,
            Authentication::Basic => Self::Basic,
        }
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Providers")]
impl Api {
    /// List providers
    ///
    /// Needs no key.
    #[oai(path = "/providers", method = "get", operation_id = "list_providers")]
    async fn list(&self) -> Result<Found<Providers>, Error> {
        Ok(Found::of(Providers { items: preset::all().iter().map(Provider::show).collect(), next_cursor: None }))
    }

    /// Get a provider
    ///
    /// Needs no key.
    #[oai(path = "/providers/:name", method = "get", operation_id = "get_provider")]
    async fn get(&self, name: Path<String>) -> Result<Found<Provider>, Error> {
        preset::find(&name).map(|preset| Found::of(Provider::show(preset))).ok_or(Error::NotFound)
    }
}

//! The providers that are known: read only, and open to everybody.

use std::collections::BTreeMap;

use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::preset::{self, Authentication, Preset};

use super::Tag;
use super::sources::{Dedupe, Verification};
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
    /// The ways in which its requests can be verified.
    pub schemes: Vec<Scheme>,
    /// Where its requests come from, as far as it is published.
    pub source_addresses: Vec<String>,
    /// Requests that are answered without being stored.
    pub handshakes: Vec<String>,
    /// The provider's headers that deliveries take along unless the source says otherwise.
    pub forward_headers: Vec<String>,
    pub extract: ProviderExtract,
    pub dedupe: Dedupe,
    /// The types of events that it documents.
    pub event_types: Vec<EventType>,
}

/// What proves a sender: `none`, only the URL itself; `basic`, user name and password; `oauth2_client`, a token of this
/// relay's token server; `api_key`, a key in a header; `bearer`, `Authorization: Bearer`; `hmac`, a shared secret under
/// which requests are signed; `public_key`, a public key of the provider's; `verify_token`, a shared secret that stands in
/// the request; `external`, an id at the provider; `jwt`, a token of an issuer that publishes its keys.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AuthenticationKind {
    None,
    Basic,
    Oauth2Client,
    ApiKey,
    Bearer,
    Hmac,
    PublicKey,
    VerifyToken,
    External,
    Jwt,
}

/// A way to verify a provider's requests.
#[derive(Debug, Object)]
pub struct Scheme {
    pub name: String,
    /// Whether `{"kind": "provider"}` accepts it.
    pub default: bool,
    /// The same, as a source's `verification` would say it. Four providers' schemes (discord, mailgun, sendgrid, twitch)
    /// are only taken as `provider`, since a template of one's own needs a text between any two parts.
    pub verification: Verification,
}

/// Where the parts of an event are found, as a source's `extract` would say it; null if it is not sent.
#[derive(Debug, Object)]
pub struct ProviderExtract {
    #[oai(nullable)]
    pub event_type: Option<String>,
    /// A finer type, which patterns match as well: a description; not part of a source's `extract`.
    #[oai(nullable)]
    pub derived_type: Option<String>,
    #[oai(nullable)]
    pub external_id: Option<String>,
    #[oai(nullable)]
    pub occurred_at: Option<String>,
    #[oai(nullable)]
    pub request_id: Option<String>,
    /// What else is kept beside the event, by name.
    pub attributes: BTreeMap<String, String>,
}

/// A type of events.
#[derive(Debug, Object)]
pub struct EventType {
    pub name: String,
    /// When it is sent.
    pub description: String,
    /// Bodies of this type, at least one; left out of the list of providers.
    #[oai(skip_serializing_if_is_none)]
    pub samples: Option<Vec<String>>,
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
    fn show(preset: &Preset) -> Result<Self, Error> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(Self {
            name: preset.name.to_owned(),
            title: preset.title.to_owned(),
            description: preset.description.to_owned(),
            notes: texts(preset.notes),
            authentication: preset.authentication.iter().map(|kind| (*kind).into()).collect(),
            default_verification: preset.default_verification().as_ref().map(Verification::show).transpose()?,
            schemes: preset.schemes.iter().map(Scheme::show).collect::<Result<_, _>>()?,
            source_addresses: texts(preset.source_addresses),
            handshakes: preset.handshakes.iter().map(|handshake| handshake.name().to_owned()).collect(),
            forward_headers: texts(preset.forward_headers),
            extract: ProviderExtract::show(&preset.extract),
            dedupe: Dedupe::show(preset.dedupe),
            event_types: preset.event_types.iter().map(EventType::show).collect(),
        })
    }
}

impl EventType {
    fn show(known: &preset::EventType) -> Self {
        Self { name: known.name.to_owned(), description: known.description.to_owned(), samples: None }
    }

    fn with_samples(preset: &Preset, known: &preset::EventType) -> Self {
        Self { samples: Some(preset::samples(preset, known)), ..Self::show(known) }
    }
}

impl Scheme {
    fn show(scheme: &preset::Scheme) -> Result<Self, Error> {
        let verification = Verification::show(&scheme.verification)?;
        Ok(Self { name: scheme.name.to_owned(), default: scheme.is_default, verification })
    }
}

impl ProviderExtract {
    fn show(places: &preset::Places) -> Self {
        let text = |place: Option<&str>| place.map(str::to_owned);
        Self {
            event_type: text(places.event_type),
            derived_type: text(places.derived_type),
            external_id: text(places.external_id),
            occurred_at: text(places.occurred_at),
            request_id: text(places.request_id),
            attributes: places
                .attributes
                .iter()
                .map(|(name, place)| ((*name).to_owned(), (*place).to_owned()))
                .collect(),
        }
    }
}

impl From<Authentication> for AuthenticationKind {
    fn from(kind: Authentication) -> Self {
        match kind {
            Authentication::None => Self::None,
            Authentication::Basic => Self::Basic,
            Authentication::Oauth2Client => Self::Oauth2Client,
            Authentication::ApiKey => Self::ApiKey,
            Authentication::Bearer => Self::Bearer,
            Authentication::Hmac => Self::Hmac,
            Authentication::PublicKey => Self::PublicKey,
            Authentication::VerifyToken => Self::VerifyToken,
            Authentication::External => Self::External,
            Authentication::Jwt => Self::Jwt,
        }
    }
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Providers")]
impl Api {
    /// List providers
    ///
    /// Needs no key. Samples of events are shown with each provider.
    #[oai(path = "/providers", method = "get", operation_id = "list_providers")]
    async fn list(&self) -> Result<Found<Providers>, Error> {
        let items = preset::all().map(Provider::show).collect::<Result<_, _>>()?;
        Ok(Found::of(Providers { items, next_cursor: None }))
    }

    /// Get a provider
    ///
    /// With samples of its events. Needs no key.
    #[oai(path = "/providers/:name", method = "get", operation_id = "get_provider")]
    async fn get(&self, name: Path<String>) -> Result<Found<Provider>, Error> {
        let preset = preset::find(&name).ok_or(Error::NotFound)?;
        let event_types = preset.event_types.iter().map(|known| EventType::with_samples(preset, known)).collect();
        Ok(Found::of(Provider { event_types, ..Provider::show(preset)? }))
    }
}

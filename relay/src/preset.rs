//! What is known of each provider: how it signs, which event types it has, and where its events keep their type, id, time
//! and request id. A preset is data; the little that no data can say is a function beside it.

use serde::{Deserialize, Serialize};

use crate::handshake::Handshake;
use crate::inbound::Inbound;
use crate::verification::Verification;

mod bitbucket;
mod catalogue;
mod cloudevents;
mod credentials;
mod derived;
mod discord;
mod event_grid;
mod extract;
mod generic;
mod github;
mod gitlab;
mod hookdeck;
mod hookyard;
mod intercom;
mod linear;
mod mailgun;
mod meta;
mod ms_graph;
mod okta;
mod ondato;
mod onfido;
mod paddle;
mod paypal;
mod persona;
mod scheme;
mod sendgrid;
mod shopify;
mod simulate;
mod slack;
mod square;
mod standard_webhooks;
mod stripe;
mod sumsub;
mod svix;
mod twilio;
mod twitch;
mod vercel;
mod veriff;
mod waldo;
mod webflow;
mod woocommerce;
mod x;
mod zoom;

pub use extract::{Extract, Extracted, Find, MAX_VALUE_BYTES, MOST_PLACES, NotAFind, TooManyPlaces};
pub use simulate::{Simulated, samples, simulate};

/// A known sender. Presets are named after providers.
#[derive(Debug)]
pub struct Preset {
    /// The name in the API.
    pub name: &'static str,
    /// The provider's own name.
    pub title: &'static str,
    /// Who the provider is, in one sentence.
    pub description: &'static str,
    /// What a tenant has to know or to do, one sentence each.
    pub notes: &'static [&'static str],
    /// What of its requests can prove who sent them, and so which credentials a source can have.
    pub authentication: &'static [Authentication],
    /// The ways in which its requests can be verified. Empty if a source must say what it demands.
    pub schemes: &'static [Scheme],
    /// The addresses that requests come from, as far as the provider publishes them.
    pub source_addresses: &'static [&'static str],
    /// The requests that are answered without being stored.
    pub handshakes: &'static [Handshake],
    /// Headers that deliveries take along unless the source says otherwise: what a tenant needs to verify the provider's
    /// own signature. In lower case.
    pub forward_headers: &'static [&'static str],
    /// Where the parts of an event are found.
    pub extract: Places,
    /// How a repeat is told from a new event, unless the source says otherwise.
    pub dedupe: Dedupe,
    /// The types of events that the provider documents.
    pub event_types: &'static [EventType],
    /// A typical body, for event types that have no sample of their own.
    pub sample: &'static str,
    /// What no [`Places`] can say, done to what they said.
    pub(crate) refine: Option<fn(&Inbound<'_>, &mut Extracted)>,
}

/// What proves a sender; each has credentials of this kind but the first and the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Authentication {
    /// Only the URL's key.
    None,
    /// User name and password, RFC 7617.
    Basic,
    /// A token of our token server, RFC 6749 4.4.
    Oauth2Client,
    /// A key in a header.
    ApiKey,
    /// `Authorization: Bearer`.
    Bearer,
    /// A shared secret under which requests are signed.
    Hmac,
    /// A public key of the provider's.
    PublicKey,
    /// A shared secret that stands in the request.
    VerifyToken,
    /// An id at the provider, with which its signatures are checked.
    External,
    /// A token of an issuer whose keys are published.
    Jwt,
}

/// One way to verify a provider's requests.
#[derive(Debug)]
pub struct Scheme {
    pub name: &'static str,
    /// Whether a source that says nothing accepts it. Several may be: each needs a credential of its own kind.
    pub is_default: bool,
    pub verification: Verification,
}

/// Where the parts of an event are found, each in the notation of [`Find`]. Nothing if the provider does not send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// What kind of event it is.
    pub event_type: Option<&'static str>,
    /// A finer type that patterns match as well; a description.
    pub derived_type: Option<&'static str>,
    /// The provider's own id of the event.
    pub external_id: Option<&'static str>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<&'static str>,
    /// The id of the API call that led to the event.
    pub request_id: Option<&'static str>,
    /// What else is worth keeping beside the event: name and place.
    pub attributes: &'static [(&'static str, &'static str)],
}

/// How a repeat is told from a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    pub by: DedupeBy,
    /// For so many seconds what is the same is a repeat.
    pub window_s: u32,
}

/// What is the same in a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DedupeBy {
    /// The provider's id of the event; one without an id is new.
    ExternalId,
    /// Every byte of the body.
    Body,
    /// Nothing: every request is a new event.
    None,
}

/// A type of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventType {
    /// As the provider writes it.
    pub name: &'static str,
    /// When it is sent.
    pub description: &'static str,
    /// Bodies as the provider sends them; the first is the typical one. Empty: [`Preset::sample`], with this type in its
    /// place.
    pub samples: &'static [&'static str],
}

/// The preset of whoever has none.
pub static GENERIC: &Preset = &generic::PRESET;

/// The preset of the source that every tenant has built in: no other source can have it.
pub static BUILT_IN: &Preset = &hookyard::PRESET;

/// All presets that a source can have, by name.
static ALL: [&Preset; 36] = [
    &bitbucket::PRESET,
    &cloudevents::PRESET,
    &discord::PRESET,
    &event_grid::PRESET,
    &generic::PRESET,
    &github::PRESET,
    &gitlab::PRESET,
    &hookdeck::PRESET,
    &intercom::PRESET,
    &linear::PRESET,
    &mailgun::PRESET,
    &meta::PRESET,
    &ms_graph::PRESET,
    &okta::PRESET,
    &ondato::PRESET,
    &onfido::PRESET,
    &paddle::PRESET,
    &paypal::PRESET,
    &persona::PRESET,
    &sendgrid::PRESET,
    &shopify::PRESET,
    &slack::PRESET,
    &square::PRESET,
    &standard_webhooks::PRESET,
    &stripe::PRESET,
    &sumsub::PRESET,
    &svix::PRESET,
    &twilio::PRESET,
    &twitch::PRESET,
    &vercel::PRESET,
    &veriff::PRESET,
    &waldo::PRESET,
    &webflow::PRESET,
    &woocommerce::PRESET,
    &x::PRESET,
    &zoom::PRESET,
];

/// All presets that a source can have, in the order of their names.
pub fn all() -> impl Iterator<Item = &'static Preset> {
    ALL.iter().copied()
}

/// The preset of this name; also the built-in one.
#[must_use]
pub fn find(name: &str) -> Option<&'static Preset> {
    all().chain([BUILT_IN]).find(|preset| preset.name == name)
}

impl Preset {
    /// How requests are verified unless the source says otherwise; nothing if it must say.
    #[must_use]
    pub fn default_verification(&self) -> Option<Verification> {
        let mut defaults = self.default_schemes();
        match (defaults.next(), defaults.next()) {
            (None, _) => None,
            (Some(Verification::Credentials {}), None) => Some(Verification::Credentials {}),
            _ => Some(Verification::Provider {}),
        }
    }

    /// What [`Verification::Provider`] stands for: any of these.
    pub fn default_schemes(&self) -> impl Iterator<Item = &'static Verification> {
        self.schemes.iter().filter(|scheme| scheme.is_default).map(|scheme| &scheme.verification)
    }

    /// The event type of this name.
    #[must_use]
    pub fn event_type(&self, name: &str) -> Option<&'static EventType> {
        self.event_types.iter().find(|event_type| event_type.name == name)
    }
}

impl Places {
    /// Nothing is found.
    pub const NONE: Self = Self {
        event_type: None,
        derived_type: None,
        external_id: None,
        occurred_at: None,
        request_id: None,
        attributes: &[],
    };
}

impl Dedupe {
    /// 7 days: longer than any provider keeps trying.
    pub const WEEK_S: u32 = 7 * 86_400;
    /// By the provider's id, for 7 days.
    pub const BY_ID: Self = Self { by: DedupeBy::ExternalId, window_s: Self::WEEK_S };
    /// By the body, for a day: two requests that are the same byte by byte within a day are one that was repeated.
    pub const BY_BODY: Self = Self { by: DedupeBy::Body, window_s: 86_400 };
    /// Every request is new.
    pub const NOT: Self = Self { by: DedupeBy::None, window_s: 60 };
}

#[cfg(test)]
mod tests;

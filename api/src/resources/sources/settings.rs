//! What a tenant says about a source beyond its name, and the column that it becomes.

use std::str::FromStr;

use entity::source::{self, Mode};
use ipnet::IpNet;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use relay::passed_on::is_never_passed_on;
use relay::preset::{self, Preset};
use relay::quota::Rate;

use super::super::told;
use super::Extract;
use crate::error::Error;
use crate::ingest::BODY_CAP;
use crate::wire::{Cidr, HeaderName, Text};

/// The addresses that requests should come from.
#[derive(Debug, Clone, Object)]
pub struct Allowlist {
    pub mode: AllowlistMode,
    /// Addresses or networks.
    #[oai(validator(min_items = 1, max_items = 256, unique_items))]
    pub cidrs: Vec<Text<Cidr>>,
}

/// What becomes of a request from elsewhere: `enforce`, it is refused with 403; `report`, it is taken, counted, and shown among the
/// rejections about once a minute for each address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum AllowlistMode {
    Enforce,
    Report,
}

/// How a repeat is told from a new event.
#[derive(Debug, Clone, Object)]
pub struct Dedupe {
    pub by: DedupeBy,
    /// For so many seconds what is the same is a repeat; 7 days unless said otherwise.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "2592000")))]
    pub window_s: Option<u32>,
}

/// What is the same in a repeat: `external_id`, the provider's id of the event; `body`, every byte of the body; `none`,
/// nothing, so that every request is a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum DedupeBy {
    ExternalId,
    Body,
    None,
}

/// What the provider hears when its request was accepted.
#[derive(Debug, Clone, Object)]
pub struct CustomResponse {
    #[oai(validator(minimum(value = "200"), maximum(value = "299")))]
    pub status: u16,
    /// A media type such as `text/plain`, in visible ASCII.
    #[oai(nullable, validator(min_length = 1, max_length = 100))]
    pub content_type: Option<String>,
    /// Empty, or left out, with the status 204.
    #[oai(nullable, validator(max_length = 4096))]
    pub body: Option<String>,
}

/// How many requests are taken; the others are answered with 429.
#[derive(Debug, Clone, Object)]
pub struct RateLimit {
    #[oai(validator(minimum(value = "1"), maximum(value = "100000")))]
    pub per_second: u32,
    /// How many at once; as many as in a second unless said otherwise.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "1000000")))]
    pub burst: Option<u32>,
}

/// All of it, in a creation as in a change.
#[derive(Debug, Object)]
pub struct SourceSettings {
    /// Null: where the provider has them.
    #[oai(nullable)]
    pub extract: MaybeUndefined<Extract>,
    /// Null: from anywhere. A new source that does not say it has what the provider publishes, in the mode `report`.
    #[oai(nullable)]
    pub ip_allowlist: MaybeUndefined<Allowlist>,
    /// Null: as the provider's events allow.
    #[oai(nullable)]
    pub dedupe: MaybeUndefined<Dedupe>,
    /// Null: 1 MiB; at most 25.
    #[oai(nullable, validator(minimum(value = "1"), maximum(value = "26214400")))]
    pub max_body_bytes: MaybeUndefined<u32>,
    /// Null: 202 with the event's id in JSON.
    #[oai(nullable)]
    pub response: MaybeUndefined<CustomResponse>,
    /// Null: only the tenant's limits hold.
    #[oai(nullable)]
    pub rate_limit: MaybeUndefined<RateLimit>,
    /// Null: what the provider signs with.
    #[oai(nullable, validator(max_items = 20, unique_items))]
    pub forward_headers: MaybeUndefined<Vec<Text<HeaderName>>>,
}

impl SourceSettings {
    /// Writes what was said; null brings back what is so unless said otherwise.
    pub(super) fn write(self, settings: &mut source::Settings) -> Result<(), Error> {
        if let Some(extract) = told(self.extract) {
            settings.extract = extract.map(Extract::meant).transpose()?.unwrap_or_default();
        }
        if let Some(list) = told(self.ip_allowlist) {
            settings.ip_allowlist = list.map(Allowlist::meant);
        }
        if let Some(dedupe) = told(self.dedupe) {
            settings.dedupe = dedupe.map(|dedupe| dedupe.meant());
        }
        if let Some(bytes) = told(self.max_body_bytes) {
            settings.max_body_bytes = bytes;
        }
        if let Some(response) = told(self.response) {
            settings.response = response.map(CustomResponse::meant).transpose()?;
        }
        if let Some(rate) = told(self.rate_limit) {
            settings.rate_limit = rate.map(|rate| rate.meant());
        }
        if let Some(names) = told(self.forward_headers) {
            settings.forward_headers = names.as_deref().map(forwarded).transpose()?;
        }
        Ok(())
    }
}

/// Says so at once where a header would be missing from every delivery.
fn forwarded(names: &[Text<HeaderName>]) -> Result<Vec<String>, Error> {
    let names: Vec<String> = names.iter().map(|name| name.0.to_string()).collect();
    match names.iter().position(|name| is_never_passed_on(name)) {
        Some(place) => Err(Error::field(format!("/forward_headers/{place}"), NEVER_PASSED_ON)),
        None => Ok(names),
    }
}

const NEVER_PASSED_ON: &str = "is never passed on: it concerns only the connection to the relay, is a secret between the \
    provider and the relay, or is what a delivery says itself";

impl Allowlist {
    fn meant(self) -> source::Allowlist {
        let mode = match self.mode {
            AllowlistMode::Enforce => Mode::Enforce,
            AllowlistMode::Report => Mode::Report,
        };
        source::Allowlist { mode, cidrs: self.cidrs.into_iter().map(|cidr| cidr.0.0).collect() }
    }

    pub(super) fn show(list: &source::Allowlist) -> Self {
        let mode = match list.mode {
            Mode::Enforce => AllowlistMode::Enforce,
            Mode::Report => AllowlistMode::Report,
        };
        Self { mode, cidrs: list.cidrs.iter().map(|network| Text(Cidr(*network))).collect() }
    }
}

/// The addresses that a provider publishes, to be looked at and not trusted.
pub(super) fn published(preset: &Preset) -> Option<source::Allowlist> {
    let cidrs: Vec<IpNet> =
        preset.source_addresses.iter().filter_map(|text| Some(Cidr::from_str(text).ok()?.0)).collect();
    (!cidrs.is_empty()).then_some(source::Allowlist { mode: Mode::Report, cidrs })
}

impl Dedupe {
    fn meant(&self) -> preset::Dedupe {
        let by = match self.by {
            DedupeBy::ExternalId => preset::DedupeBy::ExternalId,
            DedupeBy::Body => preset::DedupeBy::Body,
            DedupeBy::None => preset::DedupeBy::None,
        };
        preset::Dedupe { by, window_s: self.window_s.unwrap_or(preset::Dedupe::WEEK_S) }
    }

    pub(crate) fn show(dedupe: preset::Dedupe) -> Self {
        let by = match dedupe.by {
            preset::DedupeBy::ExternalId => DedupeBy::ExternalId,
            preset::DedupeBy::Body => DedupeBy::Body,
            preset::DedupeBy::None => DedupeBy::None,
        };
        Self { by, window_s: Some(dedupe.window_s) }
    }
}

impl CustomResponse {
    fn meant(self) -> Result<source::Response, Error> {
        if let Some(text) = &self.content_type
            && !is_media_type(text)
        {
            let detail = "is no media type such as `text/plain`: visible ASCII only";
            return Err(Error::field("/response/content_type", detail));
        }
        if self.status == 204 && self.body.as_ref().is_some_and(|body| !body.is_empty()) {
            return Err(Error::field("/response/body", "must be empty: an answer with status 204 has no body"));
        }
        Ok(source::Response { status: self.status, content_type: self.content_type, body: self.body })
    }

    pub(super) fn show(response: &source::Response) -> Self {
        let source::Response { status, content_type, body } = response.clone();
        Self { status, content_type, body }
    }
}

/// `type/subtype`, and what may follow it.
fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    let is_essence = essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype));
    is_essence && poem::http::HeaderValue::from_str(text).is_ok()
}

impl RateLimit {
    pub(crate) fn meant(&self) -> Rate {
        Rate { per_second: self.per_second, burst: self.burst.unwrap_or(self.per_second) }
    }

    pub(crate) fn show(rate: Rate) -> Self {
        Self { per_second: rate.per_second, burst: Some(rate.burst) }
    }
}

/// The cap of a source that says nothing.
#[must_use]
pub(super) fn usual_cap() -> u32 {
    u32::try_from(BODY_CAP).unwrap_or(u32::MAX)
}

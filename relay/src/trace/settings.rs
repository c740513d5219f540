//! Whether spans are told, to whom, and how many.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::process::{BadSetting, malformed_setting};

/// Where spans go.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TraceSettings {
    /// The collector that hears of each webhook and each attempt: where OTLP over HTTP is spoken, such as
    /// `http://127.0.0.1:4318`; spans are posted to `/v1/traces` below it. Without it there are no spans
    #[arg(
        id = "otlp_endpoint",
        long = "otlp-endpoint",
        env = "HOOKYARD_OTLP_ENDPOINT",
        value_name = "URL",
        value_parser = endpoint
    )]
    pub endpoint: Option<Url>,

    /// Headers for the collector, `name=value`, comma-separated: what it wants to know whose the spans are
    #[arg(
        id = "otlp_headers",
        long = "otlp-headers",
        env = "HOOKYARD_OTLP_HEADERS",
        value_name = "HEADERS",
        hide_env_values = true
    )]
    pub headers: Option<SecretString>,

    /// Which part of the traces that begin here the collector hears of, from 0 to 1; where a provider says in
    /// `traceparent` whether a trace is recorded, that decides
    #[arg(
        id = "trace_ratio",
        long = "trace-ratio",
        env = "HOOKYARD_TRACE_RATIO",
        value_name = "RATIO",
        default_value = "1"
    )]
    pub ratio: Ratio,
}

/// A part of all, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio(f64);

/// A value that clap shows together with the flag; the variable is named here. Headers are read later, since they are not
/// to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error(
        "HOOKYARD_OTLP_ENDPOINT takes a URL such as http://127.0.0.1:4318, without a query, and without a user: what proves who you are belongs into HOOKYARD_OTLP_HEADERS"
    )]
    Endpoint,
    #[error("it takes `name=value`, comma-separated")]
    Headers,
    #[error("HOOKYARD_TRACE_RATIO takes a number from 0 to 1")]
    Ratio,
}

fn endpoint(text: &str) -> Result<Url, Unusable> {
    let url = Url::parse(text).map_err(|_| Unusable::Endpoint)?;
    let is_plain = url.query().is_none() && url.username().is_empty() && url.password().is_none();
    let is_usable = ["http", "https"].contains(&url.scheme()) && url.has_host() && is_plain;
    is_usable.then_some(url).ok_or(Unusable::Endpoint)
}

impl TraceSettings {
    /// Whether spans can be sent as this says, if they are to be.
    ///
    /// # Errors
    /// What is wrong with which setting.
    pub fn check(&self) -> Result<(), BadSetting> {
        match &self.endpoint {
            Some(_) => self.headers().map(drop),
            None => Ok(()),
        }
    }

    /// The headers for the collector, as a request has them.
    pub(super) fn headers(&self) -> Result<HeaderMap, BadSetting> {
        let text = self.headers.as_ref().map_or("", ExposeSecret::expose_secret);
        parse(text).ok_or_else(|| malformed_setting("HOOKYARD_OTLP_HEADERS", Unusable::Headers))
    }
}

fn parse(text: &str) -> Option<HeaderMap> {
    let mut map = HeaderMap::new();
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=')?;
        let mut value = HeaderValue::try_from(value.trim()).ok()?;
        value.set_sensitive(true);
        map.append(HeaderName::try_from(name.trim()).ok()?, value);
    }
    Some(map)
}

impl Ratio {
    /// None: it is not from 0 to 1.
    #[must_use]
    pub fn new(ratio: f64) -> Option<Self> {
        (0.0..=1.0).contains(&ratio).then_some(Self(ratio))
    }

    /// How many of the numbers of so many bits are left out, which are the lowest.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 2^bits")]
    pub(super) fn rejected(self, bits: u32) -> u64 {
        ((1.0 - self.0) * f64::exp2(f64::from(bits))) as u64
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Self(1.0)
    }
}

impl FromStr for Ratio {
    type Err = Unusable;

    fn from_str(text: &str) -> Result<Self, Unusable> {
        text.parse().ok().and_then(Self::new).ok_or(Unusable::Ratio)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        trace: TraceSettings,
    }

    fn read(flags: &[&str]) -> Result<TraceSettings, String> {
        let flags = ["program"].iter().chain(flags);
        Program::try_parse_from(flags).map(|program| program.trace).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_are_read_and_off_by_default() {
        let default = read(&[]).unwrap();
        assert!(default.endpoint.is_none() && default.headers.is_none() && default.ratio == Ratio(1.0));
        let settings = read(&[
            "--otlp-endpoint",
            "https://otlp.example.com/base",
            "--otlp-headers",
            "x-key = canary==, x-team=a",
            "--trace-ratio",
            "0.25",
        ]);
        let settings = settings.unwrap();
        let headers = settings.headers().unwrap();
        assert_eq!((&headers["x-key"], &headers["x-team"]), (&"canary==".parse().unwrap(), &"a".parse().unwrap()));
        assert_eq!(settings.ratio, Ratio(0.25));
        assert!(!format!("{settings:?}").contains("canary"), "{settings:?}");
    }

    #[test]
    fn an_unusable_setting_is_named() {
        for (flag, name) in [
            ("--otlp-endpoint=127.0.0.1:4318", "HOOKYARD_OTLP_ENDPOINT"),
            ("--otlp-endpoint=ftp://127.0.0.1", "HOOKYARD_OTLP_ENDPOINT"),
            ("--otlp-endpoint=http://127.0.0.1/?a=b", "HOOKYARD_OTLP_ENDPOINT"),
            ("--otlp-endpoint=http://u:p@127.0.0.1/", "HOOKYARD_OTLP_ENDPOINT"),
            ("--trace-ratio=1.1", "HOOKYARD_TRACE_RATIO"),
            ("--trace-ratio=-0.1", "HOOKYARD_TRACE_RATIO"),
            ("--trace-ratio=NaN", "HOOKYARD_TRACE_RATIO"),
            ("--trace-ratio=half", "HOOKYARD_TRACE_RATIO"),
        ] {
            let error = read(&[flag]).err().unwrap_or_else(|| panic!("{flag}"));
            assert!(error.contains(name), "{flag}: {error}");
        }
        for (text, is_usable) in
            [("", true), ("a=1,", true), ("no value", false), ("a name=1", false), ("a=b\0c", false)]
        {
            let settings = TraceSettings { headers: Some(text.into()), ..TraceSettings::default() };
            assert_eq!(settings.headers().is_ok(), is_usable, "{text}");
        }
    }
}

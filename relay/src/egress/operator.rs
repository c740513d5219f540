//! The way to what the operator runs beside the relay. Where it leads is said by the operator's own settings, so no guard
//! looks at it: a collector is at home where no destination may be. For the same reason it does not go through the proxy
//! for destinations.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use reqwest::Client;
use url::Url;

use super::EgressError;
use super::client::story;
use super::clients::plain;
use super::response::Response;

/// Posts to the operator's own endpoints.
#[derive(Debug, Clone)]
pub struct Operator(Client);

impl Operator {
    /// # Errors
    /// The HTTP client does not start.
    pub fn new() -> Result<Self, EgressError> {
        plain().map(Self).map_err(EgressError::Client)
    }

    /// Sends a request and gives the status of the answer, all within this time.
    ///
    /// # Errors
    /// There was no answer; says why, without the URL.
    pub async fn post(&self, url: Url, headers: HeaderMap, body: Bytes, within: Duration) -> Result<u16, String> {
        let until = Instant::now() + within;
        let sent = self.0.post(url).headers(headers).body(body).send();
        match tokio::time::timeout_at(until.into(), sent).await {
            Ok(Ok(response)) => Ok(Response::read(response, until).await.status),
            Ok(Err(error)) => Err(story(&error.without_url())),
            Err(_) => Err(format!("no answer within {} s", within.as_secs())),
        }
    }
}

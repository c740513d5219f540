//! What the providers do: post their events, once, twice, and with a wrong password.

use std::time::{Duration, Instant};

use super::client::{self, Answer, text};
use super::tenant::Tenant;
use crate::serve::Error;

/// A provider that posts to a tenant's source.
#[derive(Debug)]
pub(super) struct Provider<'a> {
    pub(super) tenant: &'a Tenant,
    /// What it presents.
    pub(super) authorization: Option<String>,
}

/// An event that was accepted.
#[derive(Debug)]
pub(super) struct Posted<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) event_type: &'static str,
    pub(super) body: &'static str,
    pub(super) event_id: String,
    /// When the post began, and how long the answer took.
    pub(super) at: Instant,
    pub(super) took: Duration,
}

impl<'a> Provider<'a> {
    /// Type and body of every sample in the provider's catalogue.
    pub(super) fn samples(&self) -> Vec<(&'static str, &'static str)> {
        let event_types = self.tenant.provider.event_types.iter();
        event_types.flat_map(|event_type| event_type.samples.iter().map(|body| (event_type.name, *body))).collect()
    }

    /// Posts one event, which must be accepted.
    pub(super) async fn post(&self, event_type: &'static str, body: &'static str) -> Result<Posted<'a>, Error> {
        let at = Instant::now();
        let answer = client::post(&self.tenant.url, self.authorization.as_deref(), body).await?;
        let took = at.elapsed();
        if answer.status != 202 {
            return Err(format!("{event_type} was answered with {}", words(&answer)).into());
        }
        Ok(Posted { tenant: self.tenant, event_type, body, event_id: text(&answer.json()?, "event_id")?, at, took })
    }

    /// Posts what must not be accepted, with this in `Authorization`; returns the status of the answer.
    pub(super) async fn intrude(&self, authorization: &str, body: &'static str) -> Result<u16, Error> {
        Ok(client::post(&self.tenant.url, Some(authorization), body).await?.status)
    }
}

fn words(answer: &Answer) -> String {
    format!("{} instead of 202: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

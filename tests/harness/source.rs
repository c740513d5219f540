//! A provider: whoever posts to a source's URL.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::Method;

use crate::answer::Answer;
use crate::client::Client;
use crate::ondato;
use crate::process::Process;

/// One source as its provider sees it.
#[derive(Debug, Clone)]
pub struct Source {
    pub id: String,
    /// The path of its URL; the host changes with every start of the api.
    pub path: String,
    pub provider: Client,
    /// What the provider presents.
    pub authorization: Option<String>,
}

impl Source {
    /// The same source, where another process serves it.
    #[must_use]
    pub fn at(&self, process: &Process) -> Self {
        Self { provider: self.provider.at(process), ..self.clone() }
    }

    /// The same source, for a provider with this password.
    #[must_use]
    pub fn as_user(&self, username: &str, password: &str) -> Self {
        Self { authorization: Some(basic(username, password)), ..self.clone() }
    }

    /// Posts a body as JSON.
    pub async fn post(&self, body: impl Into<Bytes>) -> Answer {
        self.post_with(&[("content-type", "application/json")], body).await
    }

    pub async fn post_with(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.try_post(headers, body).await.unwrap_or_else(|error| panic!("POST {}: {error:?}", self.path))
    }

    /// # Errors
    /// When no whole answer came.
    pub async fn try_post(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> reqwest::Result<Answer> {
        let authorization = self.authorization.as_deref().map(|value| ("authorization", value));
        let headers: Vec<_> = headers.iter().copied().chain(authorization).collect();
        self.provider.try_ask(Method::POST, &self.path, &headers, body).await
    }

    /// Posts an Ondato event of this type and insists that it is accepted. Gives its id.
    pub async fn send(&self, event_type: &str) -> String {
        self.post(ondato::event(event_type)).await.event_id()
    }

    /// Posts `count` events, several at a time over connections that stay open. Gives their ids.
    pub async fn send_many(&self, count: usize, at_a_time: usize, event_type: impl Fn(usize) -> String) -> Vec<String> {
        let bodies: Vec<_> = (0..count).map(|number| ondato::event(&event_type(number))).collect();
        let mut senders = tokio::task::JoinSet::new();
        for share in bodies.chunks(count.div_ceil(at_a_time).max(1)) {
            let (source, share) = (self.clone(), share.to_vec());
            senders.spawn(async move {
                let mut ids = Vec::with_capacity(share.len());
                for body in share {
                    ids.push(source.post(body).await.event_id());
                }
                ids
            });
        }
        senders.join_all().await.concat()
    }
}

/// What stands in `Authorization` for a user and a password.
#[must_use]
pub fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

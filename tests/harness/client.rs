//! Somebody who talks to the relay, with a key or without.

use bytes::Bytes;
use reqwest::Method;
use serde_json::Value;

use crate::answer::Answer;
use crate::metrics::Metrics;
use crate::process::Process;

/// Follows its process over restarts.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    process: Process,
    key: Option<String>,
}

impl Client {
    /// Without a key.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { http: http.build().unwrap(), process: process.clone(), key: None }
    }

    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    #[must_use]
    pub fn without_key(&self) -> Self {
        Self { key: None, ..self.clone() }
    }

    /// The same caller, at another process.
    #[must_use]
    pub fn at(&self, process: &Process) -> Self {
        Self { process: process.clone(), ..self.clone() }
    }

    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], Bytes::new()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, &[], Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask_json(Method::POST, path, &[], &body).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.ask_json(Method::PATCH, path, &[], &body).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask_json(Method::PUT, path, &[], &body).await
    }

    /// A POST that has nothing to say.
    pub async fn act(&self, path: &str) -> Answer {
        self.ask(Method::POST, path, &[], Bytes::new()).await
    }

    pub async fn ask_json(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.ask(method, path, &headers, body.to_string()).await
    }

    /// Any request; a connection that breaks fails the test.
    pub async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let question = format!("{method} {path}");
        self.try_ask(method, path, headers, body).await.unwrap_or_else(|error| panic!("{question}: {error:?}"))
    }

    /// Any request, where the relay may be dying.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn try_ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> reqwest::Result<Answer> {
        let question = format!("{method} {path}");
        let response = self.send(method, path, headers, body.into()).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { question, status, headers, body: response.bytes().await? })
    }

    /// Any request, whose answer is still to be read.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self.http.request(method, format!("http://{}{path}", self.process.address())).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.send().await
    }

    /// A question to the process's operations listener.
    pub async fn operations(&self, path: &str) -> Answer {
        self.try_operations(path).await.unwrap_or_else(|error| panic!("GET {path} (operations): {error:?}"))
    }

    /// The same, where the process may be ending.
    ///
    /// # Errors
    /// When no whole answer came.
    pub async fn try_operations(&self, path: &str) -> reqwest::Result<Answer> {
        let question = format!("GET {path} (operations)");
        let response = self.http.get(format!("http://{}{path}", self.process.operations())).send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer { question, status, headers, body: response.bytes().await? })
    }

    /// All that the process counts.
    pub async fn metrics(&self) -> Metrics {
        Metrics::read(&self.operations("/metrics").await.is(200).text())
    }

    /// The sum of a counter over all its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = self.operations("/metrics").await.is(200).text();
        let values = page
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with('{') || rest.starts_with(' ')));
        values.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

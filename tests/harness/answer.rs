//! What the relay answered.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Status, headers and body, with the question for failure messages.
#[derive(Debug, Clone)]
pub struct Answer {
    pub question: String,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Insists on a status.
    #[track_caller]
    pub fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Insists on a 2xx.
    #[track_caller]
    pub fn succeeded(&self) -> &Self {
        assert_eq!(self.status / 100, 2, "{self}");
        self
    }

    /// Insists on a status and gives the body.
    #[track_caller]
    #[must_use]
    pub fn json(&self, status: u16) -> Value {
        self.is(status);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self}"))
    }

    /// Insists on a refusal as RFC 9457 has it, and gives it without the id of the request.
    #[track_caller]
    #[must_use]
    pub fn problem(&self, status: u16) -> Value {
        let mut problem = self.json(status);
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self}");
        assert!(problem["type"].is_string() && problem["title"].is_string(), "{self}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{self}");
        assert_eq!(problem["status"], status, "{self}");
        problem.as_object_mut().unwrap().remove("request_id");
        problem
    }

    /// Insists on a refusal that says each of these words.
    #[track_caller]
    pub fn problem_about(&self, status: u16, words: &[&str]) {
        let problem = self.problem(status).to_string();
        for word in words {
            assert!(problem.contains(word), "no {word:?} in {self}");
        }
    }

    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The id of the event that was accepted.
    #[track_caller]
    #[must_use]
    pub fn event_id(&self) -> String {
        text(&self.json(202), "event_id")
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.text().chars().take(2_000).collect();
        write!(out, "{} → {} {body}\n{:?}", self.question, self.status, self.headers)
    }
}

/// A field that must be a string.
#[track_caller]
#[must_use]
pub fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field:?} in {value:#}")).to_owned()
}

/// A field that must be a time, in milliseconds since 1970.
#[track_caller]
#[must_use]
pub fn millis(value: &Value, field: &str) -> i64 {
    let time = chrono::DateTime::parse_from_rfc3339(&text(value, field));
    time.unwrap_or_else(|error| panic!("{field}: {error} in {value:#}")).timestamp_millis()
}

/// The items of a page.
#[track_caller]
#[must_use]
pub fn items(page: &Value) -> Vec<Value> {
    page["items"].as_array().unwrap_or_else(|| panic!("no items in {page:#}")).clone()
}

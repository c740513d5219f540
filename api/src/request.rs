//! What is known of a request before anything is made of it.

use std::net::IpAddr;
use std::sync::OnceLock;

use poem::Request;
use poem::http::Method;
use relay::id::{Id, Kind};

use crate::precondition::Preconditions;
use crate::server::Lifeline;

/// Shared by all that work on one request.
#[derive(Debug)]
pub struct Facts {
    /// Fresh for each request; in the answer's headers, in problems, audit rows and the log. Never what a caller calls it:
    /// nobody can write into the log, or have two requests look like one.
    pub request_id: String,
    pub method: Method,
    pub path: String,
    pub remote_address: Option<IpAddr>,
    pub idempotency_key: Option<Vec<u8>>,
    pub preconditions: Preconditions,
    /// SHA-256 of the body, once it was read.
    pub body: OnceLock<[u8; 32]>,
    /// Of its connection.
    pub(crate) lifeline: Lifeline,
}

/// Names the kind of request ids.
#[derive(Debug, Clone, Copy)]
pub enum Asked {}

impl Kind for Asked {
    const PREFIX: &'static str = "req";
    const NAME: &'static str = "a request";
}

impl Facts {
    /// What `request` says, taken down at `now`.
    #[must_use]
    pub fn of(request: &Request, now: i64) -> Self {
        let header = |name: &str| request.headers().get(name);
        Self {
            request_id: Id::<Asked>::at(now).to_string(),
            method: request.method().clone(),
            path: request.original_uri().path().to_owned(),
            remote_address: request.remote_addr().as_socket_addr().map(std::net::SocketAddr::ip),
            idempotency_key: header("idempotency-key").map(|value| value.as_bytes().to_vec()),
            preconditions: Preconditions::of(request.headers()),
            body: OnceLock::new(),
            lifeline: request.data::<Lifeline>().cloned().unwrap_or_default(),
        }
    }
}

//! What is kept of an answer: bounded, and never decompressed.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};

/// An answer. Whatever its body came to, the status was said.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, values as they came: the first of them, up to 16 KiB in all.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The beginning of the body, up to 16 KiB, still in its content encoding.
    pub body: Bytes,
    /// Whether there was more of the body, or would have been if it had not broken off.
    pub truncated: bool,
    /// Who answered.
    pub remote_address: Option<SocketAddr>,
    /// The text of `Retry-After`, for [`crate::retry::parse_retry_after`].
    pub retry_after: Option<String>,
}

/// How much is kept of the headers, and how much of the body, in bytes.
pub(super) const KEPT: usize = 16 * 1024;

impl Response {
    /// Reads an answer to its end, to the limit or until then, and lets go of the connection.
    pub(super) async fn read(mut response: reqwest::Response, until: Instant) -> Self {
        let mut answer = Self {
            status: response.status().as_u16(),
            headers: kept(response.headers()),
            body: Bytes::new(),
            truncated: false,
            remote_address: response.remote_addr(),
            retry_after: response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        };
        let mut body = BytesMut::new();
        loop {
            let chunk = tokio::time::timeout_at(until.into(), response.chunk()).await;
            match chunk {
                Ok(Ok(None)) => break,
                Ok(Ok(Some(chunk))) if chunk.len() <= KEPT - body.len() => body.extend_from_slice(&chunk),
                Ok(Ok(Some(chunk))) => {
                    body.extend_from_slice(&chunk[..KEPT - body.len()]);
                    answer.truncated = true;
                    break;
                }
                // It broke off, or goes on for too long: the status was said all the same.
                Ok(Err(_)) | Err(_) => {
                    answer.truncated = true;
                    break;
                }
            }
        }
        answer.body = body.freeze();
        answer
    }
}

fn kept(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let mut left = KEPT;
    let fits = |(name, value): &(&header::HeaderName, &header::HeaderValue)| {
        let rest = left.checked_sub(name.as_str().len() + value.len());
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    headers.iter().take_while(fits).map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

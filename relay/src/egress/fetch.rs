//! Fetches a document that somebody publishes, such as the keys that their signatures are checked with.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CACHE_CONTROL};
use reqwest::Client;
use url::Url;

use super::client::{Egress, Inner, SendError, failure};
use super::guard::UNLISTED;

/// A whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Still in its content encoding, if it has one.
    pub body: Bytes,
    /// The text of `Cache-Control`, its lines joined.
    pub cache_control: String,
}

/// There is no document.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No answer, or it broke off.
    #[error(transparent)]
    Send(#[from] SendError),
    /// An answer with another status than 200; redirects are not followed.
    #[error("the answer is {0}")]
    Status(u16),
    /// It is longer than it may be.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Egress {
    /// Gets the document at a URL, all within `timeout`. `accept` is what it may be, as the header has it; `cap` is the
    /// most bytes that it may have.
    ///
    /// # Errors
    /// There was no whole answer with the status 200, or it was longer than that.
    pub async fn fetch(&self, url: &str, accept: &str, cap: usize, timeout: Duration) -> Result<Fetched, FetchError> {
        let url = self.inner.check_url(url)?;
        let (client, _place) = self.inner.client(&url, None, timeout)?;
        let document = self.apart.run(Arc::clone(&self.inner).document(client, url, accept.to_owned(), cap));
        tokio::time::timeout(timeout, document).await.map_err(|_| SendError::TimedOut)?
    }
}

impl Inner {
    async fn document(
        self: Arc<Self>,
        client: Client,
        url: Url,
        accept: String,
        cap: usize,
    ) -> Result<Fetched, FetchError> {
        let port = url.port_or_known_default().unwrap_or(UNLISTED);
        let mut response = self.dial(&client, url, |client, url| client.get(url).header(ACCEPT, accept)).await?;
        if response.status() != http::StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let lines = response.headers().get_all(CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
        let cache_control = lines.collect::<Vec<_>>().join(", ");
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failure(error, port))? {
            if chunk.len() > cap - body.len() {
                return Err(FetchError::TooLong(cap));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched { body: body.freeze(), cache_control })
    }
}

#[cfg(test)]
mod tests;

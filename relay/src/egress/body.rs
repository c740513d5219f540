//! A request body that asks, at the last moment, whether it may still be written.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// Asked once a request.
pub(super) type MayWrite = Arc<dyn Fn() -> bool + Send + Sync>;

/// The whole body in one piece. Its size is told beforehand, so that the request carries a `Content-Length`.
pub(super) struct Fenced {
    body: Option<Bytes>,
    may_write: MayWrite,
    closed: Arc<AtomicBool>,
}

/// The body was not written because it no longer may.
#[derive(Debug, thiserror::Error)]
#[error("no longer ours to send")]
pub(super) struct FenceClosed;

impl Fenced {
    /// The body, and whether it was stopped.
    pub(super) fn new(body: Bytes, may_write: MayWrite) -> (Self, Arc<AtomicBool>) {
        let closed = Arc::new(AtomicBool::new(false));
        (Self { body: Some(body), may_write, closed: Arc::clone(&closed) }, closed)
    }
}

impl Body for Fenced {
    type Data = Bytes;
    type Error = FenceClosed;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, FenceClosed>>> {
        let Some(body) = self.body.take() else { return Poll::Ready(None) };
        if (self.may_write)() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        self.closed.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(FenceClosed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.body.as_ref().map_or(0, |body| body.len() as u64))
    }
}

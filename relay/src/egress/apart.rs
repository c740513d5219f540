//! Threads of their own for what strangers say.

use std::future::Future;

use tokio::runtime::{Builder, Runtime};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// A receiver that answers without end, and fast, keeps the thread busy that reads it: the HTTP client parses whatever it
/// has got before it lets another task on. Leases, timers and ingest must not wait for that.
pub(super) struct Apart(Option<Runtime>);

impl Apart {
    pub(super) fn new() -> std::io::Result<Self> {
        let threads = Builder::new_multi_thread().thread_name("egress").enable_all().build()?;
        Ok(Self(Some(threads)))
    }

    /// Does this there; it is given up when the future is dropped.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let runtime = self.0.as_ref().expect("it is taken at the end only");
        let task = AbortOnDropHandle::new(runtime.spawn(work.in_current_span()));
        match task.await {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // To wait for its tasks is not allowed among tasks.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

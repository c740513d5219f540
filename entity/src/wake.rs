//! Tells workers that something is due. A lost wake-up costs latency only: they also look by themselves.

use std::sync::Arc;

use tokio::sync::Notify;

/// Cheap to clone; all clones are one bell. In one process the worker hears it directly; other processes are told by
/// the database, see [`crate::pending::tell`].
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Something was committed that is due.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits for the next ring; one that came before the call counts.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}

//! From the api to the workers: something is due. A lost word costs latency only: workers also look by themselves.

use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::ingest::{Ingested, NewEvent};

mod processes;

pub use processes::{LAST_WORD, Listener, Word, pass_on, say};

/// Cheap to clone; all clones are one. A worker of the same process takes what was committed as it is; other processes are
/// told by the database, see [`pass_on`].
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    bell: Notify,
    taker: OnceLock<Arc<dyn Taker>>,
}

/// The worker of this process.
pub trait Taker: std::fmt::Debug + Send + Sync {
    /// A statement is about to commit deliveries: gives a number for it. Each is followed by one [`Taker::take`].
    fn begin(&self) -> u64;

    /// What the statement committed; nothing, if it failed. Whether all of it will be sent without being read again.
    fn take(&self, number: u64, committed: Committed) -> bool;
}

/// What a statement committed.
pub type Committed = (Ingested, Vec<NewEvent>);

impl Wake {
    /// From now on this worker hears of commits before anybody else.
    pub fn register(&self, taker: Arc<dyn Taker>) {
        // There is one worker in a process, and it begins once.
        let _ = self.0.taker.set(taker);
    }

    /// Before a statement that commits deliveries.
    #[must_use]
    pub fn begin(&self) -> Begun {
        let taker = self.0.taker.get().cloned();
        Begun { wake: self.clone(), number: taker.as_ref().map_or(0, |taker| taker.begin()), taker }
    }

    /// Something was committed that is due.
    pub fn ring(&self) {
        self.0.bell.notify_one();
    }

    /// Waits for the next ring; one that came before the call counts.
    pub async fn rung(&self) {
        self.0.bell.notified().await;
    }
}

/// A statement that has begun. Dropped, it came to nothing.
#[derive(Debug)]
pub struct Begun {
    wake: Wake,
    number: u64,
    taker: Option<Arc<dyn Taker>>,
}

impl Begun {
    /// It was committed: whoever can send it is told.
    pub fn committed(mut self, committed: Committed) {
        let is_taken = self.taker.take().is_some_and(|taker| taker.take(self.number, committed));
        if !is_taken {
            self.wake.ring();
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(taker) = self.taker.take() {
            taker.take(self.number, Committed::default());
        }
    }
}

//! The line in front of the slow hash: as many at work as there are cores, so many waiting, and no more.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

/// Too many wait for a slow hash. To be answered 503, never 401: nothing was found out about the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many secrets are being checked at this moment")]
pub struct Overloaded;

/// Who waits beyond this would wait more than three seconds on two cores; senders give up soon after.
const MAX_WAITING: usize = 100;

/// Bounds how much slow hashing goes on at a time; each takes 19 MiB.
pub(super) struct Line {
    at_work: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
}

/// The one line of the process: cores and memory are shared by all that hash.
pub(super) fn shared() -> Arc<Line> {
    static SHARED: LazyLock<Arc<Line>> =
        LazyLock::new(|| Arc::new(Line::new(available_parallelism().map_or(1, usize::from), MAX_WAITING)));
    Arc::clone(&SHARED)
}

impl Line {
    pub(super) fn new(at_work: usize, max_waiting: usize) -> Self {
        Self { at_work: Arc::new(Semaphore::new(at_work)), waiting: AtomicUsize::new(0), max_waiting }
    }

    /// Does `work` on a thread of its own when its turn comes.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let turn = match Arc::clone(&self.at_work).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _place = self.place()?;
                Arc::clone(&self.at_work).acquire_owned().await.expect("the line is never closed")
            }
        };
        // The turn goes along: who walks away does not stop a hash, and its core is not free before its end.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        work.await.map_err(|error| match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Cancelled: the process is on its way down.
            Err(_) => Overloaded,
        })
    }

    fn place(&self) -> Result<Place<'_>, Overloaded> {
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Place(&self.waiting);
        if before < self.max_waiting { Ok(place) } else { Err(Overloaded) }
    }
}

/// A place in the line, given back however the waiting ends.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn who_finds_the_line_full_is_sent_away_and_who_leaves_makes_room() {
        let line = Arc::new(Line::new(1, 1));
        let (finish, finished) = mpsc::channel::<()>();
        let working = tokio::spawn({
            let line = Arc::clone(&line);
            async move { line.work(move || finished.recv().is_ok()).await }
        });
        while line.at_work.available_permits() > 0 {
            tokio::task::yield_now().await;
        }

        let mut waiting = Box::pin(line.work(|| 1));
        assert!(polled_once(&mut waiting).await.is_none());
        assert_eq!(line.work(|| 2).await, Err(Overloaded));
        drop(waiting);

        let mut waiting = Box::pin(line.work(|| 3));
        assert!(polled_once(&mut waiting).await.is_none());
        finish.send(()).unwrap();
        assert_eq!(waiting.await, Ok(3));
        assert_eq!(working.await.unwrap(), Ok(true));
        assert_eq!(line.waiting.load(Ordering::Relaxed), 0);
    }

    /// Polls once.
    async fn polled_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            let output = match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(output) => Some(output),
                std::task::Poll::Pending => None,
            };
            std::task::Poll::Ready(output)
        })
        .await
    }
}

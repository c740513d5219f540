//! The line in front of the slow hash: as many at work as there are cores, so many waiting, and no more; and of one
//! party only a few, so that whoever guesses passwords keeps nobody else waiting.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use uuid::Uuid;

/// Too many wait for a slow hash, in all or of the same party. To be answered 503, never 401: nothing was found out about
/// the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many secrets are being checked at this moment")]
pub struct Overloaded;

/// Who waits beyond this would wait more than a second on two cores, and be answered too late.
const MAX_WAITING: usize = 40;

/// At work or waiting, of one party: enough for the different secrets that a rotation leaves, since who asks the same
/// shares an answer.
const MAX_EACH: usize = 4;

/// Bounds how much slow hashing goes on at a time; each takes 19 MiB.
pub(super) struct Line {
    at_work: Arc<Semaphore>,
    waiting: AtomicUsize,
    max_waiting: usize,
    /// At work or waiting, by party; a party that has none is not here.
    parties: Mutex<HashMap<Uuid, usize>>,
}

/// The one line of the process: cores and memory are shared by all that hash.
pub(super) fn shared() -> Arc<Line> {
    static SHARED: LazyLock<Arc<Line>> =
        LazyLock::new(|| Arc::new(Line::new(available_parallelism().map_or(1, usize::from), MAX_WAITING)));
    Arc::clone(&SHARED)
}

impl Line {
    pub(super) fn new(at_work: usize, max_waiting: usize) -> Self {
        Self {
            at_work: Arc::new(Semaphore::new(at_work)),
            waiting: AtomicUsize::new(0),
            max_waiting,
            parties: Mutex::default(),
        }
    }

    /// Does `work` for this party (a tenant) on a thread of its own when its turn comes.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        party: Uuid,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let share = Share::of(self, party)?;
        let turn = match Arc::clone(&self.at_work).try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _place = self.place()?;
                Arc::clone(&self.at_work).acquire_owned().await.expect("the line is never closed")
            }
        };
        // Turn and share go along: who walks away does not stop a hash, and its core is not free before its end.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((turn, share));
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

/// One of a party's few, given back however it ends.
struct Share {
    line: Arc<Line>,
    party: Uuid,
}

impl Share {
    fn of(line: &Arc<Line>, party: Uuid) -> Result<Self, Overloaded> {
        let mut parties = line.parties.lock().unwrap_or_else(PoisonError::into_inner);
        let held = parties.entry(party).or_default();
        if *held >= MAX_EACH {
            return Err(Overloaded);
        }
        *held += 1;
        Ok(Self { line: Arc::clone(line), party })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut parties = self.line.parties.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut held) = parties.entry(self.party) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
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
            async move { line.work(Uuid::nil(), move || finished.recv().is_ok()).await }
        });
        while line.at_work.available_permits() > 0 {
            tokio::task::yield_now().await;
        }

        let mut waiting = Box::pin(line.work(Uuid::nil(), || 1));
        assert!(polled_once(&mut waiting).await.is_none());
        assert_eq!(line.work(Uuid::nil(), || 2).await, Err(Overloaded));
        drop(waiting);

        let mut waiting = Box::pin(line.work(Uuid::nil(), || 3));
        assert!(polled_once(&mut waiting).await.is_none());
        finish.send(()).unwrap();
        assert_eq!(waiting.await, Ok(3));
        assert_eq!(working.await.unwrap(), Ok(true));
        assert_eq!(line.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_party_has_a_few_places_and_others_have_theirs() {
        let line = Arc::new(Line::new(0, 100));
        let mut waiting: Vec<_> = (0..MAX_EACH).map(|_| Box::pin(line.work(Uuid::nil(), || 1))).collect();
        for one in &mut waiting {
            assert!(polled_once(one).await.is_none());
        }
        assert_eq!(line.work(Uuid::nil(), || 2).await, Err(Overloaded));
        let mut another = Box::pin(line.work(Uuid::max(), || 3));
        assert!(polled_once(&mut another).await.is_none());

        waiting.pop();
        let mut again = Box::pin(line.work(Uuid::nil(), || 4));
        assert!(polled_once(&mut again).await.is_none());
        // Or they would be given the turn and never take it.
        drop(waiting);
        line.at_work.add_permits(1);
        assert_eq!((another.await, again.await), (Ok(3), Ok(4)));
        assert!(line.parties.lock().unwrap().is_empty());
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

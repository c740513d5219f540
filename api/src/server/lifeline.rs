//! How long a connection lives. An answer that goes on and on holds it for as long as somebody reads.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// Of one connection; cheap to clone. Every request has its connection's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lifeline(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// The process is told to stop.
    stop: CancellationToken,
    held_until: Mutex<Option<Instant>>,
    /// The last request was answered so.
    is_stream: AtomicBool,
}

/// Holds a connection until it is dropped, or was not renewed for too long.
#[derive(Debug)]
pub(crate) struct Hold(Lifeline);

/// An answer of which nothing was taken for so long is not read any more.
const UNREAD: Duration = Duration::from_secs(45);

impl Lifeline {
    pub(super) fn until(stop: &CancellationToken) -> Self {
        Self(Arc::new(Inner { stop: stop.clone(), ..Inner::default() }))
    }

    /// The connection's next request is here.
    pub(super) fn asked(&self) {
        self.0.is_stream.store(false, Ordering::Relaxed);
    }

    /// An answer begins that goes on and on.
    pub(crate) fn hold(&self) -> Hold {
        self.0.is_stream.store(true, Ordering::Relaxed);
        let hold = Hold(self.clone());
        hold.renew();
        hold
    }

    /// Waits until the process is told to stop.
    pub(crate) async fn stopped(&self) {
        self.0.stop.cancelled().await;
    }

    /// Waits for the end of the connection's life: so long, and then for as long as it is held.
    pub(super) async fn ends(&self, life: Duration) {
        sleep(life).await;
        while let Some(until) = self.held_until().filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
    }

    /// Whether the last request was answered so. It may have ended for us, and what nobody reads is still to be sent.
    pub(super) fn is_stream(&self) -> bool {
        self.0.is_stream.load(Ordering::Relaxed)
    }

    fn held_until(&self) -> Option<Instant> {
        *self.0.held_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, until: Option<Instant>) {
        *self.0.held_until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

impl Hold {
    /// More of the answer is asked for, so what there was has been taken.
    pub(crate) fn renew(&self) {
        self.0.set(Some(Instant::now() + UNREAD));
    }

    pub(crate) fn lifeline(&self) -> &Lifeline {
        &self.0
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.set(None);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn who_is_held_lives_on_and_nobody_for_ever() {
        let lifeline = Lifeline::default();
        lifeline.ends(SHORT).await;
        let hold = lifeline.hold();
        assert!(tokio::time::timeout(SHORT * 50, lifeline.ends(SHORT)).await.is_err(), "held");
        // As if nothing had been taken for long.
        lifeline.set(Some(Instant::now()));
        lifeline.ends(SHORT).await;
        drop(hold);
        assert_eq!(lifeline.held_until(), None);
    }

    #[test]
    fn what_a_stream_said_last_is_its_own_until_the_next_request() {
        let lifeline = Lifeline::default();
        assert!(!lifeline.is_stream());
        drop(lifeline.hold());
        assert!(lifeline.is_stream());
        lifeline.asked();
        assert!(!lifeline.is_stream());
    }

    #[test]
    fn an_answer_hears_of_the_end() {
        let stop = CancellationToken::new();
        let lifeline = Lifeline::until(&stop);
        assert_eq!(lifeline.stopped().now_or_never(), None);
        stop.cancel();
        assert_eq!(lifeline.stopped().now_or_never(), Some(()));
    }
}

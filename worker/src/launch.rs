//! Attempts that were started and wait for a processor. Where many do, one more would wait behind all of them, whoever's it
//! is: it waits in the schedule instead, where tenants have their turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// So many keep every processor busy until more come.
const MOST: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Launches {
    waiting: AtomicUsize,
    fewer: Notify,
}

/// An attempt that was started.
#[derive(Debug)]
pub(crate) struct Launch {
    of: Arc<Launches>,
    is_under_way: AtomicBool,
}

impl Launches {
    /// How many more may be started.
    pub(crate) fn room(&self) -> usize {
        MOST.saturating_sub(self.waiting.load(Ordering::Acquire))
    }

    /// Returns when there is room again where there was none.
    pub(crate) async fn fewer(&self) {
        self.fewer.notified().await;
    }

    pub(crate) fn begin(self: &Arc<Self>) -> Arc<Launch> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Arc::new(Launch { of: Arc::clone(self), is_under_way: AtomicBool::new(false) })
    }
}

impl Launch {
    /// From here on it waits for somebody else, if for anything. Said as often as one likes.
    pub(crate) fn is_under_way(&self) {
        if !self.is_under_way.swap(true, Ordering::AcqRel) && self.of.waiting.fetch_sub(1, Ordering::AcqRel) == MOST / 2
        {
            self.of.fewer.notify_one();
        }
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        self.is_under_way();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_launch_takes_room_until_it_is_under_way_or_over_and_gives_it_back_once() {
        let launches = Arc::new(Launches::default());
        let (first, second) = (launches.begin(), launches.begin());
        assert_eq!(launches.room(), MOST - 2);
        first.is_under_way();
        first.is_under_way();
        drop(first);
        assert_eq!(launches.room(), MOST - 1);
        drop(second);
        assert_eq!(launches.room(), MOST);
    }

    #[test]
    fn whoever_found_no_room_hears_of_it_when_half_of_it_is_free() {
        let launches = Arc::new(Launches::default());
        let mut all: Vec<_> = (0..MOST + 10).map(|_| launches.begin()).collect();
        assert_eq!(launches.room(), 0);
        let mut fewer = pin!(launches.fewer());
        let mut hears = || fewer.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        all.truncate(MOST / 2);
        assert!(!hears());
        all.pop();
        assert!(hears());
    }
}

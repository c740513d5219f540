//! Which connections may stay open when their request has ended: as many to a host as were used at a time, and so many at
//! most to all hosts together. A name with a wildcard would otherwise let one tenant hold a socket for each name that can be
//! made up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Hosts that keep connections at a time: more are rarely busy within [`super::clients::IDLE`].
const HOSTS: usize = 1_024;
/// Connections that any of these hosts may keep; what a busy one keeps beyond them is taken from [`SPARE`].
const EACH: usize = 2;
/// With [`EACH`] of [`HOSTS`] it stays below what a process may have open.
const SPARE: usize = 2_048;

/// The hosts that were asked for lately.
#[derive(Debug)]
pub(super) struct Warm {
    book: Mutex<Book>,
    most: usize,
    spare: usize,
    idle: Duration,
}

#[derive(Debug, Default)]
struct Book {
    hosts: HashMap<Arc<str>, Host>,
    /// Places beyond [`EACH`] that are taken.
    spared: usize,
}

#[derive(Debug)]
struct Host {
    /// Requests under way whose connections may be kept.
    running: usize,
    /// The most of them at a time, since `began` and in the time before it: so many connections may be open now.
    peak: usize,
    peak_before: usize,
    began: Instant,
    /// Until then it may hold a connection.
    ends: Instant,
}

/// A request whose connection may be kept. It is held until the request has ended.
#[derive(Debug)]
pub(super) struct Place {
    warm: Arc<Warm>,
    host: Arc<str>,
}

impl Warm {
    /// For connections that end after being idle for `idle`.
    pub(super) fn new(idle: Duration) -> Self {
        Self { book: Mutex::default(), most: HOSTS, spare: SPARE, idle }
    }

    /// Whether the connection to this host may be kept after its request, which ends before `until`.
    pub(super) fn admit(self: &Arc<Self>, host: &str, now: Instant, until: Instant) -> Option<Place> {
        let mut book = self.book();
        let book = &mut *book;
        if !book.hosts.contains_key(host) {
            if book.hosts.len() >= self.most {
                book.forget(now);
            }
            if book.hosts.len() >= self.most {
                return None;
            }
            let new = Host { running: 0, peak: 0, peak_before: 0, began: now, ends: now };
            book.hosts.insert(host.into(), new);
        }
        let (name, _) = book.hosts.get_key_value(host)?;
        let name = Arc::clone(name);
        let known = book.hosts.get_mut(host)?;
        let before = known.spared();
        known.turn(now, self.idle);
        book.spared = book.spared + known.spared() - before;
        let needs_another = known.running == known.peak.max(known.peak_before) && known.running >= EACH;
        if needs_another && book.spared == self.spare {
            return None;
        }
        book.spared += usize::from(needs_another);
        known.running += 1;
        known.peak = known.peak.max(known.running);
        known.ends = known.ends.max(until + self.idle);
        Some(Place { warm: Arc::clone(self), host: name })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(host) = self.warm.book().hosts.get_mut(&self.host) {
            host.running -= 1;
        }
    }
}

impl Book {
    /// Hosts that hold no connection any more.
    fn forget(&mut self, now: Instant) {
        let spared = &mut self.spared;
        self.hosts.retain(|_, host| {
            let stays = host.ends > now || host.running > 0;
            *spared -= if stays { 0 } else { host.spared() };
            stays
        });
    }
}

impl Host {
    fn spared(&self) -> usize {
        self.peak.max(self.peak_before).saturating_sub(EACH)
    }

    /// What was used at a time two whole turns ago has been closed since.
    fn turn(&mut self, now: Instant, idle: Duration) {
        let since = now.saturating_duration_since(self.began);
        if since >= idle {
            self.peak_before = if since >= 2 * idle { 0 } else { self.peak };
            (self.peak, self.began) = (self.running, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(20);

    fn warm(most: usize, spare: usize) -> Arc<Warm> {
        Arc::new(Warm { most, spare, ..Warm::new(IDLE) })
    }

    #[test]
    fn no_more_hosts_keep_connections_than_there_are_places_and_each_place_is_given_again() {
        let (warm, start) = (warm(2, 0), Instant::now());
        let admits = |host, after: u64| {
            let now = start + Duration::from_secs(after);
            warm.admit(host, now, now + Duration::from_secs(5)).is_some()
        };
        for (host, after, admitted) in [
            ("a", 0, true),
            ("b", 1, true),
            ("c", 2, false),
            ("a", 3, true),
            ("c", 25, false),
            // b's request had ended by 6, and its connection by 26.
            ("c", 26, true),
            ("a", 27, true),
            ("b", 28, false),
        ] {
            assert_eq!(admits(host, after), admitted, "{host} after {after} s");
        }
    }

    #[test]
    fn a_busy_host_keeps_as_many_as_it_uses_at_a_time_while_there_are_places() {
        let (warm, now) = (warm(10, 3), Instant::now());
        let admit = |host| warm.admit(host, now, now);
        let busy: Vec<_> = (0..6).map(|_| admit("busy")).collect();
        assert_eq!(busy.iter().flatten().count(), EACH + 3);
        let others: Vec<_> = (0..3).map(|_| admit("other")).collect();
        assert_eq!(others.iter().flatten().count(), EACH, "everybody has these");
        drop(busy);
        // Its connections are open still.
        assert!(admit("busy").is_some() && others.len() == 3 && admit("other").is_none());
    }

    #[test]
    fn what_a_host_does_not_use_any_more_is_another_ones() {
        let (warm, start) = (warm(10, 3), Instant::now());
        let admit = |host, after: u32| warm.admit(host, start + IDLE * after, start + IDLE * after);
        drop((0..5).map(|_| admit("a", 0)).collect::<Vec<_>>());
        let b: Vec<_> = (0..3).map(|_| admit("b", 1)).collect();
        assert!(admit("a", 1).is_some() && b[2].is_none(), "some of its connections may be open for another turn");
        assert!(admit("a", 2).is_some() && admit("a", 4).is_some());
        assert!(admit("b", 4).is_some());
    }

    #[test]
    fn nothing_is_left_of_hosts_that_are_forgotten() {
        let (warm, start) = (warm(1, 4), Instant::now());
        drop((0..6).map(|_| warm.admit("a", start, start)).collect::<Vec<_>>());
        assert_eq!(warm.book().spared, 4);
        assert!(warm.admit("b", start + IDLE, start + IDLE).is_some());
        let book = warm.book();
        assert_eq!((book.spared, book.hosts.len()), (0, 1));
    }
}

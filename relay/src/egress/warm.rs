//! Which hosts may keep idle connections: so many at most, whoever names how many hosts. A name with a wildcard would
//! otherwise let one tenant hold a socket for each name that can be made up.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Hosts that keep connections at a time: more are rarely busy within [`super::clients::IDLE`], and with
/// [`super::clients::MAX_IDLE`] each it stays below what a process may have open.
const MOST: usize = 1_024;

/// The hosts that were asked for lately, each with the time until which it may hold a connection.
#[derive(Debug)]
pub(super) struct Warm {
    hosts: Mutex<HashMap<String, Instant>>,
    most: usize,
    idle: Duration,
}

impl Warm {
    /// For connections that end after being idle for `idle`.
    pub(super) fn new(idle: Duration) -> Self {
        Self { hosts: Mutex::default(), most: MOST, idle }
    }

    /// Whether a connection to this host may be kept after its request, which ends before `until`.
    pub(super) fn admits(&self, host: &str, now: Instant, until: Instant) -> bool {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = until + self.idle;
        if let Some(known) = hosts.get_mut(host) {
            *known = ends.max(*known);
            return true;
        }
        if hosts.len() >= self.most {
            hosts.retain(|_, ends| *ends > now);
        }
        let fits = hosts.len() < self.most;
        if fits {
            hosts.insert(host.to_owned(), ends);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_hosts_keep_connections_than_there_are_places_and_each_place_is_given_again() {
        let idle = Duration::from_secs(20);
        let warm = Warm { most: 2, ..Warm::new(idle) };
        let start = Instant::now();
        let admits = |host, after: u64| {
            let now = start + Duration::from_secs(after);
            warm.admits(host, now, now + Duration::from_secs(5))
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
}

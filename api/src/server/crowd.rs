//! Who has how many of something open: one client, or one tenant, must not take the places of all.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open connections of one client.
pub(super) const PLACES: usize = 200;

/// Those who are there.
#[derive(Debug, Clone)]
pub(crate) struct Crowd<K>(Arc<Mutex<HashMap<K, usize>>>);

/// Given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place<K: Copy + Eq + Hash> {
    crowd: Crowd<K>,
    whose: K,
}

impl<K> Default for Crowd<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Crowd<K> {
    /// One more place for somebody who has fewer than `most`.
    pub(crate) fn enter(&self, whose: K, most: usize) -> Option<Place<K>> {
        let mut counts = self.counts();
        let count = counts.entry(whose).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Place { crowd: Self(Arc::clone(&self.0)), whose })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Drop for Place<K> {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(count) = counts.get_mut(&self.whose) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.whose);
            }
        }
    }
}

/// Of IPv6, whoever has one address has the 64 bits behind it.
pub(super) fn household(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_has_so_many_places_and_gets_them_back() {
        let crowd = Crowd::default();
        let enter = |client| crowd.enter(household(client), PLACES);
        for (client, neighbour, stranger) in [
            ("203.0.113.5", "203.0.113.5", "203.0.113.6"),
            ("2001:db9:0:1::5", "2001:db9:0:1:ffff:ffff:ffff:ffff", "2001:db9:0:2::5"),
        ]
        .map(|(client, neighbour, stranger)| {
            (client.parse().unwrap(), neighbour.parse().unwrap(), stranger.parse().unwrap())
        }) {
            let mut places: Vec<_> = (0..PLACES).map(|_| enter(client).expect("a place")).collect();
            assert!(enter(client).is_none() && enter(neighbour).is_none(), "{client}");
            assert!(enter(stranger).is_some(), "{stranger}");
            places.pop();
            let again = enter(neighbour);
            assert!(again.is_some() && enter(client).is_none(), "{client}");
        }
        assert!(crowd.counts().is_empty(), "{crowd:?}");
    }
}

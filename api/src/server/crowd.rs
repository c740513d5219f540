//! Who has how many connections open: one client must not take the places of all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Open connections of one client.
pub(super) const PLACES: usize = 200;

/// The clients that are connected.
#[derive(Debug, Clone, Default)]
pub(super) struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    crowd: Crowd,
    client: IpAddr,
}

impl Crowd {
    /// A place for one more connection of a client, if it has any left.
    pub(super) fn enter(&self, client: IpAddr) -> Option<Place> {
        let client = household(client);
        let mut counts = self.counts();
        let count = counts.entry(client).or_default();
        if *count == PLACES {
            return None;
        }
        *count += 1;
        Some(Place { crowd: self.clone(), client })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowd.counts();
        if let Some(count) = counts.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.client);
            }
        }
    }
}

/// Of IPv6, whoever has one address has the 64 bits behind it.
fn household(client: IpAddr) -> IpAddr {
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
        for (client, neighbour, stranger) in [
            ("203.0.113.5", "203.0.113.5", "203.0.113.6"),
            ("2001:db9:0:1::5", "2001:db9:0:1:ffff:ffff:ffff:ffff", "2001:db9:0:2::5"),
        ]
        .map(|(client, neighbour, stranger)| {
            (client.parse().unwrap(), neighbour.parse().unwrap(), stranger.parse().unwrap())
        }) {
            let mut places: Vec<_> = (0..PLACES).map(|_| crowd.enter(client).expect("a place")).collect();
            assert!(crowd.enter(client).is_none() && crowd.enter(neighbour).is_none(), "{client}");
            assert!(crowd.enter(stranger).is_some(), "{stranger}");
            places.pop();
            let again = crowd.enter(neighbour);
            assert!(again.is_some() && crowd.enter(client).is_none(), "{client}");
        }
        assert!(crowd.counts().is_empty(), "{crowd:?}");
    }
}

//! The memory that the bodies of all requests share, and how much of it one tenant may hold.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use relay::id::TenantId;

use super::refusal::Refusal;

/// What is left for bodies. Cheap to clone; all clones are one process's.
///
/// The beginning of each body has a pool of its own, so that however many large bodies are under way, small ones, which
/// nearly all webhooks are, find room.
#[derive(Debug, Clone)]
pub struct Room {
    beginnings: Arc<Pool>,
    rest: Arc<Pool>,
}

/// So much of a body is its beginning.
const BEGINNING: usize = 64 << 10;
/// Bytes of all beginnings, and of one tenant's.
const BEGINNINGS: usize = 64 << 20;
const BEGINNINGS_EACH: usize = 16 << 20;
/// Bytes of what is beyond, and of one tenant's.
const REST: usize = 192 << 20;
const REST_EACH: usize = 64 << 20;

/// Bytes that are shared.
#[derive(Debug)]
struct Pool {
    state: Mutex<State>,
    each: usize,
}

#[derive(Debug)]
struct State {
    left: usize,
    /// By tenant; one that holds none is not here.
    held: HashMap<TenantId, usize>,
}

/// What one body holds of the room, until it is dropped.
#[derive(Debug)]
pub(super) struct Places {
    room: Room,
    tenant: TenantId,
    beginning: usize,
    rest: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self::of((BEGINNINGS, BEGINNINGS_EACH), (REST, REST_EACH))
    }
}

impl Room {
    fn of(beginnings: (usize, usize), rest: (usize, usize)) -> Self {
        Self { beginnings: Arc::new(Pool::of(beginnings)), rest: Arc::new(Pool::of(rest)) }
    }

    /// No place yet, for a body of this tenant.
    pub(super) fn places(&self, tenant: TenantId) -> Places {
        Places { room: self.clone(), tenant, beginning: 0, rest: 0 }
    }
}

impl Places {
    /// So many bytes more.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        let of_beginning = bytes.min(BEGINNING - self.beginning);
        if !self.room.beginnings.take(self.tenant, of_beginning) {
            return Err(Refusal::Busy);
        }
        self.beginning += of_beginning;
        if !self.room.rest.take(self.tenant, bytes - of_beginning) {
            return Err(Refusal::Busy);
        }
        self.rest += bytes - of_beginning;
        Ok(())
    }

    /// All of it: the body is thrown away.
    pub(super) fn give_back(&mut self) {
        self.room.beginnings.give_back(self.tenant, std::mem::take(&mut self.beginning));
        self.room.rest.give_back(self.tenant, std::mem::take(&mut self.rest));
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Pool {
    fn of((all, each): (usize, usize)) -> Self {
        Self { state: Mutex::new(State { left: all, held: HashMap::new() }), each }
    }

    fn take(&self, tenant: TenantId, bytes: usize) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let held = state.held.get(&tenant).copied().unwrap_or_default();
        if bytes > state.left || held + bytes > self.each {
            return false;
        }
        if bytes > 0 {
            state.left -= bytes;
            state.held.insert(tenant, held + bytes);
        }
        true
    }

    fn give_back(&self, tenant: TenantId, bytes: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.left += bytes;
        if let Entry::Occupied(mut held) = state.held.entry(tenant) {
            *held.get_mut() -= bytes;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_has_its_share_and_small_bodies_their_own_room() {
        let room = Room::of((4 * BEGINNING, 2 * BEGINNING), (100, 60));
        let (one, other) = (TenantId::at(1), TenantId::at(2));
        let mut large = room.places(one);
        assert_eq!(large.take(BEGINNING), Ok(()));
        assert_eq!(large.take(60), Ok(()));
        assert_eq!(large.take(1), Err(Refusal::Busy), "beyond the tenant's share");
        let mut second = room.places(one);
        assert_eq!(second.take(BEGINNING), Ok(()), "a small one beside the large one");
        assert_eq!(room.places(one).take(1), Err(Refusal::Busy), "beyond the tenant's share of beginnings");
        let mut others = room.places(other);
        assert_eq!(others.take(BEGINNING + 40), Ok(()));
        assert_eq!(others.take(1), Err(Refusal::Busy), "beyond all there is");
        large.give_back();
        assert_eq!(others.take(1), Ok(()));
        drop((large, second, others));
        assert_eq!(room.rest.state.lock().unwrap().left, 100);
        assert_eq!(room.beginnings.state.lock().unwrap().left, 4 * BEGINNING);
        assert!(room.rest.state.lock().unwrap().held.is_empty());
    }
}

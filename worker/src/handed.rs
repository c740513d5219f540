//! What the api of the same process committed: sent without being read again. It is a courtesy; whatever is left out here
//! is found in the database.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use entity::delivery::SHARDS;
use entity::ingest::NewEvent;
use entity::pending::Due;
use entity::wake::{Committed, Taker};
use entity::work::Work;
use relay::clock::Clock;
use relay::id::EventId;
use tokio::sync::mpsc;

use crate::lease::Leases;
use crate::owner::Message;
use crate::schedule::tickets::{Ticket, Tickets};

/// Bodies that wait in memory to be sent, in bytes. Beyond it the oldest are read again when their turn comes.
const BUDGET: usize = 32 << 20;
/// A body that is smaller is copied: it is a piece of a buffer that was made for any request, and would keep all of it.
const SMALL: usize = 64 << 10;
/// Places of events that are gone that may always be there.
const FEW: usize = 64;
/// What an event takes up besides its body, roughly.
const OVERHEAD: usize = 1 << 10;

/// Deliveries that were committed while these shards were held, and what they carry.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) ticket: Ticket,
    pub(crate) due: Vec<Due>,
    pub(crate) works: Vec<(EventId, Arc<Work>)>,
    /// What they take up while nobody has heard of them.
    bytes: usize,
    /// Under which epoch each shard was held before they were committed (rule E); 0: not at all.
    epochs: Epochs,
}

type Epochs = Box<[i64; SHARDS as usize]>;

impl Handed {
    /// The owner has them now.
    pub(crate) fn arrived(&self, on_the_way: &AtomicUsize) {
        on_the_way.fetch_sub(self.bytes, Ordering::Relaxed);
    }

    /// The epoch of a row's shard, if it is held now as it was then.
    pub(crate) fn epoch(&self, due: &Due, leases: &Leases) -> Option<i64> {
        let then = *self.epochs.get(usize::try_from(due.shard).ok()?)?;
        leases.epoch(due.shard).filter(|epoch| *epoch == then)
    }
}

/// Where the api hands over.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) tickets: Tickets,
    pub(crate) leases: Arc<Leases>,
    pub(crate) clock: Clock,
    pub(crate) owner: mpsc::UnboundedSender<Message>,
    /// Bytes of bodies on their way to the owner.
    pub(crate) on_the_way: Arc<AtomicUsize>,
    /// The epochs at the beginning of each statement that has not ended.
    pub(crate) begun: std::sync::Mutex<HashMap<u64, Epochs>>,
}

impl Taker for Hand {
    fn begin(&self) -> u64 {
        let Ticket(number) = self.tickets.take();
        let epochs = Box::new(std::array::from_fn(|shard| {
            i16::try_from(shard).ok().and_then(|shard| self.leases.epoch(shard)).unwrap_or_default()
        }));
        self.begun().insert(number, epochs);
        number
    }

    fn take(&self, number: u64, (ingested, events): Committed) -> bool {
        let ticket = Ticket(number);
        let Some(epochs) = self.begun().remove(&number) else { return false };
        let now = self.clock.now();
        let is_held = |due: &Due| {
            usize::try_from(due.shard).is_ok_and(|shard| epochs.get(shard).is_some_and(|epoch| *epoch != 0))
        };
        let all = ingested.due.len();
        let due: Vec<Due> = ingested.due.into_iter().filter(|due| due.due_at <= now && is_held(due)).collect();
        let is_whole = due.len() == all;
        let wanted = |event: &NewEvent| !event.deliveries.is_empty();
        let work = |mut event: NewEvent| {
            if event.body.len() < SMALL {
                event.body = Bytes::copy_from_slice(&event.body);
            }
            Some((event.id, Arc::new(Work::of(event).ok()?)))
        };
        // An owner that is behind reads them when their turn comes.
        let is_behind = self.on_the_way.load(Ordering::Relaxed) > BUDGET;
        let works: Vec<(EventId, Arc<Work>)> =
            if is_behind { Vec::new() } else { events.into_iter().filter(wanted).filter_map(work).collect() };
        let bytes = works.iter().map(|(_, work)| cost(work)).sum();
        self.on_the_way.fetch_add(bytes, Ordering::Relaxed);
        let was_heard = self.owner.send(Message::Handed(Handed { ticket, due, works, bytes, epochs })).is_ok();
        if !was_heard {
            self.tickets.close(ticket);
        }
        was_heard && is_whole
    }
}

impl Hand {
    fn begun(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Epochs>> {
        self.begun.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What handed deliveries carry, until each of them has begun.
#[derive(Debug, Default)]
pub(crate) struct Works {
    held: HashMap<EventId, Held>,
    /// In the order in which they came; some are gone.
    order: VecDeque<EventId>,
    bytes: usize,
}

#[derive(Debug)]
struct Held {
    work: Arc<Work>,
    /// Deliveries that have not begun.
    left: usize,
}

impl Works {
    /// For so many deliveries.
    pub(crate) fn keep(&mut self, event: EventId, work: Arc<Work>, deliveries: usize) {
        if deliveries == 0 {
            return;
        }
        self.bytes += cost(&work);
        self.held.insert(event, Held { work, left: deliveries });
        self.order.push_back(event);
        while let Some(oldest) = self.order.front()
            && (self.bytes > BUDGET || !self.held.contains_key(oldest))
        {
            let oldest = *oldest;
            self.order.pop_front();
            self.forget(oldest);
        }
        // Behind one that stays, the gone are not met.
        if self.order.len() > 2 * self.held.len() + FEW {
            self.order.retain(|event| self.held.contains_key(event));
        }
    }

    /// For one delivery that begins.
    pub(crate) fn take(&mut self, event: EventId) -> Option<Arc<Work>> {
        let held = self.held.get_mut(&event)?;
        held.left -= 1;
        let work = Arc::clone(&held.work);
        if held.left == 0 {
            self.forget(event);
        }
        Some(work)
    }

    /// From now on it is read, if it is still there.
    pub(crate) fn forget(&mut self, event: EventId) {
        if let Some(held) = self.held.remove(&event) {
            self.bytes -= cost(&held.work);
        }
    }
}

fn cost(work: &Work) -> usize {
    OVERHEAD + work.body.len() + work.headers.len()
}

#[cfg(test)]
mod tests {
    use relay::id::Id;
    use uuid::Uuid;

    use super::*;

    fn id(number: u128) -> EventId {
        Uuid::from_u128(number).into()
    }

    fn work(bytes: usize) -> Arc<Work> {
        let mut event = NewEvent::of_ours(Id::at(1), "a".to_owned(), &serde_json::Value::Null, 1);
        event.body = vec![0; bytes].into();
        Arc::new(Work::of(event).unwrap())
    }

    #[test]
    fn each_delivery_takes_it_once_and_the_last_one_takes_it_along() {
        let mut works = Works::default();
        works.keep(id(1), work(10), 2);
        assert_eq!([(); 3].map(|()| works.take(id(1)).is_some()), [true, true, false]);
        assert_eq!((works.bytes, works.held.len()), (0, 0));
    }

    #[test]
    fn beyond_the_budget_the_oldest_goes_and_what_is_gone_leaves_nothing_behind() {
        let mut works = Works::default();
        let half = BUDGET / 2;
        (1..=3).for_each(|number| works.keep(id(number), work(half), 1));
        assert!(works.take(id(1)).is_none() && works.take(id(2)).is_none() && works.take(id(3)).is_some());
        works.keep(id(4), work(1), 1);
        assert_eq!(works.order, [id(4)]);
    }

    #[test]
    fn one_that_stays_keeps_nothing_that_is_gone() {
        let mut works = Works::default();
        works.keep(id(1), work(1), 1);
        for number in 2..10_000 {
            works.keep(id(number), work(1), 1);
            works.take(id(number));
        }
        assert!(works.order.len() <= FEW + 3 && works.held.len() == 1);
    }
}

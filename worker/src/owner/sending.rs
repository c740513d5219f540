//! What the owner starts, and what it hears of its end.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use entity::Database;
use entity::shard::Lease;
use entity::work::{self, Work};
use relay::id::EventId;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{BREATH, FETCH, FETCHES, LONGEST_BREATH, Message, Owner, fault};
use crate::deliver::numbers::PutOff;
use crate::deliver::{Missing, Sender};
use crate::schedule::{Ended, Start};

impl Owner {
    /// What waits for its payload or for a processor has had its turn, and whoever comes next stands behind it: so few
    /// wait there.
    pub(super) fn start(&mut self) {
        self.state.schedule.wake();
        loop {
            let most = FETCH.saturating_sub(self.state.unread.events()).min(self.sender.launches.room());
            if most == 0 {
                break;
            }
            let starts = self.state.schedule.start(most);
            if starts.is_empty() {
                break;
            }
            self.attempt(&starts);
        }
    }

    pub(super) fn attempt(&mut self, starts: &[Start]) {
        for start in starts {
            *self.state.running.entry(start.due.shard).or_default() += 1;
            match self.state.works.take(start.due.event_id) {
                Some(work) => attempt(&self.tracker, &self.sender, &self.outbox, *start, Ok(work)),
                None => self.state.unread.push(*start),
            }
        }
        self.fetch();
    }

    /// Reads what attempts carry: while that is under way others gather, and are read together.
    pub(super) fn fetch(&mut self) {
        while self.state.fetching < FETCHES && !self.state.unread.is_empty() && self.sender.launches.room() > 0 {
            self.state.fetching += 1;
            let chunk = self.state.unread.chunk();
            let (db, sender, outbox) = (self.db.clone(), Arc::clone(&self.sender), self.outbox.clone());
            let tracker = self.tracker.clone();
            self.spawn(async move { fetch_and_attempt(&db, &sender, &outbox, &tracker, chunk).await });
        }
    }

    pub(super) fn ended(&mut self, start: &Start, ended: Ended) {
        if let Some(running) = self.state.running.get_mut(&start.due.shard) {
            *running = running.saturating_sub(1);
        }
        match ended {
            Ended::Aborted => self.breathe(),
            _ => {
                self.state.breath = BREATH;
                self.state.still.ends();
            }
        }
        self.diagnose(start, &ended);
        self.state.schedule.ended(start.due.id, start.epoch, ended);
    }

    /// After a fault of our own. What broke at the same time is one fault.
    pub(super) fn breathe(&mut self) {
        let now = Instant::now();
        if now >= self.state.not_before {
            self.state.not_before = now + self.state.breath;
            self.state.breath = (self.state.breath * 2).min(LONGEST_BREATH);
        }
    }
}

/// Attempts whose payloads are to be read, in the order of their turns.
#[derive(Debug, Default)]
pub(super) struct Unread {
    starts: VecDeque<Start>,
    /// How many attempts each event has here.
    of: HashMap<EventId, usize>,
}

impl Unread {
    fn push(&mut self, start: Start) {
        *self.of.entry(start.due.event_id).or_default() += 1;
        self.starts.push_back(start);
    }

    fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Whose payloads are to be read.
    fn events(&self) -> usize {
        self.of.len()
    }

    /// The next attempts, of so many events at most as are read in one statement.
    fn chunk(&mut self) -> Vec<Start> {
        let mut events = HashSet::with_capacity(FETCH);
        let mut chunk = Vec::new();
        while let Some(next) = self.starts.front() {
            let event = next.due.event_id;
            if events.len() == FETCH && !events.contains(&event) {
                break;
            }
            events.insert(event);
            if let Entry::Occupied(mut left) = self.of.entry(event) {
                *left.get_mut() -= 1;
                if *left.get() == 0 {
                    left.remove();
                }
            }
            chunk.extend(self.starts.pop_front());
        }
        chunk
    }
}

/// Reads the payloads of a chunk in one statement, then makes its attempts side by side.
async fn fetch_and_attempt(
    db: &Database,
    sender: &Arc<Sender>,
    outbox: &mpsc::UnboundedSender<Message>,
    tracker: &TaskTracker,
    chunk: Vec<Start>,
) {
    let keys: HashSet<_> = chunk.iter().map(|start| (start.due.tenant_id, start.due.event_id)).collect();
    let keys: Vec<_> = keys.into_iter().collect();
    let read = work::read(db, &sender.payload_keys, &keys).await;
    let _ = outbox.send(Message::Fetched);
    let works = match read {
        Ok(works) => works,
        Err(error) => {
            fault(&error, "payloads were not read; their deliveries wait");
            for start in &chunk {
                sender.numbers.put_off(PutOff::Database);
                let _ = outbox.send(Message::Ended(*start, Ended::Aborted));
            }
            return;
        }
    };
    let shared = |work: Result<Work, _>| work.map(Arc::new).map_err(|error| Missing::Unopened(Arc::new(error)));
    let works: HashMap<_, _> = works.into_iter().map(|(event, work)| (event, shared(work))).collect();
    for start in chunk {
        let work = works.get(&start.due.event_id).cloned().unwrap_or(Err(Missing::Expired));
        attempt(tracker, sender, outbox, start, work);
    }
}

fn attempt(
    tracker: &TaskTracker,
    sender: &Arc<Sender>,
    outbox: &mpsc::UnboundedSender<Message>,
    start: Start,
    work: Result<Arc<Work>, Missing>,
) {
    let (sender, outbox) = (Arc::clone(sender), outbox.clone());
    let launch = sender.launches.begin();
    tracker.spawn(async move {
        let ended = sender.attempt(&start, launch, work.as_deref().map_err(Clone::clone)).await;
        let _ = outbox.send(Message::Ended(start, ended));
    });
}

/// Under which it began.
pub(super) fn lease_of(start: &Start) -> Lease {
    Lease { shard: start.due.shard, epoch: start.epoch }
}

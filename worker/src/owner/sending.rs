//! What the owner starts, and what it hears of its end.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use entity::Database;
use entity::shard::Lease;
use entity::work::{self, Work};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{BREATH, FETCH, FETCHES, LONGEST_BREATH, Message, Owner, fault};
use crate::deliver::Sender;
use crate::schedule::{Ended, Start};

impl Owner {
    pub(super) fn start(&mut self) {
        let starts = self.state.schedule.start();
        self.attempt(&starts);
    }

    pub(super) fn attempt(&mut self, starts: &[Start]) {
        for start in starts {
            *self.state.running.entry(start.due.shard).or_default() += 1;
            match self.state.works.take(start.due.event_id) {
                Some(work) => attempt(&self.tracker, &self.sender, &self.outbox, *start, Some(work)),
                None => self.state.unread.push_back(*start),
            }
        }
        self.fetch();
    }

    /// Reads what attempts carry: while that is under way others gather, and are read together.
    pub(super) fn fetch(&mut self) {
        while self.state.fetching < FETCHES && !self.state.unread.is_empty() {
            self.state.fetching += 1;
            let chunk = chunk(&mut self.state.unread);
            let (db, sender, outbox) = (self.db.clone(), Arc::clone(&self.sender), self.outbox.clone());
            let tracker = self.tracker.clone();
            self.tracker.spawn(async move { fetch_and_attempt(&db, &sender, &outbox, &tracker, chunk).await });
        }
    }

    pub(super) fn ended(&mut self, start: &Start, ended: Ended) {
        if let Some(running) = self.state.running.get_mut(&start.due.shard) {
            *running = running.saturating_sub(1);
        }
        match ended {
            Ended::Aborted => self.breathe(),
            _ => self.state.breath = BREATH,
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

/// The next attempts, of so many events at most as are read in one statement.
fn chunk(unread: &mut VecDeque<Start>) -> Vec<Start> {
    let mut events = HashSet::with_capacity(FETCH);
    let mut chunk = Vec::new();
    while let Some(next) = unread.front() {
        if events.len() == FETCH && !events.contains(&next.due.event_id) {
            break;
        }
        events.insert(next.due.event_id);
        chunk.extend(unread.pop_front());
    }
    chunk
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
    let read = work::read(db, &keys).await;
    let _ = outbox.send(Message::Fetched);
    let works = match read {
        Ok(works) => works,
        Err(error) => {
            fault(&error, "payloads were not read; their deliveries wait");
            for start in &chunk {
                let _ = outbox.send(Message::Ended(*start, Ended::Aborted));
            }
            return;
        }
    };
    let works: HashMap<_, _> = works.into_iter().map(|(event, work)| (event, Arc::new(work))).collect();
    for start in chunk {
        attempt(tracker, sender, outbox, start, works.get(&start.due.event_id).cloned());
    }
}

fn attempt(
    tracker: &TaskTracker,
    sender: &Arc<Sender>,
    outbox: &mpsc::UnboundedSender<Message>,
    start: Start,
    work: Option<Arc<Work>>,
) {
    let (sender, outbox) = (Arc::clone(sender), outbox.clone());
    tracker.spawn(async move {
        let ended = sender.attempt(&start, work.as_deref()).await;
        let _ = outbox.send(Message::Ended(start, ended));
    });
}

/// Under which it began.
pub(super) fn lease_of(start: &Start) -> Lease {
    Lease { shard: start.due.shard, epoch: start.epoch }
}

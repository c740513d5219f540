//! Natural batching: an event is committed at once when nothing is being committed, and together with others while
//! something is. A 2xx is said after the commit.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use entity::ingest::{Accepted, NewEvent, ingest, is_stored};
use entity::wake::Wake;
use entity::{Database, DbErr};
use relay::clock::Clock;
use relay::id::EventId;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::refusal::Refusal;

/// Events in one commit.
const BATCH: usize = 256;
/// Bytes of bodies in one commit; one larger body goes alone.
const BATCH_BYTES: usize = 1 << 20;
/// The waiting line: what is beyond it hears 503 at once instead of too late.
const LINE: usize = 4_096;
const LINE_BYTES: usize = 64 << 20;
/// A database that went away is asked so often before the callers are sent away.
const TRIES: usize = 3;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Cheap to clone; all clones feed the same line.
#[derive(Debug, Clone)]
pub struct Flusher {
    line: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Waiting {
    event: NewEvent,
    answer: oneshot::Sender<Result<EventId, Refusal>>,
    _room: OwnedSemaphorePermit,
}

impl Flusher {
    /// Starts the tasks that commit: two on PostgreSQL, so that one may wait for the disk while the other works; one on
    /// SQLite. They end when the last clone is gone and the line is empty.
    #[must_use]
    pub fn start(db: &Database, clock: &Clock, wake: &Wake) -> Self {
        let (line, waiting) = mpsc::channel(LINE);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..if db.is_sqlite() { 1 } else { 2 } {
            let writer = Writer { db: db.clone(), clock: clock.clone(), wake: wake.clone() };
            tokio::spawn(writer.run(Arc::clone(&waiting)));
        }
        Self { line, room: Arc::new(Semaphore::new(LINE_BYTES)) }
    }

    /// Returns after the commit, with the id under which the event is known: its own, or that of the one it repeats.
    pub(crate) async fn store(&self, event: NewEvent) -> Result<EventId, Refusal> {
        let bytes = u32::try_from(event.body.len()).map_err(|_| Refusal::Busy)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| Refusal::Busy)?;
        let (answer, answered) = oneshot::channel();
        self.line.try_send(Waiting { event, answer, _room: room }).map_err(|_| Refusal::Busy)?;
        answered.await.unwrap_or(Err(Refusal::Away))
    }
}

struct Writer {
    db: Database,
    clock: Clock,
    wake: Wake,
}

impl Writer {
    async fn run(self, waiting: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
        loop {
            let batch = collect(&mut *waiting.lock().await).await;
            if batch.is_empty() {
                return;
            }
            let (batch, twins) = settle_twins(batch);
            let answers = self.commit(batch).await;
            for (twin, key) in twins {
                let answer = answers.get(&key).copied().unwrap_or(Err(Refusal::Away));
                let _ = twin.answer.send(answer);
            }
            self.wake.ring();
        }
    }

    /// Commits a batch and answers its callers; returns what was said of each dedupe key, for its twins.
    async fn commit(&self, batch: Vec<Waiting>) -> HashMap<TwinKey, Result<EventId, Refusal>> {
        let mut said = HashMap::new();
        // One bad event harms no other: a batch that fails for its data is halved until the bad one stands alone.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            part.retain(|waiting| !waiting.answer.is_closed() || key_of(&waiting.event).is_some());
            let events: Vec<NewEvent> = part.iter().map(|waiting| waiting.event.clone()).collect();
            let answers = match self.try_commit(&events).await {
                Ok(accepted) => {
                    accepted.into_iter().zip(&events).map(|(accepted, event)| Ok(id_of(accepted, event))).collect()
                }
                Err(error) if !entity::database::is_away(&error) && part.len() > 1 => {
                    parts.push(part.split_off(part.len() / 2));
                    parts.push(part);
                    continue;
                }
                Err(error) => vec![Err(refusal(&error)); part.len()],
            };
            for (waiting, answer) in part.into_iter().zip(answers) {
                if let Some(key) = key_of(&waiting.event) {
                    said.insert(key, answer);
                }
                let _ = waiting.answer.send(answer);
            }
        }
        said
    }

    /// Doubtful commits: after a lost connection it is asked what was committed, and only the rest is tried again, with
    /// the same ids.
    async fn try_commit(&self, events: &[NewEvent]) -> Result<Vec<Accepted>, DbErr> {
        let mut tries = 1;
        loop {
            let error = match ingest(&self.db, &self.clock, events).await {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            if tries == TRIES || !entity::database::is_away(&error) {
                return self.recover(events).await?.ok_or(error);
            }
            tries += 1;
            tokio::time::sleep(BETWEEN_TRIES).await;
            if let Ok(Some(accepted)) = self.recover(events).await {
                return Ok(accepted);
            }
        }
    }

    /// What a doubtful commit came to, if it did commit: then the events that are not stored are repeats.
    async fn recover(&self, events: &[NewEvent]) -> Result<Option<Vec<Accepted>>, DbErr> {
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            stored.push(is_stored(&self.db, event).await?);
        }
        if !stored.contains(&true) {
            return Ok(None);
        }
        let repeats: Vec<NewEvent> =
            events.iter().zip(&stored).filter(|(_, stored)| !**stored).map(|(event, _)| event.clone()).collect();
        let mut repeated = ingest(&self.db, &self.clock, &repeats).await?.into_iter();
        Ok(stored.iter().map(|stored| if *stored { Some(Accepted::New) } else { repeated.next() }).collect())
    }
}

/// Waits for an event and takes what else is there, up to a batch. Empty: nobody sends any more.
async fn collect(line: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let Some(first) = line.recv().await else { return Vec::new() };
    let mut bytes = first.event.body.len();
    let mut batch = vec![first];
    while batch.len() < BATCH && bytes < BATCH_BYTES {
        let Ok(next) = line.try_recv() else { break };
        bytes += next.event.body.len();
        batch.push(next);
    }
    batch
}

type TwinKey = (relay::id::SourceId, [u8; 16]);

fn key_of(event: &NewEvent) -> Option<TwinKey> {
    Some((event.source_id?, event.dedupe?.hash))
}

/// Twins inside a batch: the first one stays, the others hear what it hears.
fn settle_twins(batch: Vec<Waiting>) -> (Vec<Waiting>, Vec<(Waiting, TwinKey)>) {
    let mut firsts: HashMap<TwinKey, ()> = HashMap::new();
    let (mut kept, mut twins) = (Vec::with_capacity(batch.len()), Vec::new());
    for waiting in batch {
        match key_of(&waiting.event).map(|key| (key, firsts.entry(key))) {
            Some((key, Entry::Occupied(_))) => twins.push((waiting, key)),
            Some((_, Entry::Vacant(place))) => {
                place.insert(());
                kept.push(waiting);
            }
            None => kept.push(waiting),
        }
    }
    (kept, twins)
}

fn id_of(accepted: Accepted, event: &NewEvent) -> EventId {
    match accepted {
        Accepted::New => event.id,
        Accepted::RepeatOf(first) => first,
    }
}

fn refusal(error: &DbErr) -> Refusal {
    tracing::error!(error = error as &dyn std::error::Error, "events were not stored");
    if entity::database::is_away(error) { Refusal::Away } else { Refusal::Fault }
}

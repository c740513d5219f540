//! Natural batching: an event is committed at once when nothing is being committed, and together with others while
//! something is, or while many come. A 2xx is said after the commit.

use std::collections::{HashMap, HashSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::ingest::{Accepted, Ingested, NewEvent, ingest, is_stored};
use entity::stat::Statistics;
use entity::wake::{Begun, Wake};
use entity::{Database, DbErr};
use futures_util::FutureExt as _;
use relay::clock::Clock;
use relay::failpoint;
use relay::id::EventId;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::numbers::Commits;
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

/// On PostgreSQL, where several come at a time, a batch begins so long after the one before it: fewer and larger ones leave
/// the processor to whoever sends, and quiet tenants wait less for it behind a noisy one. Who comes when nobody else does is
/// committed at once.
const GATHER: Duration = Duration::from_millis(3);
/// So many in one batch are several.
const SEVERAL: usize = 4;
/// Where so many wait already, there is nothing to gather.
const ENOUGH: usize = 64;

/// Cheap to clone; all clones feed the same line.
#[derive(Debug, Clone)]
pub struct Flusher {
    line: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
    /// Asks for a second batch beside the one that is being committed.
    help: Arc<Notify>,
}

/// Who waits longer for a commit waits for somebody's, and should not: two small batches cost more than one of both, but not
/// as much as that.
const SLOW: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Waiting {
    event: NewEvent,
    caller: Caller,
}

/// Who waits for what becomes of an event.
#[derive(Debug)]
struct Caller {
    answer: oneshot::Sender<Answer>,
    _room: OwnedSemaphorePermit,
}

type Answer = Result<EventId, Refusal>;

impl Flusher {
    /// Starts the tasks that commit: one, and on PostgreSQL another that helps where one is not enough. They end when the
    /// last clone is gone and the line is empty.
    #[must_use]
    pub fn start(db: &Database, clock: &Clock, wake: &Wake, statistics: &Statistics) -> Self {
        let (line, waiting) = mpsc::channel(LINE);
        let (waiting, help) = (Arc::new(Mutex::new(waiting)), Arc::new(Notify::new()));
        let commits = Commits::begin();
        let writer = || Writer {
            db: db.clone(),
            clock: clock.clone(),
            wake: wake.clone(),
            commits: commits.clone(),
            statistics: statistics.clone(),
        };
        let ended = CancellationToken::new();
        if !db.is_sqlite() {
            tokio::spawn(writer().help(Arc::clone(&waiting), Arc::clone(&help), ended.clone()));
        }
        tokio::spawn(writer().run(waiting, ended.drop_guard()));
        Self { line, room: Arc::new(Semaphore::new(LINE_BYTES)), help }
    }

    /// Returns after the commit, with the id under which the event is known: its own, or that of the one it repeats.
    pub(crate) async fn store(&self, event: NewEvent) -> Result<EventId, Refusal> {
        let bytes = u32::try_from(event.held()).map_err(|_| Refusal::Busy)?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(bytes).map_err(|_| Refusal::Busy)?;
        let (answer, mut answered) = oneshot::channel();
        self.line.try_send(Waiting { event, caller: Caller { answer, _room: room } }).map_err(|_| Refusal::Busy)?;
        if self.line.max_capacity() - self.line.capacity() >= BATCH {
            self.help.notify_one();
        }
        if let Ok(answer) = tokio::time::timeout(SLOW, &mut answered).await {
            return answer.unwrap_or(Err(Refusal::Away));
        }
        self.help.notify_one();
        answered.await.unwrap_or(Err(Refusal::Away))
    }
}

type Line = Arc<Mutex<mpsc::Receiver<Waiting>>>;

struct Writer {
    db: Database,
    clock: Clock,
    wake: Wake,
    commits: Commits,
    statistics: Statistics,
}

impl Writer {
    async fn run(self, waiting: Line, _until: DropGuard) {
        let mut gather_until = None;
        loop {
            let batch = collect(&mut *waiting.lock().await, gather_until).await;
            if batch.is_empty() {
                return;
            }
            let is_one_of_many = batch.len() >= SEVERAL && !self.db.is_sqlite();
            gather_until = is_one_of_many.then(|| Instant::now() + GATHER);
            self.commit_all_safely(batch).await;
        }
    }

    /// Takes only what the first one leaves.
    async fn help(self, waiting: Line, wanted: Arc<Notify>, ended: CancellationToken) {
        while ended.run_until_cancelled(wanted.notified()).await.is_some() {
            // Until there is nothing left: who waits has said so once.
            while let Some(batch) = waiting.try_lock().ok().map(|mut line| take(&mut line, Vec::new()))
                && !batch.is_empty()
            {
                self.commit_all_safely(batch).await;
            }
        }
    }

    /// A batch that makes us panic is not stored, as far as anybody knows, and its callers hear that; the next one is another.
    async fn commit_all_safely(&self, batch: Vec<Waiting>) {
        if AssertUnwindSafe(self.commit_all(batch)).catch_unwind().await.is_err() {
            // The panic itself has been reported, with its place, by the hook.
            tracing::error!("a batch of events was not brought to its end");
        }
    }

    async fn commit_all(&self, batch: Vec<Waiting>) {
        let (batch, twins) = settle_twins(batch);
        let said = self.commit(batch, !twins.is_empty()).await;
        for (twin, key) in twins {
            let answer = said.get(&key).copied().unwrap_or(Err(Refusal::Away));
            if answer.is_ok() {
                let mut counting = self.statistics.at(self.clock.now());
                counting.of(twin.event.tenant_id, key.0, |tally| tally.duplicates += 1);
            }
            let _ = twin.caller.answer.send(answer);
        }
    }

    /// What became of a batch, by source.
    fn count(&self, events: &[NewEvent], accepted: &[Accepted]) {
        let mut counting = self.statistics.at(self.clock.now());
        for (event, accepted) in events.iter().zip(accepted) {
            let Some(source) = event.source_id else { continue };
            counting.of(event.tenant_id, source, |tally| match accepted {
                Accepted::New => tally.accepted += 1,
                Accepted::RepeatOf(_) => tally.duplicates += 1,
            });
        }
    }

    /// Commits a batch and answers its callers; returns what was said of each dedupe key, if it has twins.
    async fn commit(&self, batch: Vec<Waiting>, has_twins: bool) -> HashMap<TwinKey, Answer> {
        let mut said = HashMap::new();
        // One bad event harms no other: a batch that fails for its data is halved until the bad one stands alone.
        let mut parts = vec![batch];
        while let Some(mut part) = parts.pop() {
            part.retain(|waiting| !waiting.caller.answer.is_closed() || key_of(&waiting.event).is_some());
            let (mut events, callers): (Vec<_>, Vec<_>) =
                part.into_iter().map(|waiting| (waiting.event, waiting.caller)).unzip();
            if events.is_empty() {
                continue;
            }
            // Nothing is due before it is there: whoever reads what is due looks back only a little.
            let now = self.clock.now();
            let deliveries = events.iter_mut().flat_map(|event| &mut event.deliveries);
            deliveries.for_each(|delivery| delivery.due_at = delivery.due_at.max(now));
            let began = Instant::now();
            let committed = self.try_commit(&events).await;
            self.commits.ended(events.len(), began.elapsed(), committed.is_ok());
            let answers: Vec<Answer> = match &committed {
                Ok((ingested, _)) => {
                    ingested.accepted.iter().zip(&events).map(|(accepted, event)| Ok(id_of(*accepted, event))).collect()
                }
                Err(error) if !entity::database::is_away(error) && events.len() > 1 => {
                    let mut half: Vec<_> =
                        events.into_iter().zip(callers).map(|(event, caller)| Waiting { event, caller }).collect();
                    parts.push(half.split_off(half.len() / 2));
                    parts.push(half);
                    continue;
                }
                Err(error) => vec![Err(refusal(error)); events.len()],
            };
            if has_twins {
                said.extend(events.iter().zip(&answers).filter_map(|(event, answer)| Some((key_of(event)?, *answer))));
            }
            for (caller, answer) in callers.into_iter().zip(answers) {
                let _ = caller.answer.send(answer);
            }
            if let Ok((ingested, begun)) = committed {
                self.count(&events, &ingested.accepted);
                begun.committed((ingested, events));
            }
        }
        said
    }

    /// Doubtful commits: after a lost connection it is asked what was committed, and only the rest is tried again, with
    /// the same ids.
    async fn try_commit(&self, events: &[NewEvent]) -> Result<(Ingested, Begun), DbErr> {
        let mut tries = 1;
        loop {
            // Rule T: for each try anew, since a ticket that is open for long has the worker remember all that it finishes.
            let begun = self.wake.begin();
            failpoint::reach("before-commit", &events[0].id);
            let error = match ingest(&self.db, &self.clock, events).await {
                Ok(ingested) => {
                    failpoint::reach("after-commit", &events[0].id);
                    return Ok((ingested, begun));
                }
                Err(error) => error,
            };
            drop(begun);
            if tries == TRIES || !entity::database::is_away(&error) {
                return Ok((self.recover(events).await?.ok_or(error)?, self.wake.begin()));
            }
            tries += 1;
            tokio::time::sleep(BETWEEN_TRIES).await;
            if let Ok(Some(ingested)) = self.recover(events).await {
                return Ok((ingested, self.wake.begin()));
            }
        }
    }

    /// What a doubtful commit came to, if it did commit: then the events that are not stored are repeats. Its deliveries
    /// are found by whoever looks for what is due.
    async fn recover(&self, events: &[NewEvent]) -> Result<Option<Ingested>, DbErr> {
        let mut stored = Vec::with_capacity(events.len());
        for event in events {
            stored.push(is_stored(&self.db, event).await?);
        }
        if !stored.contains(&true) {
            return Ok(None);
        }
        self.wake.ring();
        let repeats: Vec<NewEvent> =
            events.iter().zip(&stored).filter(|(_, stored)| !**stored).map(|(event, _)| event.clone()).collect();
        let mut repeats = ingest(&self.db, &self.clock, &repeats).await?.accepted.into_iter();
        let accepted = stored.iter().map(|stored| if *stored { Some(Accepted::New) } else { repeats.next() });
        Ok(accepted.collect::<Option<_>>().map(|accepted| Ingested { accepted, due: Vec::new() }))
    }
}

/// Waits for an event, and until then for others, and takes what is there, up to a batch. Empty: nobody sends any more.
async fn collect(line: &mut mpsc::Receiver<Waiting>, gather_until: Option<Instant>) -> Vec<Waiting> {
    let Some(first) = line.recv().await else { return Vec::new() };
    if let Some(until) = gather_until.filter(|until| *until > Instant::now() && line.len() < ENOUGH) {
        tokio::time::sleep_until(until.into()).await;
    }
    take(line, vec![first])
}

/// Fills a batch with what is there.
fn take(line: &mut mpsc::Receiver<Waiting>, mut batch: Vec<Waiting>) -> Vec<Waiting> {
    let mut bytes: usize = batch.iter().map(|waiting| waiting.event.body.len()).sum();
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
    let mut firsts: HashSet<TwinKey> = HashSet::with_capacity(batch.len());
    let (mut kept, mut twins) = (Vec::with_capacity(batch.len()), Vec::new());
    for waiting in batch {
        match key_of(&waiting.event) {
            Some(key) if !firsts.insert(key) => twins.push((waiting, key)),
            _ => kept.push(waiting),
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

#[cfg(test)]
mod tests {
    use relay::id::TenantId;

    use super::*;

    fn waiting() -> Waiting {
        let event = NewEvent::of_ours(TenantId::at(1), "A".to_owned(), &serde_json::json!({}), 1);
        let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Waiting { event, caller: Caller { answer: oneshot::channel().0, _room: room } }
    }

    /// How many are committed together of these, which are there, and one that comes a moment later.
    async fn together(there: usize, gather_until: Option<Instant>) -> usize {
        let (sender, mut line) = mpsc::channel(LINE);
        for _ in 0..there {
            sender.try_send(waiting()).unwrap();
        }
        let later = async {
            tokio::task::yield_now().await;
            sender.try_send(waiting()).unwrap();
        };
        tokio::join!(collect(&mut line, gather_until), later).0.len()
    }

    #[tokio::test]
    async fn who_comes_alone_waits_for_nobody_and_where_many_come_they_gather() {
        let soon = || Some(Instant::now() + Duration::from_millis(20));
        let never = || Some(Instant::now() + Duration::from_secs(3_600));
        assert_eq!(together(1, None).await, 1);
        assert_eq!(together(1, Instant::now().checked_sub(GATHER)).await, 1, "the time is over");
        assert_eq!(together(1, soon()).await, 2);
        assert_eq!(together(1 + ENOUGH, never()).await, 1 + ENOUGH, "these are enough");
    }
}

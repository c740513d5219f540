//! What a tenant is to hear of its sources: noticed beside the requests, and told a moment later.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::operational::{self, Notice};
use entity::source::Configured;
use entity::wake::Wake;
use entity::{Database, DbErr, notice};
use relay::clock::Clock;
use relay::id::{SourceId, Uuid};
use relay::quota::Rate;
use tokio_util::sync::CancellationToken;

/// Cheap to clone; all clones are one process's notes.
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    refused: HashMap<SourceId, Refused>,
    due: HashMap<(&'static str, Uuid), Notice>,
    /// When this process last meant to tell something.
    told: HashMap<(&'static str, Uuid), i64>,
}

/// What a source refused lately.
#[derive(Debug)]
struct Refused {
    since: i64,
    count: u64,
    causes: BTreeSet<&'static str>,
}

/// A source that refuses so many requests in so long a time, in milliseconds, is told of: one mistyped secret, not one guess.
const REFUSED: u64 = 10;
const WITHIN_MS: i64 = 300_000;
/// The same is told again after an hour.
const QUIET_MS: i64 = 3_600_000;
/// How often it is told.
const EVERY: Duration = Duration::from_secs(1);
/// Sources that are watched at a time.
const SOURCES: usize = 10_000;

impl Notices {
    /// A request of this source was refused.
    pub(super) fn refused(&self, source: &Configured, cause: &'static str, now: i64) {
        let id = source.source.id();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.refused.contains_key(&id) && seen.refused.len() >= SOURCES {
            seen.refused.retain(|_, refused| now - refused.since < WITHIN_MS);
            if seen.refused.len() >= SOURCES {
                return;
            }
        }
        let refused = seen.refused.entry(id).or_insert_with(|| Refused::from(now));
        if now - refused.since >= WITHIN_MS {
            *refused = Refused::from(now);
        }
        refused.count += 1;
        refused.causes.insert(cause);
        if refused.count >= REFUSED {
            let causes: Vec<&str> = refused.causes.iter().copied().collect();
            let named = (id, source.source.name.as_str());
            let notice = Notice::rejecting(source.source.tenant(), named, refused.count, &causes);
            seen.tell(id.uuid(), notice, now);
        }
    }

    /// Little is left of what this source may send, or with `of_all` its tenant.
    pub(super) fn near(&self, source: &Configured, of_all: bool, rate: Rate, now: i64) {
        let (tenant, id) = (source.source.tenant(), source.source.id());
        let named = (!of_all).then_some((id, source.source.name.as_str()));
        let object = if of_all { tenant.uuid() } else { id.uuid() };
        let notice = Notice::quota_near(tenant, named, rate.per_second, rate.burst);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).tell(object, notice, now);
    }

    /// Tells until told to stop, and what is left then.
    pub async fn keep(self, db: Database, clock: Clock, wake: Wake, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            let due = std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).due);
            for ((_, object), notice) in due {
                match tell(&db, object, &notice, clock.now()).await {
                    Ok(()) => wake.ring(),
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "a tenant was not told of a source");
                        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                        seen.due.entry((notice.event_type, object)).or_insert(notice);
                    }
                }
            }
            if stopped {
                return;
            }
        }
    }
}

impl Refused {
    fn from(now: i64) -> Self {
        Self { since: now, count: 0, causes: BTreeSet::new() }
    }
}

impl Seen {
    fn tell(&mut self, object: Uuid, notice: Notice, now: i64) {
        let of = (notice.event_type, object);
        if self.told.len() >= SOURCES {
            self.told.retain(|_, at| now - *at < QUIET_MS);
        }
        let is_told = self.told.get(&of).is_some_and(|at| now - at < QUIET_MS);
        if !is_told && self.told.len() < SOURCES {
            self.told.insert(of, now);
            self.due.insert(of, notice);
        }
    }
}

/// Once an hour, whichever process sees it.
async fn tell(db: &Database, object: Uuid, told: &Notice, now: i64) -> Result<(), DbErr> {
    let _leave = db.may_change().await;
    let txn = db.begin().await?;
    if notice::claim(&txn, told.tenant, (told.event_type, object), now - QUIET_MS, now).await? {
        operational::tell_if_wanted(&txn, told, now).await?;
        txn.commit().await?;
    }
    Ok(())
}

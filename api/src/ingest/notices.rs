//! What a tenant is to hear of its sources: noticed beside the requests, and told a moment later.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use entity::operational::{self, Notice, QUIET_MS};
use entity::source::Configured;
use entity::wake::Wake;
use entity::{Database, DbErr};
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

/// The last requests that a source refused: when, and why. The oldest is the first.
#[derive(Debug, Default)]
struct Refused(VecDeque<(i64, &'static str)>);

/// A source that refuses so many requests in so long a time, in milliseconds, is told of: one mistyped secret, not one guess.
const REFUSED: usize = 10;
const WITHIN_MS: i64 = 300_000;
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
            seen.refused.retain(|_, refused| refused.is_recent(now));
            if seen.refused.len() >= SOURCES {
                return;
            }
        }
        let refused = seen.refused.entry(id).or_default();
        if let Some(causes) = refused.once_more(cause, now) {
            let named = (id, source.source.name.as_str());
            let notice = Notice::rejecting(source.source.tenant(), named, REFUSED as u64, &causes);
            seen.tell(id.uuid(), notice, now);
        }
    }

    /// Little is left of what this source may send, or with `of_all` its tenant.
    pub(super) fn near(&self, source: &Configured, of_all: bool, rate: Rate, now: i64) {
        let (tenant, id) = (source.source.tenant(), source.source.id());
        let named = (!of_all).then_some((id, source.source.name.as_str()));
        let object = if of_all { tenant.uuid() } else { id.uuid() };
        let notice = Notice::rate_near(tenant, named, rate);
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
    /// Whether any was within the time.
    fn is_recent(&self, now: i64) -> bool {
        self.0.back().is_some_and(|(at, _)| now - at < WITHIN_MS)
    }

    /// One more: why they were, if so many were within the time.
    fn once_more(&mut self, cause: &'static str, now: i64) -> Option<Vec<&'static str>> {
        self.0.push_back((now, cause));
        while self.0.len() > REFUSED || self.0.front().is_some_and(|(at, _)| now - at >= WITHIN_MS) {
            self.0.pop_front();
        }
        let causes: BTreeSet<&str> = self.0.iter().map(|(_, cause)| *cause).collect();
        (self.0.len() == REFUSED).then(|| causes.into_iter().collect())
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
    operational::tell_hourly(&txn, (told.event_type, object), told, now).await?;
    txn.commit().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_within_five_minutes_are_told_however_they_lie() {
        let minute = WITHIN_MS / 5;
        for (times, told) in [
            (vec![0; 9], false),
            (vec![0; 10], true),
            // Nine at an end and nine at the next beginning.
            ([vec![0], vec![4 * minute; 8], vec![6 * minute; 2]].concat(), true),
            ((0..30).map(|number| number * minute).collect(), false),
            ((0..30).map(|number| number * minute / 2).collect(), true),
        ] {
            let mut refused = Refused::default();
            let causes: Vec<_> = times.iter().filter_map(|at| refused.once_more("quota", *at)).collect();
            assert_eq!(!causes.is_empty(), told, "{times:?}");
            assert!(causes.iter().all(|causes| causes == &["quota"]) && refused.0.len() <= REFUSED);
        }
    }
}

//! What was refused, noted for the tenant: in memory beside the requests, and written a moment later. Bodies never.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use entity::rejection::{self, Counted};
use entity::source::Configured;
use entity::stat::Statistics;
use entity::{Database, DbErr};
use poem::Request;
use poem::http::header::{CONTENT_LENGTH, HeaderName};
use relay::clock::Clock;
use relay::id::{RejectionId, SourceId};
use tokio_util::sync::CancellationToken;

use super::refusal::Refusal;
use super::{address, stored};

/// Cheap to clone; all clones are one process's notes.
#[derive(Debug, Clone)]
pub struct Rejections {
    notes: Arc<Mutex<Notes>>,
    statistics: Statistics,
}

#[derive(Debug, Default)]
struct Notes {
    rows: HashMap<SourceId, Vec<rejection::Model>>,
    counts: HashMap<Counted, i64>,
    strangers: Strangers,
}

/// Whose requests were taken this minute although they are not listed: behind a proxy that hides the senders, or where a
/// provider has moved, that is every event. A row for each would cost as much as the event, and push what was refused out
/// of the list.
#[derive(Debug, Default)]
struct Strangers {
    minute: i64,
    seen: HashSet<(SourceId, Option<IpAddr>)>,
}

/// How often notes are written.
const EVERY: Duration = Duration::from_millis(500);
/// Of each source so many are shown of what came between two writings; the others are only counted, as is all but the first
/// that an address that is not listed sends in a minute.
const EACH: usize = 20;
/// Sources and causes that are counted between two writings: far more than any process has.
const CAUSES: usize = 100_000;
/// Longer methods are nobody's.
const METHOD: usize = 32;
/// Sources whose notes are kept between two writings.
const SOURCES: usize = 2_000;
/// The cause of a request that was taken although its address is not listed.
const STRANGER: &str = "address_reported";
/// Sources and addresses that are told apart in a minute; beyond, as many are shown as of what is refused.
const STRANGERS: usize = 10_000;
const MINUTE_MS: i64 = 60_000;
/// Names of headers that are kept.
const NAMES: usize = 100;

impl Rejections {
    /// Of a process that counts them here besides.
    #[must_use]
    pub fn of(statistics: &Statistics) -> Self {
        Self { notes: Arc::default(), statistics: statistics.clone() }
    }

    /// A request of this source was refused.
    pub(super) fn note(&self, source: &Configured, request: &Request, refusal: Refusal, now: i64) {
        if refusal.concerns_the_tenant() {
            let cause = refusal.cause();
            self.statistics.at(now).of(source.source.tenant(), source.source.id(), |tally| tally.reject(cause));
            self.notes().add(source, request, (cause, true), now);
        }
    }

    /// A request of this source was taken, although it came from an address that is not listed.
    pub(super) fn report(&self, source: &Configured, request: &Request, now: i64) {
        self.notes().add(source, request, (STRANGER, false), now);
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes notes until told to stop, and what is left then.
    pub async fn keep(self, db: Database, clock: Clock, stop: CancellationToken) {
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            if let Err(error) = self.write(&db, clock.now()).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "rejections were not noted");
            }
            if stopped {
                return;
            }
        }
    }

    /// What could not be written is lost; the metrics have counted it.
    async fn write(&self, db: &Database, now: i64) -> Result<(), DbErr> {
        let (rows, counts) = self.notes().take();
        if counts.is_empty() {
            return Ok(());
        }
        rejection::note(db, rows.into_values().flatten().collect(), counts, now).await
    }
}

impl Notes {
    fn add(&mut self, source: &Configured, request: &Request, (cause, is_refused): (&'static str, bool), now: i64) {
        let (tenant, id) = (source.source.tenant(), source.source.id());
        let counted = (tenant, id, cause);
        if self.counts.len() < CAUSES || self.counts.contains_key(&counted) {
            *self.counts.entry(counted).or_default() += 1;
        }
        if self.has_room_for(id) && (is_refused || self.strangers.are_new((id, address::of(request)), now)) {
            self.rows.entry(id).or_default().push(row(source, request, (cause, is_refused), now));
        }
    }

    fn has_room_for(&self, source: SourceId) -> bool {
        self.rows.get(&source).map_or(self.rows.len() < SOURCES, |rows| rows.len() < EACH)
    }

    /// What is to be written.
    fn take(&mut self) -> (HashMap<SourceId, Vec<rejection::Model>>, HashMap<Counted, i64>) {
        (std::mem::take(&mut self.rows), std::mem::take(&mut self.counts))
    }
}

impl Strangers {
    /// Whether the source heard of nothing else from that address in this minute.
    fn are_new(&mut self, whose: (SourceId, Option<IpAddr>), now: i64) -> bool {
        let minute = now.div_euclid(MINUTE_MS);
        if std::mem::replace(&mut self.minute, minute) != minute {
            self.seen.clear();
        }
        // Where one tenant's sources fill it, the others' strangers are not hidden.
        self.seen.len() >= STRANGERS || self.seen.insert(whose)
    }
}

/// What is known of a request, whatever came of it.
fn row(
    source: &Configured,
    request: &Request,
    (cause, is_refused): (&'static str, bool),
    now: i64,
) -> rejection::Model {
    rejection::Model {
        tenant_id: source.source.tenant_id,
        source_id: source.source.id,
        id: RejectionId::at(now).uuid(),
        cause: cause.to_owned(),
        is_refused,
        method: request.method().as_str().chars().take(METHOD).collect(),
        remote_address: address::of(request).map(|address| address.to_string()),
        content_type: stored::content_type(request.headers()),
        size: request.headers().get(CONTENT_LENGTH).and_then(|size| size.to_str().ok()?.parse().ok()),
        header_names: names(request),
    }
}

fn names(request: &Request) -> String {
    let names: Vec<&str> = request.headers().keys().take(NAMES).map(HeaderName::as_str).collect();
    serde_json::to_string(&names).expect("names are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_shown_once_a_minute_to_each_source() {
        let mut strangers = Strangers::default();
        let (source, other) = (SourceId::at(0), SourceId::at(1));
        let address = |last| Some(IpAddr::from([127, 0, 0, last]));
        let mut new = |whose, now| strangers.are_new(whose, now);
        assert!(new((source, address(1)), 60_000));
        assert!(!new((source, address(1)), 119_999));
        assert!(new((source, address(2)), 119_999));
        assert!(new((source, None), 119_999));
        assert!(new((other, address(1)), 119_999));
        assert!(new((source, address(1)), 120_000));
        assert!(!new((source, address(1)), 120_001));
        assert!(new((source, address(1)), 60_000), "the clock may go back");
    }

    #[test]
    fn only_so_many_are_kept_in_mind() {
        let mut strangers = Strangers::default();
        let sources: Vec<_> = (0..=STRANGERS).map(|_| SourceId::at(0)).collect();
        let mut new = |number: usize| strangers.are_new((sources[number], None), 0);
        assert!((0..STRANGERS - 1).all(&mut new));
        assert!(!new(0), "told apart up to there");
        assert!(new(STRANGERS - 1));
        assert!(new(STRANGERS) && new(STRANGERS), "nobody's are hidden for those of others");
        assert_eq!(strangers.seen.len(), STRANGERS);
    }
}

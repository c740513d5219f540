//! What was refused, noted for the tenant: in memory beside the requests, and written a moment later. Bodies never.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
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
}

/// How often notes are written.
const EVERY: Duration = Duration::from_millis(500);
/// Of each source so many are shown of what came between two writings; the others are only counted.
const EACH: usize = 20;
/// Sources and causes that are counted between two writings: far more than any process has.
const CAUSES: usize = 100_000;
/// Longer methods are nobody's.
const METHOD: usize = 32;
/// Sources whose notes are kept between two writings.
const SOURCES: usize = 2_000;
/// The cause of a request that was taken although its address is not listed.
const STRANGER: &str = "address_reported";
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
            self.add(row(source, request, now), refusal.cause(), true);
        }
    }

    /// A request of this source was taken, although it came from an address that is not listed.
    pub(super) fn report(&self, source: &Configured, request: &Request, now: i64) {
        self.add(row(source, request, now), STRANGER, false);
    }

    fn add(&self, row: rejection::Model, cause: &'static str, is_refused: bool) {
        let (tenant, source) = (row.tenant_id.into(), row.source_id.into());
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.counts.len() < CAUSES || notes.counts.contains_key(&(tenant, source, cause)) {
            *notes.counts.entry((tenant, source, cause)).or_default() += 1;
        }
        if !notes.rows.contains_key(&source) && notes.rows.len() >= SOURCES {
            return;
        }
        let rows = notes.rows.entry(source).or_default();
        if rows.len() < EACH {
            rows.push(rejection::Model { cause: cause.to_owned(), is_refused, ..row });
        }
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
        let Notes { rows, counts } = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        rejection::note(&db.finish, rows.into_values().flatten().collect(), counts, now).await
    }
}

/// What is known of a request, whatever came of it.
fn row(source: &Configured, request: &Request, now: i64) -> rejection::Model {
    rejection::Model {
        tenant_id: source.source.tenant_id,
        source_id: source.source.id,
        id: RejectionId::at(now).uuid(),
        cause: String::new(),
        is_refused: true,
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

//! What tenants have set up, cached by key in every process and at most 1 s old. Everybody follows the change log
//! (rule C): a change drops what it makes stale, a fill that a change overtook is not stored, and nothing is answered
//! from a cache whose last successful look at the log began more than 1 s ago.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use moka::sync::Cache;
use relay::clock::Clock;
use relay::id::{DestinationId, SourceId, TenantId};
use sea_orm::DbErr;
use tokio::sync::broadcast;

use crate::change::{self, Changed};
use crate::{Database, api_key, destination, source, source_key, subscription, tenant};

/// Configuration older than this is not used without another look at the change log.
const FRESH: Duration = Duration::from_secs(1);
/// How often a process looks by itself. Four looks within what is promised.
pub const POLL: Duration = Duration::from_millis(250);
/// Entries kept; the design holds at a million sources and destinations, of which so many are busy at a time.
const ENTRIES: u64 = 200_000;
/// Changes a listener may fall behind before it is told that it missed some.
const BEHIND: usize = 4096;

/// What a listener hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    Changed(Changed),
    /// It is not known what changed: anything may have.
    Everything,
}

/// One a process; shared by api and worker where they live in one.
#[derive(Debug)]
pub struct Configuration {
    db: Database,
    clock: Clock,
    entries: Cache<Changed, Entry>,
    /// The number of the last change that was applied. Held while applying and while storing a fill.
    applied: Mutex<i64>,
    /// The same number, for a look without the lock.
    seen: AtomicI64,
    /// Boot-time milliseconds at which the last successful poll began.
    polled_at: AtomicU64,
    polling: tokio::sync::Mutex<()>,
    news: broadcast::Sender<News>,
}

/// What is kept under a key; that there is nothing is kept too.
#[derive(Debug, Clone)]
enum Entry {
    ApiKey(Option<Arc<api_key::Model>>),
    SourceKey(Option<Arc<source_key::Model>>),
    Source(Option<Arc<source::Configured>>),
    Subscriptions(Arc<subscription::Rules>),
    Destination(Option<Arc<destination::Model>>),
    /// Whether a tenant is being erased.
    Erasing(bool),
}

impl Configuration {
    /// Starts at the change log's present end.
    pub async fn open(db: Database, clock: Clock) -> Result<Arc<Self>, DbErr> {
        let began = millis(clock.boot());
        let head = change::head(&db.steady).await?;
        Ok(Arc::new(Self {
            db,
            clock,
            entries: Cache::new(ENTRIES),
            applied: Mutex::new(head),
            seen: AtomicI64::new(head),
            polled_at: AtomicU64::new(began),
            polling: tokio::sync::Mutex::new(()),
            news: broadcast::Sender::new(BEHIND),
        }))
    }

    /// The API key with this fingerprint, expired or not.
    pub async fn api_key(&self, hash: [u8; 32]) -> Result<Option<Arc<api_key::Model>>, DbErr> {
        let fill = async || {
            let found = api_key::find_by_hash(&self.db.steady, hash).await?;
            let tenant = found.as_ref().and_then(api_key::Model::tenant);
            Ok(Entry::ApiKey(self.unless_erasing(tenant, found).await?.map(Arc::new)))
        };
        match self.entry(Changed::ApiKey(hash), fill).await? {
            Entry::ApiKey(key) => Ok(key),
            _ => Ok(None),
        }
    }

    /// Whether there is such a key, if that can be said without asking the database.
    #[must_use]
    pub fn is_known_api_key(&self, hash: [u8; 32]) -> bool {
        self.is_fresh() && matches!(self.entries.get(&Changed::ApiKey(hash)), Some(Entry::ApiKey(Some(_))))
    }

    /// The source key with this fingerprint, expired or not.
    pub async fn source_key(&self, hash: [u8; 32]) -> Result<Option<Arc<source_key::Model>>, DbErr> {
        let fill = async || {
            let found = source_key::find_by_hash(&self.db.steady, hash).await?;
            let tenant = found.as_ref().map(source_key::Model::tenant);
            Ok(Entry::SourceKey(self.unless_erasing(tenant, found).await?.map(Arc::new)))
        };
        match self.entry(Changed::SourceKey(hash), fill).await? {
            Entry::SourceKey(key) => Ok(key),
            _ => Ok(None),
        }
    }

    /// A source with its tenant's slug and its credentials.
    pub async fn source(&self, tenant: TenantId, id: SourceId) -> Result<Option<Arc<source::Configured>>, DbErr> {
        let fill = async || {
            let found = source::configured(&self.db.steady, tenant, id).await?;
            Ok(Entry::Source(self.unless_erasing(Some(tenant), found).await?.map(Arc::new)))
        };
        match self.entry(Changed::Source(id), fill).await? {
            Entry::Source(source) => Ok(source.filter(|found| found.source.tenant_id == tenant.uuid())),
            _ => Ok(None),
        }
    }

    /// A tenant's subscriptions, enabled or not.
    pub async fn subscriptions(&self, tenant: TenantId) -> Result<Arc<subscription::Rules>, DbErr> {
        let fill = async || Ok(Entry::Subscriptions(Arc::new(subscription::rules(&self.db.steady, tenant).await?)));
        match self.entry(Changed::Subscriptions(tenant), fill).await? {
            Entry::Subscriptions(rules) => Ok(rules),
            _ => Ok(Arc::default()),
        }
    }

    /// A destination.
    pub async fn destination(
        &self,
        tenant: TenantId,
        id: DestinationId,
    ) -> Result<Option<Arc<destination::Model>>, DbErr> {
        let fill = async || {
            let found = destination::find(&self.db.steady, tenant, id).await?;
            Ok(Entry::Destination(self.unless_erasing(Some(tenant), found).await?.map(Arc::new)))
        };
        match self.entry(Changed::Destination(id), fill).await? {
            Entry::Destination(found) => Ok(found.filter(|found| found.tenant_id == tenant.uuid())),
            _ => Ok(None),
        }
    }

    /// Several destinations, in their order, of which those that nothing is known of are read together.
    pub async fn destinations(
        &self,
        wanted: &[(TenantId, DestinationId)],
    ) -> Result<Vec<Option<Arc<destination::Model>>>, DbErr> {
        if !self.is_fresh() {
            self.poll().await?;
        }
        let is_unknown = |(_, id): &&(TenantId, DestinationId)| !self.entries.contains_key(&Changed::Destination(*id));
        let unknown: Vec<_> = wanted.iter().filter(is_unknown).copied().collect();
        let seen = self.seen.load(Ordering::Acquire);
        let found = destination::these(&self.db, &unknown).await?;
        // All of them at a time: a worker that has just begun knows none.
        let tenants: HashSet<TenantId> = found.iter().map(destination::Model::tenant).collect();
        try_join_all(tenants.into_iter().map(|tenant| self.is_erasing(tenant))).await?;
        for found in found {
            let (tenant, id) = (found.tenant(), found.id());
            let found = self.unless_erasing(Some(tenant), Some(found)).await?;
            self.store(seen, Changed::Destination(id), &Entry::Destination(found.map(Arc::new)));
        }
        // Whatever was not stored, since there is none or it has changed meanwhile, is read by itself.
        let mut destinations = Vec::with_capacity(wanted.len());
        for (tenant, id) in wanted {
            destinations.push(self.destination(*tenant, *id).await?);
        }
        Ok(destinations)
    }

    /// Of a tenant that is being erased there is nothing, however much of it is still in the tables.
    async fn unless_erasing<T>(&self, tenant: Option<TenantId>, found: Option<T>) -> Result<Option<T>, DbErr> {
        match (tenant, found) {
            (Some(tenant), Some(_)) if self.is_erasing(tenant).await? => Ok(None),
            (_, found) => Ok(found),
        }
    }

    async fn is_erasing(&self, tenant: TenantId) -> Result<bool, DbErr> {
        let fill = async || Ok(Entry::Erasing(tenant::is_erasing(&self.db.steady, tenant).await?));
        Ok(matches!(self.entry(Changed::Tenant(tenant), fill).await?, Entry::Erasing(true)))
    }

    /// A destination, if that can be said without asking the database. None: ask with [`Configuration::destination`].
    #[must_use]
    pub fn known_destination(&self, tenant: TenantId, id: DestinationId) -> Option<Option<Arc<destination::Model>>> {
        let Entry::Destination(found) = self.entries.get(&Changed::Destination(id)).filter(|_| self.is_fresh())? else {
            return None;
        };
        Some(found.filter(|found| found.tenant_id == tenant.uuid()))
    }

    /// What changes from now on. A listener that falls far behind is told so, and must take everything for changed.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Looks at the change log now: after a change of one's own, or when the last look is too old.
    pub async fn poll(&self) -> Result<(), DbErr> {
        let asked = millis(self.clock.boot());
        let _one_at_a_time = self.polling.lock().await;
        if self.polled_at.load(Ordering::Acquire) > asked {
            return Ok(());
        }
        loop {
            let began = millis(self.clock.boot());
            let news = change::since(&self.db.steady, self.seen.load(Ordering::Acquire)).await?;
            let whole = !matches!(&news, change::News::Changes(changes, _) if changes.len() >= change::PAGE);
            self.apply(news);
            if whole {
                self.polled_at.store(began, Ordering::Release);
                return Ok(());
            }
        }
    }

    fn apply(&self, news: change::News) {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, last) = match news {
            change::News::Changes(changes, last) => (changes.into_iter().collect::<Option<Vec<_>>>(), last),
            change::News::Everything(last) => (None, last),
        };
        match &changes {
            Some(changes) if !changes.iter().any(|changed| matches!(changed, Changed::Tenant(_))) => {
                changes.iter().for_each(|changed| self.entries.invalidate(changed));
            }
            // Nobody knows which entries are a tenant's.
            _ => self.entries.invalidate_all(),
        }
        *applied = last;
        self.seen.store(last, Ordering::Release);
        let heard = changes.map_or_else(|| vec![News::Everything], |all| all.into_iter().map(News::Changed).collect());
        for news in heard {
            // Nobody listening is no fault.
            let _ = self.news.send(news);
        }
    }

    fn is_fresh(&self) -> bool {
        let age = millis(self.clock.boot()).saturating_sub(self.polled_at.load(Ordering::Acquire));
        Duration::from_millis(age) <= FRESH
    }

    async fn entry(&self, key: Changed, fill: impl AsyncFnOnce() -> Result<Entry, DbErr>) -> Result<Entry, DbErr> {
        if !self.is_fresh() {
            self.poll().await?;
        }
        if let Some(entry) = self.entries.get(&key) {
            return Ok(entry);
        }
        let seen = self.seen.load(Ordering::Acquire);
        let entry = fill().await?;
        self.store(seen, key, &entry);
        Ok(entry)
    }

    /// Unless a change has come since the one that was the last when it was read.
    fn store(&self, seen: i64, key: Changed, entry: &Entry) {
        let applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        if *applied == seen {
            self.entries.insert(key, entry.clone());
        }
        drop(applied);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

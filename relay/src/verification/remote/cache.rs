//! Documents by their URLs: kept as long as their publisher says, within bounds, and longer while nothing newer can be had.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Fetch;
use crate::clock::Clock;

/// One kind of document that is fetched and read.
pub(in crate::verification) trait Published: Sized + Send + Sync + 'static {
    /// What it may be, as the header `Accept` has it.
    const ACCEPT: &'static str;

    /// Reads it; nothing if it is something else.
    fn read(body: &[u8]) -> Option<Self>;
}

/// Who chose the URL of a document.
#[derive(Debug, Clone, Copy)]
pub(super) enum Party {
    /// A tenant, in its settings.
    Ours,
    /// Whoever sends to this party. So few fetches may fail on its account, as long as nothing was ever had at the URL.
    Strangers(u128),
}

pub(super) struct Cache<T> {
    source: Arc<dyn Fetch>,
    clock: Clock,
    entries: moka::sync::Cache<String, Arc<Entry<T>>>,
    failures: Mutex<Failures>,
}

/// What is known of a URL.
struct Entry<T> {
    state: Mutex<State<T>>,
    /// Held by whoever is fetching.
    flight: tokio::sync::Mutex<()>,
}

/// Times are [`Clock::boot`]'s.
struct State<T> {
    kept: Option<Kept<T>>,
    /// When the last fetch began.
    attempted: Option<Duration>,
    /// Fetches since the last one that succeeded.
    failures: u32,
}

struct Kept<T> {
    document: Arc<T>,
    /// As it was fetched.
    bytes: usize,
    fresh_until: Duration,
}

/// Failed fetches of URLs that strangers chose, within a minute.
#[derive(Default)]
struct Failures {
    since: Duration,
    count: u32,
    by_party: HashMap<u128, u32>,
}

/// Of all documents of a kind together, in bytes as they were fetched.
const CAPACITY: u64 = 64 * 1024 * 1024;

/// What an entry takes besides its URL and its document, in bytes, about.
const OVERHEAD: usize = 256;

/// For how long an entry is kept that nobody asks for: as long as it could be of use.
const IDLE: Duration = Duration::from_hours(48);

/// How many fetches may fail in a minute that strangers cause at one party, and at all.
const FAILURES_OF_A_PARTY: u32 = 5;
const FAILURES_OF_ALL: u32 = 600;

/// For how long a document is fresh whose publisher does not say.
const FRESH: Duration = Duration::from_mins(10);

/// For how long it may be, whatever its publisher says.
const FRESH_BOUNDS: [Duration; 2] = [MINUTE, DAY];

/// For how long a document is used that is not fresh any more, as long as no other can be had.
const STALE: Duration = DAY;

/// The waits after a failure, after two, and so on.
const BACKOFF: [Duration; 4] = [Duration::from_secs(10), Duration::from_secs(20), Duration::from_secs(40), MINUTE];

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

impl<T: Published> Cache<T> {
    pub(super) fn new(source: Arc<dyn Fetch>, clock: Clock) -> Self {
        let weigher = |url: &String, entry: &Arc<Entry<T>>| {
            u32::try_from(OVERHEAD + url.len() + entry.lock().bytes()).unwrap_or(u32::MAX)
        };
        let entries = moka::sync::Cache::builder().max_capacity(CAPACITY).weigher(weigher).time_to_idle(IDLE).build();
        Self { source, clock, entries, failures: Mutex::default() }
    }

    /// The document at a URL, if it was fetched not long ago.
    pub(super) fn fresh(&self, url: &str) -> Option<Arc<T>> {
        self.entries.get(url)?.lock().fresh(self.clock.boot())
    }

    /// The document at a URL; nothing if it cannot be had. Everyone who asks while it is fetched waits for the same
    /// fetch, unless there is an older one to go on with.
    pub(super) async fn get(&self, url: &str, party: Party) -> Option<Arc<T>> {
        let entry = self.entry(url);
        let now = self.clock.boot();
        if let Some(fresh) = entry.lock().fresh(now) {
            return Some(fresh);
        }
        let usable = entry.lock().usable(now);
        let _flight = match (&usable, entry.flight.try_lock()) {
            (_, Ok(flight)) => flight,
            (Some(_), Err(_under_way)) => return usable,
            (None, Err(_under_way)) => entry.flight.lock().await,
        };
        let now = self.clock.boot();
        let (usable, may_fetch) = {
            let state = entry.lock();
            if let Some(fresh) = state.fresh(now) {
                return Some(fresh);
            }
            (state.usable(now), now >= state.retry_at())
        };
        if may_fetch { self.fetch(url, party, &entry).await.or(usable) } else { usable }
    }

    /// What is at a URL of ours by now instead of `known`, be it the same; fetched only if the last fetch began a minute
    /// ago. Nothing if it was not, or failed.
    pub(super) async fn newer(&self, url: &str, known: &Arc<T>) -> Option<Arc<T>> {
        let entry = self.entry(url);
        let _flight = entry.flight.lock().await;
        let now = self.clock.boot();
        let may_fetch = {
            let state = entry.lock();
            if let Some(kept) = state.usable(now).filter(|kept| !Arc::ptr_eq(kept, known)) {
                return Some(kept);
            }
            state.attempted.is_none_or(|attempted| now >= attempted + MINUTE)
        };
        if may_fetch { self.fetch(url, Party::Ours, &entry).await } else { None }
    }

    /// Only for who holds the entry's flight.
    async fn fetch(&self, url: &str, party: Party, entry: &Arc<Entry<T>>) -> Option<Arc<T>> {
        let began = self.clock.boot();
        let strangers = match party {
            Party::Strangers(party) if entry.lock().kept.is_none() => Some(party),
            _ => None,
        };
        if strangers.is_some_and(|party| !self.failures().allow(party, began)) {
            return None;
        }
        // Counted as failed until it has succeeded: who hangs up halfway could otherwise have it begin again at will.
        entry.lock().begin(began);
        let fetched = match self.source.fetch(url, T::ACCEPT).await {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::info!(error = &error as &dyn std::error::Error, "fetching published keys failed");
                return None;
            }
        };
        let Some(document) = T::read(&fetched.body).map(Arc::new) else {
            tracing::info!("what was fetched are no published keys");
            return None;
        };
        if let Some(party) = strangers {
            self.failures().forgive(party);
        }
        let fresh_until = self.clock.boot() + fresh_for(&fetched.cache_control);
        entry.lock().succeed(Kept { document: Arc::clone(&document), bytes: fetched.body.len(), fresh_until });
        // Only what is put in is weighed.
        self.entries.insert(url.to_owned(), Arc::clone(entry));
        Some(document)
    }

    fn entry(&self, url: &str) -> Arc<Entry<T>> {
        self.entries.get_with_by_ref(url, Arc::default)
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Entry<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn fresh(&self, now: Duration) -> Option<Arc<T>> {
        self.kept.as_ref().filter(|kept| now < kept.fresh_until).map(|kept| Arc::clone(&kept.document))
    }

    fn usable(&self, now: Duration) -> Option<Arc<T>> {
        self.kept.as_ref().filter(|kept| now < kept.fresh_until + STALE).map(|kept| Arc::clone(&kept.document))
    }

    fn bytes(&self) -> usize {
        self.kept.as_ref().map_or(0, |kept| kept.bytes)
    }

    fn retry_at(&self) -> Duration {
        let Some(last) = (self.failures as usize).checked_sub(1) else { return Duration::ZERO };
        self.attempted.unwrap_or_default() + BACKOFF[last.min(BACKOFF.len() - 1)]
    }

    fn begin(&mut self, now: Duration) {
        self.attempted = Some(now);
        self.failures = self.failures.saturating_add(1);
    }

    fn succeed(&mut self, kept: Kept<T>) {
        self.kept = Some(kept);
        self.failures = 0;
    }
}

impl Failures {
    /// Counts one that is about to begin, as [`State::begin`] does, if there is room for it.
    fn allow(&mut self, party: u128, now: Duration) -> bool {
        if now >= self.since + MINUTE {
            *self = Self { since: now, ..Self::default() };
        }
        let of_party = self.by_party.get(&party).copied().unwrap_or(0);
        let is_allowed = self.count < FAILURES_OF_ALL && of_party < FAILURES_OF_A_PARTY;
        if is_allowed {
            self.count += 1;
            self.by_party.insert(party, of_party + 1);
        }
        is_allowed
    }

    fn forgive(&mut self, party: u128) {
        if let Some(of_party) = self.by_party.get_mut(&party).filter(|of_party| **of_party > 0) {
            *of_party -= 1;
            self.count = self.count.saturating_sub(1);
        }
    }
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        let state = State { kept: None, attempted: None, failures: 0 };
        Self { state: Mutex::new(state), flight: tokio::sync::Mutex::default() }
    }
}

/// What `max-age` says, within bounds.
fn fresh_for(cache_control: &str) -> Duration {
    let max_age = cache_control.split(',').find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        let seconds = value.trim().trim_matches('"').parse().ok()?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| Duration::from_secs(seconds))
    });
    let [least, most] = FRESH_BOUNDS;
    max_age.unwrap_or(FRESH).clamp(least, most)
}

#[cfg(test)]
mod tests {
    use super::super::tests::Publisher;
    use super::*;

    #[test]
    fn a_publisher_says_how_long_within_bounds() {
        for (cache_control, seconds) in [
            ("", 600),
            ("no-store", 600),
            ("max-age=0", 60),
            ("max-age=59", 60),
            ("max-age=61", 61),
            ("public, max-age=3600, must-revalidate", 3600),
            ("Max-Age = \"120\"", 120),
            ("s-maxage=120", 600),
            ("max-age=86401", 86400),
            ("max-age=99999999999999999999", 600),
            ("max-age=-1", 600),
        ] {
            assert_eq!(fresh_for(cache_control).as_secs(), seconds, "{cache_control}");
        }
    }

    #[test]
    fn failures_are_bounded_in_each_minute_for_each_party_and_for_all() {
        let mut failures = Failures::default();
        let start = Duration::from_hours(1);
        let allowed = |failures: &mut Failures, party, now| (0..10).filter(|_| failures.allow(party, now)).count();
        assert_eq!(allowed(&mut failures, 1, start), 5);
        failures.forgive(1);
        failures.forgive(2);
        assert_eq!(allowed(&mut failures, 1, start), 1);
        assert!(!failures.allow(1, start + Duration::from_secs(59)));
        assert!(failures.allow(1, start + MINUTE));
        let others = (2..200).map(|party| allowed(&mut failures, party, start + MINUTE));
        assert_eq!(others.sum::<usize>(), 599);
        assert_eq!(failures.by_party.len(), 121);
        assert_eq!(allowed(&mut failures, 200, start + 2 * MINUTE), 5);
    }

    #[derive(Debug)]
    struct Text;

    impl Published for Text {
        const ACCEPT: &'static str = "*/*";

        fn read(_: &[u8]) -> Option<Self> {
            Some(Self)
        }
    }

    #[tokio::test]
    async fn an_entry_weighs_as_much_as_its_document_and_all_of_them_so_much() {
        let publisher = Arc::new(Publisher::default());
        publisher.publish("https://a.example/", vec![b'a'; 5000]);
        let cache = Cache::<Text>::new(publisher, Clock::start());
        cache.get("https://a.example/", Party::Ours).await.unwrap();
        cache.entries.run_pending_tasks();
        assert_eq!(cache.entries.weighted_size(), (OVERHEAD + 18 + 5000) as u64);
        for number in 0..100 {
            let entry = Arc::<Entry<Text>>::default();
            let kept = Kept { document: Arc::new(Text), bytes: 1024 * 1024, fresh_until: DAY };
            entry.lock().succeed(kept);
            cache.entries.insert(number.to_string(), entry);
        }
        cache.entries.run_pending_tasks();
        assert!((2..=64).contains(&cache.entries.entry_count()), "{}", cache.entries.entry_count());
        assert!(cache.entries.weighted_size() <= CAPACITY);
    }
}

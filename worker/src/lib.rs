//! HTTP out: takes due deliveries of its shards, signs and sends them, and says what became of each.

use std::sync::Arc;

use entity::Database;
use entity::configuration::Configuration;
use entity::payload_key::PayloadKeys;
use entity::stat::Statistics;
use entity::wake::Wake;
use relay::clock::Clock;
use relay::egress::Egress;
use relay::keyring::Keyring;
use relay::process::vital;
use relay::trace::Tracer;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

mod backlog;
pub mod config;
mod deliver;
mod handed;
mod launch;
mod lease;
mod opened;
mod outcome;
mod owner;
#[cfg(test)]
#[path = "../../relay/src/property.rs"]
mod property;
mod pulse;
mod reader;
mod role;
mod schedule;
mod token;
mod wake;
#[cfg(test)]
mod written;

pub use pulse::Pulse;

/// What a worker needs of its process.
pub struct Worker {
    pub db: Database,
    pub configuration: Arc<Configuration>,
    pub keyring: Arc<Keyring>,
    /// Open what is kept of events.
    pub payload_keys: PayloadKeys,
    pub egress: Arc<Egress>,
    pub clock: Clock,
    /// Rung when something may be due.
    pub wake: Wake,
    /// Where the api of the same process commits, if there is one.
    pub beside: Option<Wake>,
    /// On SQLite the file whose lock is the worker role; None on PostgreSQL, where leases decide alone.
    pub role: Option<std::path::PathBuf>,
    /// Says whether its work moves.
    pub pulse: Pulse,
    /// Hears of each attempt.
    pub tracer: Tracer,
}

impl Worker {
    /// Works until `stop`; then lets what is in flight end, writes what it came to, and hands its shards over.
    pub async fn run(self, stop: CancellationToken) {
        let numbers = (deliver::numbers::Numbers::begin(), owner::numbers::Numbers::begin());
        relay::egress::begin_counting();
        schedule::breaker::begin_counting();
        let Some(_role) = role::take(self.role.as_deref(), &stop).await else { return };
        self.pulse.works();
        let id = relay::id::EventId::at(self.clock.now()).uuid();
        let leases = lease::Leases::new(self.clock.clone());
        let (outbox, inbox) = mpsc::unbounded_channel();
        let (tracker, stop_keeping) = (TaskTracker::new(), CancellationToken::new());
        let news = self.configuration.news();
        let listening = wake::listen(self.db.clone(), self.wake.clone(), Arc::clone(&leases), stop.clone());
        let listener = tokio::spawn(vital(listening));
        let keeper = lease::Keeper {
            db: self.db.clone(),
            clock: self.clock.clone(),
            id,
            leases: Arc::clone(&leases),
            owner: outbox.clone(),
            pulse: self.pulse.clone(),
            stopping: stop.clone(),
        };
        let keeping = tokio::spawn(vital(keeper.run(stop_keeping.clone())));
        let counting = backlog::count(self.db.clone(), self.clock.clone(), Arc::clone(&leases), stop.clone());
        let counting = tokio::spawn(vital(counting));
        let (db, clock, beside) = (self.db.clone(), self.clock.clone(), self.beside.clone());
        let statistics = Statistics::new(&self.clock);
        let tallying = statistics.clone().keep(self.db.clone(), stop_keeping.clone());
        let tallying = tokio::spawn(vital(tallying));
        let owner = owner(self, (id, leases, statistics), (outbox, inbox), tracker.clone(), numbers);
        if let Some(beside) = beside {
            beside.register(owner.hand());
        }
        vital(owner.run(stop, news)).await;
        stop_keeping.cancel();
        tracker.close();
        let _ = keeping.await;
        lease::leave(&db, &clock, id).await;
        let _ = tokio::join!(listener, counting, tallying);
    }
}

/// The file whose lock is the worker role, for a SQLite database: it lies beside it.
#[must_use]
pub fn role_file(database_url: &str) -> Option<std::path::PathBuf> {
    let path = entity::database::sqlite_file(database_url)?;
    Some(format!("{}-worker", path.display()).into())
}

fn owner(
    worker: Worker,
    (id, leases, statistics): (Uuid, Arc<lease::Leases>, Statistics),
    (outbox, inbox): (mpsc::UnboundedSender<owner::Message>, mpsc::UnboundedReceiver<owner::Message>),
    tracker: TaskTracker,
    (of_attempts, numbers): (deliver::numbers::Numbers, owner::numbers::Numbers),
) -> owner::Owner {
    let sender = deliver::Sender {
        db: worker.db.clone(),
        configuration: worker.configuration,
        keyring: worker.keyring,
        payload_keys: worker.payload_keys,
        egress: worker.egress,
        leases: Arc::clone(&leases),
        launches: Arc::default(),
        clock: worker.clock.clone(),
        opened: opened::OpenedCache::default(),
        tokens: token::Tokens::new(worker.clock.clone()),
        numbers: of_attempts,
        tracer: worker.tracer,
    };
    owner::Owner {
        state: owner::State::new(worker.db.is_sqlite()),
        db: worker.db,
        clock: worker.clock,
        id,
        wake: worker.wake,
        leases,
        statistics,
        sender: Arc::new(sender),
        numbers,
        pulse: worker.pulse,
        inbox,
        outbox,
        tracker,
    }
}

//! Which shards this worker owns, and until when it may send for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use entity::Database;
use entity::delivery::SHARDS;
use entity::shard::{self, LEASE_MS, Lease};
use entity::wake::Word;
use relay::clock::Clock;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::owner::Message;
use crate::pulse::Pulse;

mod numbers;

use numbers::Numbers;

/// Three renewals fit into a lease, so that one may fail.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often a worker looks for free shards and gives away what is beyond its share.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the fence is looked at between looks: a clock that jumped needs a renewal at once.
const TICK: Duration = Duration::from_millis(100);
/// On SQLite: outcomes that were written wait at most so long to be on disk. A machine that dies repeats what it had
/// finished since, and a second of that is what is promised.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// Sending ends so long before the lease: a request that was written may still be on its way.
const MARGIN: Duration = Duration::from_secs(1);

/// Rule A: for each shard the epoch under which it is held (0: not at all) and the boot-time milliseconds until which a
/// request may be in flight.
#[derive(Debug)]
pub(crate) struct Leases {
    clock: Clock,
    epochs: [AtomicI64; SHARDS as usize],
    fences: [AtomicU64; SHARDS as usize],
    /// Acknowledged writes so far, as the owner counts them (rule B).
    pub(crate) stamp: AtomicU64,
    /// How many of them a renewal has followed.
    synced: AtomicU64,
    /// Asks for a renewal at once: somebody saw a fence.
    pub(crate) hurry: Notify,
    /// Asks for a look at once: somebody gave a shard back.
    pub(crate) freed: Notify,
}

impl Leases {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            epochs: [const { AtomicI64::new(0) }; SHARDS as usize],
            fences: [const { AtomicU64::new(0) }; SHARDS as usize],
            stamp: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            hurry: Notify::new(),
            freed: Notify::new(),
        })
    }

    /// The epoch under which a shard is held.
    pub(crate) fn epoch(&self, shard: i16) -> Option<i64> {
        Some(self.epochs[index(shard)].load(Ordering::Acquire)).filter(|epoch| *epoch != 0)
    }

    /// Whether a request of this shard and epoch may be on the wire now.
    pub(crate) fn may_send(&self, shard: i16, epoch: i64) -> bool {
        self.epochs[index(shard)].load(Ordering::Acquire) == epoch
            && millis(self.clock.boot()) < self.fences[index(shard)].load(Ordering::Acquire)
    }

    /// Returns when no request of this shard and epoch may be on the wire any more.
    pub(crate) async fn fenced(&self, shard: i16, epoch: i64) {
        while self.may_send(shard, epoch) {
            tokio::time::sleep(TICK).await;
        }
    }

    /// What is held now.
    pub(crate) fn held(&self) -> Vec<Lease> {
        (0..SHARDS).filter_map(|shard| Some(Lease { shard, epoch: self.epoch(shard)? })).collect()
    }

    /// The owner takes a shard over, with the fence of a lease that was asked for at `asked_at`.
    pub(crate) fn hold(&self, lease: Lease, asked_at: Duration) {
        self.fences[index(lease.shard)].store(fence(asked_at), Ordering::Release);
        self.epochs[index(lease.shard)].store(lease.epoch, Ordering::Release);
    }

    /// A renewal only moves the fence: a shard that was let go meanwhile does not come back by it.
    fn extend(&self, lease: Lease, asked_at: Duration) {
        if self.epoch(lease.shard) == Some(lease.epoch) {
            self.fences[index(lease.shard)].store(fence(asked_at), Ordering::Release);
        }
    }

    pub(crate) fn let_go(&self, lease: Lease) {
        let epoch = &self.epochs[index(lease.shard)];
        // Otherwise it is held under a newer epoch by now.
        let _ = epoch.compare_exchange(lease.epoch, 0, Ordering::AcqRel, Ordering::Acquire);
    }

    fn is_short(&self) -> bool {
        let soon = millis(self.clock.boot() + RENEW_EVERY);
        self.held().iter().any(|lease| self.fences[index(lease.shard)].load(Ordering::Acquire) < soon)
    }
}

/// Keeps the leases: renews, takes what is free, tells the owner what came and went.
pub(crate) struct Keeper {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) id: Uuid,
    pub(crate) leases: Arc<Leases>,
    pub(crate) owner: mpsc::UnboundedSender<Message>,
    pub(crate) pulse: Pulse,
    /// The process ends: what is held is kept until it is handed over, and nothing is taken.
    pub(crate) stopping: CancellationToken,
}

impl Keeper {
    /// Runs until `stop`; then the owner hands the shards over.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let numbers = Numbers::begin();
        let mut connection = None;
        let mut renewed_at = None;
        let mut is_sure = false;
        let mut looked_at = Duration::ZERO;
        let mut is_freed = false;
        let mut workers = 1;
        while !stop.is_cancelled() {
            let now = relay::clock::boot_time();
            let is_unsynced = self.is_unsynced(renewed_at, now);
            let is_due = renewed_at.is_none_or(|at: Duration| now.saturating_sub(at) >= RENEW_EVERY);
            if is_due || is_unsynced || self.leases.is_short() {
                match self.renew(&mut connection, &numbers).await {
                    Ok(live) => {
                        (renewed_at, workers, is_sure) = (Some(now), live, true);
                        numbers.renewed.increment(1);
                        self.pulse.renewed();
                    }
                    Err(error) => {
                        is_sure = false;
                        numbers.failed.increment(1);
                        tracing::error!(error = &error as &dyn std::error::Error, "leases were not renewed");
                    }
                }
            }
            // Whoever does not know what it still has takes nothing more.
            let is_look_due = now.saturating_sub(looked_at) >= LOOK_EVERY;
            if is_sure && (is_look_due || is_freed) && !self.stopping.is_cancelled() {
                is_freed = false;
                self.take().await;
            }
            if is_sure && is_look_due && !self.stopping.is_cancelled() {
                looked_at = now;
                self.give_away(workers).await;
            }
            let held = self.leases.held().len();
            numbers.held.set(u32::try_from(held).unwrap_or(u32::MAX));
            self.pulse.holds(held);
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.leases.hurry.notified() => renewed_at = None,
                () = self.leases.freed.notified() => is_freed = true,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// On SQLite outcomes are on disk only after the next durable commit. Where no webhook brings one, a renewal does.
    fn is_unsynced(&self, renewed_at: Option<Duration>, now: Duration) -> bool {
        let is_old = renewed_at.is_none_or(|at| now.saturating_sub(at) >= SYNC_EVERY);
        self.db.is_sqlite()
            && is_old
            && self.leases.stamp.load(Ordering::Acquire) > self.leases.synced.load(Ordering::Acquire)
    }

    /// Rule S: durable, on a connection of its own. Returns how many workers live.
    async fn renew(&self, connection: &mut Option<shard::Connection>, numbers: &Numbers) -> Result<i64, entity::DbErr> {
        // Rule A: read before the renewal is sent, so that the fence never lies behind the lease.
        let asked_at = self.clock.boot();
        let stamp = self.leases.stamp.load(Ordering::Acquire);
        let held = self.leases.held();
        let renewed = shard::renew(&self.db, &self.clock, self.id, &held).await?;
        for lease in &held {
            if renewed.held.contains(lease) {
                self.leases.extend(*lease, asked_at);
            } else {
                numbers.lost.increment(1);
                self.lose(*lease);
            }
        }
        self.db.set_clock(&self.clock).await?;
        self.leases.synced.store(stamp, Ordering::Release);
        let is_old = connection.as_ref() == Some(&renewed.connection);
        *connection = Some(renewed.connection);
        self.tell(if is_old { Message::Durable(stamp) } else { Message::Doubtful });
        Ok(renewed.workers)
    }

    fn lose(&self, lease: Lease) {
        tracing::info!(shard = lease.shard, "a shard is not ours any more");
        self.leases.let_go(lease);
        self.tell(Message::Lost(lease));
    }

    /// Takes free shards up to the fair share.
    async fn take(&self) {
        let asked_at = self.clock.boot();
        match shard::acquire(&self.db, &self.clock, self.id, &self.leases.held()).await {
            Ok(taken) => {
                taken.into_iter().for_each(|lease| self.tell(Message::Acquired(lease, asked_at)));
            }
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "no free shards could be looked for")
            }
        }
    }

    /// Hands one shard over, if there are more than the fair share, by the number of workers at this moment: there were so many
    /// a while ago. On SQLite there is one.
    async fn give_away(&self, workers: i64) {
        if self.db.is_sqlite() || self.leases.held().len() <= shard::fair_share(workers) {
            return;
        }
        match shard::workers(&self.db, &self.clock).await {
            Ok(live) if self.leases.held().len() > shard::fair_share(live) => self.tell(Message::HandOver),
            Ok(_) => {}
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "workers were not counted"),
        }
    }

    fn tell(&self, message: Message) {
        // The owner outlives the keeper but for a shutdown.
        let _ = self.owner.send(message);
    }
}

/// Gives a shard back, after its last write was acknowledged.
pub(crate) async fn release(db: &Database, id: Uuid, leases: &Leases, lease: Lease) -> Result<(), entity::DbErr> {
    leases.let_go(lease);
    shard::release(db, id, lease).await
}

/// This worker is no more: nothing is its own, and the fair share of the others grows. To be called when its keeper has ended: until
/// then a statement of the keeper's that is under way may take shards, or renew the heartbeat.
pub(crate) async fn leave(db: &Database, clock: &Clock, id: Uuid) {
    let mut left = shard::leave(db, clock, id).await;
    if left.is_err() {
        // A connection that had long been idle may have been lost unnoticed.
        left = shard::leave(db, clock, id).await;
    }
    match left {
        Ok(()) => announce(db).await,
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "this worker's leases and heartbeat were not taken away; they will expire");
        }
    }
}

/// Tells the other workers that something was given back; who does not hear it looks before long.
pub(crate) async fn announce(db: &Database) {
    if let Err(error) = entity::wake::say(db, Word::Freed).await {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "nobody was told of a free shard; workers look for them"
        );
    }
}

/// Until when a request of a lease that was asked for at `asked_at` may be on the wire, in boot-time milliseconds.
fn fence(asked_at: Duration) -> u64 {
    millis(asked_at + Duration::from_millis(LEASE_MS.unsigned_abs()) - MARGIN)
}

fn index(shard: i16) -> usize {
    usize::try_from(shard).unwrap_or(0) % SHARDS as usize
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_renewal_does_not_bring_back_what_was_let_go() {
        let clock = Clock::start();
        let (leases, lease) = (Leases::new(clock.clone()), Lease { shard: 5, epoch: 3 });
        leases.hold(lease, clock.boot());
        assert!(leases.may_send(5, 3));
        leases.let_go(lease);
        leases.extend(lease, clock.boot());
        assert_eq!((leases.epoch(5), leases.may_send(5, 3)), (None, false));
    }

    #[test]
    fn letting_go_of_an_old_epoch_leaves_the_new_one() {
        let clock = Clock::start();
        let leases = Leases::new(clock.clone());
        leases.hold(Lease { shard: 5, epoch: 4 }, clock.boot());
        leases.let_go(Lease { shard: 5, epoch: 3 });
        assert_eq!(leases.held(), [Lease { shard: 5, epoch: 4 }]);
        assert!(!leases.may_send(5, 3));
    }

    #[test]
    fn nothing_is_sent_beyond_the_fence() {
        let clock = Clock::start();
        let leases = Leases::new(clock.clone());
        let long_ago = clock.boot().saturating_sub(Duration::from_millis(LEASE_MS.unsigned_abs()));
        leases.hold(Lease { shard: 5, epoch: 3 }, long_ago);
        assert!(!leases.may_send(5, 3));
        leases.extend(Lease { shard: 5, epoch: 3 }, clock.boot());
        assert!(leases.may_send(5, 3));
    }
}

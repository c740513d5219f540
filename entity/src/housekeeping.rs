//! What every process does on the side: follows the change log, keeps its clock right, makes days ahead, and forgets
//! what has expired.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Gauge, Unit};
use relay::clock::{Clock, boot_time};
use relay::keyring::Keyring;
use relay::numbers;
use relay::process::vital;
use relay::retention::Retention;
use tokio_util::sync::CancellationToken;

use crate::configuration::POLL;
use crate::start::Opened;
use crate::{
    Database, DbErr, access_token, change, dedupe, erasure, idempotency, own_request, partition, retention, sealing,
    sizes, watch,
};

/// How often the machine's clock is compared with the database's.
const CLOCK_EVERY: Duration = Duration::from_secs(5);
/// How often the rest is done; also when the clock has moved by as much.
const CLEAN_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked for what tenants are to be told of.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// How often what is old is looked for.
const FORGET_EVERY: Duration = Duration::from_secs(3600);
/// When it is tried again where a table was read for too long, by a backup perhaps: everybody waits behind each try.
const AFTER_A_LOCK: Duration = Duration::from_secs(600);
/// Changes are kept so long; a process that slept longer starts its cache anew.
const CHANGES_MS: i64 = 3_600_000;
/// A process whose clock is further off is not ready: ids and signatures would lie.
pub const CLOCK_TOLERANCE_MS: i64 = 5_000;

/// How often SQLite's log is folded into its file: often enough that a commit which has to do it finds little left.
const FOLD_EVERY: Duration = Duration::from_millis(500);

const FAILURES: &str = "hookyard_housekeeping_failures_total";

/// Runs until `stop`.
pub async fn run(opened: Opened, retention: Retention, stop: CancellationToken) {
    let Opened { db, clock, keyring, configuration, .. } = opened;
    let off = begin_counting();
    told(compare_clocks(&db, &clock, &off).await, "the clock was not compared");
    tokio::spawn(vital(forget(db.clone(), clock.clone(), retention, stop.clone())));
    tokio::spawn(vital(erase(db.clone(), clock.clone(), stop.clone())));
    tokio::spawn(vital(watch(db.clone(), clock.clone(), stop.clone())));
    tokio::spawn(vital(say_what_seals(db.clone(), clock.clone(), keyring, stop.clone())));
    if db.is_sqlite() {
        tokio::spawn(vital(fold(db.clone(), stop.clone())));
    }
    let mut cleaned_at: Option<Duration> = None;
    let mut clocked_at = boot_time();
    let mut away = false;
    while !stop.is_cancelled() {
        let polled = configuration.poll().await;
        match (&polled, away) {
            (Ok(()), true) => tracing::info!("the database answers again"),
            (Err(error), false) => {
                tracing::error!(error = error as &dyn std::error::Error, "the change log was not read");
            }
            _ => {}
        }
        away = polled.is_err();
        if !away && boot_time() >= clocked_at + CLOCK_EVERY {
            clocked_at = boot_time();
            told(compare_clocks(&db, &clock, &off).await, "the clock was not compared");
        }
        let moved = clock.boot();
        if !away && cleaned_at.is_none_or(|at| moved.saturating_sub(at) >= CLEAN_EVERY) {
            cleaned_at = Some(moved);
            told(clean(&db, &clock).await, "housekeeping was put off");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// Gives how far the machine's clock is from the database's.
fn begin_counting() -> Gauge {
    numbers::counter(FAILURES, "What housekeeping could not do and tries again").increment(0);
    let help = "How far the machine's clock is before the database's";
    numbers::gauge("hookyard_clock_offset_seconds", Unit::Seconds, help)
}

async fn compare_clocks(db: &Database, clock: &Clock, off: &Gauge) -> Result<(), DbErr> {
    let off_ms = db.set_clock(clock).await?;
    off.set(Duration::from_millis(off_ms.unsigned_abs()).as_secs_f64() * if off_ms < 0 { -1.0 } else { 1.0 });
    Ok(())
}

/// By itself, since a great deal may be old at once.
async fn forget(db: Database, clock: Clock, retention: Retention, stop: CancellationToken) {
    let mut forget_at: Option<Duration> = None;
    while stop.run_until_cancelled(tokio::time::sleep(POLL * 4)).await.is_some() {
        let moved = clock.boot();
        if forget_at.is_none_or(|at| moved >= at) {
            let forgotten =
                stop.run_until_cancelled(retention::forget(&db, &clock, &retention)).await.unwrap_or(Ok(()));
            let again_in = match &forgotten {
                Ok(()) => FORGET_EVERY,
                Err(error) if retention::is_locked(error) => AFTER_A_LOCK,
                Err(_) => CLEAN_EVERY,
            };
            forget_at = Some(moved + again_in);
            told(forgotten, "not all that is old was forgotten; it is tried again in some minutes");
        }
    }
}

/// By itself, since a tenant may have much.
async fn erase(db: Database, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(POLL * 4)).await.is_some() {
        let erased = stop.run_until_cancelled(erasure::go_on(&db, &clock)).await.unwrap_or(Ok(()));
        told(erased, "a tenant was not erased further; it is tried again");
    }
}

/// By itself, since what is told of may be much.
async fn watch(db: Database, clock: Clock, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(WATCH_EVERY)).await.is_some() {
        told(watch::look(&db, &clock).await, "tenants were not told what has failed; it is tried again");
    }
}

/// Beside those who commit, so that no webhook waits for it.
async fn fold(db: Database, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FOLD_EVERY)).await.is_some() {
        if let Err(error) = db.fold().await {
            tracing::debug!(error = &error as &dyn std::error::Error, "the log was not folded into the file");
        }
    }
}

/// By itself, since cleaning may take long: a process that does not say it for some minutes is taken for one that has ended.
async fn say_what_seals(db: Database, clock: Clock, keyring: Arc<Keyring>, stop: CancellationToken) {
    let mut said_at = clock.boot();
    while !stop.is_cancelled() {
        let moved = clock.boot();
        if moved.saturating_sub(said_at) >= CLEAN_EVERY {
            match sealing::note(&db.finish, &keyring, clock.now()).await {
                Ok(()) => said_at = moved,
                Err(error) => told(Err(error), "it was not said which key seals"),
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(POLL * 4) => {}
        }
    }
}

async fn clean(db: &Database, clock: &Clock) -> Result<(), DbErr> {
    let now = clock.now();
    // One that fails keeps no other from being done.
    told(partition::ensure(db, clock).await, "housekeeping was put off");
    let dedupe = async {
        while dedupe::forget(&db.finish, now).await? > 0 {}
        Ok(())
    };
    told(dedupe.await, "expired dedupe keys were kept");
    let requests = async {
        while own_request::forget(&db.finish, now).await? > 0 {}
        Ok(())
    };
    told(requests.await, "expired requests were kept");
    let tokens = async {
        while access_token::forget(&db.finish, now).await? > 0 {}
        Ok(())
    };
    told(tokens.await, "expired access tokens were kept");
    told(sizes::tell(db).await, "the sizes of the tables were not read");
    told(partition::tell(db, clock).await, "the days ahead were not counted");
    told(idempotency::forget(&db.finish, now).await, "expired idempotency keys were kept");
    change::forget(&db.finish, now - CHANGES_MS).await
}

fn told(result: Result<(), DbErr>, what: &str) {
    if let Err(error) = result {
        metrics::counter!(FAILURES).increment(1);
        tracing::error!(error = &error as &dyn std::error::Error, "{what}");
    }
}

//! Replays of many, worked off a part at a time by every api process: a part is read, then written in one transaction
//! with how far the replay is by then. Whoever comes too late finds it further on, and writes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use entity::delivery::Trigger;
use entity::pending::{self, NewPending};
use entity::replay::{self, Stage};
use entity::{Transaction, payload, tenant};
use relay::id::{DeliveryId, EventId, ReplayId, TenantId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::Error;

mod part;

use part::{Item, Part};

/// How often unfinished replays are looked for, and while there are some.
const EVERY: Duration = Duration::from_millis(500);
const WHILE_OPEN: Duration = Duration::from_millis(100);
/// So many replays have a turn before those are looked for that wait for one.
const AT_ONCE: u64 = 20;
/// Events or deliveries of one part: some milliseconds, in which SQLite writes nothing else.
const PART: u64 = 200;
/// What is only counted is read in larger parts.
const COUNTED_PART: u64 = 1_000;
/// A replay that has so many unfinished deliveries makes no more until some are finished: a cancel finds few, and a queue
/// does not grow by millions.
const AHEAD: u64 = 5_000;
/// How long a replay rests that waits for its deliveries, and one whose part could not be read or written.
const REST_MS: i64 = 1_000;
const AFTER_TROUBLE_MS: i64 = 10_000;
/// What was accepted before the replay was made is committed by then.
const SETTLED_MS: i64 = 5_000;
/// A replay may catch up with its rate by as much.
const LATE_MS: i64 = 1_000;

/// Tells that there is a new replay.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    pub fn ring(&self) {
        self.0.notify_one();
    }
}

/// Runs until `stop`.
pub async fn run(app: App, stop: CancellationToken) {
    let mut is_well = true;
    while !stop.is_cancelled() {
        let rest = stop.run_until_cancelled(round(&app)).await.unwrap_or(Ok(EVERY));
        if let Err(error) = &rest
            && is_well
        {
            tracing::error!(error = error as &dyn std::error::Error, "replays were not gone on with");
        }
        is_well = rest.is_ok();
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.replays.0.notified() => {}
            () = tokio::time::sleep(rest.unwrap_or(EVERY)) => {}
        }
    }
}

/// One part of each replay that can be gone on with. How long to rest then.
async fn round(app: &App) -> Result<Duration, Error> {
    let open = replay::open(&app.db.read, app.clock.now(), AT_ONCE).await?;
    let rest = if open.is_empty() { EVERY } else { WHILE_OPEN };
    let mut more = open.len() as u64 == AT_ONCE;
    for row in open {
        let (tenant, id) = (row.tenant(), row.id());
        match step(app, row).await {
            Ok(goes_on) => more |= goes_on,
            // What is unreadable stays so.
            Err(Error::Fault(error)) => fail(app, tenant, id, error.as_ref()).await?,
            // Everything else may be better in a while, and keeps no other from going on.
            Err(error) => {
                tracing::warn!(tenant.id = %tenant, replay.id = %id, error = %error, "a part of a replay is put off");
                put_off(app, tenant, id).await?;
            }
        }
    }
    Ok(if more { Duration::ZERO } else { rest })
}

async fn put_off(app: &App, tenant: TenantId, id: ReplayId) -> Result<(), Error> {
    let _leave = app.db.may_change().await;
    let txn = app.db.begin().await?;
    if let Some(row) = replay::lock_idle(&txn, tenant, id).await?.filter(|row| row.finished_at.is_none()) {
        replay::save(&txn, replay::Model { next_at: app.clock.now() + AFTER_TROUBLE_MS, ..row }).await?;
        txn.commit().await?;
    }
    Ok(())
}

async fn fail(
    app: &App,
    tenant: TenantId,
    id: ReplayId,
    error: &(dyn std::error::Error + Send + Sync),
) -> Result<(), Error> {
    tracing::error!(tenant.id = %tenant, replay.id = %id, error = %error, "a replay has failed");
    let _leave = app.db.may_change().await;
    let txn = app.db.begin().await?;
    if let Some(row) = replay::lock_idle(&txn, tenant, id).await?.filter(|row| row.finished_at.is_none()) {
        let reason = "a fault of the relay; its log says more".to_owned();
        let row = replay::Model { reason: Some(reason), ..row.ended(Stage::Failed, app.clock.now()) };
        replay::save(&txn, row).await?;
        txn.commit().await?;
    }
    Ok(())
}

/// Whether there is more to do at once.
async fn step(app: &App, row: replay::Model) -> Result<bool, Error> {
    let now = app.clock.now();
    if row.stage()? == Stage::Running {
        let most = if row.is_read { 1 } else { AHEAD };
        let left = replay::unfinished(&app.db.read, &row, most).await?;
        if left >= most {
            return write(app, &row, replay::Model { next_at: now + REST_MS, ..row.clone() }, None)
                .await
                .map(|_| false);
        }
        if row.is_read {
            return write(app, &row, row.clone().ended(Stage::Completed, now), None).await.map(|_| false);
        }
    }
    let is_counted = row.stage()? == Stage::Counting;
    let limit = if is_counted { COUNTED_PART } else { size(&row) };
    let part = part::read(&app.db, &row, limit, (!is_counted).then_some(&app.payload_keys)).await?;
    let next = if is_counted { counted(&row, &part, now) } else { row.clone() };
    write(app, &row, next, Some(part).filter(|_| !is_counted)).await
}

/// A slow replay has small parts.
fn size(row: &replay::Model) -> u64 {
    row.rate.map_or(PART, |rate| u64::from(rate.unsigned_abs()).clamp(1, PART))
}

/// The row after a part was counted.
fn counted(row: &replay::Model, part: &Part, now: i64) -> replay::Model {
    let row = replay::Model {
        position: part.position.or(row.position),
        planned_events: row.planned_events + part.events(),
        planned_deliveries: row.planned_deliveries + part.deliveries(),
        skipped: row.skipped + part.skipped,
        next_at: now,
        ..row.clone()
    };
    match (part.is_last, row.dry_run) {
        (false, _) => row,
        (true, true) => row.ended(Stage::Completed, now),
        (true, false) => {
            let state = Stage::Running.as_str().to_owned();
            replay::Model { state, position: None, skipped: 0, ..row }
        }
    }
}

/// Writes the row as it is to be, and sends what the part has, if the row is as it was. Whether it was, and it goes on.
async fn write(app: &App, was: &replay::Model, next: replay::Model, part: Option<Part>) -> Result<bool, Error> {
    let _leave = app.db.may_change().await;
    let txn = app.db.begin().await?;
    let row = replay::lock_idle(&txn, was.tenant(), was.id()).await?;
    if row.is_none_or(|row| row != *was) {
        return Ok(false);
    }
    let next = match part {
        Some(part) => send(app, &txn, next, part).await?,
        None => next,
    };
    let goes_on = next.finished_at.is_none() && next.next_at <= app.clock.now();
    replay::save(&txn, next).await?;
    txn.commit().await?;
    app.wake.ring();
    Ok(goes_on)
}

/// Puts the part's deliveries into the queue. The bodies are asked for once more here: days that are dropped wait for
/// this transaction, or it sees that they are gone.
async fn send(app: &App, txn: &Transaction, row: replay::Model, part: Part) -> Result<replay::Model, Error> {
    let now = app.clock.now();
    let (tenant, ids) = (row.tenant(), part.event_ids());
    // One replay of a tenant at a time: what another has asked for meanwhile is seen.
    tenant::lock(txn, tenant).await?;
    let kept = payload::kept(txn, tenant, &ids).await?;
    let asked = replay::asked_of(txn, tenant, &ids).await?;
    let items = part.items.into_iter().filter(|item| !item.is_asked(&asked));
    let (items, gone): (Vec<Item>, Vec<Item>) = items.partition(|item| kept.contains(&item.event.id()));
    for item in &items {
        let new = NewPending {
            tenant_id: tenant,
            id: DeliveryId::at(now),
            event_id: item.event.id(),
            subscription_id: item.subscription_id,
            destination_id: item.destination_id,
            order_key: item.order_key,
            trigger: Trigger::Replay,
            retry_of: item.retry_of,
            replay_id: Some(row.id()),
            size: item.event.size,
            due_at: now,
        };
        pending::insert(txn, &new).await?;
    }
    let sent = items.len() as i64;
    let wait = row.rate.map_or(0, |rate| sent * 1_000 / i64::from(rate.max(1)));
    let events: BTreeSet<EventId> = items.iter().map(|item| item.event.id()).collect();
    // The end is looked at once more when all is there that was accepted before.
    let settled_at = row.wanted()?.before + SETTLED_MS;
    let is_read = part.is_last && now >= settled_at;
    let next_at = row.next_at.max(now - LATE_MS) + wait;
    Ok(replay::Model {
        position: part.position.or(row.position),
        is_read,
        events: row.events + events.len() as i64,
        deliveries: row.deliveries + sent,
        skipped: row.skipped + part.skipped + gone.len() as i64,
        next_at: if part.is_last && !is_read { next_at.max(settled_at) } else { next_at },
        ..row
    })
}

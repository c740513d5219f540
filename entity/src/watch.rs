//! What tenants are told of without anybody having asked, found in the tables beside all work: destinations that fail, and
//! deliveries that failed for good. Every process looks; each thing is told once.

use std::collections::BTreeMap;

use relay::clock::Clock;
use relay::id::{DestinationId, TenantId};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::delivery::State;
use crate::ingest::{self, NewEvent};
use crate::operational::{self, Failed, Notice};
use crate::subscription;
use crate::{Database, destination, notice};

/// A destination that fails for so long, in milliseconds, is told of: longer than a deployment takes.
const FAILING_MS: i64 = 3_600_000;
/// Finishes that began so long ago are committed.
const COMMITTED_MS: i64 = 10_000;
/// Failed deliveries that one look tells of; the next one goes on.
const AT_A_TIME: usize = 500;
/// So many of them are named.
const NAMED: usize = 20;

/// Tells what there is to tell.
pub(crate) async fn look(db: &Database, clock: &Clock) -> Result<(), DbErr> {
    tell_failing(db, clock.now()).await?;
    while tell_failed(db, clock.now()).await? {}
    Ok(())
}

/// Once for each time that a destination begins to fail.
async fn tell_failing(db: &Database, now: i64) -> Result<(), DbErr> {
    let text = "SELECT h.tenant_id, h.destination_id, h.failing_since FROM health h
        JOIN destination d ON d.tenant_id = h.tenant_id AND d.id = h.destination_id
        LEFT JOIN notice n ON n.tenant_id = h.tenant_id AND n.kind = 'destination.failing' AND n.object = h.destination_id
        WHERE h.failing_since <= $1 AND (n.told_at IS NULL OR n.told_at < h.failing_since) LIMIT 100";
    let statement = Statement::from_sql_and_values(db.read.get_database_backend(), text, [(now - FAILING_MS).into()]);
    for row in db.read.query_all_raw(statement).await? {
        let (tenant, id): (Uuid, Uuid) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let since: i64 = row.try_get_by_index(2)?;
        let _leave = db.may_change().await;
        let txn = db.begin().await?;
        if !notice::claim(&txn, tenant.into(), ("destination.failing", id), since, now).await? {
            continue;
        }
        if let Some(row) = destination::find(&txn, tenant.into(), id.into()).await? {
            operational::tell_if_wanted(&txn, &Notice::failing(&row, since), now).await?;
            txn.commit().await?;
        }
    }
    Ok(())
}

/// Those that ended since the last look, by destination. They are read, and what is wanted of them is found out, before the
/// transaction, which holds the row of `watch`: one process tells at a time. Whether there are more.
async fn tell_failed(db: &Database, now: i64) -> Result<bool, DbErr> {
    let until = now - COMMITTED_MS;
    if !is_any_failed(db, until).await? {
        return Ok(false);
    }
    let Some(from) = told_to(&db.read, "").await? else { return Ok(false) };
    // Who begins tells of nothing that is older.
    let (rows, to) = if from == 0 { (Vec::new(), until) } else { failed_between(&db.read, from, until).await? };
    let mut by_destination: BTreeMap<Of, Vec<Failed>> = BTreeMap::new();
    for (of, failed) in rows {
        by_destination.entry(of).or_default().push(failed);
    }
    let events = wanted(db, &by_destination, now).await?;
    let _leave = db.may_change().await;
    let txn = db.begin().await?;
    let hold = if db.is_sqlite() { "" } else { "FOR UPDATE SKIP LOCKED" };
    if told_to(&txn, hold).await? != Some(from) {
        return Ok(false);
    }
    for event in &events {
        ingest::insert(&txn, event).await?;
    }
    let text = "UPDATE watch SET told_to = $1";
    txn.execute_raw(Statement::from_sql_and_values(txn.get_database_backend(), text, [to.into()])).await?;
    txn.commit().await?;
    Ok(to < until)
}

/// The notices that a subscription wants.
async fn wanted(db: &Database, failed: &BTreeMap<Of, Vec<Failed>>, now: i64) -> Result<Vec<NewEvent>, DbErr> {
    let mut events = Vec::new();
    let mut rules = None;
    for ((tenant, id), failed) in failed {
        let of_tenant = match rules.take().filter(|(of, _)| of == tenant) {
            Some((_, known)) => known,
            None => subscription::rules(&db.read, *tenant).await?,
        };
        let (_, rules) = rules.insert((*tenant, of_tenant));
        let Some(row) = destination::find(&db.read, *tenant, *id).await? else { continue };
        let notice = Notice::failed(&row, failed.len(), &failed[..failed.len().min(NAMED)]);
        events.push(operational::event(&notice, rules, now));
    }
    events.retain(|event| !event.deliveries.is_empty());
    Ok(events)
}

/// Whether a look is worth a transaction. The first one is, since from then on it is told.
async fn is_any_failed(db: &Database, until: i64) -> Result<bool, DbErr> {
    let text = format!(
        "SELECT 1 FROM watch WHERE told_to = 0
        OR EXISTS (SELECT 1 FROM delivery WHERE state = {} AND finished_at > watch.told_to AND finished_at <= $1)",
        State::Failed.number()
    );
    let statement = Statement::from_sql_and_values(db.read.get_database_backend(), text, [until.into()]);
    Ok(db.read.query_one_raw(statement).await?.is_some())
}

/// Up to when it was told; None while another process tells.
async fn told_to(db: &impl ConnectionTrait, hold: &str) -> Result<Option<i64>, DbErr> {
    let text = format!("SELECT told_to FROM watch {hold}");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), text)).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

type Of = (TenantId, DestinationId);

/// The deliveries that ended so in this time, the oldest of them if they are many, and up to when they are. Those that tell
/// of something themselves are left out, or two destinations that fail would tell each other for ever; so are tests.
async fn failed_between(db: &impl ConnectionTrait, from: i64, until: i64) -> Result<(Vec<(Of, Failed)>, i64), DbErr> {
    let text = format!(
        "SELECT r.tenant_id, r.destination_id, r.id, r.event_id, e.event_type, r.reason, r.last_status, r.finished_at,
            e.source_id IS NULL OR e.source_id = r.tenant_id
        FROM (SELECT * FROM delivery WHERE state = {} AND finished_at > $1 AND finished_at <= $2
            ORDER BY finished_at LIMIT {}) r
        LEFT JOIN event e ON e.tenant_id = r.tenant_id AND e.id = r.event_id ORDER BY r.finished_at",
        State::Failed.number(),
        AT_A_TIME + 1
    );
    let values: [Value; 2] = [from.into(), until.into()];
    let mut rows = db.query_all_raw(Statement::from_sql_and_values(db.get_database_backend(), text, values)).await?;
    let mut to = until;
    if rows.len() > AT_A_TIME {
        // Up to a whole millisecond, and at least one.
        let at = |row: &QueryResult| row.try_get_by_index::<i64>(7);
        let last = at(&rows[AT_A_TIME])?;
        to = if at(&rows[0])? == last { last } else { last - 1 };
        rows.retain(|row| at(row).is_ok_and(|at| at <= to));
    }
    let read = |row: &QueryResult| {
        let failed = Failed {
            delivery: row.try_get_by_index::<Uuid>(2)?.into(),
            event: row.try_get_by_index::<Uuid>(3)?.into(),
            event_type: row.try_get_by_index(4)?,
            reason: row.try_get_by_index(5)?,
            last_status: row.try_get_by_index(6)?,
        };
        let of = (row.try_get_by_index::<Uuid>(0)?.into(), row.try_get_by_index::<Uuid>(1)?.into());
        Ok((row.try_get_by_index::<Option<bool>>(8)?.unwrap_or(true), (of, failed)))
    };
    let read = rows.iter().map(read).collect::<Result<Vec<_>, DbErr>>()?;
    Ok((read.into_iter().filter(|(is_ours, _)| !is_ours).map(|(_, failed)| failed).collect(), to))
}

//! What is kept of it all: copies that are taken, and what is forgotten, while events come and go.

use std::collections::HashSet;
use std::time::Duration;

use entity::delivery::State;
use harness::{Database, Kind, Relay, within};

use crate::checker::{Findings, ids, rows};
use crate::experiment::Context;
use crate::server::{dump, restore};
use crate::stage::{LEASE_AND_MORE, RATE, Stage, plan};

/// A copy that is taken under load holds everything that was accepted before it was begun, whole, and a relay that starts on
/// it brings what waits there to its end.
pub(super) async fn back_up(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::set(plan(context.kind).await).await;
    // Some of it waits for another try at any time.
    stage.sink.fail_one_in(4);
    stage.load(RATE).await;
    stage.accepts(context.rounds(3_000, 200)).await;
    stage.count_fault();
    let before = accepted(&stage);
    let copy = copy_of(&stage.relay.database).await;
    stage.accepts(50).await;
    stage.sink.fail_one_in(0);
    stage.recovers().await;
    let mut findings = stage.settle().await?;

    let there = everything(&copy).await?;
    let missing = before.difference(&there).count();
    if missing > 0 {
        findings.broken.push(format!("{missing} of {} deliveries are not in the copy", before.len()));
    }
    stage.relay.kill();
    let restored = Relay::plan(copy).setting("HOOKYARD_LOG", "warn").start().await;
    restored.clock.advance(LEASE_AND_MORE);
    within(Duration::from_secs(120), "the copy to be worked off", async || {
        (restored.database.number("SELECT count(*) FROM pending").await == 0).then_some(())
    })
    .await;
    let delivered = format!("SELECT count(*) FROM delivery WHERE state = {}", State::Delivered.number());
    let ended = restored.database.number(&delivered).await;
    if usize::try_from(ended).unwrap() != there.len() {
        findings.broken.push(format!("of {} deliveries in the copy {ended} were delivered", there.len()));
    }
    restored.kill();
    Ok(findings)
}

/// All that was accepted so far, and where it belongs.
fn accepted(stage: &Stage) -> HashSet<(String, String)> {
    let belongs = |entry| stage.belongs(&entry);
    let all = stage.ledger.entries().into_iter().filter_map(belongs);
    all.flat_map(|(event, places)| places.into_iter().map(move |place| (event.clone(), place))).collect()
}

/// Deliveries of events that have their bodies, whatever became of them.
async fn everything(database: &Database) -> Result<HashSet<(String, String)>, String> {
    let mut all = HashSet::new();
    for table in ["pending", "delivery"] {
        let sql = format!(
            "SELECT d.event_id, d.destination_id FROM {table} d
            JOIN event e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
            JOIN payload p ON p.tenant_id = d.tenant_id AND p.event_id = d.event_id"
        );
        all.extend(rows(database, &sql).await?.iter().map(ids));
    }
    Ok(all)
}

/// As docs/operations/backup.md does it.
async fn copy_of(database: &Database) -> Database {
    let copy = Database::create(database.kind()).await;
    match database.kind() {
        Kind::Sqlite => {
            let file = copy.url().trim_start_matches("sqlite://").to_owned();
            database.execute(&format!("VACUUM INTO '{file}'")).await;
        }
        Kind::Postgres => {
            let file = copy.directory().join("dump");
            let (from, to, file) = (database.url(), copy.url(), file.as_path());
            tokio::task::block_in_place(|| {
                dump(&from, file);
                restore(file, &to);
            });
        }
    }
    copy
}

const KEPT: Duration = Duration::from_hours(3 * 24);
/// A day, and an hour for whatever is late.
const STEP: Duration = Duration::from_hours(25);

/// Days pass, and what is older than three of them is forgotten, while as much is sent as otherwise: nothing that is
/// younger goes, and nothing that is still to be delivered.
pub(super) async fn forget(context: Context) -> Result<Findings, String> {
    let plan = plan(context.kind).await;
    let plan = plan.setting("HOOKYARD_RETENTION_PAYLOAD", "3d").setting("HOOKYARD_RETENTION_METADATA", "3d");
    let mut stage = Stage::set(plan).await;
    // Not so many that a line, which each of them holds up for a second, falls behind.
    stage.sink.fail_one_in(40);
    stage.load(RATE).await;
    stage.keeps(KEPT);
    for round in 0..context.rounds(14, 6) {
        stage.goes_on(round).await;
        // Nothing waits for so long that it would rightly expire.
        let waiting = "SELECT count(*) FROM pending p JOIN event e ON e.tenant_id = p.tenant_id AND e.id = p.event_id";
        let waiting = format!("{waiting} WHERE e.received_at < {}", ago(&stage, STEP / 2));
        is_none(&stage, &waiting, "what came before the last day to be delivered").await;
        stage.count_fault();
        stage.pass(STEP).await;
        stage.recovers().await;
        // PostgreSQL drops whole days.
        let old = format!("SELECT count(*) FROM event WHERE received_at < {}", ago(&stage, KEPT + STEP));
        is_none(&stage, &old, "old events to be forgotten").await;
    }
    stage.sink.fail_one_in(0);
    let findings = stage.settle().await?;
    let kept = stage.relay.database.number("SELECT count(*) FROM event").await;
    let accepted = i64::try_from(findings.accepted).unwrap();
    if kept < accepted { Ok(findings) } else { Err(format!("all of {accepted} events are there, after many days")) }
}

/// In milliseconds since 1970.
fn ago(stage: &Stage, time: Duration) -> i64 {
    stage.relay.clock.now_ms() - i64::try_from(time.as_millis()).unwrap()
}

async fn is_none(stage: &Stage, count: &str, what: &str) {
    within(Duration::from_secs(60), what, async || (stage.relay.database.number(count).await == 0).then_some(())).await;
}

//! Clocks that jump.

use std::time::Duration;

use harness::program::{Program, words};
use harness::relay::settings_of;

use crate::checker::Findings;
use crate::experiment::Context;
use crate::stage::{RATE, Stage, plan};

/// An hour and a day pass at once, for database and processes alike, as after a machine was suspended: leases end, retries
/// are due, and nothing expires that was not to.
pub(super) async fn jumps(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::set(plan(context.kind).await).await;
    stage.sink.fail_one_in(10);
    stage.load(RATE).await;
    for hours in [1, 24, 1, 24].into_iter().take(context.rounds(4, 2)) {
        stage.count_fault();
        stage.pass(Duration::from_secs(hours * 3_600)).await;
        stage.recovers().await;
    }
    stage.sink.fail_one_in(0);
    stage.settle().await
}

/// What two machines' clocks may be apart from the database's and each other; a little less than is refused.
const APART_MS: i64 = 4_000;

/// One worker's machine is ahead of the database's clock and the other's behind it: leases and due times are the database's, so
/// nobody takes what is another's, and nobody waits or writes by a clock of his own. Who is further off does not start.
pub(super) async fn two(context: Context) -> Result<Findings, String> {
    let plan = plan(context.kind).await.workers(2);
    let plan =
        plan.setting_of_worker(0, SKEW, APART_MS.to_string()).setting_of_worker(1, SKEW, (-APART_MS).to_string());
    let mut stage = Stage::set(plan).await;
    stage.sink.fail_one_in(10);
    stage.load(RATE).await;
    stage.count_fault();
    stage.accepts(context.rounds(5_000, 1_000)).await;
    stage.sink.fail_one_in(0);
    stage.recovers().await;
    let lost = stage.relay.counted("hookyard_leases_lost_total").await;
    let last = stage.relay.database.number("SELECT max(attempted_at) FROM delivery").await;
    let now = stage.relay.clock.now_ms();
    let findings = stage.settle().await?;
    let first = stage
        .relay
        .database
        .number("SELECT min(d.attempted_at - e.received_at) FROM delivery d JOIN event e ON e.id = d.event_id")
        .await;
    if lost > 0 || last > now + APART_MS / 2 || first < -APART_MS / 2 {
        return Err(format!(
            "{lost} leases were lost, the last attempt is of {last}, and one began {first} ms after its event"
        ));
    }
    let mut settings = settings_of(Program::Worker, &stage.relay.database, &stage.relay.clock);
    settings.insert(SKEW, (2 * APART_MS).to_string());
    let output = Program::Worker.run(&[], &settings, &stage.relay.database.directory()).await;
    if output.status.success() || !words(&output).contains("clock") {
        return Err(format!("8 s off it ended with {} and said:\n{}", output.status, words(&output)));
    }
    Ok(findings)
}

const SKEW: &str = "HOOKYARD_TEST_SKEW_MS";

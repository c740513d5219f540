//! Clocks that jump.

use std::time::Duration;

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
        stage.allow_what_is_unwritten().await;
        stage.relay.clock.advance(Duration::from_secs(hours * 3_600));
        stage.recovers().await;
    }
    stage.sink.fail_one_in(0);
    stage.settle().await
}

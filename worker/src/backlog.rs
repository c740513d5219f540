//! How much waits in the database: counted now and then, beside everything else.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entity::Database;
use entity::pending::{self, Backlog};
use metrics::Unit;
use relay::clock::Clock;
use relay::numbers;
use tokio_util::sync::CancellationToken;

use crate::lease::Leases;

/// As often as many a Prometheus asks; but while there is much to count, for no more than a fiftieth of the time.
const COUNT_EVERY: Duration = Duration::from_secs(15);
const PAUSE: u32 = 50;

/// Counts what waits in the shards that are held, until `stop`.
pub(crate) async fn count(db: Database, clock: Clock, leases: Arc<Leases>, stop: CancellationToken) {
    let [due, later, parked] = numbers::gauges(
        "hookyard_backlog",
        Unit::Count,
        "Unfinished deliveries of this worker's shards, by what they wait for; each is counted up to 100000",
        ("state", ["due", "later", "parked"]),
    );
    let set = |backlog: Backlog| {
        for (gauge, rows) in [(&due, backlog.due), (&later, backlog.later), (&parked, backlog.parked)] {
            gauge.set(i32::try_from(rows).unwrap_or(i32::MAX));
        }
    };
    while !stop.is_cancelled() {
        let began = Instant::now();
        let shards: Vec<i16> = leases.held().iter().map(|lease| lease.shard).collect();
        match stop.run_until_cancelled(pending::backlog(&db, &shards, clock.now())).await {
            Some(Ok(backlog)) => set(backlog),
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the backlog was not counted");
            }
            None => {}
        }
        let pause = COUNT_EVERY.max(began.elapsed() * PAUSE);
        stop.run_until_cancelled(tokio::time::sleep(pause)).await;
    }
    set(Backlog::default());
}

//! Hears PostgreSQL's wake-ups from other processes. A lost one costs latency only: the owner also looks by itself.

use std::time::Duration;

use entity::Database;
use entity::pending::Listener;
use entity::wake::Wake;
use tokio_util::sync::CancellationToken;

/// After a lost connection; meanwhile the owner's own looks do.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Rings the bell for every wake-up, until `stop`.
pub(crate) async fn listen(db: Database, wake: Wake, stop: CancellationToken) {
    if db.is_sqlite() {
        return;
    }
    loop {
        let heard = async {
            let mut listener = Listener::open(&db).await?;
            loop {
                listener.heard().await?;
                wake.ring();
            }
        };
        let lost: Result<(), entity::DbErr> = tokio::select! {
            () = stop.cancelled() => return,
            lost = heard => lost,
        };
        if let Err(error) = lost {
            tracing::warn!(error = &error as &dyn std::error::Error, "wake-ups are not heard; looking by polling");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(AGAIN_AFTER) => {}
        }
    }
}

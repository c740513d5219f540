//! Hears what other processes say over PostgreSQL. A lost word costs latency only: the owner and the keeper of the leases also
//! look by themselves.

use std::sync::Arc;
use std::time::Duration;

use entity::Database;
use entity::wake::{Listener, Wake, Word};
use tokio_util::sync::CancellationToken;

use crate::lease::Leases;

/// After a lost connection; meanwhile the owner's own looks do.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Rings the bell for every wake-up, and has free shards looked for, until `stop`.
pub(crate) async fn listen(db: Database, wake: Wake, leases: Arc<Leases>, stop: CancellationToken) {
    if db.is_sqlite() {
        return;
    }
    loop {
        let heard = async {
            let mut listener = Listener::open(&db).await?;
            // What was said before nobody heard.
            hear(None, &wake, &leases);
            loop {
                hear(listener.heard().await?, &wake, &leases);
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

/// A word, or none where words may have been lost.
fn hear(word: Option<Word>, wake: &Wake, leases: &Leases) {
    match word {
        Some(Word::Due) => wake.ring(),
        Some(Word::Freed) => leases.freed.notify_one(),
        None => {
            wake.ring();
            leases.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use relay::clock::Clock;

    use super::*;

    #[test]
    fn each_hears_what_is_meant_for_it() {
        let (wake, leases) = (Wake::default(), Leases::new(Clock::start()));
        let heard = |word| {
            hear(word, &wake, &leases);
            (wake.rung().now_or_never(), leases.freed.notified().now_or_never())
        };
        assert_eq!(heard(Some(Word::Due)), (Some(()), None));
        assert_eq!(heard(Some(Word::Freed)), (None, Some(())));
        assert_eq!(heard(None), (Some(()), Some(())), "whatever was said meanwhile");
    }
}

//! Whether a process is ready: asked by whoever shares out requests, and by ourselves now and then, so that a metric and
//! the log say it too.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use metrics::Unit;
use tokio_util::sync::CancellationToken;

use crate::numbers;

/// Says why the process is not ready, if it is not.
pub type Ready = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Whoever asks has an answer within this time, whatever the database does.
const WITHIN: Duration = Duration::from_secs(5);
/// How often we ask ourselves.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// Why the process is not ready, if it is not.
pub(super) async fn ask(ready: &Ready) -> Result<(), String> {
    let late = |_| Err(format!("the database did not answer within {} s", WITHIN.as_secs()));
    tokio::time::timeout(WITHIN, ready()).await.unwrap_or_else(late)
}

/// Says in `hookyard_ready`, and in the log where it changes, what is answered at `/readyz`.
pub(super) async fn watch(ready: Ready, stop: CancellationToken) {
    let gauge = numbers::gauge("hookyard_ready", Unit::Count, "1 while the process can do its work, 0 while it cannot");
    let mut was_ready = true;
    while !stop.is_cancelled() {
        let answer = ask(&ready).await;
        gauge.set(if answer.is_ok() { 1.0 } else { 0.0 });
        match &answer {
            Err(why) if was_ready => tracing::warn!(why, "not ready"),
            Ok(()) if !was_ready => tracing::info!("ready again"),
            _ => {}
        }
        was_ready = answer.is_ok();
        stop.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await;
    }
}

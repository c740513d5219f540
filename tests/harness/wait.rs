//! Waiting for the thing itself, never for time.

use std::time::{Duration, Instant};

/// How long a scenario waits for what should take milliseconds: only a failing one gets there.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How soon a change of configuration must hold everywhere: the product's second, and half a one for a busy machine.
pub const HOLDS_WITHIN: Duration = Duration::from_millis(1_500);

const STEP: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
pub async fn eventually<T>(what: &str, check: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, check).await
}

/// Asks until there is an answer; not to have one after `limit` is a failure.
pub async fn within<T>(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        let asked = Instant::now();
        if let Some(found) = check().await {
            return found;
        }
        assert!(asked < deadline, "after {limit:?} still waiting for: {what}");
        tokio::time::sleep(STEP).await;
    }
}

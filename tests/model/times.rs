//! How long things take, in milliseconds: about a tenth of the real times, so that much happens in a short run.

pub(crate) const LEASE: i64 = 1_500;
pub(crate) const RENEW_EVERY: i64 = 500;
/// Sending ends so long before the lease.
pub(crate) const MARGIN: i64 = 100;
/// How often a worker looks for free shards.
pub(crate) const LOOK_EVERY: i64 = 100;
/// How often a worker looks around if nothing else wakes it.
pub(crate) const TICK: i64 = 25;
pub(crate) const LOAD_EVERY: i64 = 50;
/// A load begins so long before its cursor.
pub(crate) const OVERLAP: i64 = 5;
/// How often all that is due is read.
pub(crate) const SWEEP_EVERY: i64 = 600;
/// Rule D: how often parked rows are looked for.
pub(crate) const DISCOVER_EVERY: i64 = 1_000;
pub(crate) const POLL_EVERY: i64 = 25;
/// Rule C: how old the last look at the changes may be.
pub(crate) const FRESH: i64 = 100;
/// How long a world is restless, and how long it may take to end everything after that.
pub(crate) const RESTLESS: i64 = 5_000;
pub(crate) const CALM: i64 = 60_000;

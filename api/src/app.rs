//! What every request of this process shares.

use std::sync::Arc;

use entity::Database;
use entity::configuration::Configuration;
use entity::payload_key::PayloadKeys;
use entity::wake::Wake;
use relay::clock::Clock;
use relay::egress::Guard;
use relay::id::TenantId;
use relay::keyring::Keyring;
use relay::password::Verifier;
use relay::quota::Quotas;
use relay::retention::Retention;
use relay::trace::Tracer;
use tokio::sync::Semaphore;

use crate::oauth::Tokens;
use crate::replaying::Bell;
use crate::resources::tail::Tails;
use crate::turns::Turns;

/// Cheap to clone; all clones are one process's state.
#[derive(Debug, Clone)]
pub struct App {
    pub db: Database,
    /// Cached configuration; what it says is at most 1 s old.
    pub configuration: Arc<Configuration>,
    /// Seals and opens secrets at rest.
    pub keyring: Arc<Keyring>,
    /// Seal and open what is kept of events.
    pub payload_keys: PayloadKeys,
    /// Says which destinations may be reached.
    pub guard: Arc<Guard>,
    /// Checks what providers and people present.
    pub passwords: Arc<Verifier>,
    /// Access tokens that were seen.
    pub tokens: Tokens,
    /// How many tests of destinations a tenant may make.
    pub tests: Quotas<TenantId>,
    /// How many explanations a tenant may ask for; and one is made at a time, since it may be much work.
    pub explanations: Quotas<TenantId>,
    pub explaining: Arc<Semaphore>,
    /// Rings when there is a new replay of many.
    pub replays: Bell,
    /// How long what comes is kept, unless a tenant keeps less.
    pub retention: Retention,
    /// Searches of each tenant.
    pub turns: Turns,
    /// Statistics are added up for one caller at a time; and of each tenant few wait for it.
    pub adding: Arc<Semaphore>,
    pub sums: Turns,
    /// Those who watch.
    pub tails: Tails,
    pub clock: Clock,
    /// Rings when something that is due was committed.
    pub wake: Wake,
    /// Hears of each webhook.
    pub tracer: Tracer,
    /// `HOOKYARD_PUBLIC_URL`, without a slash at its end.
    pub public_url: Arc<str>,
    /// SHA-256 of `HOOKYARD_OPERATOR_KEY`, where it was given: a key that no table holds.
    pub operator_key: Option<[u8; 32]>,
}

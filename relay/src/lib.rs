//! The rules of the trade: what the api and the worker both know. No database, no server.

pub mod clock;
pub mod egress;
pub mod event_type;
pub mod failpoint;
pub mod filter;
pub mod handshake;
pub mod header;
pub mod id;
pub mod inbound;
pub mod json;
pub mod keyring;
pub mod numbers;
pub mod operations;
pub mod order;
pub mod passed_on;
pub mod password;
pub mod place;
pub mod preset;
pub mod process;
#[cfg(test)]
mod property;
pub mod quota;
pub mod random;
pub mod retention;
pub mod retry;
pub mod secret;
pub mod settings;
pub mod signature;
pub mod stored;
pub mod telemetry;
pub mod trace;
pub mod verification;

/// An event is some hundred small allocations on several threads, which the machine's own allocator makes a sixth of its
/// cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

//! Scenarios by the front door: HTTP in, recorded requests out, on both databases.

#![expect(clippy::unwrap_used, reason = "what fails in a scenario has to fail the test")]

mod access;
mod bad_input;
mod bytes;
mod cancel;
mod changes;
mod commit;
mod contract;
mod demo;
mod destination;
mod duplicates;
mod fan_out;
mod idempotency;
mod isolation;
mod limits;
mod outage;
mod outcomes;
mod pages;
mod parked;
mod poison;
mod preconditions;
mod programs;
mod readme;
mod retries;
mod settings;
mod shutdown;
mod takeover;
mod workers;

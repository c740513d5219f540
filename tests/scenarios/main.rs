//! Scenarios by the front door: HTTP in, recorded requests out, on both databases.

#![expect(clippy::disallowed_methods, reason = "the outside world does not go out through the relay's egress")]
#![expect(clippy::unwrap_used, reason = "what fails in a scenario has to fail the test")]

mod access;
mod bad_input;
mod bytes;
mod cancel;
mod changes;
mod client_address;
mod client_libraries;
mod commit;
mod contract;
mod credentials;
mod demo;
mod destination;
mod destination_auth;
mod destination_settings;
mod destination_states;
mod destination_tests;
mod documents;
mod duplicates;
mod explain;
mod fan_out;
mod filters;
mod forwarded;
mod front_door;
mod handshakes;
mod idempotency;
mod isolation;
mod limits;
mod listener;
mod loops;
mod mutual_tls;
mod oauth;
mod order;
mod origin;
mod outage;
mod outcomes;
mod pace;
mod pages;
mod parked;
mod poison;
mod preconditions;
mod programs;
mod readme;
mod retries;
mod sealing_keys;
mod settings;
mod shutdown;
mod signing;
mod simulate;
mod takeover;
mod tls;
mod vectors;
mod workers;
mod zoo;

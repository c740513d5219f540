//! What the scenarios stand on: the real programs, real receivers, a clock that can be moved, and a database each.

#![expect(clippy::disallowed_methods, reason = "the outside world does not go out through the relay's egress")]
#![expect(clippy::unwrap_used, reason = "what fails in a harness has to fail the test")]

pub mod answer;
pub mod authority;
pub mod authorization_server;
pub mod bash;
pub mod beast;
pub mod certificate;
pub mod client;
pub mod clock;
pub mod collector;
pub mod database;
pub mod forward_proxy;
pub mod interop;
pub mod metrics;
pub mod ondato;
pub mod operator;
pub mod page;
pub mod port;
pub mod process;
pub mod program;
pub mod proxy_header;
pub mod raw;
pub mod receiver;
pub mod reference_library;
pub mod relay;
pub mod reply;
pub mod scenario;
pub mod signature;
pub mod source;
pub mod system;
pub mod tail;
pub mod tenant;
pub mod wait;
pub mod wire;

pub use answer::Answer;
pub use authority::Authority;
pub use authorization_server::AuthorizationServer;
pub use beast::{Beast, Visit};
pub use client::Client;
pub use collector::Collector;
pub use database::{Database, Kind};
pub use forward_proxy::ForwardProxy;
pub use metrics::Metrics;
pub use operator::Operator;
pub use process::Process;
pub use program::Program;
pub use receiver::Receiver;
pub use relay::{Relay, Route};
pub use reply::Reply;
pub use serde_json::{Value, json};
pub use source::Source;
pub use tail::Tail;
pub use tenant::{Destination, Tenant};
pub use wait::{eventually, within};

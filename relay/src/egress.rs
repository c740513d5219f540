//! The way out: the only HTTP client of the house, and the guard that every request of it passes.
//!
//! A destination's URL is a stranger's wish. It is judged as text when it is saved and again at each attempt
//! ([`Guard::check_url`]); a literal address in it is judged there and then. A name is looked up once an attempt, by our
//! own resolver, which refuses the whole answer if one address in it is forbidden; the client dials only what that
//! answer held, so there is no second look-up to be fooled by. No redirect is followed and no proxy of the environment
//! is used; where the operator names a proxy, it looks names up and every connection is a tunnel through it.

mod address;
mod apart;
mod body;
#[cfg(test)]
mod cases;
mod client;
mod clients;
mod fetch;
mod guard;
mod operator;
mod proxy;
mod resolver;
mod response;
mod settings;
mod tls;
mod warm;

pub use address::{Range, forbidden_range};
pub use client::{Egress, EgressError, Outgoing, SendError, begin_counting};
pub use fetch::{FetchError, Fetched};
pub use guard::{Guard, OwnAddress, Refusal};
pub use operator::Operator;
pub use resolver::{LookingUp, Lookup, LookupError, SystemLookup};
pub use response::Response;
pub use settings::EgressSettings;
pub use tls::{ClientTls, TlsError, system_roots};
/// A URL that passed [`Guard::check_url`].
pub use url::Url;

//! The resources of the admin API, one file each: what is sent and received, then the handlers.

use poem_openapi::types::MaybeUndefined;
use poem_openapi::{OpenApiService, Tags};

use crate::error::Error;

mod allowance;
pub mod api_keys;
pub mod audit_log;
pub mod credentials;
pub mod deliveries;
pub mod destinations;
pub mod egress_addresses;
pub mod events;
pub mod keyed;
pub mod providers;
pub mod replays;
pub mod request_ids;
pub mod sources;
pub mod stats;
pub mod subscriptions;
pub mod tail;
pub mod tenants;

/// All of them. The methods of one path stand in one implementation, or the document would lose some.
pub type Apis = (
    tenants::Api,
    api_keys::Api,
    providers::Api,
    sources::Api,
    credentials::Api,
    destinations::Api,
    egress_addresses::Api,
    subscriptions::Api,
    request_ids::Api,
    events::Api,
    deliveries::Api,
    replays::Api,
    audit_log::Api,
    tail::Api,
    stats::Api,
);

/// How the document groups operations.
#[derive(Tags)]
#[oai(rename_all = "kebab-case")]
pub enum Tag {
    /// Customers of this relay; each owns all that is below it.
    Tenants,
    /// What proves a caller to this API.
    ApiKeys,
    /// Known senders of webhooks.
    Providers,
    /// Inbound URLs, one for each provider account, and what requests must present there.
    Sources,
    /// Where events are sent.
    Destinations,
    /// Which events go where.
    Subscriptions,
    /// What was received.
    Events,
    /// Events on their way to destinations.
    Deliveries,
    /// Many events or deliveries that are sent again.
    Replays,
    /// Who changed what.
    AuditLog,
    /// What happens, as it happens.
    Tail,
    /// How much there was, and how it went.
    Stats,
}

/// What holds of all operations, in Markdown.
const DESCRIPTION: &str = "Set up where webhooks come from and where they go, and see what became of each.

- Errors are problem details (RFC 9457), with one entry in `errors` for each thing that is wrong, and where.
- Every answer has a `Request-Id`, which is in the audit log and the operator's log as well.
- A POST with an `Idempotency-Key` is done once, however often it is sent within 24 hours.
- What was read with an `ETag` can be changed with `If-Match`, so that nobody's change is overwritten.
- Lists are read page by page with `cursor`; what comes meanwhile moves nothing.
- A field or parameter that is not described is refused, never ignored. No text may hold the character U+0000.";

/// All handlers, ready to be routed and described.
#[must_use]
pub fn service() -> OpenApiService<Apis, ()> {
    let apis = (
        tenants::Api,
        api_keys::Api,
        providers::Api,
        sources::Api,
        credentials::Api,
        destinations::Api,
        egress_addresses::Api,
        subscriptions::Api,
        request_ids::Api,
        events::Api,
        deliveries::Api,
        replays::Api,
        audit_log::Api,
        tail::Api,
        stats::Api,
    );
    OpenApiService::new(apis, "Hookyard", env!("CARGO_PKG_VERSION")).description(DESCRIPTION).url_prefix("/v1")
}

/// The pointers of what most things have.
const NAME: &str = "/name";
const KEY: &str = "/key";

/// Writes what a PATCH names. What every such thing must have cannot be cleared.
fn set<T>(field: &mut T, patch: MaybeUndefined<T>, pointer: &str) -> Result<(), Error> {
    match patch {
        MaybeUndefined::Value(value) => *field = value,
        MaybeUndefined::Null => return Err(Error::field(pointer, "cannot be cleared")),
        MaybeUndefined::Undefined => {}
    }
    Ok(())
}

/// Writes what a PATCH names; null brings back what is so unless said otherwise.
fn set_or<T>(field: &mut T, patch: MaybeUndefined<T>, usual: T) {
    match patch {
        MaybeUndefined::Value(value) => *field = value,
        MaybeUndefined::Null => *field = usual,
        MaybeUndefined::Undefined => {}
    }
}

/// What was said, null among it.
fn told<T>(field: MaybeUndefined<T>) -> Option<Option<T>> {
    match field {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// What was said, or else null.
fn or_null<T>(field: MaybeUndefined<T>) -> MaybeUndefined<T> {
    match field {
        MaybeUndefined::Undefined => MaybeUndefined::Null,
        said => said,
    }
}

/// A user name of basic authentication (RFC 7617): the first colon ends it, and headers hold no control characters.
fn check_username(username: &str, pointer: &str) -> Result<(), Error> {
    let is_fit = !username.contains(':') && !username.chars().any(char::is_control);
    if is_fit { Ok(()) } else { Err(Error::field(pointer, "must not contain a colon or a control character")) }
}

/// Headers as rows keep them.
fn headers(column: &str) -> Result<Vec<Vec<String>>, Error> {
    serde_json::from_str(column).map_err(|error| Error::Fault(error.into()))
}

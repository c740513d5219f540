//! A query where none is read: a filter that is misspelt must not look as if it had been applied.

use poem::Request;
use serde_json::Value;

use crate::auth::Identity;
use crate::document;
use crate::error::{Error, Place, Trouble};

/// Refuses parameters of an operation that has none. Those of others are held against their schema
/// ([`Search`](crate::input::Search)), and whoever is not known hears that first.
pub(super) fn check(request: &Request, identity: &Identity) -> Result<(), Error> {
    let query = request.uri().query().unwrap_or_default();
    let Some(operation) = document::operation(request.method(), request.uri().path()) else { return Ok(()) };
    if query.is_empty() || takes_a_query(operation) || !identity.is_known() && needs_a_key(operation) {
        return Ok(());
    }
    let names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name.into_owned());
    let trouble = |name| Trouble::at(Place::Query, name, "is unknown here: this operation takes no parameters");
    Err(Error::Invalid(names.map(trouble).collect()))
}

fn takes_a_query(operation: &Value) -> bool {
    operation["parameters"].as_array().is_some_and(|parameters| parameters.iter().any(|it| it["in"] == "query"))
}

fn needs_a_key(operation: &Value) -> bool {
    operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty())
}

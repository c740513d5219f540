//! Where a request comes from, and whether its source expects it from there.

use std::net::IpAddr;

use entity::source::{Configured, Mode};
use poem::Request;

use super::refusal::Refusal;

/// The client's address, as the listener knows it: behind a trusted proxy not the proxy's.
pub(super) fn of(request: &Request) -> Option<IpAddr> {
    request.remote_addr().as_socket_addr().map(|address| address.ip().to_canonical())
}

/// Refuses what comes from an address that is not on an enforced list.
pub(super) fn check(source: &Configured, request: &Request) -> Result<(), Refusal> {
    let is_enforced = source.settings.ip_allowlist.as_ref().is_some_and(|list| list.mode == Mode::Enforce);
    if is_enforced && is_strange(source, request) { Err(Refusal::Address) } else { Ok(()) }
}

/// Whether the source has a list and the address is not on it.
pub(super) fn is_strange(source: &Configured, request: &Request) -> bool {
    let list = source.settings.ip_allowlist.as_ref();
    list.is_some_and(|list| !of(request).is_some_and(|address| list.lists(address)))
}

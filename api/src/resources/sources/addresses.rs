//! An allow-list is enforced only where the addresses that are seen are the senders' own.

use std::net::IpAddr;

use entity::search::Range;
use entity::source::Mode;
use entity::{event, source};
use relay::egress::forbidden_range;

use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Mutation;

/// How many of the source's newest events are looked through for one that came from somewhere.
const LOOK: u64 = 200;

/// Refuses to enforce while requests seem to come from a private address that is not listed: then a proxy stands in front
/// whose word is not taken, and every request would be refused.
pub(super) async fn check(access: &Access, change: &Mutation<'_>, row: &source::Model) -> Result<(), Error> {
    let settings = row.settings()?;
    let Some(list) = settings.ip_allowlist.filter(|list| list.mode == Mode::Enforce) else { return Ok(()) };
    let of_it = event::Filter {
        marks: event::Marks { source_id: Some(row.id()), ..event::Marks::default() },
        ..event::Filter::default()
    };
    let newest = event::search(&change.txn, access.id(), &of_it, &Range::newest(None, LOOK)).await?.rows;
    // What was simulated came from nowhere.
    let seen: Option<IpAddr> = newest.iter().find_map(|event| event.remote_address.as_ref()?.parse().ok());
    match seen.or(access.caller.facts.remote_address) {
        Some(address) if forbidden_range(address).is_some() && !list.lists(address) => {
            let detail = format!(
                "cannot be `enforce` while requests reach the relay from {address}, which is no public address: name the proxy in front in HOOKYARD_TRUSTED_PROXIES, or list the address"
            );
            Err(Error::field("/ip_allowlist/mode", detail))
        }
        _ => Ok(()),
    }
}

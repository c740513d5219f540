//! An allow-list is enforced only where the addresses that are seen are the senders' own.

use std::net::IpAddr;

use entity::source::Mode;
use entity::{event, source};
use relay::egress::forbidden_range;

use crate::auth::Access;
use crate::error::Error;
use crate::mutation::Mutation;

/// How many of the tenant's newest events are looked through for one of the source.
const LOOK: u64 = 200;

/// Refuses to enforce while requests seem to come from a private address that is not listed: then a proxy stands in front
/// whose word is not taken, and every request would be refused.
pub(super) async fn check(access: &Access, change: &Mutation<'_>, row: &source::Model) -> Result<(), Error> {
    let settings = row.settings()?;
    let Some(list) = settings.ip_allowlist.filter(|list| list.mode == Mode::Enforce) else { return Ok(()) };
    let newest = event::page(&change.txn, access.id(), event::Filter::default(), None, LOOK).await?;
    // What was simulated came from nowhere.
    let mut of_source = newest.iter().filter(|event| event.source_id == Some(row.id));
    let seen: Option<IpAddr> = of_source.find_map(|event| event.remote_address.as_ref()?.parse().ok());
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

//! The finer type of providers that say what happened in one place and to what in another.

use super::Extracted;
use super::extract::storable;
use crate::inbound::Inbound;
use crate::json;

/// `{event type}.{what stands at this pointer}`, if both are there.
pub(super) fn derived_type(inbound: &Inbound<'_>, extracted: &Extracted, pointer: &str) -> Option<String> {
    let finer = json::read(inbound.body, &[pointer]).pop()??;
    storable(format!("{}.{finer}", extracted.event_type.as_deref()?))
}

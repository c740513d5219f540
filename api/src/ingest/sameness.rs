//! What of an event is kept to tell its repeats, and what is kept beside it.

use std::collections::BTreeMap;

use entity::dedupe::Key;
use entity::source::Configured;
use relay::preset::{DedupeBy, Extracted};

/// The key under which a repeat of this event is known, if its source wants to know.
pub(super) fn key(source: &Configured, said: &Extracted, body: &[u8], now: i64) -> Option<Key> {
    let dedupe = source.settings.dedupe.unwrap_or(source.preset().dedupe);
    let same = match dedupe.by {
        DedupeBy::ExternalId => said.external_id.as_ref()?.as_bytes(),
        DedupeBy::Body => body,
        DedupeBy::None => return None,
    };
    Some(Key::of(same, now + 1000 * i64::from(dedupe.window_s)))
}

/// The column's form of the attributes.
pub(super) fn attributes(said: &Extracted) -> String {
    let by_name: BTreeMap<&str, &str> =
        said.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    serde_json::to_string(&by_name).expect("texts are JSON")
}

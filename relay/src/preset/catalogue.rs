//! Writing down many event types.

use super::EventType;

/// Event types by name and description, without samples of their own.
pub(super) const fn catalogue<const N: usize>(known: [(&'static str, &'static str); N]) -> [EventType; N] {
    let mut types = [EventType { name: "", description: "", samples: &[] }; N];
    let mut at = 0;
    while at < N {
        (types[at].name, types[at].description) = known[at];
        at += 1;
    }
    types
}

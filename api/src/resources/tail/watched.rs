//! Deliveries that are not finished, as they were when they were looked at last: what is not among them any more has ended,
//! and what had fewer attempts has failed once more.

use std::collections::{BTreeMap, HashMap};

use relay::id::DeliveryId;

/// So many of the oldest and of the newest unfinished deliveries are watched: what is next in its line, and what came last.
pub(super) const EACH: usize = 500;

#[derive(Debug, Default)]
pub(super) struct Watched(HashMap<DeliveryId, i16>);

/// Deliveries of which there may be news, each with the attempts that were heard of already.
pub(super) type Candidates = BTreeMap<DeliveryId, i16>;

impl Watched {
    /// Takes how things are now. What is seen for the first time is news only if it was made at `since` or later.
    pub(super) fn compare(&mut self, unfinished: &[(DeliveryId, i16)], since: i64) -> Candidates {
        let now: HashMap<DeliveryId, i16> = unfinished.iter().copied().collect();
        let failed = now.iter().filter_map(|(id, attempts)| match self.0.get(id) {
            Some(before) => (attempts > before).then_some((*id, *before)),
            None => (*attempts > 0 && id.millis() >= since).then_some((*id, 0)),
        });
        // Of many it may only be out of sight. Then there is no news of it.
        let gone = self.0.iter().filter(|(id, _)| !now.contains_key(id)).map(|(id, attempts)| (*id, *attempts));
        let candidates = failed.chain(gone).collect();
        self.0 = now;
        candidates
    }

    /// It was told that this one has had so many attempts by now.
    pub(super) fn heard(&mut self, id: DeliveryId, attempts: i16) {
        self.0.entry(id).and_modify(|known| *known = attempts.max(*known));
    }

    /// It was told that this one has ended.
    pub(super) fn ended(&mut self, id: DeliveryId) {
        self.0.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_attempt_and_an_end_are_news_and_what_was_so_before_is_not() {
        let [old, young, quick] = [1, 2, 3].map(|number| DeliveryId::at(1_000 * number));
        let mut watched = Watched::default();
        assert_eq!(watched.compare(&[(old, 5), (young, 0)], 3_000), Candidates::new());
        assert_eq!(watched.compare(&[(old, 5), (young, 1)], 3_000), [(young, 0)].into());
        assert_eq!(watched.compare(&[(old, 6), (young, 1), (quick, 1)], 3_000), [(old, 5), (quick, 0)].into());
        assert_eq!(watched.compare(&[(old, 6)], 3_000), [(young, 1), (quick, 1)].into());
        assert_eq!(watched.compare(&[(old, 6)], 3_000), Candidates::new());
    }

    #[test]
    fn what_was_read_meanwhile_is_not_told_again() {
        let [failed, ended] = [1, 2].map(|number| DeliveryId::at(1_000 * number));
        let mut watched = Watched::default();
        watched.compare(&[(failed, 1), (ended, 1)], 0);
        watched.heard(failed, 2);
        watched.ended(ended);
        assert_eq!(watched.compare(&[(failed, 2)], 0), Candidates::new());
        watched.heard(ended, 1);
        assert_eq!(watched.compare(&[(failed, 2)], 0), Candidates::new(), "what is not watched is not begun with");
    }
}

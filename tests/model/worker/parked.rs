//! Rule P: whether a destination may have rows that are in the database only.

use crate::call::Reading;

#[derive(Debug, Default)]
pub(super) struct Parked {
    /// There may be some.
    pub(super) maybe: bool,
    /// A read said that there are none.
    is_denied: bool,
    pub(super) is_reading: bool,
    /// Parks that are queued or unanswered.
    pub(super) unanswered: usize,
    /// Counts parks, and whatever else says that there are some.
    pub(super) count: usize,
}

impl Parked {
    /// A park was queued: whoever reads now may miss it.
    pub(super) fn parks(&mut self) {
        self.unanswered += 1;
        self.discovered();
    }

    pub(super) fn parked(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    pub(super) fn discovered(&mut self) {
        (self.maybe, self.is_denied) = (true, false);
        self.count += 1;
    }

    /// A read returned so many rows. Whether it denied that there are more.
    pub(super) fn took_back(&mut self, reading: &Reading, returned: usize, is_strict: bool) -> bool {
        let is_undisturbed = reading.is_clean && reading.parks == self.count;
        let denies = returned < reading.limit && (is_undisturbed || !is_strict);
        if denies {
            (self.maybe, self.is_denied) = (false, true);
        }
        denies
    }

    /// A read said that nothing is parked, and nothing is under way that could change that.
    pub(super) fn is_denied(&self) -> bool {
        self.is_denied && !self.is_reading && self.unanswered == 0
    }
}

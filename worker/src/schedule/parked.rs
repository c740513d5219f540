//! Rows that are in the database only: whether there may be any, and how far they were taken back (rule P).

use super::class::Class;

/// What is known of rows that are in the database only: by their places, or by the keys of their lines.
#[derive(Debug)]
pub(crate) struct Parked {
    /// There may be some. Rule P says who may deny it.
    pub(crate) maybe: bool,
    /// How far it was taken back: rows up to this place are in memory, or were.
    pub(crate) after: i64,
    /// A read is under way.
    pub(crate) reading: bool,
    /// Parks that are queued or unanswered.
    pub(crate) unanswered: usize,
    /// The first place of a park that was answered while a read is under way.
    pub(crate) lowest: Option<i64>,
    /// Counts parks, so that a read can tell whether one was queued since it began.
    pub(crate) count: u64,
}

/// What is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Rows of this class that stand in no line, by their places. Only they are taken, but every row that is met is heeded,
    /// or rows would be forgotten of which it is not known what they are.
    Rows(Class),
    /// The first rows of lines, by the keys of the lines.
    Lines,
}

/// A read of parked rows that is about to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) kind: Kind,
    /// Of the line as it was when the read began.
    pub(crate) epoch: i64,
    pub(crate) after: i64,
    pub(crate) limit: usize,
    /// No park was queued or unanswered when it began.
    clean: bool,
    count: u64,
}

impl Default for Parked {
    fn default() -> Self {
        Self { maybe: false, after: i64::MAX, reading: false, unanswered: 0, lowest: None, count: 0 }
    }
}

impl Parked {
    pub(crate) fn is_idle(&self) -> bool {
        !self.maybe && !self.reading && self.unanswered == 0
    }

    pub(crate) fn can_be_read(&self) -> bool {
        self.maybe && !self.reading
    }

    /// Unless all of it was looked through once, there may be some of a former owner's.
    pub(crate) fn look(&mut self) {
        self.maybe |= self.after == i64::MIN;
    }

    /// All of it is read anew, from its beginning: a read that is under way says nothing.
    pub(crate) fn restart(&mut self) {
        self.maybe = true;
        self.count += 1;
        (self.after, self.lowest) = (i64::MIN, Some(i64::MIN));
    }

    /// A park was queued: whoever reads now may miss it.
    pub(crate) fn parks(&mut self) {
        self.maybe = true;
        self.unanswered += 1;
        self.count += 1;
    }

    /// A park was answered. Its row may stand before the point up to which was taken back.
    pub(crate) fn parked_at(&mut self, place: i64) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.go_back_to(place);
    }

    /// Somebody who looked for others met a parked row here.
    pub(crate) fn met_at(&mut self, place: i64) {
        self.maybe = true;
        self.go_back_to(place);
    }

    fn go_back_to(&mut self, place: i64) {
        self.after = self.after.min(place.saturating_sub(1));
        self.lowest = Some(self.lowest.map_or(place, |lowest| lowest.min(place)));
    }

    pub(crate) fn begin(&mut self, kind: Kind, epoch: i64, limit: usize) -> Reading {
        self.reading = true;
        self.lowest = None;
        Reading { kind, epoch, after: self.after, limit, clean: self.unanswered == 0, count: self.count }
    }

    /// Rule P: "nothing parked" is said only by a read that returned less than asked, began when no park was queued or
    /// unanswered, and saw none queued since.
    pub(crate) fn took_back(&mut self, reading: Reading, last: Option<i64>, returned: usize) {
        self.reading = false;
        let is_unmoved = self.after == reading.after;
        let is_last = returned < reading.limit;
        if is_last {
            let nothing_since = reading.clean && reading.count == self.count && self.lowest.is_none();
            self.maybe = !(nothing_since && is_unmoved);
        }
        let end = match reading.kind {
            // What is parked from now on says its place, and nobody has to pass by all the rows before it.
            Kind::Rows(_) if is_last => i64::MAX,
            // A line may have rows again whose park said nothing.
            Kind::Lines if is_last => i64::MIN,
            Kind::Rows(_) | Kind::Lines => last.unwrap_or(i64::MIN),
        };
        if is_unmoved || end == i64::MIN {
            // A row whose park was answered meanwhile was not taken: the next read begins before it.
            self.after = end.min(self.lowest.map_or(i64::MAX, |lowest| lowest.saturating_sub(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked() -> Parked {
        let mut parked = Parked::default();
        parked.restart();
        parked
    }

    fn reading(parked: &mut Parked) -> Reading {
        parked.begin(Kind::Rows(Class::First), 1, 10)
    }

    #[test]
    fn a_short_read_that_nothing_disturbed_says_that_nothing_is_parked() {
        let mut parked = parked();
        let reading = reading(&mut parked);
        parked.took_back(reading, Some(5), 5);
        assert!(!parked.maybe);
    }

    #[test]
    fn a_short_read_says_nothing_if_a_park_was_queued_before_or_since() {
        for before in [true, false] {
            let mut parked = parked();
            if before {
                parked.parks();
            }
            let reading = reading(&mut parked);
            if !before {
                parked.parks();
            }
            parked.took_back(reading, None, 0);
            assert!(parked.maybe, "before: {before}");
        }
    }

    #[test]
    fn a_full_read_goes_on_behind_its_last_row_but_not_past_a_park_that_was_answered_meanwhile() {
        let mut undisturbed = parked();
        let whole = reading(&mut undisturbed);
        undisturbed.took_back(whole, Some(100), whole.limit);
        assert_eq!(undisturbed.after, 100);

        let mut parked = parked();
        parked.parks();
        let reading = reading(&mut parked);
        parked.parked_at(72);
        parked.took_back(reading, Some(100), reading.limit);
        assert_eq!((parked.after, parked.maybe), (71, true));
    }

    #[test]
    fn a_row_that_is_parked_before_the_point_that_was_reached_moves_it_back() {
        let mut parked = parked();
        let reading = reading(&mut parked);
        parked.took_back(reading, Some(100), reading.limit);
        parked.parks();
        parked.parked_at(40);
        assert_eq!(parked.after, 39);
    }
}

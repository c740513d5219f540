//! What a process counts: in memory, beside whatever it counts, and written a while later.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay::clock::Clock;
use relay::id::{EventId, Id, TenantId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Row, Tally, Width};
use crate::{Database, DbErr};

/// Cheap to clone; all clones are one process's counts. They are written ten seconds later: a process that dies takes what
/// is not written along.
#[derive(Debug, Clone)]
pub struct Statistics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Uuid,
    clock: Clock,
    notes: Mutex<Notes>,
}

/// A tenant, and which of its objects: nil for the tenant itself.
type Object = (TenantId, Uuid);
/// When a span began, how long it is, and whose it is: the oldest are written first.
type Span = (i64, Width, Object);

#[derive(Debug, Default)]
struct Notes {
    objects: HashMap<Object, Noted>,
    /// Those of which something is not written, the longest waiting first, and since when (boot time).
    unwritten: VecDeque<(Duration, Object)>,
    /// Whole counts of minutes and hours that are over, or that could not be written.
    ended: BTreeMap<Span, Tally>,
    /// The latest minute in which anything was counted. A clock that goes back counts in it: a row is never begun twice.
    minute: i64,
}

/// What was counted of an object, in the present hour.
#[derive(Debug, Default)]
struct Noted {
    /// When the minute began that `counts` are of.
    minute: i64,
    counts: Tally,
    /// In the minutes of this hour that are over.
    hour: Tally,
    is_unwritten: bool,
}

/// What was counted is written so much later, also when the clock has moved by as much, and when nothing could be written, that
/// is tried again so much later.
const LATER: Duration = Duration::from_secs(10);
/// How often that is looked at, and rows that are written each time: all that thousands of objects count in ten seconds, written
/// at once, would keep a processor for a fifth of a second, and webhooks waiting.
const LOOK: Duration = Duration::from_millis(250);
const ROWS: usize = 500;
/// A write that takes longer is taken for one that failed.
const WRITTEN_WITHIN: Duration = Duration::from_secs(20);
/// Objects that are counted in an hour, some tens of megabytes; and rows of what is over that wait for the database.
const OBJECTS: usize = 50_000;
const ENDED: usize = 50_000;

const LOST: &str = "hookyard_statistics_lost_total";

impl Statistics {
    /// Of a process that begins now.
    #[must_use]
    pub fn new(clock: &Clock) -> Self {
        metrics::describe_counter!(LOST, "Counts of statistics that were lost, since there were too many at once");
        metrics::counter!(LOST).increment(0);
        let writer = EventId::at(clock.now()).uuid();
        Self(Arc::new(Inner { writer, clock: clock.clone(), notes: Mutex::default() }))
    }

    /// Begins to count what happened at `now`. Nobody else counts until it is dropped.
    #[must_use]
    pub fn at(&self, now: i64) -> Counting<'_> {
        Counting { notes: self.notes(), at: (now, self.0.clock.boot()) }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes counts until told to stop, and all that is left then.
    pub async fn keep(self, db: Database, stop: CancellationToken) {
        let mut not_before = Duration::ZERO;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let present = self.0.clock.boot();
            if present >= not_before && self.write(&db, present.saturating_sub(LATER)).await.is_none() {
                not_before = present + LATER;
            }
        }
        while self.write(&db, Duration::MAX).await.is_some_and(|rows| rows > 0) {}
    }

    /// Writes what has waited since then or for longer, and says how many rows that were; None: they were not written.
    async fn write(&self, db: &Database, since: Duration) -> Option<usize> {
        let due = self.notes().due((self.0.clock.now(), since), ROWS);
        let rows = due.iter().map(|(span, tally)| row(*span, tally)).collect();
        let write = tokio::time::timeout(WRITTEN_WITHIN, super::write(db, self.0.writer, rows));
        let written = write.await.unwrap_or_else(|_| Err(DbErr::Custom("it took too long".to_owned())));
        match written {
            Ok(rows) => Some(rows),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "statistics were not written, and wait");
                self.notes().failed(due);
                None
            }
        }
    }
}

/// Counts things that happened at one time.
#[derive(Debug)]
pub struct Counting<'a> {
    notes: MutexGuard<'a, Notes>,
    at: (i64, Duration),
}

impl Counting<'_> {
    /// It happened to an object of this tenant, and so to the tenant.
    pub fn of<K>(&mut self, tenant: TenantId, object: Id<K>, count: impl Fn(&mut Tally))
    where
        K: relay::id::Kind,
    {
        for object in [object.uuid(), Uuid::nil()] {
            match self.notes.tally((tenant, object), self.at) {
                Some(tally) => count(tally),
                None => metrics::counter!(LOST).increment(1),
            }
        }
    }
}

impl Notes {
    /// What is counted of an object now; None if there are too many.
    fn tally(&mut self, object: Object, (now, boot): (i64, Duration)) -> Option<&mut Tally> {
        self.turn(now);
        let is_full = self.objects.len() >= OBJECTS;
        let noted = match self.objects.entry(object) {
            Entry::Occupied(noted) => noted.into_mut(),
            Entry::Vacant(_) if is_full => return None,
            Entry::Vacant(place) => place.insert(Noted::default()),
        };
        if noted.minute < self.minute {
            if noted.is_unwritten {
                end(&mut self.ended, (noted.minute, Width::Minute, object), &noted.counts);
            }
            noted.hour += &std::mem::take(&mut noted.counts);
            noted.minute = self.minute;
        }
        if !std::mem::replace(&mut noted.is_unwritten, true) {
            self.unwritten.push_back((boot, object));
        }
        Some(&mut noted.counts)
    }

    /// Lets go of everything when an hour is over: what of it was not written is kept apart.
    fn turn(&mut self, now: i64) {
        let before = self.minute;
        self.minute = before.max(Width::Minute.begin(now));
        if Width::Hour.begin(before) == Width::Hour.begin(self.minute) {
            return;
        }
        self.unwritten.clear();
        for (object, noted) in self.objects.drain().filter(|(_, noted)| noted.is_unwritten) {
            noted.spans(object).iter().for_each(|(span, tally)| end(&mut self.ended, *span, tally));
        }
    }

    /// What is to be written, at most so many rows: half of them of what is over, if there is as much, and what has waited since
    /// then or for longer.
    fn due(&mut self, (now, since): (i64, Duration), most: usize) -> Vec<(Span, Tally)> {
        self.turn(now);
        let over = self.ended.len().min(most / 2);
        let mut due = BTreeMap::new();
        while due.len() + over + 2 <= most
            && let Some((_, object)) = self.unwritten.pop_front_if(|(waiting_since, _)| *waiting_since <= since)
        {
            if let Some(noted) = self.objects.get_mut(&object) {
                noted.is_unwritten = false;
                due.extend(noted.spans(object));
            }
        }
        // What could not be written before, and has been counted in since, is whole only as it is now.
        due.keys().for_each(|span| drop(self.ended.remove(span)));
        while due.len() < most
            && let Some((span, tally)) = self.ended.pop_first()
        {
            due.insert(span, tally);
        }
        due.into_iter().collect()
    }

    /// Nothing of it was written, or nobody knows: all of it is written again, unless there is something newer.
    fn failed(&mut self, due: Vec<(Span, Tally)>) {
        for (span, tally) in due {
            if !self.ended.contains_key(&span) {
                end(&mut self.ended, span, &tally);
            }
        }
    }
}

impl Noted {
    /// The last minute and its hour.
    fn spans(&self, object: Object) -> [(Span, Tally); 2] {
        let mut hour = self.hour.clone();
        hour += &self.counts;
        [
            ((self.minute, Width::Minute, object), self.counts.clone()),
            ((Width::Hour.begin(self.minute), Width::Hour, object), hour),
        ]
    }
}

/// Keeps what is over until it is written. Of too much, the oldest is lost.
fn end(ended: &mut BTreeMap<Span, Tally>, span: Span, tally: &Tally) {
    ended.insert(span, tally.clone());
    if ended.len() > ENDED {
        ended.pop_first();
        metrics::counter!(LOST).increment(1);
    }
}

fn row((at, width, (tenant, object)): Span, tally: &Tally) -> Row {
    Row { tenant, object, width, at, counts: serde_json::to_string(tally).expect("counts are JSON") }
}

#[cfg(test)]
mod tests {
    use relay::id::SourceId;

    use super::*;

    const BOOT: Duration = Duration::from_secs(1_000);
    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;

    /// An hour that begins at a whole hour.
    const NOON: i64 = 500_000 * HOUR;

    fn tenant() -> TenantId {
        Uuid::from_u128(1).into()
    }

    fn object(number: u128) -> Object {
        (tenant(), Uuid::from_u128(number))
    }

    fn count(notes: &mut Notes, now: i64) {
        notes.tally(object(0), (now, BOOT)).unwrap().accepted += 1;
    }

    /// Width, time since noon in minutes and accepted events of each row.
    fn due(notes: &mut Notes, now: i64, most: usize) -> Vec<(Width, i64, u64)> {
        let of = |((at, width, _), tally): &(Span, Tally)| (*width, (at - NOON) / MINUTE, tally.accepted);
        notes.due((now, BOOT), most).iter().map(of).collect()
    }

    #[test]
    fn a_row_is_always_whole_and_written_when_something_was_counted_since() {
        use Width::{Hour, Minute};
        let mut notes = Notes::default();
        count(&mut notes, NOON);
        count(&mut notes, NOON + 59_999);
        assert_eq!(due(&mut notes, NOON + 59_999, 100), [(Minute, 0, 2), (Hour, 0, 2)]);
        assert_eq!(due(&mut notes, NOON + 59_999, 100), []);
        count(&mut notes, NOON + 59_999);
        count(&mut notes, NOON + MINUTE);
        assert_eq!(due(&mut notes, NOON + MINUTE, 100), [(Minute, 0, 3), (Hour, 0, 4), (Minute, 1, 1)]);
        count(&mut notes, NOON + MINUTE);
        count(&mut notes, NOON + HOUR);
        let rows = due(&mut notes, NOON + HOUR, 100);
        assert_eq!(rows, [(Hour, 0, 5), (Minute, 1, 2), (Minute, 60, 1), (Hour, 60, 1)]);
        assert_eq!(due(&mut notes, NOON + 2 * HOUR, 100), []);
        assert!(notes.objects.is_empty(), "what nothing happens to is not kept in mind");
    }

    #[test]
    fn a_clock_that_goes_back_begins_no_row_twice() {
        use Width::{Hour, Minute};
        let mut notes = Notes::default();
        (0..3).for_each(|_| count(&mut notes, NOON - 1));
        assert_eq!(due(&mut notes, NOON, 100), [(Hour, -60, 3), (Minute, -1, 3)]);
        count(&mut notes, NOON - 1);
        assert_eq!(due(&mut notes, NOON - 1, 100), [(Minute, 0, 1), (Hour, 0, 1)]);
    }

    #[test]
    fn each_waits_for_as_long_however_often_it_is_counted() {
        let mut notes = Notes::default();
        let second = |number| BOOT + Duration::from_secs(number);
        for (number, seconds) in [(1, 0), (2, 3), (1, 5), (2, 9)] {
            notes.tally(object(number), (NOON, second(seconds))).unwrap().accepted += 1;
        }
        let mut due = |since| -> Vec<_> {
            let hours =
                notes.due((NOON, second(since)), 100).into_iter().filter(|((_, width, _), _)| *width == Width::Hour);
            hours.map(|((.., (_, object)), tally)| (object.as_u128(), tally.accepted)).collect()
        };
        assert_eq!(due(0), [(1, 2)], "with all that it counts by then");
        assert_eq!(due(2), []);
        assert_eq!(due(3), [(2, 2)]);
        assert_eq!(due(1_000), []);
    }

    /// All have something new in every round.
    #[test]
    fn of_many_each_has_its_turn() {
        let mut notes = Notes::default();
        let mut written: HashMap<Uuid, usize> = HashMap::new();
        for _ in 0..10 {
            (0..50).for_each(|number| notes.tally(object(number), (NOON, BOOT)).unwrap().accepted += 1);
            for ((_, width, (_, object)), _) in notes.due((NOON, BOOT), 20) {
                *written.entry(object).or_default() += usize::from(width == Width::Hour);
            }
        }
        assert_eq!((written.len(), written.values().max()), (50, Some(&2)), "{written:?}");
    }

    #[test]
    fn what_was_not_written_is_written_again_as_it_is_by_then() {
        use Width::{Hour, Minute};
        let mut notes = Notes::default();
        count(&mut notes, NOON);
        let failed = notes.due((NOON, BOOT), 100);
        notes.failed(failed);
        assert_eq!(due(&mut notes, NOON, 100), [(Minute, 0, 1), (Hour, 0, 1)], "nothing came since");

        let failed = notes.due((NOON, BOOT), 100);
        assert_eq!(failed.len(), 0);
        count(&mut notes, NOON);
        let failed = notes.due((NOON, BOOT), 100);
        count(&mut notes, NOON);
        notes.failed(failed);
        assert_eq!(due(&mut notes, NOON, 100), [(Minute, 0, 3), (Hour, 0, 3)], "one row each, as it is now");
        assert_eq!(due(&mut notes, NOON, 100), []);

        count(&mut notes, NOON);
        let failed = notes.due((NOON, BOOT), 100);
        count(&mut notes, NOON + MINUTE);
        notes.failed(failed);
        assert_eq!(due(&mut notes, NOON + MINUTE, 100), [(Minute, 0, 4), (Hour, 0, 5), (Minute, 1, 1)]);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept_in_mind() {
        let statistics = Statistics::new(&Clock::start());
        for number in 0..=OBJECTS {
            let number = i64::try_from(number).unwrap();
            statistics.at(NOON).of(tenant(), SourceId::at(number), |tally| tally.accepted += 1);
        }
        assert_eq!(statistics.notes().objects.len(), OBJECTS);
        count(&mut statistics.notes(), NOON + HOUR);
        let notes = statistics.notes();
        assert_eq!((notes.ended.len(), notes.objects.len(), notes.unwritten.len()), (ENDED, 1, 1));
    }
}

//! What a process counts: in memory, beside whatever it counts, and written a while later.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use relay::clock::Clock;
use relay::id::{EventId, Id, TenantId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Row, Tally, Width};
use crate::{Database, DbErr};

/// Cheap to clone; all clones are one process's counts. They are written each few seconds: a process that dies takes what
/// came since along.
#[derive(Debug, Clone)]
pub struct Statistics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    writer: Uuid,
    notes: Mutex<Notes>,
}

/// A tenant, and which of its objects: nil for the tenant itself.
type Object = (TenantId, Uuid);
/// When a span began, how long it is, and whose it is: the oldest are written first.
type Span = (i64, Width, Object);

#[derive(Debug, Default)]
struct Notes {
    objects: HashMap<Object, Noted>,
    /// Of minutes and hours that are over, and not written as they were at their end.
    ended: BTreeMap<Span, Tally>,
}

/// What was counted of an object.
#[derive(Debug)]
struct Noted {
    /// When the present minute began.
    minute: i64,
    counts: Tally,
    /// In the minutes of this hour that are over.
    hour: Tally,
    is_written: bool,
}

/// How often counts are written, also when the clock has moved by as much, and how often that is looked at.
const EVERY: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(250);
/// Rows that are written at a time; the others wait for the next time.
const ROWS: usize = 2_000;
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
        Self(Arc::new(Inner { writer: EventId::at(clock.now()).uuid(), notes: Mutex::default() }))
    }

    /// Begins to count what happened at `now`. Nobody else counts until it is dropped.
    #[must_use]
    pub fn at(&self, now: i64) -> Counting<'_> {
        Counting { notes: self.notes(), now }
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes counts until told to stop, and all that is left then.
    pub async fn keep(self, db: Database, clock: Clock, stop: CancellationToken) {
        let mut written_at = clock.boot();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            if clock.boot().saturating_sub(written_at) >= EVERY {
                written_at = clock.boot();
                told(self.write(&db, clock.now()).await);
            }
        }
        while told(self.write(&db, clock.now()).await) > 0 {}
    }

    /// How many rows were written.
    async fn write(&self, db: &Database, now: i64) -> Result<usize, DbErr> {
        let (ended, rows) = self.notes().due(now, ROWS);
        let written = super::write(db, self.0.writer, rows).await;
        if written.is_err() {
            self.notes().unwritten(ended);
        }
        written
    }
}

fn told(written: Result<usize, DbErr>) -> usize {
    written.unwrap_or_else(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "statistics were not written, and wait");
        0
    })
}

/// Counts things that happened at one time.
#[derive(Debug)]
pub struct Counting<'a> {
    notes: MutexGuard<'a, Notes>,
    now: i64,
}

impl Counting<'_> {
    /// It happened to an object of this tenant, and so to the tenant.
    pub fn of<K>(&mut self, tenant: TenantId, object: Id<K>, count: impl Fn(&mut Tally))
    where
        K: relay::id::Kind,
    {
        for object in [object.uuid(), Uuid::nil()] {
            match self.notes.tally((tenant, object), self.now) {
                Some(tally) => count(tally),
                None => metrics::counter!(LOST).increment(1),
            }
        }
    }
}

impl Notes {
    /// What is counted of an object now; None if there are too many.
    fn tally(&mut self, object: Object, now: i64) -> Option<&mut Tally> {
        let minute = Width::Minute.begin(now);
        let is_full = self.objects.len() >= OBJECTS;
        let noted = match self.objects.entry(object) {
            Entry::Occupied(noted) => noted.into_mut(),
            Entry::Vacant(_) if is_full => return None,
            Entry::Vacant(place) => place.insert(Noted::since(minute)),
        };
        noted.turn(object, minute, &mut self.ended);
        noted.is_written = false;
        Some(&mut noted.counts)
    }

    /// What is to be written, at most so many rows: first what is over, which is given apart, since it is not kept here.
    fn due(&mut self, now: i64, most: usize) -> (Vec<(Span, Tally)>, Vec<Row>) {
        let minute = Width::Minute.begin(now);
        let Self { objects, ended } = self;
        objects.iter_mut().for_each(|(object, noted)| noted.turn(*object, minute, ended));
        objects.retain(|_, noted| !noted.is_empty());
        let over: Vec<(Span, Tally)> = std::iter::from_fn(|| ended.pop_first()).take(most).collect();
        let mut rows: Vec<Row> = over.iter().map(|(span, tally)| row(*span, tally)).collect();
        for (object, noted) in objects.iter_mut().filter(|(_, noted)| !noted.is_written) {
            if rows.len() + 2 > most {
                break;
            }
            rows.extend(noted.rows(*object));
            noted.is_written = true;
        }
        (over, rows)
    }

    /// Nothing of it was written, or nobody knows: all of it is written again.
    fn unwritten(&mut self, over: Vec<(Span, Tally)>) {
        self.objects.values_mut().for_each(|noted| noted.is_written = false);
        over.into_iter().for_each(|(span, tally)| add(&mut self.ended, span, &tally));
        while self.ended.len() > ENDED {
            self.ended.pop_first();
            metrics::counter!(LOST).increment(1);
        }
    }
}

impl Noted {
    fn since(minute: i64) -> Self {
        Self { minute, counts: Tally::default(), hour: Tally::default(), is_written: true }
    }

    fn is_empty(&self) -> bool {
        self.counts == Tally::default() && self.hour == Tally::default()
    }

    /// The present minute is this one; what was counted before is over. A clock that goes back changes nothing.
    fn turn(&mut self, object: Object, minute: i64, ended: &mut BTreeMap<Span, Tally>) {
        if minute <= self.minute {
            return;
        }
        let counts = std::mem::take(&mut self.counts);
        self.hour += &counts;
        add(ended, (self.minute, Width::Minute, object), &counts);
        let hour = Width::Hour.begin(self.minute);
        if hour != Width::Hour.begin(minute) {
            add(ended, (hour, Width::Hour, object), &std::mem::take(&mut self.hour));
            self.is_written = true;
        }
        self.minute = minute;
    }

    /// The present minute and its hour.
    fn rows(&self, object: Object) -> [Row; 2] {
        let mut hour = self.hour.clone();
        hour += &self.counts;
        [
            row((self.minute, Width::Minute, object), &self.counts),
            row((Width::Hour.begin(self.minute), Width::Hour, object), &hour),
        ]
    }
}

fn add(ended: &mut BTreeMap<Span, Tally>, span: Span, tally: &Tally) {
    if *tally != Tally::default() {
        *ended.entry(span).or_default() += tally;
    }
}

fn row((at, width, (tenant, object)): Span, tally: &Tally) -> Row {
    Row { tenant, object, width, at, counts: serde_json::to_string(tally).expect("counts are JSON") }
}

#[cfg(test)]
mod tests {
    use relay::id::SourceId;

    use super::*;

    const HOUR: i64 = 3_600_000;
    const MINUTE: i64 = 60_000;

    /// An hour that begins at a whole hour.
    const NOON: i64 = 500_000 * HOUR;

    fn tenant() -> TenantId {
        Uuid::from_u128(1).into()
    }

    fn count(notes: &mut Notes, now: i64) {
        notes.tally((tenant(), Uuid::nil()), now).unwrap().accepted += 1;
    }

    /// Width, time since noon in minutes and accepted events of each row.
    fn due(notes: &mut Notes, now: i64, most: usize) -> Vec<(Width, i64, u64)> {
        let accepted = |row: &Row| serde_json::from_str::<Tally>(&row.counts).unwrap().accepted;
        let (_, rows) = notes.due(now, most);
        rows.iter().map(|row| (row.width, (row.at - NOON) / MINUTE, accepted(row))).collect()
    }

    #[test]
    fn a_row_is_always_whole_and_written_once_when_its_time_is_over() {
        use Width::{Hour, Minute};
        let mut notes = Notes::default();
        count(&mut notes, NOON);
        count(&mut notes, NOON + 59_999);
        assert_eq!(due(&mut notes, NOON + 59_999, 100), [(Minute, 0, 2), (Hour, 0, 2)]);
        assert_eq!(due(&mut notes, NOON + 59_999, 100), []);
        count(&mut notes, NOON + MINUTE);
        assert_eq!(due(&mut notes, NOON + MINUTE, 100), [(Minute, 0, 2), (Minute, 1, 1), (Hour, 0, 3)]);
        count(&mut notes, NOON + MINUTE);
        count(&mut notes, NOON + HOUR);
        let rows = due(&mut notes, NOON + HOUR, 100);
        assert_eq!(rows, [(Hour, 0, 4), (Minute, 1, 2), (Minute, 60, 1), (Hour, 60, 1)]);
        assert_eq!(due(&mut notes, NOON + 2 * HOUR, 100), [(Minute, 60, 1), (Hour, 60, 1)]);
        assert!(notes.objects.is_empty(), "what nothing happens to is not kept in mind");
    }

    #[test]
    fn what_is_too_much_at_a_time_waits_and_what_was_not_written_is_written_again() {
        let mut notes = Notes::default();
        for minute in 0..5 {
            count(&mut notes, NOON + minute * MINUTE);
        }
        let (over, rows) = notes.due(NOON + 4 * MINUTE, 3);
        assert_eq!((over.len(), rows.len()), (3, 3));
        notes.unwritten(over);
        assert_eq!(notes.due(NOON + 4 * MINUTE, 100).1.len(), 6);
        assert_eq!(notes.due(NOON + 4 * MINUTE, 100).1.len(), 0);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept_in_mind() {
        let statistics = Statistics::new(&Clock::start());
        for number in 0..=OBJECTS {
            let number = i64::try_from(number).unwrap();
            statistics.at(NOON).of(tenant(), SourceId::at(number), |tally| tally.accepted += 1);
        }
        assert_eq!(statistics.notes().objects.len(), OBJECTS);
        let over = (0..=ENDED).map(|number| {
            let span = (i64::try_from(number).unwrap(), Width::Minute, (tenant(), Uuid::nil()));
            (span, Tally { accepted: 1, ..Tally::default() })
        });
        statistics.notes().unwritten(over.collect());
        assert_eq!(statistics.notes().ended.len(), ENDED);
    }
}

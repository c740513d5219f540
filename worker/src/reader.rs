//! How far each shard was read, and when to look again. The cursor is only a hint: a row may become visible after one
//! that is due later, so what was just passed is read again, first often, then all of it now and then.

use std::collections::HashMap;
use std::time::Duration;

use entity::pending::{Cursor, Due, PAGE};
use tokio::time::Instant;

use crate::schedule::tickets::{Ticket, Tickets};

/// Each read begins so long before the cursor: commits of that age may have appeared since.
const OVERLAP_MS: i64 = 50;
/// And every second one begins so long before the present.
const RECENT_MS: i64 = 5_000;
const RECENT_EVERY: Duration = Duration::from_secs(1);
/// And every half minute one begins at the beginning.
const ALL_EVERY: Duration = Duration::from_secs(30);
/// Between two looks when the last one found something, and the longest when none does.
const SOON: Duration = Duration::from_millis(5);
const LATE: Duration = Duration::from_millis(100);

/// One read of what is due, in the series it belongs to.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) ticket: Ticket,
    pub(crate) cursors: Vec<(i16, Cursor)>,
    series: Series,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Series {
    /// From the cursors on.
    Tail,
    /// A sweep.
    Sweep,
}

#[derive(Debug)]
pub(crate) struct Reader {
    /// None: the shard is new, and is read from the beginning.
    cursors: HashMap<i16, Option<Cursor>>,
    /// A page is under way.
    reading: bool,
    /// The shards that had more than a page, and from where to go on.
    more: Option<(Series, Vec<(i16, Cursor)>)>,
    look_at: Instant,
    delay: Duration,
    recent_at: Instant,
    all_at: Instant,
}

impl Reader {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            cursors: HashMap::new(),
            reading: false,
            more: None,
            look_at: now,
            delay: SOON,
            recent_at: now,
            all_at: now,
        }
    }

    /// When to call [`Reader::next`] again, if nothing else happens.
    pub(crate) fn next_look(&self) -> Instant {
        self.look_at
    }

    /// Something may be due.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.look_at = now;
        self.delay = SOON;
    }

    /// A shard was acquired: what is there is read from the beginning.
    pub(crate) fn restart(&mut self, shard: i16) {
        self.cursors.insert(shard, None);
        self.look_at = Instant::now();
    }

    pub(crate) fn forget(&mut self, shard: i16) {
        self.cursors.remove(&shard);
        if let Some((_, cursors)) = &mut self.more {
            cursors.retain(|(other, _)| *other != shard);
        }
    }

    /// Whether nothing of the shard was read yet.
    pub(crate) fn is_new(&self, shard: i16) -> bool {
        self.cursors.get(&shard).is_none_or(Option::is_none)
    }

    /// The next page of these shards, if it is time and none is under way. `present`: milliseconds since 1970.
    pub(crate) fn next(
        &mut self,
        (now, present): (Instant, i64),
        shards: &[i16],
        tickets: &mut Tickets,
    ) -> Option<Page> {
        if self.reading || shards.is_empty() {
            self.look_at = self.look_at.max(now + SOON);
            return None;
        }
        let rest = self.more.take().filter(|(_, more)| !more.is_empty());
        let (series, cursors) = rest.or_else(|| self.begin(now, present, shards))?;
        self.reading = true;
        Some(Page { ticket: tickets.take(), cursors, series })
    }

    fn begin(&mut self, now: Instant, present: i64, shards: &[i16]) -> Option<(Series, Vec<(i16, Cursor)>)> {
        let all_from = |from: i64| shards.iter().map(|shard| (*shard, Cursor::from(from))).collect();
        if now >= self.all_at + ALL_EVERY {
            (self.all_at, self.recent_at) = (now, now);
            return Some((Series::Sweep, all_from(i64::MIN)));
        }
        if now >= self.recent_at + RECENT_EVERY {
            self.recent_at = now;
            return Some((Series::Sweep, all_from(present - RECENT_MS)));
        }
        if now < self.look_at {
            return None;
        }
        let from = |shard: &i16| match self.cursors.get(shard).copied().flatten() {
            Some(cursor) => Cursor::from(cursor.due_at - OVERLAP_MS),
            None => Cursor::from(i64::MIN),
        };
        Some((Series::Tail, shards.iter().map(|shard| (*shard, from(shard))).collect()))
    }

    /// A page came back.
    pub(crate) fn read(&mut self, now: Instant, page: &Page, rows: &[Due]) {
        self.reading = false;
        let mut last: HashMap<i16, (usize, Cursor)> = HashMap::new();
        for due in rows {
            let entry = last.entry(due.shard).or_insert((0, Cursor::after(due)));
            *entry = (entry.0 + 1, Cursor::after(due));
        }
        let mut found_new = false;
        for (shard, _) in &page.cursors {
            let seen = last.get(shard).map(|(_, cursor)| *cursor);
            if page.series == Series::Tail
                && let Some(cursor) = self.cursors.get_mut(shard)
            {
                found_new |= seen > *cursor;
                *cursor = seen.max(*cursor).or(Some(Cursor::from(i64::MIN + OVERLAP_MS)));
            }
        }
        let more: Vec<_> =
            last.iter().filter(|(_, (count, _))| *count == PAGE).map(|(shard, (_, at))| (*shard, *at)).collect();
        if !more.is_empty() {
            self.look_at = now;
            self.more = Some((page.series, more));
        } else if page.series == Series::Tail {
            self.delay = if found_new { SOON } else { (self.delay * 2).min(LATE) };
            self.look_at = now + self.delay;
        }
    }

    /// A page could not be read: the series ends.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.reading = false;
        self.more = None;
        self.look_at = now + LATE;
    }
}

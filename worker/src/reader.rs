//! How far each shard was read, and when to look again. The cursor is only a hint: a row may become visible after one
//! that is due later, so what was just passed is read again, first often, then all of it now and then. And a backlog keeps
//! no newcomer waiting: while it is read, whoever rings has the newest rows looked for as well.

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
/// A tail that is so far behind the present keeps whoever rings waiting.
const BEHIND_MS: i64 = 200;
/// And every half minute one begins at the beginning.
const ALL_EVERY: Duration = Duration::from_secs(30);
/// Between two looks when the last one found something, and the longest when none does.
const SOON: Duration = Duration::from_millis(5);
const LATE: Duration = Duration::from_millis(100);
/// And the shortest: who rings all the time would have everything read all the time. Longer ones where much comes, which make
/// fewer and larger pages, were tried: nothing got cheaper by them, and everybody waited.
const AGAIN: Duration = Duration::from_millis(2);

/// One read of what is due, in the series it belongs to.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) ticket: Ticket,
    pub(crate) cursors: Vec<(i16, Cursor)>,
    /// Under which epoch each shard is held as the read begins (rule E).
    pub(crate) epochs: HashMap<i16, i64>,
    series: Series,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Series {
    /// From the cursors on.
    Tail,
    /// The newest rows.
    Recent,
    /// Everything.
    Sweep,
}

/// What may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    All,
    /// Not the backlog.
    Newest,
}

#[derive(Debug)]
pub(crate) struct Reader {
    /// None: the shard is new, and is read from the beginning.
    cursors: HashMap<i16, Option<Cursor>>,
    /// A page is under way.
    reading: bool,
    /// Something came due since it began.
    again: bool,
    /// When the last one began, and when the next may.
    began_at: Instant,
    not_before: Instant,
    /// The shards that had more than a page, and from where to go on.
    more: Vec<(i16, Cursor)>,
    /// Somebody rang while there was more.
    rung: bool,
    /// How far the newest rows were read.
    newest: HashMap<i16, Cursor>,
    /// What is left of the newest rows, and of a sweep.
    recent: Vec<(i16, Cursor)>,
    sweep: Vec<(i16, Cursor)>,
    last: Series,
    look_at: Instant,
    delay: Duration,
    recent_at: Instant,
    all_at: Instant,
    /// When a read of the tail began that left nothing behind.
    caught_up_at: Instant,
}

impl Reader {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            cursors: HashMap::new(),
            reading: false,
            again: false,
            began_at: now,
            not_before: now,
            more: Vec::new(),
            rung: false,
            newest: HashMap::new(),
            recent: Vec::new(),
            sweep: Vec::new(),
            last: Series::Sweep,
            look_at: now,
            delay: SOON,
            recent_at: now,
            all_at: now,
            caught_up_at: now,
        }
    }

    /// How far the tail lies behind the present (milliseconds since 1970): for how long the oldest of what it has not read
    /// may have been due.
    pub(crate) fn lag(&self, now: Instant, present: i64) -> Duration {
        match self.more.iter().map(|(_, at)| at.due_at).min() {
            Some(read_to) => Duration::from_millis(u64::try_from(present.saturating_sub(read_to)).unwrap_or(0)),
            None => now.saturating_duration_since(self.caught_up_at),
        }
    }

    /// When to call [`Reader::next`] again, if nothing else happens.
    pub(crate) fn next_look(&self) -> Instant {
        // While a page is under way, its arrival is the next thing to happen.
        self.look_at + if self.reading { LATE } else { Duration::ZERO }
    }

    /// Whether [`Reader::next`] has nothing to say yet.
    pub(crate) fn is_idle(&mut self, now: Instant) -> bool {
        if self.reading {
            return true;
        }
        let is_due = [self.look_at, self.recent_at + RECENT_EVERY, self.all_at + ALL_EVERY].iter().any(|at| now >= *at);
        !is_due && [&self.more, &self.recent, &self.sweep].iter().all(|left| left.is_empty())
    }

    /// Something may be due.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.not_before = self.began_at + AGAIN;
        self.look_at = now.max(self.not_before);
        self.delay = SOON;
        self.again = self.reading;
        self.rung = true;
    }

    /// A shard was acquired: what is there is read from the beginning.
    pub(crate) fn restart(&mut self, shard: i16) {
        let now = Instant::now();
        if self.cursors.is_empty() {
            self.caught_up_at = now;
        }
        self.cursors.insert(shard, None);
        self.look_at = now;
        self.again |= self.reading;
    }

    pub(crate) fn forget(&mut self, shard: i16) {
        self.cursors.remove(&shard);
        self.newest.remove(&shard);
        for left in [&mut self.more, &mut self.recent, &mut self.sweep] {
            left.retain(|(other, _)| *other != shard);
        }
    }

    /// Whether nothing of the shard was read yet.
    pub(crate) fn is_new(&self, shard: i16) -> bool {
        self.cursors.get(&shard).is_none_or(Option::is_none)
    }

    /// The next page of these shards, if it is time and none is under way. `present`: milliseconds since 1970.
    ///
    /// The series take turns, and a page of the tail asks every shard: a long backlog in one of them keeps nobody else
    /// waiting.
    pub(crate) fn next(
        &mut self,
        (now, present): (Instant, i64),
        shards: &[i16],
        depth: Depth,
        tickets: &Tickets,
    ) -> Option<Page> {
        if self.reading || shards.is_empty() {
            self.postpone(now);
            return None;
        }
        self.begin_sweep(now, shards);
        self.begin_recent((now, present), shards, depth);
        let Some(series) = self.turn(now, depth) else {
            if depth == Depth::Newest {
                self.postpone(now);
            }
            return None;
        };
        let cursors = match series {
            Series::Tail => self.tail(shards),
            Series::Recent => self.recently(shards, present),
            Series::Sweep => std::mem::take(&mut self.sweep),
        };
        (self.reading, self.again, self.last, self.began_at) = (true, false, series, now);
        Some(Page { ticket: tickets.take(), cursors, epochs: HashMap::new(), series })
    }

    /// Nothing can be read now.
    pub(crate) fn postpone(&mut self, now: Instant) {
        self.look_at = self.look_at.max(now + SOON * 2);
    }

    /// Whose turn it is, of those that have something to read.
    fn turn(&self, now: Instant, depth: Depth) -> Option<Series> {
        let is_wanted = |series: &Series| match series {
            Series::Tail => depth == Depth::All && (now >= self.look_at || !self.more.is_empty()),
            Series::Recent => !self.recent.is_empty(),
            Series::Sweep => depth == Depth::All && !self.sweep.is_empty(),
        };
        let turns = match self.last {
            Series::Recent => [Series::Tail, Series::Sweep, Series::Recent],
            Series::Tail => [Series::Sweep, Series::Recent, Series::Tail],
            Series::Sweep => [Series::Recent, Series::Tail, Series::Sweep],
        };
        turns.into_iter().find(is_wanted)
    }

    fn begin_sweep(&mut self, now: Instant, shards: &[i16]) {
        if now >= self.all_at + ALL_EVERY && self.sweep.is_empty() {
            self.all_at = now;
            self.sweep = shards.iter().map(|shard| (*shard, Cursor::from(i64::MIN))).collect();
        }
    }

    /// Every second from a while ago on; and where somebody rang whom the tail will not reach soon, from where the newest
    /// rows were last read.
    fn begin_recent(&mut self, (now, present): (Instant, i64), shards: &[i16], depth: Depth) {
        if !self.recent.is_empty() {
            return;
        }
        let a_while_ago = present - RECENT_MS;
        let is_behind = depth == Depth::Newest || self.more.iter().any(|(_, at)| at.due_at < present - BEHIND_MS);
        let begins = |shard: &i16| (*shard, Cursor::from(a_while_ago));
        let goes_on = |shard: &i16| (*shard, self.newest_of(*shard, a_while_ago));
        if now >= self.recent_at + RECENT_EVERY {
            self.recent_at = now;
            self.recent = shards.iter().map(begins).collect();
        } else if self.rung && is_behind && now >= self.not_before {
            self.recent = shards.iter().map(goes_on).collect();
        } else {
            return;
        }
        self.rung = false;
    }

    /// Right behind the last page where there was more; the other shards are asked as well, or they would wait for the end of
    /// one that is flooded.
    fn recently(&mut self, shards: &[i16], present: i64) -> Vec<(i16, Cursor)> {
        let left: HashMap<i16, Cursor> = std::mem::take(&mut self.recent).into_iter().collect();
        let newest = |shard| self.newest_of(shard, present - RECENT_MS);
        shards.iter().map(|shard| (*shard, left.get(shard).copied().unwrap_or_else(|| newest(*shard)))).collect()
    }

    /// From where the newest rows of a shard were last read, at most so long ago.
    fn newest_of(&self, shard: i16, a_while_ago: i64) -> Cursor {
        let read = self.newest.get(&shard).map_or(a_while_ago, |cursor| cursor.due_at - OVERLAP_MS);
        Cursor::from(read.max(a_while_ago))
    }

    /// Where each shard is read on: right behind the last page where there was more, a little before the cursor where
    /// there was not.
    fn tail(&mut self, shards: &[i16]) -> Vec<(i16, Cursor)> {
        self.rung &= !self.more.is_empty();
        let more: HashMap<i16, Cursor> = std::mem::take(&mut self.more).into_iter().collect();
        let overlapping = |shard| match self.cursors.get(shard).copied().flatten() {
            Some(cursor) => Cursor::from(cursor.due_at - OVERLAP_MS),
            None => Cursor::from(i64::MIN),
        };
        shards.iter().map(|shard| (*shard, more.get(shard).copied().unwrap_or_else(|| overlapping(shard)))).collect()
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
            if page.series == Series::Recent
                && let Some(seen) = seen
            {
                let newest = self.newest.entry(*shard).or_insert(seen);
                *newest = seen.max(*newest);
            }
        }
        let full = last.iter().filter(|(_, (count, _))| *count == PAGE);
        let more: Vec<_> = full.map(|(shard, (_, at))| (*shard, *at)).collect();
        match page.series {
            Series::Tail if more.is_empty() => {
                self.delay = if found_new { SOON } else { (self.delay * 2).min(LATE) };
                self.look_at = if self.again { now.max(self.not_before) } else { now + self.delay };
                self.caught_up_at = self.began_at;
            }
            Series::Tail => (self.look_at, self.more) = (now, more),
            Series::Recent => self.recent = more,
            Series::Sweep => self.sweep = more,
        }
    }

    /// A page could not be read: the series ends.
    pub(crate) fn failed(&mut self, now: Instant) {
        self.reading = false;
        for left in [&mut self.more, &mut self.recent, &mut self.sweep] {
            left.clear();
        }
        self.look_at = now + LATE;
    }
}

#[cfg(test)]
mod tests {
    use entity::delivery::Trigger;
    use relay::id::{DeliveryId, DestinationId, EventId, TenantId};
    use uuid::Uuid;

    use super::*;

    fn due(shard: i16, due_at: i64) -> Due {
        let id = Uuid::from_u128(due_at.unsigned_abs().into());
        Due {
            tenant_id: TenantId::from(id),
            id: DeliveryId::from(id),
            shard,
            due_at,
            seq: due_at,
            event_id: EventId::from(id),
            subscription_id: None,
            destination_id: DestinationId::from(id),
            order_key: None,
            attempts: 0,
            trigger: Trigger::Event,
            size: 0,
        }
    }

    /// A reader of shards 1 and 2 that has read both to their ends, at a moment when no sweep is due.
    fn reader() -> (Reader, Tickets, Instant) {
        let (now, tickets) = (Instant::now(), Tickets::default());
        let mut reader = Reader::new(now);
        [1, 2].iter().for_each(|shard| reader.restart(*shard));
        let now = now + SOON;
        let page = reader.next((now, 1_000), &[1, 2], Depth::All, &tickets).unwrap();
        reader.read(now, &page, &[]);
        (reader, tickets, now)
    }

    #[test]
    fn a_page_begins_a_little_before_the_last_row_that_was_read() {
        let (mut reader, tickets, now) = reader();
        let now = now + AGAIN;
        reader.hurry(now);
        let page = reader.next((now, 1_000), &[1, 2], Depth::All, &tickets).unwrap();
        reader.read(now, &page, &[due(1, 900)]);
        let now = now + AGAIN;
        reader.hurry(now);
        let page = reader.next((now, 1_000), &[1, 2], Depth::All, &tickets).unwrap();
        assert_eq!(page.cursors[0], (1, Cursor::from(900 - OVERLAP_MS)));
    }

    #[test]
    fn a_backlog_in_one_shard_keeps_no_other_waiting() {
        let (mut reader, tickets, now) = reader();
        let now = now + AGAIN;
        reader.hurry(now);
        let page = reader.next((now, 1_000), &[1, 2], Depth::All, &tickets).unwrap();
        let backlog: Vec<Due> = (1..=64).map(|at| due(1, at)).collect();
        assert_eq!(backlog.len(), PAGE);
        reader.read(now, &page, &backlog);
        let page = reader.next((now, 1_000), &[1, 2], Depth::All, &tickets).unwrap();
        assert_eq!(page.cursors[0], (1, Cursor::after(&due(1, 64))));
        assert_eq!(page.cursors[1].0, 2);
    }

    #[test]
    fn the_newest_rows_are_read_every_second_in_turn_with_the_tail() {
        let (mut reader, tickets, now) = reader();
        let later = now + RECENT_EVERY;
        let first = reader.next((later, 9_000), &[1], Depth::All, &tickets).unwrap();
        reader.read(later, &first, &[]);
        let second = reader.next((later, 9_000), &[1], Depth::All, &tickets).unwrap();
        assert_eq!((first.series, second.series), (Series::Recent, Series::Tail));
        assert_eq!(first.cursors, [(1, Cursor::from(9_000 - RECENT_MS))]);
    }

    #[test]
    fn who_rings_behind_a_backlog_has_the_newest_rows_read_in_turn_with_it() {
        let (mut reader, tickets, now) = reader();
        let backlog = |from: i64| (from..).take(PAGE).map(|at| due(1, at)).collect::<Vec<Due>>();
        let mut now = now + AGAIN;
        let mut ring = |reader: &mut Reader, rows: &[Due]| {
            now += AGAIN;
            reader.hurry(now);
            let page = reader.next((now, 90_000), &[1], Depth::All, &tickets).unwrap();
            reader.read(now, &page, rows);
            (page.series, page.cursors[0].1)
        };
        assert_eq!(ring(&mut reader, &backlog(1)).0, Series::Tail);
        assert_eq!(ring(&mut reader, &[due(1, 89_900)]), (Series::Recent, Cursor::from(90_000 - RECENT_MS)));
        assert_eq!(ring(&mut reader, &backlog(100)), (Series::Tail, Cursor::after(&due(1, 64))));
        assert_eq!(ring(&mut reader, &[]), (Series::Recent, Cursor::from(89_900 - OVERLAP_MS)));
        assert_eq!(ring(&mut reader, &[]).0, Series::Tail);
        assert_eq!(ring(&mut reader, &[]).0, Series::Recent, "for whoever rang before that");
        assert_eq!([ring(&mut reader, &[]).0, ring(&mut reader, &[]).0], [Series::Tail; 2], "nothing stands before it");
    }

    #[test]
    fn where_no_more_of_the_backlog_is_wanted_the_newest_rows_are_read_still() {
        let (mut reader, tickets, now) = reader();
        let (now, later) = (now + AGAIN, now + ALL_EVERY);
        assert!(reader.next((now, 90_000), &[1], Depth::Newest, &tickets).is_none());
        reader.hurry(now);
        let page = reader.next((now, 90_000), &[1], Depth::Newest, &tickets).unwrap();
        assert_eq!(page.series, Series::Recent);
        reader.read(now, &page, &[]);
        let page = reader.next((later, 120_000), &[1], Depth::Newest, &tickets).unwrap();
        assert_eq!(page.series, Series::Recent);
        reader.read(later, &page, &[]);
        assert!(reader.next((later, 120_000), &[1], Depth::Newest, &tickets).is_none());
        let later = later + SOON * 2;
        let series = [(); 2].map(|()| {
            let page = reader.next((later, 120_000), &[1], Depth::All, &tickets).unwrap();
            reader.read(later, &page, &[]);
            page.series
        });
        assert_eq!(series, [Series::Tail, Series::Sweep], "what was not wanted then");
    }

    #[test]
    fn who_rings_while_a_page_is_under_way_is_heard_soon_and_not_at_once() {
        let (mut reader, tickets, now) = reader();
        let began = now + AGAIN;
        reader.hurry(began);
        let page = reader.next((began, 1_000), &[1, 2], Depth::All, &tickets).unwrap();
        reader.hurry(began);
        reader.read(began, &page, &[]);
        assert_eq!(reader.next_look(), began + AGAIN);
    }

    #[test]
    fn nothing_is_read_twice_at_a_time() {
        let (mut reader, tickets, now) = reader();
        let now = now + AGAIN;
        reader.hurry(now);
        assert!(reader.next((now, 1_000), &[1], Depth::All, &tickets).is_some());
        assert!(reader.next((now, 1_000), &[1], Depth::All, &tickets).is_none());
    }
}

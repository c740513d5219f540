//! How far a table was told, by the ids of its rows. An id is made before its row can be seen, so what was read last is
//! read again for a while, and only what was not there before is news.

use std::collections::BTreeSet;

use entity::tail::{self, Followed};
use entity::{Database, DbErr};
use relay::id::{TenantId, Uuid, first_of, millis_of};

/// A row can be seen so soon after its id was made, whatever the database does: a commit is given up after less.
pub(super) const OVERLAP_MS: i64 = 10_000;
/// Ids that are read at a time. If there are more, half of them are read again, however short a time that is.
const MOST: usize = if cfg!(test) { 8 } else { 5_000 };
/// Clocks of several processes differ by less.
const AHEAD_MS: i64 = 60_000;

#[derive(Debug)]
pub(super) struct Window {
    of: Followed,
    /// Everything before this one was told.
    from: Uuid,
    /// What was told of the rest.
    told: BTreeSet<Uuid>,
}

impl Window {
    /// Begins with what is made at `at` (milliseconds since 1970).
    pub(super) fn new(of: Followed, at: i64) -> Self {
        Self { of, from: first_of(at), told: BTreeSet::new() }
    }

    /// Everything that was made before this time was told.
    pub(super) fn floor(&self) -> i64 {
        millis_of(self.from)
    }

    /// What is there, told or not, oldest first.
    pub(super) async fn read(&self, db: &Database, tenant: TenantId, now: i64) -> Result<Vec<Uuid>, DbErr> {
        tail::ids(db, tenant, self.of, (self.from, now + AHEAD_MS), MOST).await
    }

    /// Takes what a read that began at `now` gave. Returns what was not told yet, and is from now on.
    pub(super) fn news(&mut self, read: &[Uuid], now: i64) -> Vec<Uuid> {
        let news = read.iter().copied().filter(|id| self.told.insert(*id)).collect();
        let settled = if self.is_all(read) { first_of(now - OVERLAP_MS) } else { read[read.len() / 2] };
        self.from = self.from.max(settled);
        self.told = self.told.split_off(&self.from);
        news
    }

    /// Whether there was nothing more to read.
    pub(super) fn is_all(&self, read: &[Uuid]) -> bool {
        read.len() < MOST
    }

    /// This one was told in another way.
    pub(super) fn note(&mut self, id: Uuid) {
        if id >= self.from {
            self.told.insert(id);
        }
    }

    /// What was made before `at` and not told is not told any more.
    pub(super) fn skip_to(&mut self, at: i64) {
        self.from = self.from.max(first_of(at));
        self.told = self.told.split_off(&self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_700_000_000_000;
    const NOTHING: [Uuid; 0] = [];

    fn id(after_ms: i64, number: u128) -> Uuid {
        Uuid::from_u128(first_of(START + after_ms).as_u128() + number)
    }

    fn window() -> Window {
        Window::new(Followed::Events, START)
    }

    #[test]
    fn what_can_be_seen_late_is_told_all_the_same_and_once() {
        let mut window = window();
        let (early, late, next) = (id(100, 1), id(50, 2), id(9_000, 3));
        assert_eq!(window.news(&[early], START + 200), [early]);
        assert_eq!(window.news(&[late, early], START + 700), [late]);
        assert_eq!(window.news(&[late, early, next], START + 9_500), [next]);
        assert_eq!(window.floor(), START);
        assert_eq!(window.news(&[late, early, next], START + 10_080), NOTHING);
        assert_eq!(window.floor(), START + 80, "what is older than the overlap is not read again");
        assert_eq!(window.told.len(), 2);
        window.note(late);
        window.note(id(9_001, 4));
        assert_eq!(window.news(&[early, next, id(9_001, 4)], START + 10_081), NOTHING);
    }

    #[test]
    fn of_very_many_each_is_told_once_and_little_is_kept_in_mind() {
        let mut window = window();
        // All of the same millisecond, so that no time tells them apart.
        let rows: Vec<Uuid> = (0..50).map(|number| id(1, number)).collect();
        let mut told = Vec::new();
        for _ in 0..20 {
            let from = rows.partition_point(|row| *row < window.from);
            let read = &rows[from..rows.len().min(from + MOST)];
            told.extend(window.news(read, START + 5));
            assert!(window.told.len() <= MOST);
        }
        assert_eq!(told, rows);
    }

    #[test]
    fn what_is_skipped_is_not_told() {
        let mut window = window();
        assert_eq!(window.news(&[id(5, 1)], START + 10), [id(5, 1)]);
        window.skip_to(START + 1_000);
        assert_eq!((window.floor(), window.told.len()), (START + 1_000, 0));
        window.skip_to(START);
        assert_eq!(window.floor(), START + 1_000);
    }
}

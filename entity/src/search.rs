//! Searches in long tables, in the order of their keys. An index says which rows are looked at; what no index says is
//! checked of each, and then only so many rows are looked at: a search that finds little says how far it came.

use relay::id::{TenantId, first_of};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

/// So many rows of a table are checked at a time: some tenths of a second, where each is checked against its event.
const MOST: u64 = 20_000;

/// What a search found.
#[derive(Debug)]
pub struct Read<R> {
    pub rows: Vec<R>,
    /// The last that was looked at, if there is more to look at although fewer were found than asked for.
    pub until: Option<Uuid>,
}

/// In which direction a table is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Newest,
    Oldest,
}

/// Which part of a tenant's rows, by the time in their ids.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub order: Order,
    /// Only what comes after this one in that order.
    pub from: Option<Uuid>,
    /// Made at this millisecond or later.
    pub after: Option<i64>,
    /// Made earlier than this millisecond.
    pub before: Option<i64>,
    /// Rows at most.
    pub limit: u64,
}

impl Range {
    /// The newest rows from before `from`.
    #[must_use]
    pub fn newest(from: Option<Uuid>, limit: u64) -> Self {
        Self { order: Order::Newest, from, after: None, before: None, limit }
    }
}

/// A part of a statement, with `?` for each of its values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(crate) fn push(&mut self, text: &str) {
        self.text += text;
    }

    /// `text` has one `?`.
    pub(crate) fn with(&mut self, text: &str, value: impl Into<Value>) {
        self.text += text;
        self.values.push(value.into());
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.text += &other.text;
        self.values.extend(other.values.iter().cloned());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// With numbered places, as both databases know them.
    fn statement(self, backend: DbBackend) -> Statement {
        let mut parts = self.text.split('?');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for (place, part) in parts.enumerate() {
            text += &format!("${}{part}", place + 1);
        }
        Statement::from_sql_and_values(backend, text, self.values)
    }
}

/// Rows of one table, `r`, that one index gives in the order of the key. No row is found by two of a search's ways.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    /// `SELECT` and the columns.
    pub(crate) select: &'static str,
    /// `FROM` and the table.
    pub(crate) from: &'static str,
    pub(crate) join: &'static str,
    pub(crate) keys: Keys,
    /// What else the index serves.
    pub(crate) keyed: Sql,
    /// What is checked of each row. A column that has an index stands in a form that keeps SQLite from using it.
    pub(crate) checked: Sql,
    /// The index has another order than the key, and gives few rows.
    pub(crate) sorts: bool,
}

/// A part of a tenant's keys. Of several bounds the narrowest is kept: SQLite looks an index up by one on either side, and of
/// two it may take the one that leaves more rows to pass by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys {
    tenant: TenantId,
    /// The first key that is in it.
    first: Uuid,
    /// The first key behind it; none where it has no end.
    end: Option<Uuid>,
}

impl Keys {
    /// Those of what is to be read.
    pub(crate) fn of(tenant: TenantId, range: &Range) -> Self {
        let mut keys = Self { tenant, first: Uuid::nil(), end: None };
        match (range.order, range.from) {
            (Order::Newest, Some(from)) => keys.before(from),
            (Order::Oldest, Some(from)) => keys.from(next(from)),
            (_, None) => {}
        }
        if let Some(at) = range.after {
            keys.from(first_of(at));
        }
        if let Some(at) = range.before {
            keys.before(first_of(at));
        }
        keys
    }

    /// Only from this key on.
    pub(crate) fn from(&mut self, first: Uuid) {
        self.first = self.first.max(first);
    }

    /// Only up to this key, without it.
    pub(crate) fn before(&mut self, end: Uuid) {
        self.end = Some(self.end.map_or(end, |known| known.min(end)));
    }

    fn sql(&self) -> Sql {
        let mut sql = Sql::default();
        sql.with(" WHERE r.tenant_id = ?", self.tenant.uuid());
        if !self.first.is_nil() {
            sql.with(" AND r.id >= ?", self.first);
        }
        if let Some(end) = self.end {
            sql.with(" AND r.id < ?", end);
        }
        sql
    }
}

/// The next key.
fn next(key: Uuid) -> Uuid {
    Uuid::from_u128(key.as_u128().saturating_add(1))
}

impl Range {
    fn pick(&self, newest: &'static str, oldest: &'static str) -> &'static str {
        match self.order {
            Order::Newest => newest,
            Order::Oldest => oldest,
        }
    }

    fn by_key(&self) -> &'static str {
        self.pick(" ORDER BY r.id DESC", " ORDER BY r.id")
    }

    /// The same order, in a form that keeps SQLite from walking the whole key for it.
    fn by_sorting(&self) -> &'static str {
        self.pick(" ORDER BY COALESCE(r.id, r.id) DESC", " ORDER BY COALESCE(r.id, r.id)")
    }
}

/// Reads all ways as one table.
pub(crate) async fn read(
    db: &impl ConnectionTrait,
    mut ways: Vec<Way>,
    range: &Range,
) -> Result<Read<QueryResult>, DbErr> {
    let until = until(db, &ways, range).await?;
    if let Some(until) = until {
        for way in &mut ways {
            match range.order {
                Order::Newest => way.keys.from(until),
                Order::Oldest => way.keys.before(next(until)),
            }
        }
    }
    let mut all = Sql::default();
    for (place, way) in ways.iter().enumerate() {
        all.push(if place == 0 { "SELECT * FROM (" } else { " UNION ALL " });
        all.push("SELECT * FROM (");
        all.push(way.select);
        all.push(way.from);
        all.push(way.join);
        all.add(&way.keys.sql());
        all.add(&way.keyed);
        all.add(&way.checked);
        all.push(if way.sorts { range.by_sorting() } else { range.by_key() });
        all.push(&format!(" LIMIT {}) AS way", range.limit));
    }
    if ways.is_empty() {
        return Ok(Read { rows: Vec::new(), until: None });
    }
    all.push(&format!(") AS r{} LIMIT {}", range.by_key(), range.limit));
    let rows = db.query_all_raw(told(all.statement(db.get_database_backend()))).await?;
    let is_full = rows.len() as u64 >= range.limit;
    Ok(Read { until: until.filter(|_| !is_full), rows })
}

/// Says, to whoever listens, what is asked, without ids and texts: how the bench comes by SQLite's plans.
fn told(statement: Statement) -> Statement {
    tracing::trace!(sql = statement.sql, "a search");
    statement
}

/// The row at which it is enough: one way or another would have looked at as many rows as it may.
async fn until(db: &impl ConnectionTrait, ways: &[Way], range: &Range) -> Result<Option<Uuid>, DbErr> {
    let mut all = Sql::default();
    for way in ways.iter().filter(|way| !way.checked.is_empty() && !way.sorts) {
        all.push(if all.is_empty() { "SELECT r.id FROM (" } else { " UNION ALL " });
        all.push("SELECT id FROM (SELECT r.id");
        all.push(way.from);
        all.add(&way.keys.sql());
        all.add(&way.keyed);
        all.push(range.by_key());
        all.push(&format!(" LIMIT 1 OFFSET {}) AS way", MOST - 1));
    }
    if all.is_empty() {
        return Ok(None);
    }
    all.push(&format!(") AS r{} LIMIT 1", range.by_key()));
    let row = db.query_one_raw(told(all.statement(db.get_database_backend()))).await?;
    row.map(|row| row.try_get_by_index(0)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_bounds_the_narrowest_are_kept() {
        let key = |at: i64| first_of(at);
        let range = |order, from| Range { order, from, after: Some(1_000), before: Some(2_000), limit: 1 };
        for (range, first, end) in [
            (range(Order::Newest, None), key(1_000), key(2_000)),
            (range(Order::Newest, Some(key(1_500))), key(1_000), key(1_500)),
            (range(Order::Newest, Some(key(2_500))), key(1_000), key(2_000)),
            (range(Order::Oldest, Some(key(1_500))), next(key(1_500)), key(2_000)),
            (range(Order::Oldest, Some(key(500))), key(1_000), key(2_000)),
        ] {
            let mut keys = Keys::of(TenantId::at(1), &range);
            assert_eq!((keys.first, keys.end), (first, Some(end)), "{range:?}");
            keys.from(key(1_100));
            keys.before(key(1_200));
            assert_eq!(keys.end, Some(key(1_200)));
            assert_eq!(keys.sql().text, " WHERE r.tenant_id = ? AND r.id >= ? AND r.id < ?");
        }
        assert_eq!(Keys::of(TenantId::at(1), &Range::newest(None, 1)).sql().text, " WHERE r.tenant_id = ?");
    }

    #[test]
    fn places_are_numbered_in_the_order_of_their_values() {
        let mut first = Sql::default();
        first.with("a = ?", 1);
        let mut second = Sql::default();
        second.with(" AND b = ?", 2);
        first.add(&second);
        first.add(&second);
        let statement = first.statement(DbBackend::Sqlite);
        assert_eq!(statement.sql, "a = $1 AND b = $2 AND b = $3");
        assert_eq!(statement.values.unwrap().0, [1.into(), 2.into(), 2.into()]);
    }
}

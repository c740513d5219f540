//! Which index gives the deliveries that a filter wants, in both tables.

use relay::id::{DeliveryId, EventId, TenantId, first_of};

use super::Filter;
use crate::delivery::State;
use crate::search::{Keys, Range, Sql, Way};

/// One of the two tables that deliveries are in.
struct Table {
    select: &'static str,
    from: &'static str,
    join: &'static str,
}

impl Table {
    /// All rows of these keys.
    fn way(&self, keys: Keys) -> Way {
        let &Self { select, from, join } = self;
        Way { select, from, join, keys, keyed: Sql::default(), checked: Sql::default(), sorts: false }
    }
}

/// The casts give NULL a type, since PostgreSQL takes it for text where a sub-select ends.
const UNFINISHED: Table = Table {
    select: "SELECT r.id, r.event_id, r.subscription_id, r.destination_id, CAST(0 AS smallint) AS state,
    d.state_reason AS reason, r.attempts, r.due_at, r.last_status, r.last_outcome, CAST(NULL AS integer) AS duration_ms,
    CAST(NULL AS bigint) AS attempted_at, CAST(NULL AS text) AS remote_address, r.trigger, r.retry_of, r.replay_id,
    CAST(NULL AS bigint) AS finished_at, d.state AS destination_state",
    from: " FROM pending r",
    join: " LEFT JOIN destination d ON d.tenant_id = r.tenant_id AND d.id = r.destination_id",
};

const FINISHED: Table = Table {
    select: "SELECT r.id, r.event_id, r.subscription_id, r.destination_id, r.state,
    r.reason, r.attempts, CAST(NULL AS bigint) AS due_at, r.last_status, r.last_outcome, r.duration_ms,
    r.attempted_at, r.remote_address, r.trigger, r.retry_of, r.replay_id,
    r.finished_at, CAST(NULL AS text) AS destination_state",
    from: " FROM delivery r",
    join: "",
};

const HOUR_MS: i64 = 3_600_000;

/// Of these deliveries.
pub(super) fn of_these(tenant: TenantId, ids: &[DeliveryId], range: &Range) -> Vec<Way> {
    let mut keyed = Sql::default();
    keyed.push(" AND r.id IN (");
    for (place, id) in ids.iter().enumerate() {
        keyed.with(if place == 0 { "?" } else { ", ?" }, id.uuid());
    }
    keyed.push(")");
    let keys = Keys::of(tenant, range);
    [UNFINISHED, FINISHED].map(|table| Way { keyed: keyed.clone(), ..table.way(keys) }).into()
}

/// Of what `filter` wants; `events`: only of these.
pub(super) fn of(tenant: TenantId, filter: &Filter, events: Option<&[EventId]>, range: &Range) -> Vec<Way> {
    let keys = Keys::of(tenant, range);
    let tables = [unfinished(filter, keys), finished(filter, keys, events.is_some())];
    let tables = tables.into_iter().flatten();
    match events {
        None => tables.collect(),
        Some([]) => Vec::new(),
        Some(events) => tables.flat_map(|table| of_events(&table, events)).collect(),
    }
}

fn unfinished(filter: &Filter, keys: Keys) -> Option<Way> {
    if filter.state.is_some_and(|state| state != State::Pending) {
        return None;
    }
    let mut way = UNFINISHED.way(keys);
    if let Some(id) = filter.replay_id {
        way.keyed.with(" AND r.replay_id = ?", id.uuid());
    }
    match filter.held {
        Some(true) => way.checked.push(" AND d.state <> 'active'"),
        Some(false) => way.checked.push(" AND (d.state = 'active' OR d.state IS NULL)"),
        None => {}
    }
    if let Some(id) = filter.destination_id {
        way.checked.with(" AND COALESCE(r.destination_id, r.destination_id) = ?", id.uuid());
    }
    check(filter, &mut way.checked);
    Some(way)
}

/// By the index that promises the fewest rows: of a replay, of what was not delivered, of a destination.
fn finished(filter: &Filter, keys: Keys, is_of_events: bool) -> Option<Way> {
    if filter.state == Some(State::Pending) {
        return None;
    }
    let mut way = FINISHED.way(keys);
    let mut is_served = is_of_events;
    if let Some(id) = filter.replay_id {
        way.keyed.with(" AND r.replay_id = ?", id.uuid());
        is_served = true;
    }
    if is_undelivered(filter) {
        let to = if is_served { &mut way.checked } else { &mut way.keyed };
        to.push(" AND r.state <> 1");
        is_served = true;
    }
    if let Some(id) = filter.destination_id {
        if is_served {
            way.checked.with(" AND COALESCE(r.destination_id, r.destination_id) = ?", id.uuid());
        } else {
            way.keyed.with(" AND r.destination_id = ?", id.uuid());
        }
    }
    if let Some(state) = filter.state {
        way.checked.push(&format!(" AND r.state = {}", state.number()));
    }
    check(filter, &mut way.checked);
    Some(way)
}

/// Whether nothing that was delivered is wanted: the state as the index's predicate has it.
fn is_undelivered(filter: &Filter) -> bool {
    filter.state.is_some_and(|state| state != State::Delivered)
        || filter.last_status.is_some_and(|(from, to)| to < 200 || from > 299)
        || filter.last_outcome.is_some_and(|outcome| outcome != crate::attempt::Outcome::Delivered)
}

/// What no index serves in either table.
fn check(filter: &Filter, checked: &mut Sql) {
    if let Some(id) = filter.subscription_id {
        checked.with(" AND r.subscription_id = ?", id.uuid());
    }
    if let Some(trigger) = filter.trigger {
        checked.push(&format!(" AND COALESCE(r.trigger, r.trigger) = {}", trigger.number()));
    }
    if let Some((from, to)) = filter.last_status {
        checked.push(&format!(" AND r.last_status >= {from} AND r.last_status <= {to}"));
    }
    if let Some(outcome) = filter.last_outcome {
        checked.push(&format!(" AND r.last_outcome = {}", outcome.number()));
    }
    filter.event.check_of_delivery(checked);
}

/// An event's first deliveries share its millisecond, so they are a range of the key; the others have an index. As one
/// condition, SQLite would read all deliveries of the tenant.
fn of_events(table: &Way, events: &[EventId]) -> Vec<Way> {
    let mut later = Way { sorts: true, ..table.clone() };
    // None of them is older than the oldest of the events, by any clock that is less than an hour off, which spares PostgreSQL
    // the days before.
    if let Some(oldest) = events.iter().map(|id| id.millis()).min() {
        later.keys.from(first_of((oldest - HOUR_MS).max(0)));
    }
    later.keyed.push(" AND r.trigger <> 0 AND r.event_id IN (");
    let mut ways = Vec::with_capacity(events.len() + 1);
    for (place, id) in events.iter().enumerate() {
        let mut first = table.clone();
        first.keys.from(first_of(id.millis()));
        first.keys.before(first_of(id.millis() + 1));
        first.keyed.with(" AND r.event_id = ?", id.uuid());
        ways.push(first);
        later.keyed.with(if place == 0 { "?" } else { ", ?" }, id.uuid());
    }
    // What was asked for in an event's own millisecond is in its range already.
    later.keyed.push(")");
    for id in events {
        later.checked.with(" AND NOT (r.event_id = ?", id.uuid());
        later.checked.with(" AND r.id < ?)", first_of(id.millis() + 1));
    }
    ways.push(later);
    ways
}

//! A long past, written into the database while the relay is stopped, and what is asked of it.

use std::time::{Duration, Instant};

use entity::attempt::Outcome;
use entity::delivery::{State, shard_of};
use harness::{Client, Database, Relay, Value};
use hdrhistogram::Histogram;
use relay::clock::NEVER;
use relay::id::{DestinationId, SourceId, SubscriptionId, TenantId};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

use crate::relay::{Storage, server_directory};

const DAY_MS: i64 = 86_400_000;

/// Events of one tenant, from one source, each with one delivery to one of its destinations in turn.
#[derive(Debug)]
pub(crate) struct Past<'a> {
    pub(crate) storage: Storage,
    pub(crate) tenant: TenantId,
    pub(crate) source: SourceId,
    pub(crate) routes: &'a [(SubscriptionId, DestinationId)],
    /// How many days ago the first and the last of them came.
    pub(crate) days_ago: (i64, i64),
    pub(crate) events: i64,
    /// One in so many has its body still.
    pub(crate) with_body: i64,
    /// Of the last days as many deliveries as failed wait still: all destinations are paused.
    pub(crate) some_wait: bool,
}

/// One of so many failed in the end, with a 503. A prime, so that they fall on all destinations.
const FAILED: i64 = 101;
/// Those that wait have this remainder, where some do; they are younger than what is given up.
const WAITS: i64 = 50;
const WAIT_DAYS: i64 = 25;
/// One of so many is of a type of its own.
const RARE: i64 = 100_000;
pub(crate) const RARE_TYPE: &str = "bench.rare";
/// The others are of so many types.
const TYPES: i64 = 20;

/// What the provider calls an event of this number: such ids follow no order.
pub(crate) fn external_id(number: i64) -> String {
    format!("ref-{:08x}", (number * 2_654_435_761) & 0xffff_ffff)
}

/// What one of four of them says it is the answer to.
pub(crate) fn request_id(number: i64) -> String {
    format!("call-{:08x}", (number * 2_246_822_519) & 0xffff_ffff)
}

impl Past<'_> {
    /// Writes it day by day. Indexes are made anew behind it, which takes less time than to add to them.
    pub(crate) async fn write(&self, database: &Database) {
        let connection = database.connection().await;
        let run = async |text: &str| {
            connection.execute_unprepared(text).await.unwrap();
        };
        let indexes = indexes(&connection, self.storage).await;
        for (name, _) in &indexes {
            run(&format!("DROP INDEX {name}")).await;
        }
        let (first, last) = self.days_ago;
        let each = self.events / (first - last + 1);
        let today = chrono::Utc::now().timestamp_millis() / DAY_MS;
        for (number, ago) in (last..=first).rev().enumerate() {
            let day = today - ago;
            if self.storage == Storage::Postgres {
                let at = chrono::DateTime::from_timestamp_millis(day * DAY_MS).unwrap();
                run(&format!("SELECT hookyard_add_day('{}')", at.format("%F"))).await;
            }
            let from = i64::try_from(number).unwrap() * each;
            let some_wait = self.some_wait && ago < WAIT_DAYS;
            for text in self.day(day * DAY_MS, (from, each), some_wait) {
                run(&text).await;
            }
        }
        for (_, text) in &indexes {
            run(text).await;
        }
        if self.some_wait {
            let tenant = self.storage.uuid(self.tenant.uuid());
            run(&format!("UPDATE destination SET state = 'paused' WHERE tenant_id = {tenant}")).await;
        }
        run(if self.storage == Storage::Postgres { "VACUUM (ANALYZE)" } else { "PRAGMA optimize" }).await;
        connection.close().await.unwrap();
    }

    /// Statements that write `each` events, from this number on, over a day that begins at `at`.
    fn day(&self, at: i64, (from, each): (i64, i64), some_wait: bool) -> Vec<String> {
        let is_postgres = self.storage == Storage::Postgres;
        let end = from + each - 1;
        let series = if is_postgres {
            format!("generate_series({from}::bigint, {end}::bigint) AS g(n)")
        } else {
            format!(
                "(WITH RECURSIVE g(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM g WHERE n < {end}) SELECT n FROM g) g"
            )
        };
        let ms = format!("({at} + (g.n - {from}) * {DAY_MS} / {each})");
        let hex = |what: &str, digits| self.hex(what, digits);
        let id = |kind: &str| {
            let text = format!("{} || '7000{kind}' || {}", hex(&ms, 12), hex("g.n", 12));
            if is_postgres { format!("({text})::uuid") } else { format!("unhex({text})") }
        };
        let (event, delivery) = (id("8000"), id("9000"));
        let scattered = |by: i64| hex(&format!("(g.n * {by}) & 4294967295"), 8);
        let (external, request) = (scattered(2_654_435_761), scattered(2_246_822_519));
        let [tenant, source] = [self.tenant.uuid(), self.source.uuid()].map(|id| self.storage.uuid(id));
        let no = if is_postgres { "false" } else { "0" };
        let body = if is_postgres { "convert_to(repeat('x', 1024), 'UTF8')" } else { "zeroblob(1024)" };
        let subscription = self.in_turn(|route| self.storage.uuid(route.0.uuid()));
        let destination = self.in_turn(|route| self.storage.uuid(route.1.uuid()));
        let shard = self.in_turn(|route| shard_of(route.1).to_string());
        let waits = format!("({} = 1 AND g.n % {FAILED} = {WAITS})", u8::from(some_wait));
        let by_luck = |failed: i16, well: i16| format!("CASE WHEN g.n % {FAILED} = 0 THEN {failed} ELSE {well} END");
        let state = by_luck(State::Failed.number(), State::Delivered.number());
        let outcome = by_luck(Outcome::Rejected.number(), Outcome::Delivered.number());
        let (status, attempts) = (by_luck(503, 200), by_luck(8, 1));
        vec![
            format!(
                "INSERT INTO event (tenant_id, id, source_id, event_type, external_id, request_id, received_at, method, path,
                    content_type, size, matched, test, hops, attributes)
                SELECT {tenant}, {event}, {source},
                    CASE WHEN g.n % {RARE} = 17 THEN '{RARE_TYPE}' ELSE 'bench.' || (g.n % {TYPES}) END,
                    'ref-' || {external}, CASE WHEN g.n % 4 = 0 THEN 'call-' || {request} END,
                    {ms}, 'POST', '', 'application/json', 1024, 1, {no}, 0, '{{}}' FROM {series}"
            ),
            format!(
                "INSERT INTO delivery (tenant_id, id, event_id, subscription_id, destination_id, state, attempts, last_status,
                    last_outcome, duration_ms, attempted_at, trigger, finished_at)
                SELECT {tenant}, {delivery}, {event}, {subscription}, {destination}, {state}, {attempts}, {status}, {outcome},
                    12, {ms} + 20, 0, {ms} + 32 FROM {series} WHERE NOT {waits}"
            ),
            format!(
                "INSERT INTO pending (tenant_id, id, shard, due_at, event_id, subscription_id, destination_id, attempts, trigger, size)
                SELECT {tenant}, {delivery}, {shard}, {NEVER}, {event}, {subscription}, {destination}, 0, 0, 1024
                FROM {series} WHERE {waits}"
            ),
            format!(
                "INSERT INTO payload (tenant_id, event_id, headers, body)
                SELECT {tenant}, {event}, '[]', {body} FROM {series} WHERE g.n % {} = 0",
                self.with_body
            ),
        ]
    }
}

impl Past<'_> {
    fn hex(&self, what: &str, digits: u8) -> String {
        match self.storage {
            Storage::Postgres => format!("lpad(to_hex({what}), {digits}, '0')"),
            Storage::Sqlite => format!("printf('%0{digits}x', {what})"),
        }
    }

    /// Something of the route that an event goes.
    fn in_turn(&self, of: impl Fn(&(SubscriptionId, DestinationId)) -> String) -> String {
        let arms = self.routes.iter().enumerate();
        let arms = arms.map(|(place, route)| format!("WHEN {place} THEN {}", of(route)));
        format!("CASE g.n % {} {} END", self.routes.len(), arms.collect::<Vec<_>>().join(" "))
    }
}

/// Names and definitions of what is made behind the keys of the long tables.
async fn indexes(connection: &DatabaseConnection, storage: Storage) -> Vec<(String, String)> {
    let (backend, text) = match storage {
        Storage::Postgres => (
            DbBackend::Postgres,
            "SELECT indexname::text, replace(indexdef, ' ON ONLY ', ' ON ') FROM pg_indexes
            WHERE tablename IN ('event', 'delivery') AND indexname NOT LIKE '%_pkey'",
        ),
        Storage::Sqlite => (
            DbBackend::Sqlite,
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('event', 'delivery') AND sql IS NOT NULL",
        ),
    };
    let rows = connection.query_all_raw(Statement::from_string(backend, text)).await.unwrap();
    rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
}

/// What people ask, by what they would call it; `{…}` is filled in.
pub(crate) const QUESTIONS: [(&str, &str); 20] = [
    ("newest events", "/events"),
    ("an event by the provider's id", "/events?external_id={external_id}"),
    ("events by the call's id", "/events?request_id={request_id}"),
    ("events of a common type", "/events?event_type=bench.7"),
    ("events of a rare type", "/events?event_type=bench.rare"),
    ("events of a source", "/events?source_id={source}"),
    ("events of a day, 60 days ago", "/events?after={early}&before={late}"),
    ("events of a type, that day", "/events?event_type=bench.7&after={early}&before={late}"),
    ("events that failed", "/events?state=failed"),
    ("events that failed with a 5xx, that day", "/events?state=failed&status_class=5xx&after={early}&before={late}"),
    ("events that wait", "/events?state=held"),
    ("events that nobody wanted: none", "/events?matched=false"),
    ("newest deliveries", "/deliveries"),
    ("deliveries to a destination", "/deliveries?destination_id={destination}"),
    ("deliveries that failed", "/deliveries?state=failed"),
    ("deliveries that wait", "/deliveries?state=held"),
    (
        "failed ones to a destination, that day",
        "/deliveries?state=failed&destination_id={destination}&after={early}&before={late}",
    ),
    ("deliveries of a rare type", "/deliveries?event_type=bench.rare"),
    ("deliveries of a provider's id", "/deliveries?external_id={external_id}"),
    ("deliveries that timed out: none", "/deliveries?last_outcome=timed_out"),
];

/// One question's answers.
#[derive(Debug)]
pub(crate) struct Answers {
    pub(crate) items: usize,
    pub(crate) goes_on: bool,
    pub(crate) first: Duration,
    pub(crate) micros: Histogram<u64>,
}

/// Asks so often, after a first time, each time for another event; goes on to the next page where there is one.
pub(crate) async fn ask(client: &Client, path: impl Fn(u32) -> String, times: u32) -> Answers {
    let (first, page) = timed(client, &path(0)).await;
    let mut answers = Answers {
        items: harness::answer::items(&page).len(),
        goes_on: !page["next_cursor"].is_null(),
        first,
        micros: Histogram::new(3).unwrap(),
    };
    let mut cursor = page["next_cursor"].clone();
    for time in 1..=times {
        let path = path(time);
        let path = cursor.as_str().map_or_else(
            || path.clone(),
            |cursor| format!("{path}{}cursor={cursor}", if path.contains('?') { "&" } else { "?" }),
        );
        let (took, page) = timed(client, &path).await;
        answers.micros.record(u64::try_from(took.as_micros()).unwrap()).unwrap();
        cursor = page["next_cursor"].clone();
    }
    answers
}

async fn timed(client: &Client, path: &str) -> (Duration, Value) {
    let began = Instant::now();
    let answer = client.get(path).await;
    let took = began.elapsed();
    (took, answer.json(200))
}

/// How SQLite searches for a question to a relay that tells what it asks (`HOOKYARD_LOG=entity::search=trace`), each way once.
pub(crate) async fn plans_of(relay: &Relay, database: &DatabaseConnection, path: &str) -> Vec<String> {
    let api = &relay.apis[0];
    let before = api.logged().len();
    let _ = relay.operator().get(path).await.json(200);
    let log = api.logged();
    let asked = log[before..].lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut plans = Vec::new();
    for sql in asked.filter_map(|line| line["sql"].as_str().map(str::to_owned)) {
        let explain = Statement::from_string(DbBackend::Sqlite, format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = database.query_all_raw(explain).await.unwrap();
        for step in rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap()) {
            if (step.starts_with("SCAN") || step.starts_with("SEARCH")) && !plans.contains(&step) {
                plans.push(step);
            }
        }
    }
    plans
}

/// From now on PostgreSQL says of each statement of this database how it read what it read.
pub(crate) async fn explain(database: &Database) {
    for (setting, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
    ] {
        let text = format!("ALTER DATABASE %I SET {setting} = ''{value}''");
        database.execute(&format!("DO $$ BEGIN EXECUTE format('{text}', current_database()); END $$")).await;
    }
}

/// Bytes of PostgreSQL's log so far.
pub(crate) fn log_length() -> usize {
    std::fs::read(server_directory().join("log")).map_or(0, |log| log.len())
}

/// As its plans name the long tables, and their days.
const TABLES: [&str; 3] = [" on event", " on delivery", " on pending"];

/// The scans of long tables that its log tells of since.
pub(crate) fn plans_since(length: usize) -> Vec<String> {
    let log = std::fs::read(server_directory().join("log")).unwrap_or_default();
    let log = String::from_utf8_lossy(&log[length.min(log.len())..]).into_owned();
    let mut plans: Vec<String> = Vec::new();
    for line in log.lines().filter(|line| line.contains("Scan") && TABLES.iter().any(|table| line.contains(table))) {
        let line = line.trim().trim_start_matches("-> ").trim();
        if !line.contains("never executed") {
            plans.push(line.to_owned());
        }
    }
    plans
}

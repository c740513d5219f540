//! PostgreSQL plans each of the relay's statements once, and believes what the last vacuum counted. In a quiet night it counts
//! nothing, and then comes the day: what was planned for an empty table must not read a full one from end to end.

use ::relay::clock::Clock;
use ::relay::id::{DeliveryId, DestinationId, EventId, SourceId, TenantId};
use entity::attempt::Outcome;
use entity::dedupe::Key;
use entity::delivery::State;
use entity::finish::{self, AttemptLog, Change, Fate, Row, Write};
use entity::health::{self, Turn};
use entity::ingest::{self, Accepted, NewEvent};
use entity::shard::Lease;
use entity::{own_request, pending, replay};
use harness::{Database, Relay, eventually, json, on_postgres};
use uuid::Uuid;

on_postgres![
    what_ends_is_found_among_all_that_waits,
    what_is_cancelled_is_found_among_all_that_waits,
    what_is_replayed_is_found_among_all_that_waits,
    what_is_ones_own_is_found_among_all_requests,
    a_repeat_is_found_among_all_that_came,
    an_expired_key_is_found_among_all_that_have_expired,
    what_is_well_again_is_found_among_all_that_fail,
];

/// Rows that a statement is to find its own among.
const MANY: i64 = 2_000;
/// Of them it may read so many.
const FEW: i64 = 20;
const SHARD: i16 = 3;
const EPOCH: i64 = 7;
const OWNER: Uuid = Uuid::from_u128(1);

async fn what_ends_is_found_among_all_that_waits(database: Database) {
    own(&database).await;
    for table in ["pending", "command"] {
        believed_empty(&database, table).await;
    }
    let (tenant_id, id) = (TenantId::at(1), DeliveryId::at(Clock::start().now()));
    let log = AttemptLog {
        number: 1,
        at: 1,
        duration_ms: 1,
        outcome: Outcome::Rejected,
        status: Some(503),
        error: None,
        remote_address: None,
        response_headers: None,
        response_body: None,
        keep: true,
    };
    let changes = [
        Change::Move { due_at: 5 },
        Change::Reschedule { due_at: 9, last: log.clone() },
        Change::Finish { state: State::Failed, reason: None, last: Some(AttemptLog { number: 2, ..log }) },
    ];
    let first = waits(&database, tenant_id, id).await;

    let read = read_by(&database, &["pending", "command"], async |db| {
        for (change, command) in changes.into_iter().zip(first..) {
            let row = Row { tenant_id, id, shard: SHARD, epoch: EPOCH };
            let write = Write { row, change: change.clone(), command: Some(command) };
            assert_eq!(finish::write(db, OWNER, &[write], 1).await.unwrap(), [Fate::Done], "{change:?}");
        }
    })
    .await;

    assert!(read <= FEW, "{read} rows were read for three changes of one delivery");
    assert_eq!(database.number("SELECT count(*) FROM pending").await, MANY);
    assert_eq!(database.number("SELECT count(*) FROM attempt").await, 2);
    // A reschedule carries out no command.
    assert_eq!(database.number("SELECT count(*) FROM command").await, MANY - 2);
}

async fn what_is_cancelled_is_found_among_all_that_waits(database: Database) {
    own(&database).await;
    believed_empty(&database, "pending").await;
    let (tenant_id, id) = (TenantId::at(1), DeliveryId::at(1));
    database.execute(&waiting(&format!("'{}'", tenant_id.uuid()), "gen_random_uuid()", MANY)).await;
    database.execute(&waiting(&format!("'{}'", tenant_id.uuid()), &format!("'{}'", id.uuid()), 1)).await;

    let read = read_by(&database, &["pending"], async |db| {
        let found = pending::these(db, tenant_id, &[DeliveryId::at(1), id]).await.unwrap();
        assert_eq!(found.iter().map(|due| due.id).collect::<Vec<_>>(), [id]);
    })
    .await;

    assert!(read <= FEW, "{read} rows were read for two deliveries");
}

async fn what_is_replayed_is_found_among_all_that_waits(database: Database) {
    own(&database).await;
    believed_empty(&database, "pending").await;
    let (tenant_id, id, event) = (TenantId::at(1), DeliveryId::at(1), EventId::at(1));
    let tenant = format!("'{}'", tenant_id.uuid());
    database.execute(&waiting(&tenant, "gen_random_uuid()", MANY)).await;
    database.execute(&waiting(&tenant, &format!("'{}'", id.uuid()), 1)).await;
    let replayed = format!(
        "UPDATE pending SET trigger = 1; UPDATE pending SET event_id = '{}' WHERE id = '{}'",
        event.uuid(),
        id.uuid()
    );
    database.execute(&replayed).await;

    let read = read_by(&database, &["pending"], async |db| {
        let found = replay::asked_of(&db.write, tenant_id, &[EventId::at(1), event]).await.unwrap();
        assert_eq!(found.iter().map(|asked| asked.id).collect::<Vec<_>>(), [id]);
    })
    .await;

    assert!(read <= FEW, "{read} rows were read for two events");
}

async fn what_is_ones_own_is_found_among_all_requests(database: Database) {
    schema(&database).await;
    believed_empty(&database, "own_request").await;
    let (tenant_id, source) = (TenantId::at(1), SourceId::at(1));
    for tenant in ["gen_random_uuid()", &format!("'{}'", tenant_id.uuid())] {
        database.execute(&requests(tenant, MANY)).await;
    }

    let read = read_by(&database, &["own_request"], async |db| {
        let mine = ["mine".to_owned()];
        own_request::register(&db.write, tenant_id, None, &mine, Clock::start().now()).await.unwrap();
        for (id, is_own) in [("mine", true), ("another's", false)] {
            let found =
                own_request::is_own(&db.steady, tenant_id, Some(source), id, Clock::start().now()).await.unwrap();
            assert_eq!(found, is_own, "{id}");
        }
    })
    .await;

    assert!(read <= FEW, "{read} requests were read for two");
}

async fn a_repeat_is_found_among_all_that_came(database: Database) {
    schema(&database).await;
    believed_empty(&database, "dedupe").await;
    let source = SourceId::at(1);
    database.execute(&keys(source, "9223372036854775807")).await;
    let key = Key::of(b"1", i64::MAX);
    let (first, repeat) = (event(source, key), event(source, key));

    let read = read_by(&database, &["dedupe"], async |db| {
        let accepted = async |event: &NewEvent| {
            ingest::ingest(db, &Clock::start(), std::slice::from_ref(event)).await.unwrap().accepted
        };
        assert_eq!(accepted(&first).await, [Accepted::New]);
        assert_eq!(accepted(&repeat).await, [Accepted::RepeatOf(first.id)]);
    })
    .await;

    assert!(read <= FEW, "{read} keys were read for one repeat");
}

async fn an_expired_key_is_found_among_all_that_have_expired(database: Database) {
    schema(&database).await;
    believed_empty(&database, "dedupe").await;
    let source = SourceId::at(1);
    database.execute(&keys(source, "5")).await;
    let (first, again) = (event(source, Key::of(b"1", 5)), event(source, Key::of(b"1", i64::MAX)));

    let read = read_by(&database, &["dedupe"], async |db| {
        for event in [first, again] {
            let accepted = ingest::ingest(db, &Clock::start(), &[event]).await.unwrap().accepted;
            assert_eq!(accepted, [Accepted::New]);
        }
    })
    .await;

    assert!(read <= FEW, "{read} keys were read for one that had expired");
    assert_eq!(database.number("SELECT count(*) FROM dedupe WHERE expires_at = 5").await, MANY);
}

async fn what_is_well_again_is_found_among_all_that_fail(database: Database) {
    own(&database).await;
    believed_empty(&database, "health").await;
    let (tenant_id, destination_id) = (TenantId::at(1), DestinationId::at(1));
    let failing = format!(
        "INSERT INTO health (tenant_id, destination_id, shard, failing_since)
        SELECT gen_random_uuid(), gen_random_uuid(), {SHARD}, 1 FROM generate_series(1, {MANY})
        UNION ALL SELECT '{}', '{}', {SHARD}, 1",
        tenant_id.uuid(),
        destination_id.uuid()
    );
    database.execute(&failing).await;

    let read = read_by(&database, &["health"], async |db| {
        let lease = Lease { shard: SHARD, epoch: EPOCH };
        health::turn(db, OWNER, &[Turn { tenant_id, destination_id, lease, failing_since: None }]).await.unwrap();
    })
    .await;

    assert!(read <= FEW, "{read} rows were read for one destination");
    assert_eq!(database.number("SELECT count(*) FROM health").await, MANY);
}

/// The schema, with the present day.
async fn schema(database: &Database) {
    Relay::start(database.clone()).await.kill();
}

/// The same, and a worker that owns all shards, but does not run.
async fn own(database: &Database) {
    schema(database).await;
    database.execute(&format!("UPDATE shard SET owner = '{OWNER}', epoch = {EPOCH}")).await;
}

/// As after a quiet night: the table has pages, and nothing in them.
async fn believed_empty(database: &Database, table: &str) {
    let row = match table {
        "pending" => waiting("gen_random_uuid()", "gen_random_uuid()", 100),
        "command" => "INSERT INTO command (shard, tenant_id, kind, destination_id, target)
            VALUES (1, gen_random_uuid(), 1, gen_random_uuid(), gen_random_uuid())"
            .to_owned(),
        "dedupe" => keys(SourceId::at(2), "5"),
        "own_request" => requests("gen_random_uuid()", 1),
        _ => "INSERT INTO health VALUES (gen_random_uuid(), gen_random_uuid(), 1, 1)".to_owned(),
    };
    // Nobody counts again meanwhile.
    database.execute(&format!("ALTER TABLE {table} SET (autovacuum_enabled = off)")).await;
    database.execute(&row).await;
    database.execute(&format!("DELETE FROM {table}")).await;
    let emptied = format!("SELECT reltuples::bigint FROM pg_class WHERE oid = '{table}'::regclass");
    // Rows that somebody may still see are kept, and counted.
    eventually("the vacuum to count nothing", async || {
        database.execute(&format!("VACUUM (ANALYZE, TRUNCATE false) {table}")).await;
        (database.number(&emptied).await == 0).then_some(())
    })
    .await;
}

/// Rows and index entries of these tables that the work on new connections has read.
async fn read_by(database: &Database, tables: &[&str], work: impl AsyncFnOnce(&entity::Database)) -> i64 {
    let names = tables.iter().map(|table| format!("'{table}'")).collect::<Vec<_>>().join(", ");
    let read = format!(
        "SELECT ((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname IN ({names}))
            + (SELECT sum(seq_tup_read) FROM pg_stat_user_tables WHERE relname IN ({names})))::bigint"
    );
    all_told(database).await;
    let before = database.number(&read).await;
    let db = entity::Database::open(&database.url()).await.unwrap();
    work(&db).await;
    db.close().await;
    all_told(database).await;
    database.number(&read).await - before
}

/// A connection says at its end what it has read: waits until all of them have.
async fn all_told(database: &Database) {
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
        AND backend_type = 'client backend'";
    eventually("the connections to end", async || (database.number(others).await == 0).then_some(())).await;
}

/// A delivery waits, and many of others do; so do many commands, of which the third from the end is told.
async fn waits(database: &Database, tenant: TenantId, id: DeliveryId) -> i64 {
    database.execute(&waiting("gen_random_uuid()", "gen_random_uuid()", MANY)).await;
    database.execute(&waiting(&format!("'{}'", tenant.uuid()), &format!("'{}'", id.uuid()), 1)).await;
    let commands = format!(
        "INSERT INTO command (shard, tenant_id, kind, destination_id, target)
        SELECT {SHARD}, gen_random_uuid(), 1, gen_random_uuid(), gen_random_uuid() FROM generate_series(1, {MANY})"
    );
    database.execute(&commands).await;
    database.number("SELECT last_value - 2 FROM command_id_seq").await
}

/// So many rows that wait.
fn waiting(tenant: &str, id: &str, count: i64) -> String {
    format!(
        "INSERT INTO pending (tenant_id, id, shard, due_at, event_id, destination_id, attempts, trigger, size)
        SELECT {tenant}, {id}, {SHARD}, 1, gen_random_uuid(), gen_random_uuid(), 0, 0, 1 FROM generate_series(1, {count})"
    )
}

/// Many keys of a source that expire then.
fn keys(source: SourceId, expires_at: &str) -> String {
    format!(
        "INSERT INTO dedupe (source_id, key, tenant_id, event_id, expires_at)
        SELECT '{}', uuid_send(gen_random_uuid()), gen_random_uuid(), gen_random_uuid(), {expires_at}
        FROM generate_series(1, {MANY})",
        source.uuid()
    )
}

/// So many requests of somebody's own that have not ended.
fn requests(tenant: &str, count: i64) -> String {
    format!(
        "INSERT INTO own_request (tenant_id, key, expires_at)
        SELECT {tenant}, uuid_send(gen_random_uuid()), 9223372036854775807 FROM generate_series(1, {count})"
    )
}

fn event(source: SourceId, key: Key) -> NewEvent {
    let now = Clock::start().now();
    let ours = NewEvent::of_ours(TenantId::at(1), "Bench".to_owned(), &json!({}), now);
    NewEvent { id: EventId::at(now), source_id: Some(source), dedupe: Some(key), ..ours }
}

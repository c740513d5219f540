//! Events, the queue of unfinished deliveries, and the history of finished ones. No foreign keys here: every row is
//! written by a statement that already knows its relatives, and days are dropped whole.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
CREATE TABLE event (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    source_id {uuid},
    event_type text,
    derived_type text,
    external_id text,
    request_id text,
    occurred_at bigint,
    received_at bigint NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    query text,
    remote_address text,
    content_type text,
    size integer NOT NULL,
    matched integer NOT NULL,
    duplicates integer NOT NULL DEFAULT 0,
    test boolean NOT NULL,
    hops smallint NOT NULL,
    PRIMARY KEY (tenant_id, id)
) {days by id};

-- Looks an event up by the provider's id. One entry an event that has one.
CREATE INDEX event_external ON event (tenant_id, external_id, id) WHERE external_id IS NOT NULL;
-- Looks events up by the call that led to them. One entry an event that says so.
CREATE INDEX event_request ON event (tenant_id, request_id, id) WHERE request_id IS NOT NULL;

-- headers: a JSON array of [name, value], values as Latin-1 so that every byte survives.
CREATE TABLE payload (
    tenant_id {uuid} NOT NULL,
    event_id {uuid} NOT NULL,
    headers text NOT NULL,
    body {bytes} NOT NULL,
    PRIMARY KEY (tenant_id, event_id)
) {days by event_id};

CREATE TABLE delivery (
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    event_id {uuid} NOT NULL,
    subscription_id {uuid},
    destination_id {uuid} NOT NULL,
    state smallint NOT NULL,
    reason text,
    attempts smallint NOT NULL,
    last_status smallint,
    duration_ms integer,
    attempted_at bigint,
    remote_address text,
    trigger smallint NOT NULL,
    retry_of {uuid},
    finished_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, id)
) {days by id};
-- Lists by destination. One entry a delivery, 75 to 95 bytes.
CREATE INDEX delivery_destination ON delivery (tenant_id, destination_id, id);
-- Finds the replays of an event; its first deliveries are a range of the key. One entry a replay.
CREATE INDEX delivery_replay ON delivery (tenant_id, event_id) WHERE trigger <> 0;

-- Every failed attempt; successful ones are told from their delivery.
CREATE TABLE attempt (
    tenant_id {uuid} NOT NULL,
    delivery_id {uuid} NOT NULL,
    number smallint NOT NULL,
    at bigint NOT NULL,
    duration_ms integer NOT NULL,
    outcome smallint NOT NULL,
    status smallint,
    error text,
    remote_address text,
    response_headers text,
    response_body {bytes},
    PRIMARY KEY (tenant_id, delivery_id, number)
) {days by delivery_id};

-- key: the first 16 bytes of SHA-256 of the external id, since an id may be longer than an index row or hold a NUL.
CREATE TABLE dedupe (
    source_id {uuid} NOT NULL,
    key {bytes} NOT NULL,
    tenant_id {uuid} NOT NULL,
    event_id {uuid} NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (source_id, key)
);
-- Forgets expired keys. One entry an event that has an external id.
CREATE INDEX dedupe_expires ON dedupe (expires_at);

-- epoch counts takeovers: a write that names an older one writes nothing.
CREATE TABLE shard (
    id smallint PRIMARY KEY,
    owner {uuid},
    epoch bigint NOT NULL,
    expires_at bigint NOT NULL
) {small pages};

CREATE TABLE worker (
    id {uuid} PRIMARY KEY,
    expires_at bigint NOT NULL
);

-- What the api wants done to pending rows, which only the owner of their shard may touch.
CREATE TABLE command (
    {number},
    shard smallint NOT NULL,
    tenant_id {uuid} NOT NULL,
    kind smallint NOT NULL,
    destination_id {uuid} NOT NULL,
    target {uuid} NOT NULL
);
-- The owner reads its own, oldest first.
CREATE INDEX command_shard ON command (shard, id);
";

/// `seq` is a place in line, given by the database. `due_at` = 2^63-1 is parked; the literal stands in the indexes'
/// predicates because a bound parameter in its place turns the query into a full scan on SQLite.
const PENDING: &str = "
CREATE TABLE pending (
    {seq}
    tenant_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    shard smallint NOT NULL,
    due_at bigint NOT NULL,
    event_id {uuid} NOT NULL,
    subscription_id {uuid},
    destination_id {uuid} NOT NULL,
    order_key integer,
    attempts smallint NOT NULL,
    trigger smallint NOT NULL,
    retry_of {uuid},
    size integer NOT NULL,
    last_outcome smallint,
    last_status smallint,
    {key} (tenant_id, id)
);
-- Load due and its sweeps. Unparked rows only.
CREATE INDEX pending_due ON pending (shard, due_at, id) WHERE due_at < 9223372036854775807;
-- Heads of an ordered destination, lists and sweeps by destination. Every row, 162 bytes of log over its life.
CREATE INDEX pending_destination ON pending (destination_id, seq);
-- Take back, and which destinations have parked rows. Parked rows only.
CREATE INDEX pending_parked ON pending (shard, destination_id, seq) WHERE due_at = 9223372036854775807;
-- Heads per order key. Ordered rows only.
CREATE INDEX pending_order ON pending (destination_id, order_key, seq) WHERE order_key IS NOT NULL;
-- Replays of an event. Replays only.
CREATE INDEX pending_replay ON pending (tenant_id, event_id) WHERE trigger <> 0;
";

/// The database's clock in milliseconds, moved by what the harness adds (0 in production).
/// A day's partitions hold the ids whose first 48 bits are a millisecond of that day (UTC).
const POSTGRES: &str = "
CREATE FUNCTION hookyard_now(moved bigint) RETURNS bigint LANGUAGE sql VOLATILE
    AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + moved';
CREATE FUNCTION hookyard_first_id(ms bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
    AS 'SELECT (lpad(to_hex(ms), 12, ''0'') || repeat(''0'', 20))::uuid';
CREATE FUNCTION hookyard_add_day(day date) RETURNS void LANGUAGE plpgsql AS '
DECLARE
    lower uuid := hookyard_first_id((extract(epoch FROM day::timestamp) * 1000)::bigint);
    upper uuid := hookyard_first_id((extract(epoch FROM (day + 1)::timestamp) * 1000)::bigint);
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY[''event'', ''payload'', ''delivery'', ''attempt''] LOOP
        IF to_regclass(parent || to_char(day, ''_YYYYMMDD'')) IS NULL THEN
            EXECUTE format(''CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)'',
                parent || to_char(day, ''_YYYYMMDD''), parent, lower, upper);
        END IF;
    END LOOP;
END';
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let on_postgres = manager.get_database_backend() == DbBackend::Postgres;
        let (small_pages, number, seq, key) = if on_postgres {
            (
                "WITH (fillfactor = 20)",
                "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                "seq bigint NOT NULL DEFAULT nextval('pending_seq'),",
                "PRIMARY KEY",
            )
        } else {
            ("", "id INTEGER PRIMARY KEY AUTOINCREMENT", "seq INTEGER PRIMARY KEY AUTOINCREMENT,", "UNIQUE")
        };
        if on_postgres {
            dialect::run(manager, POSTGRES).await?;
            dialect::run(manager, "CREATE SEQUENCE pending_seq").await?;
        }
        dialect::run(manager, &TABLES.replace("{small pages}", small_pages).replace("{number}", number)).await?;
        dialect::run(manager, &PENDING.replace("{seq}", seq).replace("{key}", key)).await?;
        dialect::run(manager, &shards()).await
    }
}

/// The 64 lease rows; they are never added to, since a destination's shard is six bits of its id.
fn shards() -> String {
    let rows: Vec<_> = (0..64).map(|id| format!("({id}, NULL, 0, 0)")).collect();
    format!("INSERT INTO shard (id, owner, epoch, expires_at) VALUES {}", rows.join(", "))
}

//! Databases that stop, die, are locked, out of reach, slow, or replaced.

use std::time::{Duration, Instant};

use harness::wire::Wire;
use harness::{Database, Kind, Operator, within};
use tempfile::TempDir;

use crate::checker::Findings;
use crate::experiment::Context;
use crate::server::Server;
use crate::stage::{LEASE_AND_MORE, RATE, Stage, plan};

/// While a database is away, who asks hears so within 2 s, and nothing is called accepted.
const ANSWER_WITHIN: u128 = 2_500;

fn answers_were_quick(stage: &Stage) -> Result<(), String> {
    let slowest = stage.ledger.slowest_ms();
    if slowest <= ANSWER_WITHIN { Ok(()) } else { Err(format!("a provider waited {slowest} ms for its answer")) }
}

pub(super) async fn stop(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    let server = Server::of_the_run();
    stage.count_fault();
    server.stop();
    // Ten providers wait for at most two seconds each: about a minute.
    stage.refuses(context.rounds(300, 20)).await;
    server.start();
    stage.recovers().await;
    answers_were_quick(&stage)?;
    stage.settle().await
}

/// Outcomes are committed without waiting for the disk; the worker remembers those that the database forgets.
pub(super) async fn kill(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    let server = Server::of_the_run();
    for round in 0..context.rounds(20, 3) {
        stage.goes_on(round).await;
        stage.count_fault();
        server.kill();
        server.start();
        stage.recovers().await;
    }
    stage.settle().await
}

/// Together they forget under a second of what had arrived.
pub(super) async fn kill_with_worker(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    let server = Server::of_the_run();
    for round in 0..context.rounds(20, 2) {
        stage.goes_on(round).await;
        let worker = stage.relay.workers[0].clone();
        server.kill();
        worker.kill();
        server.start();
        stage.allow_what_is_unwritten().await;
        worker.start_again().await;
        stage.let_leases_end();
        stage.recovers().await;
    }
    stage.settle().await
}

/// The database dies, and another that had all of its commits takes its place, behind the same address.
pub(super) async fn promote_standby(context: Context) -> Result<Findings, String> {
    let (first, second) = (directory(), directory());
    let (primary, place) = Server::create(first.path());
    let (standby, standby_place) = Server::standby(&place, second.path());
    let admin = format!("postgres://postgres@{place}/postgres");
    let database = Database::create_at(&admin).await;
    for setting in ["synchronous_standby_names = '*'", "synchronous_commit = 'on'"] {
        database.execute(&format!("ALTER SYSTEM SET {setting}")).await;
    }
    database.number("SELECT CAST(pg_reload_conf() AS int)::bigint").await;
    let mut wire = Wire::to(&place);
    let url = database.url().replace(&place, &wire.address().to_string());
    let plan = harness::Relay::plan(database).setting("HOOKYARD_DATABASE_URL", url).setting("HOOKYARD_LOG", "warn");
    let mut stage = Stage::under_load(plan, RATE).await;
    stage.accepts(context.rounds(1_000, 50)).await;
    stage.count_fault();
    primary.kill();
    standby.promote();
    wire.cut().await;
    wire.lead_to(&standby_place);
    let now_at = format!("postgres://postgres@{standby_place}/postgres");
    stage.relay.database.moved_to(&now_at);
    stage.relay.database.execute("ALTER SYSTEM SET synchronous_standby_names = ''").await;
    stage.relay.database.number("SELECT CAST(pg_reload_conf() AS int)::bigint").await;
    wire.mend();
    stage.recovers().await;
    let findings = stage.settle().await;
    // Its database is gone before its server is.
    drop(stage);
    findings
}

/// Somebody holds a lock that writes have to wait for: a table's on PostgreSQL, the file's on SQLite.
pub(super) async fn hold_writes(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    for _ in 0..context.rounds(3, 1) {
        stage.count_fault();
        let held = stage.relay.database.hold_writes().await;
        // Longer than any statement may wait: about ten seconds.
        stage.refuses(50).await;
        held.release().await;
        stage.recovers().await;
    }
    answers_were_quick(&stage)?;
    let findings = stage.settle().await?;
    is_whole(&stage.relay.database).await?;
    Ok(findings)
}

async fn behind_a_wire(context: Context, per_second: u64) -> (Stage, Wire) {
    let database = Database::create(context.kind).await;
    let wire = Wire::to(&database.server_address());
    let url = database.url().replace(&database.server_address(), &wire.address().to_string());
    let plan = harness::Relay::plan(database).setting("HOOKYARD_DATABASE_URL", url).setting("HOOKYARD_LOG", "warn");
    (Stage::under_load(plan, per_second).await, wire)
}

/// Connections stand and nothing comes through, for longer than two leases: their owner sends nothing then, and since nobody
/// replaced it, nothing is forgotten and nothing arrives twice.
pub(super) async fn black_hole(context: Context) -> Result<Findings, String> {
    let (mut stage, mut wire) = behind_a_wire(context, RATE).await;
    for _ in 0..context.rounds(5, 1) {
        stage.count_fault();
        wire.silence();
        stage.refuses(50).await;
        stage.relay.clock.advance(2 * LEASE_AND_MORE);
        stage.refuses(20).await;
        wire.mend();
        stage.recovers().await;
    }
    answers_were_quick(&stage)?;
    stage.settle().await
}

/// One of two workers is apart from the database for longer than its lease: the other takes over what it held, and it writes
/// nothing of that when it is back.
pub(super) async fn part_worker(context: Context) -> Result<Findings, String> {
    let database = Database::create(context.kind).await;
    let mut wire = Wire::to(&database.server_address());
    let url = database.url().replace(&database.server_address(), &wire.address().to_string());
    let plan = harness::Relay::plan(database).workers(2).setting("HOOKYARD_LOG", "warn");
    let mut stage = Stage::under_load(plan.setting_of_worker(0, "HOOKYARD_DATABASE_URL", url), RATE).await;
    for round in 0..context.rounds(20, 2) {
        stage.goes_on(round).await;
        stage.count_fault();
        wire.silence();
        // Two leases: after the first, what it held is the other's.
        for _ in 0..2 {
            stage.pass(LEASE_AND_MORE).await;
            stage.recovers().await;
        }
        wire.mend();
        stage.recovers().await;
    }
    stage.settle().await
}

/// Every third statement on the queue is rolled back by the server, as after a deadlock or a failed serialization: it is
/// repeated, by us or by the provider, and seen once.
pub(super) async fn roll_back(context: Context) -> Result<Findings, String> {
    let mut stage = Stage::under_load(plan(context.kind).await, RATE).await;
    let database = stage.relay.database.clone();
    database
        .execute(
            "CREATE SEQUENCE refusals;
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE number bigint := nextval('refusals');
            BEGIN
                IF number % 3 = 0 THEN
                    RAISE EXCEPTION 'rolled back' USING ERRCODE = CASE WHEN number % 2 = 0 THEN '40001' ELSE '40P01' END;
                END IF;
                RETURN NULL;
            END $$;
            CREATE TRIGGER refuse BEFORE INSERT ON event FOR EACH STATEMENT EXECUTE FUNCTION refuse();
            CREATE TRIGGER refuse BEFORE INSERT OR UPDATE OR DELETE ON pending FOR EACH STATEMENT EXECUTE FUNCTION refuse()",
        )
        .await;
    stage.count_fault();
    stage.accepts(context.rounds(1_500, 300)).await;
    within(Duration::from_secs(120), "enough statements to be rolled back", async || {
        (database.number("SELECT last_value / 3 FROM refusals").await >= 100).then_some(())
    })
    .await;
    database.execute("DROP TRIGGER refuse ON event; DROP TRIGGER refuse ON pending").await;
    stage.recovers().await;
    stage.settle().await
}

/// Shorter than a lease: the worker goes on where it was, and nothing arrives twice.
pub(super) async fn cut_wire(context: Context) -> Result<Findings, String> {
    let (mut stage, mut wire) = behind_a_wire(context, RATE).await;
    for round in 0..context.rounds(20, 3) {
        stage.goes_on(round).await;
        stage.count_fault();
        wire.cut().await;
        stage.refuses(5).await;
        wire.mend();
        stage.recovers().await;
    }
    stage.settle().await
}

/// Each packet takes 150 ms there and 150 ms back.
pub(super) async fn slow_wire(context: Context) -> Result<Findings, String> {
    let (mut stage, wire) = behind_a_wire(context, RATE / 4).await;
    stage.count_fault();
    wire.delay(Duration::from_millis(150));
    stage.accepts(context.rounds(600, 100)).await;
    wire.delay(Duration::ZERO);
    stage.recovers().await;
    stage.settle().await
}

/// `integrity_check` has nothing to say.
pub(super) async fn is_whole(database: &Database) -> Result<(), String> {
    let sql = "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'";
    let complaints = if database.is_postgres() { 0 } else { database.number(sql).await };
    if complaints == 0 { Ok(()) } else { Err(format!("integrity_check has {complaints} complaints")) }
}

/// Killed at any moment of a migration, the next one completes it, to the same schema.
pub(super) async fn migration_interrupted(context: Context) -> Result<Findings, String> {
    let whole = Database::create(context.kind).await;
    Operator::of(&whole, &harness::clock::Clock::in_directory(&whole.directory())).does(&["migrate"]).await;
    let schema = schema_of(&whole).await;
    let all = applied(&whole).await;
    let probe = Database::create(context.kind).await;
    let began = Instant::now();
    Operator::of(&probe, &harness::clock::Clock::in_directory(&probe.directory())).does(&["migrate"]).await;
    let takes = began.elapsed();
    let mut findings = Findings::default();
    let rounds = context.rounds(40, 6);
    let mut part_way = 0;
    for round in 0..rounds {
        let database = Database::create(context.kind).await;
        let clock = harness::clock::Clock::in_directory(&database.directory());
        let settings = harness::relay::settings_of(harness::Program::Hookyard, &database, &clock);
        let settings =
            settings.into_iter().filter(|(name, _)| ["HOOKYARD_DATABASE_URL", "HOOKYARD_TEST_CLOCK"].contains(name));
        let mut command = harness::Program::Hookyard.command(&["migrate"], &settings.collect(), &database.directory());
        let mut child =
            command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        let share = (round as f64 + 0.5) / rounds as f64;
        tokio::time::sleep(takes.mul_f64(share)).await;
        let _ = child.kill();
        child.wait().unwrap();
        findings.faults += 1;
        part_way += usize::from((1..all).contains(&applied(&database).await));
        let began = Instant::now();
        Operator::of(&database, &clock).does(&["migrate"]).await;
        findings.recovery_ms = findings.recovery_ms.max(Some(began.elapsed().as_millis()));
        if schema_of(&database).await != schema {
            findings.broken.push(format!("after {:.0} % of a migration the schema is another", 100.0 * share));
        }
        database.drop().await;
    }
    whole.drop().await;
    probe.drop().await;
    println!("{part_way} of {rounds} were killed between the first migration and the last of {all}");
    if context.full && part_way == 0 {
        findings.broken.push("none was killed between the first migration and the last".to_owned());
    }
    Ok(findings)
}

/// Migrations that are done.
async fn applied(database: &Database) -> i64 {
    let is_there = if database.is_postgres() {
        "SELECT count(*) FROM pg_class WHERE relname = 'seaql_migrations'"
    } else if std::path::Path::new(database.url().trim_start_matches("sqlite://")).exists() {
        "SELECT count(*) FROM sqlite_master WHERE name = 'seaql_migrations'"
    } else {
        return 0;
    };
    match database.number(is_there).await {
        0 => 0,
        _ => database.number("SELECT count(*) FROM seaql_migrations").await,
    }
}

/// A number that says whether two schemas are the same.
async fn schema_of(database: &Database) -> Vec<i64> {
    let texts = if database.is_postgres() {
        // Days are named after when they were made.
        let columns = "SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable AS it \
                       FROM information_schema.columns WHERE table_schema = 'public' AND table_name !~ '_[0-9]+$'";
        let indexes = "SELECT indexdef AS it FROM pg_indexes WHERE schemaname = 'public' AND tablename !~ '_[0-9]+$'";
        let done = "SELECT version AS it FROM seaql_migrations";
        [columns, indexes, done]
            .map(|sql| format!("SELECT COALESCE(sum(hashtext(it)::bigint), 0)::bigint FROM ({sql}) AS all_of_it"))
    } else {
        let everything = "SELECT count(*) FROM sqlite_master";
        let texts = "SELECT COALESCE(sum(length(sql) * (unicode(name) + 7)), 0) FROM sqlite_master";
        let done = "SELECT count(*) FROM seaql_migrations";
        [everything, texts, done].map(str::to_owned)
    };
    let mut numbers = Vec::new();
    for sql in texts {
        numbers.push(database.number(&sql).await);
    }
    numbers
}

fn directory() -> TempDir {
    let directory = TempDir::with_prefix("hookyard-server.").unwrap();
    // The server's own user has to come through.
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    directory
}

/// A server on a small disk, and a database there.
pub(super) async fn on_a_disk(disk: &crate::disk::Disk) -> (Server, Database) {
    let directory = disk.path().join("server");
    std::fs::create_dir(&directory).unwrap();
    let (server, place) = Server::create(&directory);
    let database = Database::create_at(&format!("postgres://postgres@{place}/postgres")).await;
    (server, database)
}

/// On SQLite everything lies on the disk, the logs of the processes as well.
pub(super) async fn database_on(kind: Kind, disk: &crate::disk::Disk) -> (Option<Server>, Database) {
    if kind == Kind::Sqlite {
        return (None, Database::create_in(kind, disk.path()).await);
    }
    let (server, database) = on_a_disk(disk).await;
    (Some(server), database)
}

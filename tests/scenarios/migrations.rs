//! Databases that are older or newer than the programs.

use harness::clock::Clock;
use harness::program::Program;
use harness::relay::settings_of;
use harness::{Database, Operator, Process, Receiver, Relay, eventually, on_each_database};
use sea_orm::ConnectionTrait;

on_each_database![
    what_is_pending_is_listed_and_then_applied,
    two_that_migrate_together_do_it_once,
    who_migrates_is_waited_for,
    a_schema_that_is_a_release_ahead_is_run_on,
    a_schema_that_is_too_new_is_refused,
];

const NEWER: &str = "m20991231_000001_of_tomorrow";

fn operator(database: &Database) -> Operator {
    Operator::of(database, &Clock::in_directory(&database.directory()))
}

async fn what_is_pending_is_listed_and_then_applied(database: Database) {
    let operator = operator(&database);

    let pending = operator.run(&["migrate", "--check"]).await;
    assert_eq!(pending.code, Some(1), "{pending:#?}");
    let names: Vec<_> = pending.out.lines().filter_map(|line| line.strip_prefix("pending  ")).collect();
    assert!(names.len() >= 8 && names[0].ends_with("_configuration"), "{pending:#?}");
    assert!(pending.err.contains("hookyard migrate"), "{pending:#?}");
    assert!(!database.directory().join("hookyard.db").exists(), "a check makes no database");

    let applied = operator.does(&["migrate"]).await;
    let expected: Vec<_> = names.iter().map(|name| format!("applied  {name}")).collect();
    assert_eq!(
        applied.lines().collect::<Vec<_>>(),
        [&expected[..], &["the database is up to date".to_owned()]].concat()
    );
    for again in [&["migrate"][..], &["migrate", "--check"]] {
        assert_eq!(operator.does(again).await, "the database is up to date\n");
    }
}

async fn two_that_migrate_together_do_it_once(database: Database) {
    let operator = operator(&database);
    let pending = operator.run(&["migrate", "--check"]).await.out;
    let (one, other) = tokio::join!(operator.does(&["migrate"]), operator.does(&["migrate"]));
    let both = format!("{one}{other}");
    let mut applied: Vec<_> = both.lines().filter_map(|line| line.strip_prefix("applied  ")).collect();
    applied.sort_unstable();
    assert_eq!(applied, pending.lines().filter_map(|line| line.strip_prefix("pending  ")).collect::<Vec<_>>());
}

async fn who_migrates_is_waited_for(database: Database) {
    let (directory, clock) = (database.directory(), Clock::in_directory(&database.directory()));
    operator(&database).does(&["migrate"]).await;
    for undo in ["DROP TABLE schema_floor", "DELETE FROM seaql_migrations WHERE version LIKE '%_schema_floor'"] {
        database.execute(undo).await;
    }
    let alone = database.connection().await;
    let lock = if database.is_postgres() { "SELECT pg_advisory_lock(7523671596422297889)" } else { "BEGIN IMMEDIATE" };
    alone.execute_unprepared(lock).await.unwrap();

    let refused = operator(&database).run(&["migrate", "--wait", "1"]).await;
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let who = if database.is_postgres() { "migrates it" } else { "another process writes to it" };
    assert!(refused.err.contains(&format!("{who})")) && refused.err.contains("stayed in use for 1 s"), "{refused:#?}");
    assert!(!refused.out.contains("applied"), "{refused:#?}");

    let process =
        Process::spawn(Program::Hookyard, settings_of(Program::Hookyard, &database, &clock), &directory, "waiting");
    eventually("it to say that it waits", async || process.log().contains("waiting: the database").then_some(())).await;
    alone.close().await.unwrap();
    process.ready().await;
}

/// As a newer version would leave it that only added to the schema.
async fn migrate_to_tomorrow(database: &Database) {
    database.execute(&format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{NEWER}', 0)")).await;
}

async fn a_schema_that_is_a_release_ahead_is_run_on(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    migrate_to_tomorrow(&relay.database).await;

    for process in relay.processes() {
        process.terminate();
        process.ended().await;
        process.start_again().await;
        let log = process.log();
        assert!(log.contains("WARN") && log.contains("newer version") && log.contains(NEWER), "{log}");
    }
    let event = route.source.send("order.paid").await;
    assert_eq!(route.tenant.settled(&event).await[0]["state"], "delivered");

    let operator = Operator::at(&relay);
    for arguments in [&["migrate"][..], &["migrate", "--check"]] {
        let said = operator.does(arguments).await;
        assert!(said.contains(&format!("newer    {NEWER}")) && said.contains("this one runs"), "{said}");
    }
    operator.does(&["tenants", "list"]).await;
}

async fn a_schema_that_is_too_new_is_refused(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    let operator = Operator::of(&database, &clock);
    operator.does(&["migrate"]).await;
    migrate_to_tomorrow(&database).await;
    database.execute(&format!("UPDATE schema_floor SET migration = '{NEWER}'")).await;

    let programs = if database.is_postgres() {
        &[Program::Hookyard, Program::Api, Program::Worker][..]
    } else {
        &[Program::Hookyard]
    };
    for program in programs {
        let output = program.run(&[], &settings_of(*program, &database, &clock), &database.directory()).await;
        let said = harness::program::words(&output);
        assert!(!output.status.success() && said.contains("too new") && said.contains(NEWER), "{said}");
    }
    for arguments in [&["migrate"][..], &["migrate", "--check"], &["tenants", "list"], &["keys", "list"]] {
        operator.is_refused(arguments, &["too new for this program", NEWER]).await;
    }

    // Neither behind nor ahead: something of ours is not there.
    database.execute("DELETE FROM seaql_migrations WHERE version LIKE '%_queue'").await;
    operator.is_refused(&["migrate"], &["another history", "_queue", NEWER]).await;
}

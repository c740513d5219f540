//! A missing or bad setting stops the start and names itself.

use harness::clock::Clock;
use harness::program::{Program, words};
use harness::relay::{migrate, settings_of};
use harness::{Database, on_each_database, on_postgres};

on_each_database![a_setting_that_makes_no_sense_stops_the_start, a_public_url_is_told_what_it_must_be];
on_postgres![a_missing_setting_stops_the_start, a_database_that_was_not_migrated_stops_the_start];

async fn a_setting_that_makes_no_sense_stops_the_start(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    let programs = if database.is_postgres() {
        migrate(&database, &clock).await;
        vec![Program::Api, Program::Worker]
    } else {
        vec![Program::Hookyard]
    };
    for program in programs {
        for (name, value) in [
            ("HOOKYARD_DATABASE_URL", "mysql://nowhere"),
            ("HOOKYARD_LISTEN", "somewhere"),
            ("HOOKYARD_OPS_LISTEN", "127.0.0.1:99999"),
            ("HOOKYARD_MASTER_KEYS", "k1:dG9vIHNob3J0"),
            ("HOOKYARD_MASTER_KEYS", "no colon"),
            ("HOOKYARD_OPERATOR_KEY", "short"),
            ("HOOKYARD_PUBLIC_URL", "hooks.example.com"),
            ("HOOKYARD_EGRESS_ALLOW", "10.0.0.0/33"),
            ("HOOKYARD_EGRESS_HTTP", "perhaps"),
            ("HOOKYARD_EGRESS_PORTS", "443,99999"),
            ("HOOKYARD_RETENTION_METADATA", "29d"),
            ("HOOKYARD_TRUSTED_PROXIES", "10.0.0.1"),
            ("HOOKYARD_PROXY_PROTOCOL", "perhaps"),
            ("HOOKYARD_LISTNE", "127.0.0.1:0"),
        ] {
            let only_of_the_api = [
                "HOOKYARD_LISTEN",
                "HOOKYARD_PUBLIC_URL",
                "HOOKYARD_OPERATOR_KEY",
                "HOOKYARD_TRUSTED_PROXIES",
                "HOOKYARD_PROXY_PROTOCOL",
            ]
            .contains(&name);
            if !(program == Program::Worker && only_of_the_api) {
                refuses_to_start(program, &database, &clock, (name, Some(value))).await;
            }
        }
    }
}

async fn a_public_url_is_told_what_it_must_be(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    let program = if database.is_postgres() { Program::Api } else { Program::Hookyard };
    for value in ["hooks.example.com", "hooks.example.com:8080", "https://hooks.example.com/?a=b"] {
        let mut settings = settings_of(program, &database, &clock);
        settings.insert("HOOKYARD_PUBLIC_URL", value.to_owned());
        let said = words(&program.run(&[], &settings, &database.directory()).await);
        assert!(said.contains("such as `https://hooks.example.com`"), "{value}: {said}");
    }
}

async fn a_missing_setting_stops_the_start(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    migrate(&database, &clock).await;
    for program in [Program::Api, Program::Worker] {
        for name in ["HOOKYARD_DATABASE_URL", "HOOKYARD_MASTER_KEYS"] {
            refuses_to_start(program, &database, &clock, (name, None)).await;
        }
    }
}

async fn a_database_that_was_not_migrated_stops_the_start(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    for program in [Program::Api, Program::Worker] {
        let output = program.run(&[], &settings_of(program, &database, &clock), &database.directory()).await;
        assert_eq!(output.status.code(), Some(1), "{}: it may be, soon", program.name());
        assert!(words(&output).contains("hookyard migrate"), "{}: {}", program.name(), words(&output));
    }
}

/// With everything as it should be but for one setting.
async fn refuses_to_start(
    program: Program,
    database: &Database,
    clock: &Clock,
    (name, value): (&'static str, Option<&str>),
) {
    let mut settings = settings_of(program, database, clock);
    match value {
        Some(value) => settings.insert(name, value.to_owned()),
        None => settings.remove(name),
    };
    let output = program.run(&[], &settings, &database.directory()).await;
    let said = words(&output);
    assert_eq!(output.status.code(), Some(2), "{} with {name}={value:?}: another try is of no use", program.name());
    assert!(said.contains(name), "{} does not name {name}={value:?}: {said}", program.name());
    assert!(!said.contains("panicked"), "{}: {said}", program.name());
}

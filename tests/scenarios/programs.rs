//! The first start.

use std::os::unix::fs::PermissionsExt;

use harness::clock::Clock;
use harness::program::{Program, Settings, words};
use harness::relay::settings_of;
use harness::{Client, Database, Process, Receiver, Tenant, eventually, on_sqlite};

on_sqlite![the_first_start_makes_its_own_keys, a_lost_key_file_is_not_made_anew];

async fn the_first_start_makes_its_own_keys(database: Database) {
    let settings = bare_settings(&database);
    let directory = database.directory();
    let process = Process::spawn(Program::Hookyard, settings, &directory, "hookyard");
    process.ready().await;

    eventually("the worker's role to be taken", async || directory.join("hookyard.db-worker").exists().then_some(()))
        .await;
    for file in ["hookyard.keys", "hookyard.db", "hookyard.db-worker"] {
        let mode = std::fs::metadata(directory.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let operator = operator_in(&process.said(), &process).await.expect("the operator's key is printed");
    let tenant = Tenant::create(&operator, "acme").await;

    process.terminate();
    assert!(process.ended().await.success());
    process.start_again().await;
    assert!(operator_in(&process.said(), &process).await.is_none(), "it is printed once");
    tenant.get("").await.is(200);
}

async fn a_lost_key_file_is_not_made_anew(database: Database) {
    let settings = bare_settings(&database);
    let directory = database.directory();
    let process = Process::spawn(Program::Hookyard, settings.clone(), &directory, "hookyard");
    process.ready().await;
    let operator = operator_in(&process.said(), &process).await.expect("the operator's key is printed");
    Tenant::create(&operator, "acme").await.destination(&Receiver::start().await).await;
    process.terminate();
    process.ended().await;

    std::fs::remove_file(directory.join("hookyard.keys")).unwrap();
    let output = Program::Hookyard.run(&[], &settings, &directory).await;

    assert!(!output.status.success(), "{}", words(&output));
    assert!(
        words(&output).contains("HOOKYARD_MASTER_KEYS") || words(&output).contains("hookyard.keys"),
        "{}",
        words(&output)
    );
    assert!(!directory.join("hookyard.keys").exists());
}

/// Nothing but free ports, and receivers on this machine: a first start, as somebody does it who has read nothing.
fn bare_settings(database: &Database) -> Settings {
    let clock = Clock::in_directory(&database.directory());
    let mut settings = settings_of(Program::Hookyard, database, &clock);
    for name in ["HOOKYARD_DATABASE_URL", "HOOKYARD_MASTER_KEYS", "HOOKYARD_OPERATOR_KEY"] {
        settings.remove(name);
    }
    settings
}

/// The first word of what was said that opens what only an operator's key does.
async fn operator_in(said: &str, process: &Process) -> Option<Client> {
    for word in said.split_whitespace().filter(|word| word.len() >= 24 && !word.contains("://")) {
        let client = Client::of(process).with_key(word);
        if client.get("/v1/tenants").await.status == 200 {
            return Some(client);
        }
    }
    None
}

//! The first start, and the operator's commands.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use harness::clock::Clock;
use harness::program::{Program, Settings, words};
use harness::relay::settings_of;
use harness::{Client, Database, Process, Receiver, Relay, Tenant, eventually, on_each_database, on_sqlite};

on_sqlite![the_first_start_makes_its_own_keys, a_lost_key_file_is_not_made_anew];
on_each_database![an_operator_can_make_keys, an_operator_can_revoke_keys];

async fn the_first_start_makes_its_own_keys(database: Database) {
    let settings = bare_settings(&database);
    let directory = database.directory();
    let process = Process::spawn(Program::Hookyard, settings, &directory, "hookyard");
    process.ready().await;

    let file = directory.join("hookyard.keys");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
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

async fn an_operator_can_make_keys(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let other = relay.tenant("other").await;
    let process = &relay.apis[0];

    let said = run(&relay, &["keys", "create", "--operator"]).await;
    let operator = operator_in(&said, process).await.expect("a key that works");
    operator.get("/v1/tenants").await.is(200);

    let said = run(&relay, &["keys", "create", "--tenant", &tenant.slug]).await;
    let holder = key_in(&said, process, &tenant.path("/sources")).await.expect("a key that works");
    assert_eq!(holder.get(&other.path("/sources")).await.status, 404);
}

async fn an_operator_can_revoke_keys(database: Database) {
    let relay = Relay::start(database).await;
    let said = run(&relay, &["keys", "create", "--operator", "--name", "leaked"]).await;
    let operator = operator_in(&said, &relay.apis[0]).await.expect("a key that works");
    let listed = run(&relay, &["keys", "list"]).await;
    let id = listed.split_whitespace().find(|word| word.starts_with("key_")).expect("an id");

    run(&relay, &["keys", "revoke", id]).await;

    eventually("the key to open nothing any more", async || {
        (operator.get("/v1/tenants").await.status == 401).then_some(())
    })
    .await;
    assert!(!run(&relay, &["keys", "list"]).await.contains(id));
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

async fn run(relay: &Relay, arguments: &[&str]) -> String {
    let mut settings = settings_of(Program::Hookyard, &relay.database, &relay.clock);
    settings.retain(|name, _| ["HOOKYARD_DATABASE_URL", "HOOKYARD_TEST_CLOCK", "HOOKYARD_MASTER_KEYS"].contains(name));
    let directory: &Path = &relay.database.directory();
    let output = Program::Hookyard.run(arguments, &settings, directory).await;
    assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}

async fn operator_in(said: &str, process: &Process) -> Option<Client> {
    key_in(said, process, "/v1/tenants").await
}

/// The first word of what was said that opens a path.
async fn key_in(said: &str, process: &Process, path: &str) -> Option<Client> {
    for word in said.split_whitespace().filter(|word| word.len() >= 24 && !word.contains("://")) {
        let client = Client::of(process).with_key(word);
        if client.get(path).await.status == 200 {
            return Some(client);
        }
    }
    None
}

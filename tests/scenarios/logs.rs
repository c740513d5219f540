//! What the processes log.

use harness::clock::Clock;
use harness::ondato::APPROVED;
use harness::program::{Program, words};
use harness::relay::settings_of;
use harness::{Database, Receiver, Relay, Value, eventually, on_each_database};

on_each_database![
    each_line_is_an_object_if_json_is_asked_for,
    an_end_at_the_start_is_an_object_too,
    a_misspelt_level_stops_the_start,
];

async fn each_line_is_an_object_if_json_is_asked_for(database: Database) {
    let plan = Relay::plan(database).setting("HOOKYARD_LOG_FORMAT", "json");
    let relay = plan.setting("HOOKYARD_LOG", "debug,hyper=info").start().await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let (guarded, _) = route.tenant.guarded_source("ondato", "a password of theirs").await;
    route.source.send(APPROVED).await;
    let refused = guarded.as_user("ondato", "wrong").post("{}").await;
    refused.is(401);
    let request = refused.header("request-id").unwrap();
    receiver.wait_for(1).await;

    let lines = eventually("the refusal to be logged", async || {
        let lines: Vec<Value> = relay.processes().iter().flat_map(|process| objects(&process.logged())).collect();
        lines.iter().any(|line| line["message"] == "refused a webhook").then_some(lines)
    })
    .await;
    let told = lines.iter().find(|line| line["message"] == "refused a webhook").unwrap();
    assert_eq!((&told["span"]["request_id"], &told["level"]), (&Value::from(request), &Value::from("DEBUG")), "{told}");
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["target"].is_string()), "{lines:#?}");
    eventually("the attempt to be logged", async || {
        let lines = objects(&relay.workers[0].logged());
        let attempted = lines.into_iter().find(|line| line["message"] == "attempted")?;
        assert!(attempted["delivery.id"].as_str().unwrap().starts_with("dlv_"), "{attempted}");
        assert_eq!(attempted["outcome"], "delivered", "{attempted}");
        Some(())
    })
    .await;

    for process in relay.processes() {
        process.terminate();
        process.ended().await;
        assert!(!objects(&process.logged()).is_empty(), "{}", process.log());
    }
}

async fn an_end_at_the_start_is_an_object_too(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    for (name, value) in [
        ("HOOKYARD_DATABASE_URL", "mysql://nowhere"),
        ("HOOKYARD_MASTER_KEYS", "no colon"),
        ("HOOKYARD_OPS_LISTEN", "somewhere"),
        ("HOOKYARD_EGRESS_PORTS", "443,99999"),
        ("HOOKYARD_LISTNE", "127.0.0.1:0"),
        ("HOOKYARD_OTLP_HEADERS", "no sign"),
    ] {
        let mut settings = settings_of(Program::Hookyard, &database, &clock);
        settings.insert("HOOKYARD_LOG_FORMAT", "json".to_owned());
        settings.insert("HOOKYARD_OTLP_ENDPOINT", "http://127.0.0.1:1".to_owned());
        settings.insert(name, value.to_owned());

        let output = Program::Hookyard.run(&[], &settings, &database.directory()).await;

        assert!(!output.status.success(), "{name}: {}", words(&output));
        let said = objects(&String::from_utf8(output.stderr).unwrap());
        let last = said.last().unwrap_or_else(|| panic!("{name}: nothing was said"));
        assert!(last["level"] == "ERROR" && last.to_string().contains(name), "{name}: {last}");
    }
}

async fn a_misspelt_level_stops_the_start(database: Database) {
    let clock = Clock::in_directory(&database.directory());
    for (filter, word) in [("inof", "inof"), ("info,worker", "worker")] {
        let mut settings = settings_of(Program::Hookyard, &database, &clock);
        settings.insert("HOOKYARD_LOG", filter.to_owned());

        let output = Program::Hookyard.run(&[], &settings, &database.directory()).await;

        let said = words(&output);
        assert!(!output.status.success(), "{filter}: {said}");
        assert!(said.contains(&format!("`{word}` is no level")) && said.contains("HOOKYARD_LOG"), "{filter}: {said}");
    }
}

/// Every line, each of which must be one JSON object. The last may still be on its way.
fn objects(log: &str) -> Vec<Value> {
    let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let object = |line: &str| match serde_json::from_str(line) {
        Ok(Value::Object(fields)) => Value::Object(fields),
        other => panic!("{other:?} is no object: {line}"),
    };
    whole.lines().map(object).collect()
}

//! The id of a request: in its answer, in the log, and in the audit log.

use harness::answer::{items, text};
use harness::ondato::{APPROVED, event};
use harness::{Answer, Database, Receiver, Relay, Value, json, on_each_database};
use reqwest::Method;

on_each_database![
    every_answer_has_an_id_of_its_own,
    what_was_our_fault_is_found_in_the_log,
    a_change_is_found_in_the_audit_log
];

async fn every_answer_has_an_id_of_its_own(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let (anybody, sent) = (relay.anybody(), ("x-request-id", "req_of_the_caller"));
    let mut seen = std::collections::BTreeSet::new();

    for answer in [
        tenant.get("").await,
        tenant.get("/sources/unknown").await,
        anybody.get("/v1/tenants").await,
        anybody.get("/nowhere").await,
        anybody.get("/openapi.json").await,
        tenant.client.ask(Method::GET, &tenant.path(""), &[sent], "").await,
        source.post(event(APPROVED)).await,
        source.post_with(&[sent], event(APPROVED)).await,
        anybody.post("/in/nobody/nothing", json!({})).await,
        anybody.post("/oauth/token", json!({})).await,
    ] {
        let id = id_of(&answer);
        assert!(id.starts_with("req_") && seen.insert(id.clone()), "{answer}");
        if answer.header("content-type") == Some("application/problem+json") {
            assert_eq!(answer.json(answer.status)["request_id"], id.as_str(), "{answer}");
        }
    }
}

async fn what_was_our_fault_is_found_in_the_log(database: Database) {
    let plan = Relay::plan(database).setting("HOOKYARD_LOG_FORMAT", "json").setting("HOOKYARD_LOG", "warn,api=debug");
    let relay = plan.start().await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;

    let held = relay.database.hold_writes().await;
    let away = source.post(event(APPROVED)).await;
    let _ = away.problem(503);
    held.release().await;
    let line = line_of(&relay, &away).await;
    assert_eq!((&line["level"], &line["cause"]), (&json!("DEBUG"), &json!("away")), "{line:#}");

    relay.database.execute("ALTER TABLE audit RENAME TO audit_that_was").await;
    let fault = tenant.post("/sources", json!({ "name": "in", "provider": "ondato" })).await;
    let _ = fault.problem(500);
    let line = line_of(&relay, &fault).await;
    assert_eq!(line["level"], "ERROR", "{line:#}");
    assert!(text(&line, "error").contains("audit"), "{line:#}");
}

async fn a_change_is_found_in_the_audit_log(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let made = tenant.put("/destinations/by-key/k", json!({ "name": "out", "url": receiver.url() })).await;
    made.is(201);

    let entry = &items(&tenant.get("/audit-log?object=destination").await.json(200))[0];

    assert_eq!(text(entry, "request_id"), id_of(&made));
}

fn id_of(answer: &Answer) -> String {
    answer.header("request-id").unwrap_or_else(|| panic!("no request-id in {answer}")).to_owned()
}

/// The line that the api logged about a request.
async fn line_of(relay: &Relay, answer: &Answer) -> Value {
    let id = id_of(answer);
    harness::eventually("the request to be logged", async || {
        let log = relay.apis[0].logged();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["span"]["request_id"] == id.as_str())
    })
    .await
}

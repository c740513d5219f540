//! What an operator's collector hears of webhooks and attempts, and what destinations hear of their traces.

use harness::ondato::{APPROVED, event};
use harness::{Collector, Database, Receiver, Relay, Route, eventually, json, on_each_database, within};

on_each_database![
    a_providers_trace_goes_all_the_way,
    a_trace_begins_where_no_provider_began_one,
    what_a_provider_does_not_record_is_not_told,
    a_part_of_the_traces_is_told,
    a_collector_that_is_away_holds_up_nothing,
];

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

async fn a_providers_trace_goes_all_the_way(database: Database) {
    let (collector, receiver) = (Collector::start().await, Receiver::answering([500]).await);
    let plan = Relay::plan(database).setting("HOOKYARD_OTLP_ENDPOINT", collector.endpoint());
    let relay = plan.setting("HOOKYARD_OTLP_HEADERS", "x-key=a-key-of-the-operator").start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;

    let traceparent = format!("00-{TRACE}-{SPAN}-01");
    let headers = [("traceparent", traceparent.as_str()), ("content-type", "application/json")];
    let answer = source.post_with(&headers, event(APPROVED)).await;
    let event_id = answer.event_id();
    let delivery = tenant.delivery_of(&event_id).await;
    tenant.delivery_waiting(delivery["id"].as_str().unwrap(), 1).await;
    relay.clock.advance(std::time::Duration::from_secs(7));
    tenant.settled(&event_id).await;

    let [received] = &collector.heard("webhook", 1).await[..] else { panic!("one request is one span") };
    assert_eq!((received.trace.as_str(), received.parent.as_str()), (TRACE, SPAN));
    assert_eq!(received.attributes["hookyard.event.id"], event_id);
    assert_eq!(received.attributes["hookyard.outcome"], "accepted");
    assert_eq!(received.attributes["hookyard.request.id"], answer.header("request-id").unwrap());
    assert_eq!(received.attributes["http.response.status_code"], "202");
    assert_eq!(received.error, None);
    assert!(received.began <= received.ended);

    let attempts = collector.heard("attempt", 2).await;
    let requests = receiver.wait_for(2).await;
    for (number, (attempt, request)) in attempts.iter().zip(&requests).enumerate() {
        assert_eq!((&attempt.trace, &attempt.parent), (&received.trace, &received.id), "{attempt:?}");
        assert_eq!(request.one("traceparent"), format!("00-{TRACE}-{}-01", attempt.id));
        assert_eq!(attempt.attributes["hookyard.attempt"], (number + 1).to_string());
        assert_eq!(attempt.attributes["hookyard.destination.id"], destination.id);
        assert_eq!(attempt.attributes["hookyard.delivery.id"], delivery["id"].as_str().unwrap());
    }
    assert_eq!(attempts[0].error.as_deref(), Some("answered 500"));
    assert_eq!(attempts[1].error, None);
    let programs = [&received.program, &attempts[0].program];
    let expected = if relay.is_one_process() { ["hookyard"; 2] } else { ["hookyard-api", "hookyard-worker"] };
    assert_eq!(programs, expected);
    for posted in collector.receiver().requests() {
        assert_eq!(posted.one("x-key"), "a-key-of-the-operator");
        assert_eq!(posted.one("content-type"), "application/x-protobuf");
    }
    says_nothing_of_what_was_sent(&collector, &source.path);
}

async fn a_trace_begins_where_no_provider_began_one(database: Database) {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let relay = Relay::plan(database).setting("HOOKYARD_OTLP_ENDPOINT", collector.endpoint()).start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;

    let event_id = source.send(APPROVED).await;
    let again = source.post_with(&[("traceparent", "nonsense")], event(APPROVED)).await;
    again.is(202);
    source.post("no JSON").await.succeeded();
    let unknown = harness::Source { path: format!("{}x", source.path), ..source.clone() };
    // Who has proven nothing decides nothing.
    let said = format!("00-{TRACE}-{SPAN}-01");
    unknown.post_with(&[("traceparent", said.as_str())], "{}").await.is(404);

    let webhooks = collector.heard("webhook", 4).await;
    let accepted = webhooks.iter().find(|span| span.attributes.get("hookyard.event.id") == Some(&event_id)).unwrap();
    assert_eq!(accepted.parent, "");
    let attempt = collector.heard("attempt", 1).await.into_iter().find(|span| span.trace == accepted.trace).unwrap();
    assert_eq!(attempt.parent, accepted.id);
    let mut traces: Vec<_> = webhooks.iter().map(|span| &span.trace).collect();
    traces.sort_unstable();
    traces.dedup();
    assert_eq!(traces.len(), 4, "each has a trace of its own: {webhooks:#?}");
    let refused = webhooks.iter().find(|span| span.attributes["hookyard.outcome"] == "unknown").unwrap();
    assert!(!refused.attributes.contains_key("hookyard.source.id") && refused.error.is_none(), "{refused:?}");
    assert_eq!(refused.parent, "");

    // A test was brought by nobody's request.
    let made = tenant.post(&format!("{}/test", destination.path()), json!({})).await.json(202);
    let test = eventually("the test's attempt", async || {
        let spans = collector.spans().into_iter();
        spans
            .filter(|span| span.name == "attempt")
            .find(|span| made["event_id"] == span.attributes["hookyard.event.id"])
    })
    .await;
    assert_eq!(test.parent, "");
}

async fn what_a_provider_does_not_record_is_not_told(database: Database) {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let relay = Relay::plan(database).setting("HOOKYARD_OTLP_ENDPOINT", collector.endpoint()).start().await;
    let Route { source, .. } = relay.route(&receiver).await;

    let headers = |flags| format!("00-{TRACE}-{SPAN}-{flags}");
    source.post_with(&[("traceparent", &headers("00"))], event(APPROVED)).await.is(202);
    let [unrecorded] = &receiver.wait_for(1).await[..] else { panic!("one event is one request") };
    assert!(unrecorded.one("traceparent").starts_with(&format!("00-{TRACE}-")));
    assert!(unrecorded.one("traceparent").ends_with("-00"), "{unrecorded:?}");

    let recorded = source.post_with(&[("traceparent", &headers("01"))], event(APPROVED)).await.event_id();
    for name in ["webhook", "attempt"] {
        let spans = collector.heard(name, 1).await;
        assert!(spans.iter().all(|span| span.attributes["hookyard.event.id"] == recorded), "{spans:#?}");
    }
}

async fn a_part_of_the_traces_is_told(database: Database) {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let plan = Relay::plan(database).setting("HOOKYARD_OTLP_ENDPOINT", collector.endpoint());
    let relay = plan.setting("HOOKYARD_TRACE_RATIO", "0.5").start().await;
    let Route { source, .. } = relay.route(&receiver).await;

    // All of them on one side would be one chance in 2^63.
    source.send_many(64, 4, |_| APPROVED.to_owned()).await;

    let requests = receiver.wait_for(64).await;
    let told: Vec<_> = requests.iter().filter(|request| request.one("traceparent").ends_with("-01")).collect();
    assert!(!told.is_empty() && told.len() < 64, "{} of 64", told.len());
    let attempts = collector.heard("attempt", told.len()).await;
    let webhooks = collector.heard("webhook", told.len()).await;
    assert_eq!((attempts.len(), webhooks.len()), (told.len(), told.len()), "both halves decide alike");
}

async fn a_collector_that_is_away_holds_up_nothing(database: Database) {
    let (collector, receiver) = (Receiver::closed(), Receiver::start().await);
    let plan = Relay::plan(database).setting("HOOKYARD_OTLP_ENDPOINT", collector.url_of(""));
    let relay = plan.start().await;
    let Route { source, .. } = relay.route(&receiver).await;

    let event_id = source.send(APPROVED).await;
    eventually("the delivery", async || receiver.ids().contains(&event_id).then_some(())).await;

    collector.open();
    let taken = eventually("what waited to be told", async || {
        let spans = relay.counted("hookyard_spans_exported_total").await;
        (spans > 0).then_some(spans)
    })
    .await;
    assert!(taken >= 1 && relay.counted("hookyard_spans_dropped_total{reason=\"queue_full\"}").await == 0);

    // One that takes nothing is not asked again.
    let _collector = collector.clone().otherwise(400);
    source.send(APPROVED).await;
    within(harness::wait::PATIENCE, "what was refused to be counted", async || {
        (relay.counted("hookyard_spans_dropped_total{reason=\"refused\"}").await > 0).then_some(())
    })
    .await;
}

/// Neither the secret URL nor anything of the body.
fn says_nothing_of_what_was_sent(collector: &Collector, path: &str) {
    for posted in collector.receiver().requests() {
        let said = String::from_utf8_lossy(&posted.body);
        let key = path.rsplit('/').next().unwrap();
        assert!(!said.contains(key) && !said.contains("d73da14e-a6b9-4bb1-b9df-f3b40ba1ed34"), "{said}");
    }
}

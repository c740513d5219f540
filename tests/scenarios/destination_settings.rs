//! What a destination can be told, and what comes of it.

use harness::answer::text;
use harness::ondato::{APPROVED, event};
use harness::{Database, Receiver, Relay, Reply, Tenant, Value, json, on_each_database};

on_each_database![
    headers_are_filled_from_each_event,
    a_header_that_is_somebody_elses_is_refused,
    a_status_that_is_not_named_ends_the_delivery,
    answers_to_successes_are_kept_where_they_are_wanted,
    what_was_told_is_shown_and_cleared,
];

async fn headers_are_filled_from_each_event(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let tenant = relay.tenant("acme").await;
    let extract = json!({ "attributes": { "status": "json:/Payload/status" } });
    let source = json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" }, "extract": extract });
    let source = tenant.source_of(source).await;
    let headers = json!({
        "X-Team": "fraud {{desk}}",
        "X-Status": "{attribute:status} of {event_type}",
        "X-Missing": "{attribute:nothing}",
    });
    let destination = tenant.destination_of(json!({ "name": "out", "url": receiver.url(), "headers": headers })).await;
    tenant.subscribe(&destination, &["*"]).await;

    let body =
        r#"{"Id": "1", "Type": "Form.Created", "CreatedUtc": "2022-07-26T07:16:41Z", "Payload": {"status": "Done"}}"#;
    tenant.settled(&source.post(body).await.event_id()).await;

    let arrived = &receiver.requests()[0];
    assert_eq!((arrived.one("x-team"), arrived.one("x-status")), ("fraud {desk}", "Done of Form.Created"));
    assert_eq!(arrived.header("x-missing"), None);
}

async fn a_header_that_is_somebody_elses_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let url = Receiver::start().await.url();
    for (name, value) in [
        ("Host", "internal.admin"),
        ("Content-Length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("Metadata-Flavor", "Google"),
        ("webhook-signature", "v1,x"),
        ("hookyard-hops", "0"),
        ("Authorization", "Bearer x"),
        ("X-A", "b\r\nX-Evil: 1"),
        ("X-A", "{body}"),
        ("X A", "b"),
    ] {
        let fields = json!({ "name": "out", "url": url, "headers": { name: value } });
        let refused = tenant.post("/destinations", fields).await;
        assert_eq!(refused.problem(422)["errors"][0]["pointer"], format!("/headers/{name}"), "{refused}");
    }
    let twice = json!({ "name": "out", "url": url, "headers": { "X-A": "1", "x-a": "2" } });
    tenant.post("/destinations", twice).await.problem_about(422, &["/headers/", "another case"]);
}

async fn a_status_that_is_not_named_ends_the_delivery(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([503, 400]).await;
    let retry = json!({ "schedule_s": [0, 1, 1], "statuses": [429, "5xx"] });
    let (tenant, delivery) = first(&relay, json!({ "url": receiver.url(), "retry": retry })).await;
    tenant.delivery_waiting(&delivery, 1).await;
    relay.clock.advance(std::time::Duration::from_secs(2));
    let failed = tenant.delivery_in(&delivery, "failed").await;
    assert_eq!((&failed["attempts"], &failed["reason"]), (&2.into(), &"status 400 is not retried".into()));
}

async fn answers_to_successes_are_kept_where_they_are_wanted(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(Reply::status(201).header("x-said", "so").body("thanks")).await;
    for (keep, body) in [(true, json!("thanks")), (false, Value::Null)] {
        let (tenant, delivery) = first(&relay, json!({ "url": receiver.url(), "keep_responses": keep })).await;
        let delivered = tenant.delivery_in(&delivery, "delivered").await;
        let log = delivered["attempt_log"].as_array().unwrap();
        assert_eq!((log.len(), &log[0]["status"], &log[0]["response_body"]), (1, &201.into(), &body), "{delivered:#}");
        let headers = log[0]["response_headers"].to_string();
        assert_eq!(headers.contains(r#"["x-said","so"]"#), keep, "{headers}");
    }
}

async fn what_was_told_is_shown_and_cleared(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let told = json!({
        "signing": { "v1a": false, "github_header": true, "stripe_header": false },
        "headers": { "x-a": "{event_type}" },
        "timeout_s": 3,
        "retry": { "schedule_s": [0, 7], "statuses": [429, "5xx", "502-504"] },
        "rate_limit": { "per_second": 0.5 },
        "max_in_flight": 3,
        "order": { "mode": "fifo", "key": "json:/id" },
        "keep_responses": true,
        "operational": true,
    });
    let mut fields = told.clone();
    (fields["name"], fields["url"]) = ("out".into(), Receiver::start().await.url().into());
    let created = tenant.post("/destinations", fields).await.json(201);
    let path = format!("/destinations/{}", text(&created, "id"));
    let shown = tenant.get(&path).await.json(200);
    for (name, value) in told.as_object().unwrap() {
        assert_eq!(&shown[name], value, "{name}");
        let cleared = tenant.patch(&path, json!({ name: null })).await.json(200);
        let usual = match name.as_str() {
            "signing" => json!({ "v1a": false, "github_header": false, "stripe_header": false }),
            "headers" => json!({}),
            "timeout_s" => json!(15),
            "retry" => {
                json!({ "schedule_s": [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400], "statuses": null })
            }
            "order" => json!({ "mode": "none", "key": null }),
            "keep_responses" | "operational" => json!(false),
            _ => Value::Null,
        };
        assert_eq!(cleared[name], usual, "{name}");
    }
    for (fields, pointer) in [
        (json!({ "rate_limit": { "per_second": 0 } }), "/rate_limit/per_second"),
        (json!({ "max_in_flight": 0 }), "/max_in_flight"),
        (json!({ "order": { "mode": "none", "key": "json:/id" } }), "/order/key"),
        (json!({ "order": { "mode": "fifo", "key": "query:id" } }), "/order/key"),
        (json!({ "order": { "mode": "fifo", "key": "id" } }), "/order/key"),
        (json!({ "retry": { "schedule_s": [0], "statuses": [200] } }), "/retry/statuses/0"),
        (json!({ "retry": { "schedule_s": [0], "statuses": ["6xx"] } }), "/retry/statuses/0"),
        (json!({ "retry": { "schedule_s": [0], "statuses": [true] } }), "/retry/statuses/0"),
        (json!({ "tls": { "ca": "nonsense" } }), "/tls/ca"),
        (json!({ "tls": { "client_certificate": "x" } }), "/tls/client_key"),
        (json!({ "tls": { "client_key": "x" } }), "/tls/client_certificate"),
    ] {
        let refused = tenant.patch(&path, fields).await;
        assert_eq!(refused.problem(422)["errors"][0]["pointer"], pointer, "{refused}");
    }
}

/// A destination with these fields, and the first delivery to it.
async fn first(relay: &Relay, mut fields: Value) -> (Tenant, String) {
    let tenant = relay.tenant("acme").await;
    fields["name"] = "out".into();
    let destination = tenant.destination_of(fields).await;
    tenant.subscribe(&destination, &["*"]).await;
    let event = tenant.source().await.post(event(APPROVED)).await.event_id();
    let delivery = text(&tenant.delivery_of(&event).await, "id");
    (tenant, delivery)
}

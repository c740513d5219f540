//! What providers and tenants get wrong.

use std::time::{Duration, Instant};

use harness::ondato::{APPROVED, event};
use harness::{Database, Receiver, Relay, Source, json, on_each_database, on_each_database_alone};

on_each_database![
    an_unknown_url_is_404_without_a_hint,
    a_wrong_password_is_401_and_leaves_nothing,
    a_source_without_a_credential_lets_nobody_in,
    what_is_not_our_json_is_refused_where_it_is_wrong,
    what_is_not_built_is_refused,
    a_query_that_would_be_passed_over_is_refused,
    a_destination_on_a_forbidden_address_is_refused_with_the_way_out,
];
on_each_database_alone![a_wrong_user_takes_as_long_as_a_wrong_password];

async fn an_unknown_url_is_404_without_a_hint(database: Database) {
    let relay = Relay::start(database).await;
    let (acme, other) = (relay.tenant("acme").await, relay.tenant("other").await);
    let source = acme.source().await;
    let key = source.path.rsplit('/').next().unwrap();
    let unknown_key = key.chars().rev().collect::<String>();

    let mut answers = Vec::new();
    for path in [
        format!("/in/nobody-at-all/{key}"),
        format!("/in/{}/{unknown_key}", acme.slug),
        format!("/in/{}/{key}", other.slug),
        format!("/in/{}/short", acme.slug),
    ] {
        let answer = Source { path, ..source.clone() }.post(event(APPROVED)).await;
        answers.push(answer.problem(404));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

async fn a_wrong_password_is_401_and_leaves_nothing(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    let anonymous = Source { authorization: None, ..source.clone() };
    let garbled = Source { authorization: Some("Basic %%%".to_owned()), ..source.clone() };
    let bearer = Source { authorization: Some("Bearer correct horse battery".to_owned()), ..source.clone() };

    let mut answers = Vec::new();
    for wrong in [source.as_user("ondato", "wrong"), source.as_user("nobody", "wrong"), anonymous, garbled, bearer] {
        let answer = wrong.post(event(APPROVED)).await;
        assert!(answer.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Basic")), "{answer}");
        answers.push(answer.problem(401));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert_eq!(tenant.get("/events").await.json(200)["items"], json!([]));
    source.send(APPROVED).await;
}

async fn a_source_without_a_credential_lets_nobody_in(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(json!({ "name": "in", "provider": "ondato" })).await;

    let _ = source.post(event(APPROVED)).await.problem(401);
    let _ = source.as_user("", "").post(event(APPROVED)).await.problem(401);
}

/// Medians, alternately measured; a user that is not looked for would be ten times as fast.
async fn a_wrong_user_takes_as_long_as_a_wrong_password(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    let (mut wrong_user, mut wrong_password) = (Vec::new(), Vec::new());

    for number in 0..15 {
        wrong_user.push(refused_after(&source.as_user(&format!("nobody{number}"), "correct horse battery")).await);
        wrong_password.push(refused_after(&source.as_user("ondato", &format!("wrong {number}"))).await);
    }

    let (user, password) = (median(wrong_user), median(wrong_password));
    assert!(user < password * 3 && password < user * 3, "user {user:?}, password {password:?}");
}

async fn what_is_not_our_json_is_refused_where_it_is_wrong(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let receiver = Receiver::start().await;
    let destination = tenant.destination(&receiver).await;
    let operator = relay.operator();

    for body in ["{", "", "nonsense", "[1,2", "\u{feff}{}"] {
        let headers = [("content-type", "application/json")];
        let _ = operator.ask(reqwest::Method::POST, "/v1/tenants", &headers, body).await.problem(400);
    }
    for (rest, fields, pointer) in [
        ("/sources", json!({ "name": "in", "provider": "nobody", "verification": { "kind": "none" } }), "provider"),
        ("/sources", json!({ "name": "in", "provider": "generic" }), "verification"),
        (
            "/sources",
            json!({ "name": "in", "provider": "ondato", "verification": { "kind": "magic" } }),
            "verification",
        ),
        ("/sources", json!({ "provider": "ondato" }), "name"),
        ("/destinations", json!({ "name": "out" }), "url"),
        ("/destinations", json!({ "name": "out", "url": "not a url" }), "url"),
        ("/destinations", json!({ "name": "out", "url": format!("{}#part", receiver.url()) }), "fragment"),
        ("/destinations", json!({ "name": "out", "url": receiver.url(), "timeout_s": 31 }), "timeout_s"),
        ("/destinations", json!({ "name": "out", "url": receiver.url(), "timeout_s": 0 }), "timeout_s"),
        ("/destinations", json!({ "name": "out", "url": receiver.url(), "retry": { "schedule_s": [] } }), "schedule_s"),
        (
            "/destinations",
            json!({ "name": "out", "url": receiver.url(), "retry": { "schedule_s": vec![1; 51] } }),
            "schedule_s",
        ),
        ("/subscriptions", json!({ "destination_id": destination.id, "event_types": [] }), "event_types"),
        ("/subscriptions", json!({ "destination_id": destination.id, "event_types": ["A.*.B"] }), "event_types"),
        ("/subscriptions", json!({ "destination_id": destination.id, "event_types": "*" }), "event_types"),
        ("/subscriptions", json!({ "destination_id": "dst_nonsense", "event_types": ["*"] }), "destination_id"),
    ] {
        tenant.post(rest, fields).await.problem_about(422, &[pointer]);
    }
    for slug in ["", "a", "Acme", "with space", "a_b", "../x", &"x".repeat(41)] {
        operator.post("/v1/tenants", json!({ "name": "x", "slug": slug })).await.problem_about(422, &["slug"]);
    }
}

async fn what_is_not_built_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let receiver = Receiver::start().await;
    let url = receiver.url();

    for (rest, fields, field, known) in [
        (
            "/destinations",
            json!({ "name": "out", "url": url, "colour": "red" }),
            "colour",
            "Known are auth, headers, keep",
        ),
        (
            "/destinations",
            json!({ "name": "out", "url": url, "auth": { "kind": "none", "password": "x" } }),
            "password",
            "Known are kind",
        ),
        (
            "/sources",
            json!({ "name": "in", "provider": "ondato", "verificaton": { "kind": "none" } }),
            "verificaton",
            "`verification` was meant",
        ),
        ("/api-keys", json!({ "name": "a key", "scope": "read" }), "scope", "`scopes` was meant"),
    ] {
        tenant.post(rest, fields).await.problem_about(422, &[field, known]);
    }
}

async fn a_query_that_would_be_passed_over_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let now = chrono::DateTime::from_timestamp_millis(relay.clock.now_ms()).unwrap().to_rfc3339();
    let now = now.replace('+', "%2B");

    for (rest, names) in [
        (format!("/sources/{}?expand=credentials", source.id), ["expand", "takes no parameters"]),
        ("?verbose=1".to_owned(), ["verbose", "takes no parameters"]),
        ("/sources?name=in".to_owned(), ["name", "Known are cursor, key, limit"]),
        ("/deliveries?limit=1&limit=2".to_owned(), ["limit", "twice"]),
        (format!("/events?after={now}&before={now}"), ["before", "after"]),
        (format!("/deliveries?after={now}&before=2020-01-01T00:00:00Z"), ["before", "after"]),
        (format!("/audit-log?after={now}&before=2020-01-01T00:00:00Z"), ["before", "after"]),
    ] {
        tenant.get(&rest).await.problem_about(422, &names);
    }
    tenant.client.post(&tenant.path("/sources?dry_run=true"), json!({})).await.problem_about(422, &["dry_run"]);
    let _ = tenant.seen_by(&relay.anybody()).get("?verbose=1").await.problem(401);
    tenant.get("/sources?key=unknown").await.is(200);
}

async fn a_destination_on_a_forbidden_address_is_refused_with_the_way_out(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let allowed = tenant.destination(&Receiver::start().await).await;

    for (url, address, range) in [
        ("https://10.1.2.3/hook", "10.1.2.3", "10.0.0.0/8"),
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254", "169.254.0.0/16"),
        ("https://192.168.0.1", "192.168.0.1", "192.168.0.0/16"),
        ("https://0x0a.1/", "10.0.0.1", "10.0.0.0/8"),
        ("https://167772161/", "10.0.0.1", "10.0.0.0/8"),
        ("https://[::1]/", "::1", "::1"),
        ("https://[::ffff:10.0.0.1]/", "10.0.0.1", "10.0.0.0/8"),
    ] {
        let words = ["url", address, range, "HOOKYARD_EGRESS_ALLOW"];
        tenant.post("/destinations", json!({ "name": "out", "url": url })).await.problem_about(422, &words);
        tenant.patch(&format!("/destinations/{}", allowed.id), json!({ "url": url })).await.problem_about(422, &words);
    }
}

async fn refused_after(source: &Source) -> Duration {
    let asked = Instant::now();
    source.post(event(APPROVED)).await.is(401);
    asked.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

//! What a tenant says about a source holds for every request: who may send, how much, and what the provider hears.

use harness::answer::{items, text};
use harness::{Answer, Database, Relay, Source, Tenant, Value, eventually, json, on_each_database};
use reqwest::Method;

on_each_database![
    the_answer_is_what_the_source_says,
    a_source_may_take_more_or_less_than_a_mebibyte,
    any_method_that_providers_use_is_an_event,
    a_url_is_asked_for_and_nothing_is_stored,
    the_parts_of_an_event_are_where_the_source_says,
    a_repeat_is_what_the_source_says_it_is,
    a_source_of_a_rate_answers_429_before_it_reads,
    a_tenants_rate_is_shared_by_its_sources_and_by_nobody_else,
    an_enforced_list_lets_in_whoever_is_on_it,
    a_reported_list_lets_everybody_in_and_says_who_it_was,
    of_those_a_reported_list_lets_in_each_is_shown_now_and_then,
    a_list_cannot_be_enforced_behind_a_proxy_that_hides_the_senders,
    what_was_refused_is_seen_by_its_tenant,
    what_a_source_was_told_is_shown_and_taken_back,
    a_setting_that_makes_no_sense_is_refused_where_it_stands,
];

async fn the_answer_is_what_the_source_says(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    for (response, status, content_type, body) in [
        (json!({ "status": 200, "body": "[accepted]" }), 200, Some("text/plain; charset=utf-8"), "[accepted]"),
        (
            json!({ "status": 201, "content_type": "text/xml", "body": "<Response/>" }),
            201,
            Some("text/xml"),
            "<Response/>",
        ),
        (json!({ "status": 204 }), 204, None, ""),
    ] {
        let source = tenant.source_of(generic(json!({ "response": response }))).await;
        let answer = source.post("x").await;
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{answer}");
        assert_eq!(answer.header("content-type"), content_type, "{answer}");
        let event = tenant.event(answer.header("hookyard-event-id").unwrap()).await;
        assert_eq!(event["source_id"], source.id.as_str());
    }
}

async fn a_source_may_take_more_or_less_than_a_mebibyte(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let small = tenant.source_of(generic(json!({ "max_body_bytes": 10 }))).await;
    let large = tenant.source_of(generic(json!({ "max_body_bytes": 25 << 20 }))).await;

    small.post(vec![b'x'; 10]).await.is(202);
    small.post(vec![b'x'; 11]).await.problem_about(413, &["10 bytes"]);
    let whole: Vec<u8> = (0..25 << 20).map(|place: u32| place.to_le_bytes()[0]).collect();
    let event = large.post(whole.clone()).await.event_id();
    large.post(vec![b'x'; (25 << 20) + 1]).await.is(413);

    assert_eq!(tenant.get(&format!("/events/{event}/body")).await.is(200).body, whole);
}

async fn any_method_that_providers_use_is_an_event(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(generic(json!({}))).await;
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::GET, Method::DELETE] {
        let path = format!("{}/status%20of?a=1&b=%26", source.path);
        let answer = relay.anybody().ask(method.clone(), &path, &[("content-type", "a/b")], "x").await;
        let event = tenant.event(&answer.event_id()).await;
        for (field, value) in
            [("method", method.as_str()), ("path", "/status%20of"), ("query", "a=1&b=%26"), ("content_type", "a/b")]
        {
            assert_eq!(event[field], value, "{event:#}");
        }
    }
    for method in [Method::OPTIONS, Method::TRACE] {
        let answer = relay.anybody().ask(method, &source.path, &[], "").await;
        answer.problem_about(405, &["POST"]);
        assert!(answer.header("allow").is_some(), "{answer}");
    }
}

async fn a_url_is_asked_for_and_nothing_is_stored(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let source = tenant.source_of(generic(json!({}))).await;
    relay.anybody().ask(Method::HEAD, &source.path, &[], "").await.is(200);
    relay.anybody().ask(Method::HEAD, "/in/acme/nothing", &[], "").await.is(404);
    assert_eq!(tenant.get("/events").await.json(200)["items"], json!([]));
}

async fn the_parts_of_an_event_are_where_the_source_says(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let extract = json!({
        "event_type": "header:X-Kind or json:/kind",
        "external_id": "json:/order/id + json:/order/version",
        "occurred_at": "json:/at",
        "request_id": "query:request",
        "attributes": { "country": "json:/order/country", "missing": "json:/nowhere" },
    });
    let source = tenant.source_of(generic(json!({ "extract": extract }))).await;
    let body = r#"{"kind": "order.paid", "at": 1658819801, "order": {"id": 7, "version": "b", "country": "LT"}}"#;
    let path = format!("{}?request=r%201", source.path);
    let event = Source { path, ..source.clone() }.post(body).await.event_id();
    let event = tenant.event(&event).await;
    for (field, value) in [
        ("event_type", json!("order.paid")),
        ("external_id", json!("7:b")),
        ("occurred_at", json!("2022-07-26T07:16:41.000Z")),
        ("request_id", json!("r 1")),
        ("attributes", json!({ "country": "LT" })),
    ] {
        assert_eq!(event[field], value, "{field} of {event:#}");
    }
    let by_header = source.post_with(&[("x-kind", "other")], body).await.event_id();
    assert_eq!(by_header, event["id"], "the same external id");
}

async fn a_repeat_is_what_the_source_says_it_is(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let extract = json!({ "external_id": "json:/id" });
    let open = async |dedupe: Value| tenant.source_of(generic(json!({ "extract": extract, "dedupe": dedupe }))).await;
    let by_body = open(json!({ "by": "body", "window_s": 60 })).await;
    let by_id = open(json!({ "by": "external_id", "window_s": 60 })).await;
    let by_nothing = open(json!({ "by": "none" })).await;
    let [one, other, neither] = [r#"{"id": 1}"#, r#"{"id":  1}"#, r#"{"name": 1}"#];

    for (source, bodies, same) in [
        (&by_body, [one, one], true),
        (&by_body, [one, other], false),
        (&by_id, [one, other], true),
        (&by_id, [neither, neither], false),
        (&by_nothing, [one, one], false),
    ] {
        let first = source.post(bodies[0]).await.event_id();
        let second = source.post(bodies[1]).await.event_id();
        assert_eq!(first == second, same, "{bodies:?}");
    }
    let first = by_id.post(one).await.event_id();
    relay.clock.advance(std::time::Duration::from_secs(61));
    eventually("a repeat after the window to be a new event", async || {
        (by_id.post(one).await.event_id() != first).then_some(())
    })
    .await;
}

async fn a_source_of_a_rate_answers_429_before_it_reads(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let rate = json!({ "per_second": 1, "burst": 2 });
    let source = tenant.source_of(generic(json!({ "rate_limit": rate }))).await;
    let other = tenant.source_of(generic(json!({}))).await;

    // More at once than the burst and what a few seconds give.
    let answers = flood(&source, 40).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(refused.len() >= 20, "{} of 40 refused", refused.len());
    assert!(answers.iter().filter(|answer| answer.status == 202).count() >= 2);
    let wait: u64 = refused[0].header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    refused[0].problem_about(429, &["Too many"]);
    other.post("x").await.is(202);
    relay.clock.advance(std::time::Duration::from_secs(60));
    eventually("the source to take one again", async || (source.post("x").await.status == 202).then_some(())).await;
}

async fn a_tenants_rate_is_shared_by_its_sources_and_by_nobody_else(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let (one, other) = (tenant.source_of(generic(json!({}))).await, tenant.source_of(generic(json!({}))).await);
    let neighbour = relay.tenant("neighbour").await.source_of(generic(json!({}))).await;
    one.post("x").await.is(202);
    let limits = json!({ "limits": { "events_per_s": 1, "burst": 1 } });
    let shown = tenant.patch("", limits).await.json(200);
    assert_eq!((&shown["limits"]["events_per_s"], &shown["limits"]["burst"]), (&json!(1), &json!(1)));

    eventually("the limit to hold", async || {
        let answers = flood(&one, 10).await;
        answers.iter().any(|answer| answer.status == 429).then_some(())
    })
    .await;
    let answers = flood(&other, 10).await;
    assert!(answers.iter().any(|answer| answer.status == 429), "the other source has a share of its own");
    assert!(flood(&neighbour, 10).await.iter().all(|answer| answer.status == 202));
    tenant.patch("", json!({ "limits": { "burst": 5 } })).await.problem_about(422, &["/limits/burst"]);
}

async fn an_enforced_list_lets_in_whoever_is_on_it(database: Database) {
    let relay = Relay::plan(database).setting("HOOKYARD_TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let tenant = relay.tenant("acme").await;
    let list = json!({ "mode": "enforce", "cidrs": ["198.51.100.0/24", "2001:db8::7", "127.0.0.1"] });
    let source = tenant.source_of(generic(json!({ "ip_allowlist": list }))).await;
    for (client, status) in [
        ("198.51.100.7", 202),
        ("::ffff:198.51.100.8", 202),
        ("2001:db8::7", 202),
        ("198.51.101.7", 403),
        ("2001:db8::8", 403),
    ] {
        let answer = source.post_with(&[("x-forwarded-for", client)], "x").await;
        assert_eq!(answer.status, status, "{client}: {answer}");
    }
    let rejections = rejections_of(&tenant, &source, 2).await;
    let mut addresses: Vec<_> = items(&rejections).iter().map(|it| text(it, "remote_address")).collect();
    addresses.sort();
    assert_eq!(addresses, ["198.51.101.7", "2001:db8::8"]);
    assert_eq!(totals(&rejections), json!({ "address_not_listed": 2 }));
}

async fn a_reported_list_lets_everybody_in_and_says_who_it_was(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let fields = json!({ "name": "in", "provider": "ondato", "verification": { "kind": "none" } });
    let source = tenant.source_of(fields).await;
    let shown = tenant.get(&format!("/sources/{}", source.id)).await.json(200);
    assert_eq!(shown["ip_allowlist"]["mode"], "report");
    assert!(shown["ip_allowlist"]["cidrs"].as_array().unwrap().contains(&json!("20.31.227.231/32")), "{shown:#}");

    source.post("x").await.is(202);
    let rejections = rejections_of(&tenant, &source, 1).await;
    let reported = &items(&rejections)[0];
    assert_eq!((&reported["cause"], &reported["refused"]), (&json!("address_reported"), &json!(false)));
    assert_eq!(reported["remote_address"], "127.0.0.1");

    tenant.patch(&format!("/sources/{}", source.id), json!({ "ip_allowlist": null })).await.is(200);
    let count = async || totals(&tenant.get(&format!("/sources/{}/rejections", source.id)).await.json(200));
    source.post("x").await.is(202);
    assert_eq!(count().await, json!({ "address_reported": 1 }));
}

/// A row for each would push what was refused out of the list, where all that comes is from elsewhere.
async fn of_those_a_reported_list_lets_in_each_is_shown_now_and_then(database: Database) {
    const EACH: usize = 8;
    let relay = Relay::plan(database).setting("HOOKYARD_TRUSTED_PROXIES", "127.0.0.0/8").start().await;
    let tenant = relay.tenant("acme").await;
    let list = json!({ "mode": "report", "cidrs": ["203.0.113.0/24"] });
    let source = tenant.source_of(generic(json!({ "ip_allowlist": list }))).await;
    let clients = ["198.51.100.7", "2001:db8::7"];
    for client in std::iter::repeat_n(clients, EACH).flatten() {
        source.post_with(&[("x-forwarded-for", client)], "x").await.is(202);
    }
    let shown = rejections_of(&tenant, &source, 16).await;
    assert_eq!(totals(&shown), json!({ "address_reported": 16 }));
    for client in clients {
        let rows = items(&shown).iter().filter(|row| row["remote_address"] == client).count();
        assert!((1..=2).contains(&rows), "{rows} of {client}, in a minute or over the end of one: {shown:#}");
    }
    relay.clock.advance(std::time::Duration::from_secs(60));
    source.post_with(&[("x-forwarded-for", clients[0])], "x").await.is(202);
    let later = rejections_of(&tenant, &source, 17).await;
    assert_eq!(items(&later).len(), items(&shown).len() + 1, "again in another minute: {later:#}");
}

async fn a_list_cannot_be_enforced_behind_a_proxy_that_hides_the_senders(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let list = |cidr: &str| json!({ "ip_allowlist": { "mode": "enforce", "cidrs": [cidr] } });
    let source = tenant.source_of(generic(json!({}))).await;
    source.post("x").await.is(202);
    let path = format!("/sources/{}", source.id);
    let refused = tenant.patch(&path, list("198.51.100.7")).await;
    refused.problem_about(422, &["/ip_allowlist/mode", "127.0.0.1", "HOOKYARD_TRUSTED_PROXIES"]);
    tenant.patch(&path, list("127.0.0.0/8")).await.is(200);
    source.post("x").await.is(202);
}

async fn what_was_refused_is_seen_by_its_tenant(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    source.as_user("ondato", "wrong").post_with(&[("x-mine", "a secret")], "an identity").await.is(401);
    Source { authorization: None, ..source.clone() }.post("an identity").await.is(401);
    let rejections = rejections_of(&tenant, &source, 2).await;

    assert_eq!(totals(&rejections), json!({ "credential_wrong": 1, "credential_missing": 1 }));
    let of = |cause: &str| items(&rejections).into_iter().find(|it| it["cause"] == cause).unwrap();
    let wrong = of("credential_wrong");
    assert_eq!((&wrong["method"], &wrong["refused"], &wrong["size"]), (&json!("POST"), &json!(true), &json!(11)));
    let names = wrong["header_names"].as_array().unwrap();
    assert!(names.contains(&json!("x-mine")) && names.contains(&json!("authorization")), "{wrong:#}");
    assert!(!rejections.to_string().contains("a secret") && !rejections.to_string().contains("an identity"));

    // Of a flood the last hundred are kept and all are counted.
    for _ in 0..12 {
        let anybody = Source { authorization: None, ..source.clone() };
        assert!(flood(&anybody, 20).await.iter().all(|answer| answer.status == 401));
    }
    let rejections = rejections_of(&tenant, &source, 242).await;
    assert!(items(&tenant.get(&format!("/sources/{}/rejections?limit=250", source.id)).await.json(200)).len() <= 100);
    assert_eq!(totals(&rejections), json!({ "credential_wrong": 1, "credential_missing": 241 }));
}

async fn what_a_source_was_told_is_shown_and_taken_back(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let told = json!({
        "ip_allowlist": { "mode": "report", "cidrs": ["203.0.113.0/24"] },
        "dedupe": { "by": "body", "window_s": 5 },
        "max_body_bytes": 5,
        "response": { "status": 200, "content_type": "text/plain", "body": "ok" },
        "rate_limit": { "per_second": 3, "burst": 3 },
        "forward_headers": ["x-mine"],
    });
    let source = tenant.source_of(generic(told.clone())).await;
    let path = format!("/sources/{}", source.id);
    let shown = tenant.get(&path).await.json(200);
    for (field, value) in told.as_object().unwrap() {
        assert_eq!(shown[field], *value, "{field}");
    }
    let clear: serde_json::Map<String, Value> =
        told.as_object().unwrap().keys().map(|field| (field.clone(), Value::Null)).collect();
    let cleared = tenant.patch(&path, clear.into()).await.json(200);
    for (field, value) in [
        ("ip_allowlist", json!(null)),
        ("dedupe", json!({ "by": "external_id", "window_s": 604_800 })),
        ("max_body_bytes", json!(1 << 20)),
        ("response", json!(null)),
        ("rate_limit", json!(null)),
        ("forward_headers", json!([])),
    ] {
        assert_eq!(cleared[field], value, "{field}");
    }
}

async fn a_setting_that_makes_no_sense_is_refused_where_it_stands(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let hmac = |change: Value| {
        let mut hmac = json!({
            "kind": "hmac",
            "signature": { "from": "header", "name": "x-signature", "parse": { "kind": "raw" }, "encoding": "hex" },
            "algorithm": "hmac-sha256",
            "signed": "{body}",
        });
        for (field, value) in change.as_object().unwrap() {
            hmac[field] = value.clone();
        }
        json!({ "verification": hmac })
    };
    for (fields, pointer) in [
        (json!({ "max_body_bytes": (25 << 20) + 1 }), "/max_body_bytes"),
        (json!({ "response": { "status": 302 } }), "/response/status"),
        (json!({ "response": { "status": 204, "body": "x" } }), "/response/body"),
        (json!({ "response": { "status": 200, "content_type": "a\nb" } }), "/response/content_type"),
        (json!({ "rate_limit": { "per_second": 0 } }), "/rate_limit/per_second"),
        (json!({ "ip_allowlist": { "mode": "enforce", "cidrs": [] } }), "/ip_allowlist/cidrs"),
        (json!({ "ip_allowlist": { "mode": "report", "cidrs": ["example.com"] } }), "/ip_allowlist/cidrs/0"),
        (json!({ "extract": { "event_type": "body:/a" } }), "/extract/event_type"),
        (json!({ "extract": { "attributes": { "A b": "json:/a" } } }), "/extract/attributes/A b"),
        (json!({ "extract": { "attributes": { "a": "nowhere" } } }), "/extract/attributes/a"),
        (json!({ "forward_headers": ["x-a", "Cookie"] }), "/forward_headers/1"),
        (json!({ "response": { "status": 200, "content_type": "x" } }), "/response/content_type"),
        (json!({ "dedupe": { "by": "magic" } }), "/dedupe/by"),
        (json!({ "forward_headers": ["a b"] }), "/forward_headers/0"),
        (json!({ "verification": { "kind": "magic" } }), "/verification/kind"),
        (json!({ "verification": { "kind": "provider" } }), "/verification"),
        (hmac(json!({ "signed": "{body" })), "/verification/signed"),
        (hmac(json!({ "signed": "no body" })), "/verification/signed"),
        (hmac(json!({ "signed": "{header:a}{body}" })), "/verification/signed"),
        (hmac(json!({ "algorithm": "md5" })), "/verification/algorithm"),
        (hmac(json!({ "secret_is": "x" })), "/verification/secret_is"),
        (
            json!({ "verification": { "kind": "jwt", "jwks_url": "nowhere", "issuer": "i", "audience": "a" } }),
            "/verification/jwks_url",
        ),
        (
            json!({ "verification": { "kind": "jwt", "jwks_url": "http://169.254.169.254/x", "issuer": "i", "audience": "a" } }),
            "/verification/jwks_url",
        ),
    ] {
        let answer = tenant.post("/sources", generic(fields.clone())).await;
        assert!(answer.problem(422).to_string().contains(&format!("\"{pointer}")), "{pointer}: {answer}\n{fields}");
    }
}

/// A source that lets everybody in.
fn generic(more: Value) -> Value {
    let mut fields = json!({ "name": "in", "provider": "generic", "verification": { "kind": "none" } });
    if let Value::Object(more) = more {
        fields.as_object_mut().unwrap().extend(more);
    }
    fields
}

async fn flood(source: &Source, count: usize) -> Vec<Answer> {
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..count {
        let source = source.clone();
        posts.spawn(async move { source.post("x").await });
    }
    posts.join_all().await
}

/// What a source refused, once it is so many.
async fn rejections_of(tenant: &Tenant, source: &Source, count: u64) -> Value {
    eventually(&format!("{count} rejections"), async || {
        let page = tenant.get(&format!("/sources/{}/rejections", source.id)).await.json(200);
        let totals = page["totals"].as_array().unwrap();
        let all: u64 = totals.iter().map(|total| total["total"].as_u64().unwrap()).sum();
        (all == count).then_some(page)
    })
    .await
}

fn totals(page: &Value) -> Value {
    let totals = page["totals"].as_array().unwrap().iter();
    totals.map(|total| (total["cause"].as_str().unwrap().to_owned(), total["total"].clone())).collect()
}

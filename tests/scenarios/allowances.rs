//! How much a tenant may have: as many as its limits say, also when many are made at once.

use std::time::Duration;

use harness::answer::{items, text};
use harness::{Database, Receiver, Relay, Tenant, Value, eventually, json, on_each_database, on_postgres};
use sea_orm::ConnectionTrait;
use tokio::task::JoinSet;

on_each_database![
    one_more_than_allowed_is_refused_until_there_is_room,
    many_at_once_are_no_more_than_allowed,
    request_ids_are_counted_by_the_week,
    what_is_usual_is_shown_and_only_operators_change_it,
];
on_postgres![nobody_counts_what_another_is_about_to_make];

async fn limit(tenant: &Tenant, limits: Value) -> Value {
    tenant.patch("", json!({ "limits": limits })).await.json(200)["limits"].clone()
}

async fn one_more_than_allowed_is_refused_until_there_is_room(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let (tenant, neighbour) = (relay.tenant("acme").await, relay.tenant("neighbour").await);
    let one = json!({
        "sources": 1, "destinations": 1, "subscriptions": 1, "api_keys": 1, "credentials_per_source": 1
    });
    limit(&tenant, one).await;
    let source = json!({ "name": "in", "provider": "ondato" });
    let in_id = text(&tenant.put("/sources/by-key/k", source.clone()).await.json(201), "id");
    let destination = json!({ "name": "out", "url": receiver.url() });
    let out_id = text(&tenant.put("/destinations/by-key/k", destination.clone()).await.json(201), "id");
    let subscription = json!({ "destination_id": out_id, "event_types": ["*"] });
    let credentials = format!("/sources/{in_id}/credentials");

    for (list, body, limit_name) in [
        ("/sources", source.clone(), "limits.sources"),
        ("/destinations", destination.clone(), "limits.destinations"),
        ("/subscriptions", subscription, "limits.subscriptions"),
        ("/api-keys", json!({ "name": "k" }), "limits.api_keys"),
        (&credentials, json!({ "kind": "bearer" }), "limits.credentials_per_source"),
    ] {
        if items(&tenant.get(list).await.json(200)).iter().all(|it| it["provider"] == "hookyard") {
            tenant.post(list, body.clone()).await.is(201);
        }
        let refused = tenant.post(list, body.clone()).await;
        assert_eq!(refused.problem(409)["type"], "urn:hookyard:problem:limit-reached", "{refused}");
        refused.problem_about(409, &[limit_name]);
        if list != "/api-keys" {
            tenant.put(&format!("{list}/by-key/another"), body.clone()).await.problem_about(409, &[limit_name]);
        }
    }
    tenant.put("/sources/by-key/k", json!({ "name": "renamed", "provider": "ondato" })).await.is(200);
    tenant.put("/destinations/by-key/k", json!({ "name": "renamed", "url": receiver.url() })).await.is(200);
    neighbour.post("/sources", source.clone()).await.is(201);

    tenant.delete(&format!("/sources/{in_id}")).await.is(204);
    tenant.post("/sources", source.clone()).await.is(201);
    let shown = limit(&tenant, json!({ "sources": 2 })).await;
    assert_eq!((&shown["sources"], &shown["destinations"]), (&json!(2), &json!(500)), "replaced as a whole");
    tenant.post("/sources", source).await.is(201);
}

async fn many_at_once_are_no_more_than_allowed(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let tenant = relay.tenant("acme").await;
    limit(&tenant, json!({ "destinations": 5 })).await;

    let mut posts = JoinSet::new();
    for (number, api) in relay.apis.iter().cycle().take(24).enumerate() {
        let tenant = tenant.at(api);
        let body = json!({ "name": "out", "url": "http://127.0.0.1:9/" });
        posts.spawn(async move {
            match number % 2 {
                0 => tenant.post("/destinations", body).await,
                _ => tenant.put(&format!("/destinations/by-key/k{number}"), body).await,
            }
        });
    }

    let answers = posts.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 5);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem_about(409, &["limit-reached"]);
    }
    assert_eq!(items(&tenant.get("/destinations").await.json(200)).len(), 5);
}

/// Several are under way at once, and held before the first of them is made.
async fn nobody_counts_what_another_is_about_to_make(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let tenant = relay.tenant("acme").await;
    limit(&tenant, json!({ "destinations": 1 })).await;
    let standing_in_the_way = relay.database.connection().await;
    standing_in_the_way.execute_unprepared("BEGIN; LOCK TABLE destination IN SHARE MODE").await.unwrap();

    let mut posts = JoinSet::new();
    for api in relay.apis.iter().cycle().take(4) {
        let (tenant, body) = (tenant.at(api), json!({ "name": "out", "url": "http://127.0.0.1:9/" }));
        posts.spawn(async move { tenant.post("/destinations", body).await });
    }
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("several to wait", async || (relay.database.number(waiting).await >= 2).then_some(())).await;
    standing_in_the_way.execute_unprepared("ROLLBACK").await.unwrap();

    let mut statuses: Vec<_> = posts.join_all().await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409]);
    standing_in_the_way.close().await.unwrap();
}

async fn request_ids_are_counted_by_the_week(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    limit(&tenant, json!({ "request_ids_per_week": 3 })).await;
    let register = async |ids: &[&str]| tenant.post("/request-ids", json!({ "request_ids": ids })).await;
    let there = async || relay.database.number("SELECT count(*) FROM own_request").await;

    register(&["a", "b"]).await.is(201);
    register(&["c", "d"]).await.problem_about(409, &["limit-reached", "limits.request_ids_per_week"]);
    assert_eq!(there().await, 2);
    register(&["c"]).await.is(201);
    relay.clock.advance(Duration::from_hours(7 * 24));
    relay.clock_is_followed().await;
    register(&["d"]).await.problem_about(409, &["limit-reached"]);

    relay.clock.advance(Duration::from_hours(24));
    relay.clock_is_followed().await;
    register(&["d", "e", "f"]).await.is(201);
    eventually("old days to be forgotten", async || {
        (relay.database.number("SELECT count(*) FROM own_request_day").await == 1).then_some(())
    })
    .await;
}

async fn what_is_usual_is_shown_and_only_operators_change_it(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let usual = json!({
        "events_per_s": null, "burst": null, "sources": 500, "destinations": 500, "subscriptions": 1000, "api_keys": 100,
        "credentials_per_source": 20, "request_ids_per_week": 5_000_000
    });
    assert_eq!(tenant.get("").await.json(200)["limits"], usual);
    let key = tenant.seen_by(&tenant.key(json!(["read", "write", "keys"])).await);
    assert_eq!(key.get("").await.json(200)["limits"], usual);
    let _ = key.patch("", json!({ "limits": { "sources": 1000 } })).await.problem(403);
    for (field, value) in [("sources", json!(-1)), ("sources", json!(100_001)), ("credentials_per_source", json!(101))]
    {
        tenant.patch("", json!({ "limits": { field: value } })).await.problem_about(422, &[field]);
    }
    assert_eq!(limit(&tenant, json!({ "sources": 0 })).await["sources"], 0);
    tenant
        .post("/sources", json!({ "name": "in", "provider": "ondato" }))
        .await
        .problem_about(409, &["limits.sources"]);
    tenant.patch("", json!({ "limits": null })).await.is(200);
    assert_eq!(tenant.get("").await.json(200)["limits"], usual);
}

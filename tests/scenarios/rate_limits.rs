//! How often the admin API may be asked, and how a caller knows.

use std::time::Duration;

use harness::{Answer, Client, Database, Relay, json, on_each_database};
use tokio::task::JoinSet;

on_each_database![
    every_answer_says_how_often_a_key_may_ask,
    a_key_that_asks_too_often_waits_and_nobody_else,
    who_shows_keys_that_are_none_is_not_looked_up_for_ever,
];

async fn every_answer_says_how_often_a_key_may_ask(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let key = tenant.seen_by(&tenant.key(json!(["read"])).await);
    for (answer, status) in [
        (key.get("").await, 200),
        (key.get("/sources/unknown").await, 404),
        (key.get("/sources?limit=0").await, 422),
        (key.post("/sources", json!({ "name": "in", "provider": "ondato" })).await, 403),
        (key.client.get("/v1/nothing").await, 404),
    ] {
        answer.is(status);
        assert_eq!(answer.header("ratelimit-policy"), Some(r#""key";q=500;w=10, "tenant";q=2000;w=10"#), "{answer}");
        assert!(left(&answer, "key") < 500 && left(&answer, "tenant") < 2_000, "{answer}");
    }
    let answer = relay.operator().get("/v1/tenants").await;
    assert_eq!(answer.is(200).header("ratelimit-policy"), Some(r#""operator";q=5000;w=10"#));
    for answer in [relay.anybody().get("/v1/tenants").await, relay.anybody().get("/v1/providers").await] {
        assert_eq!((answer.header("ratelimit-policy"), answer.header("ratelimit")), (None, None), "{answer}");
    }
}

async fn a_key_that_asks_too_often_waits_and_nobody_else(database: Database) {
    let relay = Relay::start(database).await;
    let (tenant, neighbour) = (relay.tenant("acme").await, relay.tenant("neighbour").await);
    let [key, sibling] = [tenant.key(json!(["read"])).await, tenant.key(json!(["read"])).await];
    let other = neighbour.seen_by(&neighbour.key(json!(["read"])).await);
    let path = tenant.path("/sources");

    let refused = flood(&key, &path, 429).await;

    assert_eq!(refused.problem(429)["type"], "urn:hookyard:problem:too-many");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{refused}");
    assert_eq!(left(&refused, "key"), 0);
    assert!(!refused.header("ratelimit").unwrap().contains("tenant"), "the tenant's others are not charged: {refused}");
    assert!(left(tenant.seen_by(&sibling).get("/sources").await.is(200), "key") >= 498);
    assert!(left(other.get("/sources").await.is(200), "tenant") >= 1_998);
    relay.operator().get("/v1/tenants").await.is(200);

    relay.clock.advance(Duration::from_secs(10));
    relay.clock_is_followed().await;
    assert!(left(key.get(&path).await.is(200), "key") >= 400);
}

async fn who_shows_keys_that_are_none_is_not_looked_up_for_ever(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let path = tenant.path("");
    let [known, fresh] = [tenant.key(json!(["read"])).await, tenant.key(json!(["read"])).await];
    known.get(&path).await.is(200);

    let refused = flood(&relay.anybody().with_key("a key that nobody has ever made"), &path, 429).await;

    assert!(refused.header("retry-after").is_some() && refused.header("ratelimit").is_none(), "{refused}");
    known.get(&path).await.is(200);
    relay.operator().get(&path).await.is(200);
    relay.anybody().get("/v1/providers").await.is(200);
    let _ = relay.anybody().get(&path).await.problem(401);
    relay.clock.advance(Duration::from_secs(20));
    relay.clock_is_followed().await;
    fresh.get(&path).await.is(200);
}

/// Asks, many times at once, until one is answered with this status.
async fn flood(client: &Client, path: &str, status: u16) -> Answer {
    let mut asking = JoinSet::new();
    for _ in 0..16 {
        let (client, path) = (client.clone(), path.to_owned());
        asking.spawn(async move {
            for _ in 0..1_000 {
                let answer = client.get(&path).await;
                if answer.status == status {
                    return answer;
                }
            }
            panic!("nothing was answered with {status}");
        });
    }
    asking.join_next().await.unwrap().unwrap()
}

/// What `RateLimit` says is left by a policy.
fn left(answer: &Answer, policy: &str) -> u32 {
    let header = answer.header("ratelimit").unwrap_or_else(|| panic!("no ratelimit in {answer}"));
    let item = header.split(", ").find_map(|item| item.strip_prefix(&format!("\"{policy}\";r=")));
    item.and_then(|rest| rest.split_once(";t=")?.0.parse().ok()).unwrap_or_else(|| panic!("no {policy} in {header}"))
}

//! `ETag` and `If-Match`: nobody overwrites what they have not seen.

use harness::{Answer, Database, Receiver, Relay, Tenant, json, on_each_database};
use reqwest::Method;

on_each_database![a_change_of_what_was_not_seen_is_refused, every_mutation_is_in_the_audit_log];

async fn a_change_of_what_was_not_seen_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let tenant = &route.tenant;

    for rest in [
        String::new(),
        format!("/sources/{}", route.source.id),
        format!("/destinations/{}", route.destination.id),
        format!("/subscriptions/{}", route.subscription),
    ] {
        let change = if rest.starts_with("/subscriptions") {
            json!({ "event_types": ["A"] })
        } else {
            json!({ "name": "changed" })
        };
        let seen = tag(&tenant.get(&rest).await);
        let changed = patch_if(tenant, &rest, &seen, &change).await;
        assert_ne!(tag(&changed), seen, "{rest}");
        assert_eq!(tag(&tenant.get(&rest).await), tag(&changed), "{rest}");
        let _ = patch_if(tenant, &rest, &seen, &change).await.problem(412);
        patch_if(tenant, &rest, "*", &change).await.is(200);
        tenant.patch(&rest, change).await.is(200);
    }
}

async fn every_mutation_is_in_the_audit_log(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let rows = async || relay.database.number("SELECT count(*) FROM audit").await;
    assert_eq!(rows().await, 0);

    let route = relay.route(&receiver).await;
    assert_eq!(rows().await, 4, "a tenant, a source, a destination, a subscription");
    let path = format!("/destinations/{}", route.destination.id);
    route.tenant.patch(&path, json!({ "name": "changed" })).await.is(200);
    route.tenant.act(&format!("{path}/pause")).await.succeeded();
    route.tenant.delete(&format!("/subscriptions/{}", route.subscription)).await.is(204);
    assert_eq!(rows().await, 7);

    let _ = route.tenant.patch(&path, json!({ "url": "nonsense" })).await.problem(422);
    route.tenant.get(&path).await.is(200);
    assert_eq!(rows().await, 7, "what changed nothing is no mutation");
}

async fn patch_if(tenant: &Tenant, rest: &str, tag: &str, change: &harness::Value) -> Answer {
    tenant.client.ask_json(Method::PATCH, &tenant.path(rest), &[("if-match", tag)], change).await
}

fn tag(answer: &Answer) -> String {
    answer.is(200);
    answer.header("etag").unwrap_or_else(|| panic!("no etag in {answer}")).to_owned()
}

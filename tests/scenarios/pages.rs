//! Lists come in pages.

use harness::answer::{items, text};
use harness::ondato::APPROVED;
use harness::{Database, Receiver, Relay, Tenant, on_each_database};

on_each_database![pages_together_are_the_list, a_limit_or_cursor_that_makes_no_sense_is_refused, lists_can_be_narrowed];

async fn pages_together_are_the_list(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    for _ in 0..4 {
        route.tenant.destination(&receiver).await;
    }
    let sent = route.source.send_many(7, 1, |_| APPROVED.to_owned()).await;
    for event in &sent {
        route.tenant.settled(event).await;
    }

    for (list, count) in [("/destinations", 5), ("/events", 7), ("/deliveries", 7)] {
        let whole: Vec<_> =
            items(&route.tenant.get(list).await.json(200)).iter().map(|item| text(item, "id")).collect();
        assert_eq!(whole.len(), count, "{list}");
        for limit in 1..=count + 1 {
            assert_eq!(by_pages(&route.tenant, list, limit).await, whole, "{list} by {limit}");
        }
    }
}

async fn a_limit_or_cursor_that_makes_no_sense_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;

    tenant.get("/destinations?limit=250").await.is(200);
    for (query, field) in
        [("limit=0", "limit"), ("limit=251", "limit"), ("limit=many", "limit"), ("cursor=nonsense", "cursor")]
    {
        for list in ["/sources", "/destinations", "/subscriptions", "/events", "/deliveries", "/api-keys"] {
            tenant.get(&format!("{list}?{query}")).await.problem_about(422, &[field]);
        }
    }
}

async fn lists_can_be_narrowed(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::answering([500]).await;
    let route = relay.route_tried(&receiver, Some(&[0, 86_400])).await;
    let waiting = route.source.send("A.Waiting").await;
    receiver.wait_for(1).await;
    let delivered = route.source.send("A.Delivered").await;
    route.tenant.settled(&delivered).await;

    for (query, expected) in [
        ("/events?event_type=A.Waiting".to_owned(), &waiting),
        (format!("/events?source_id={}&event_type=A.Delivered", route.source.id), &delivered),
        ("/deliveries?state=pending".to_owned(), &waiting),
        ("/deliveries?state=delivered".to_owned(), &delivered),
        (format!("/deliveries?destination_id={}&state=delivered", route.destination.id), &delivered),
        (format!("/deliveries?subscription_id={}&state=pending", route.subscription), &waiting),
        ("/deliveries?last_status=200".to_owned(), &delivered),
    ] {
        let found = items(&route.tenant.get(&query).await.json(200));
        let field = if query.starts_with("/events") { "id" } else { "event_id" };
        assert_eq!(found.iter().map(|item| text(item, field)).collect::<Vec<_>>(), [expected.as_str()], "{query}");
    }
}

/// The ids of a list, read page by page.
async fn by_pages(tenant: &Tenant, list: &str, limit: usize) -> Vec<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = tenant.get(&format!("{list}?limit={limit}{cursor}")).await.json(200);
        let found = items(&page);
        assert!(found.len() <= limit, "{page:#}");
        ids.extend(found.iter().map(|item| text(item, "id")));
        let Some(next) = page["next_cursor"].as_str() else { return ids };
        cursor = format!("&cursor={next}");
    }
}

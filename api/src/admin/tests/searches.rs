//! Searches through more than is looked at in one go.

use migration::sea_orm::ConnectionTrait;
use relay::id::{DestinationId, SourceId, SubscriptionId, TenantId, Uuid};

use super::World;

/// More than twice as many as one search looks at.
const MANY: u32 = 45_000;

#[tokio::test]
async fn a_search_that_finds_little_goes_on_from_page_to_page() {
    let world = World::new().await;
    let tenant: TenantId = world.tenant.rsplit('/').next().unwrap().parse().unwrap();
    let [often, seldom] = [1, 2].map(SubscriptionId::at);
    let [one, two] = [1, 2].map(SourceId::at);
    let destination = DestinationId::at(1);
    fill(&world, tenant, (often, seldom), (one, two), destination).await;

    for (query, found) in [
        (format!("/deliveries?subscription_id={seldom}"), 2),
        ("/deliveries?event_type=seldom".to_owned(), 2),
        ("/deliveries?event_type=seldom&state=delivered".to_owned(), 2),
        ("/events?matched=false".to_owned(), 2),
        (format!("/events?event_type=often&source_id={two}"), 0),
        (format!("/events?subscription_id={seldom}"), 2),
    ] {
        let (pages, items) = read(&world, &query).await;
        assert_eq!((pages, items), (3, found), "{query}");
    }
    for (query, found) in [
        ("/events?event_type=seldom".to_owned(), 2),
        ("/deliveries?state=failed".to_owned(), 0),
        ("/deliveries?external_id=seldom-1".to_owned(), 1),
        (format!("/deliveries?destination_id={destination}&last_outcome=timed_out"), 0),
        (format!("/events?source_id={two}"), 2),
    ] {
        let (pages, items) = read(&world, &query).await;
        assert_eq!((pages, items), (1, found), "by an index: {query}");
    }
}

/// How many pages there are, and how many items on them.
async fn read(world: &World, query: &str) -> (usize, usize) {
    let (mut pages, mut items, mut cursor) = (0, 0, String::new());
    loop {
        let page = world.get(&format!("{}{query}&limit=10{cursor}", world.tenant)).await.is(200);
        (pages, items) = (pages + 1, items + page["items"].as_array().unwrap().len());
        let Some(next) = page["next_cursor"].as_str() else { return (pages, items) };
        cursor = format!("&cursor={next}");
    }
}

/// One event and its delivery a millisecond; the oldest and the one in the middle are not like the others.
async fn fill(
    world: &World,
    tenant: TenantId,
    (often, seldom): (SubscriptionId, SubscriptionId),
    (one, two): (SourceId, SourceId),
    destination: DestinationId,
) {
    let blob = |id: Uuid| format!("x'{}'", id.simple());
    let numbers = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})");
    // An id whose time is `i`: six bytes of it, then a version that does not matter here.
    let id = |last: &str| format!("unhex(printf('%012x', 1000000 + i) || '7000800000000000{last}')");
    let is_seldom = format!("i IN (1, {})", MANY / 2);
    let (tenant, one, two) = (blob(tenant.uuid()), blob(one.uuid()), blob(two.uuid()));
    for text in [
        format!(
            "{numbers} INSERT INTO event (tenant_id, id, source_id, event_type, external_id, received_at, method, path, size,
                matched, test, hops)
            SELECT {tenant}, {}, iif({is_seldom}, {two}, {one}), iif({is_seldom}, 'seldom', 'often'),
                iif({is_seldom}, 'seldom-' || i, 'often-' || i), 1000000 + i, 'POST', '', 2, iif({is_seldom}, 0, 1), 0, 0 FROM n",
            id("0001")
        ),
        format!(
            "{numbers} INSERT INTO delivery (tenant_id, id, event_id, subscription_id, destination_id, state, attempts,
                last_status, last_outcome, trigger, finished_at)
            SELECT {tenant}, {}, {}, iif({is_seldom}, {}, {}), {}, 1, 1, 200, 0, 0, 1000000 + i FROM n",
            id("0002"),
            id("0001"),
            blob(seldom.uuid()),
            blob(often.uuid()),
            blob(destination.uuid()),
        ),
    ] {
        world.app.db.write.execute_unprepared(&text).await.unwrap();
    }
}

use entity::own_request::{self, WINDOW_MS};
use relay::id::TenantId;

use super::*;

#[tokio::test]
async fn a_registration_holds_to_the_millisecond_and_is_forgotten_in_steps() {
    let world = World::new().await;
    let tenant: TenantId = world.tenant.rsplit('/').next().unwrap().parse().unwrap();
    let db = &world.app.db;
    let ids = |range: std::ops::Range<i32>| range.map(|number| number.to_string()).collect::<Vec<_>>();
    own_request::register(&db.write, tenant, None, &ids(0..1000), 1_000).await.unwrap();
    own_request::register(&db.write, tenant, None, &ids(999..1500), 2_000).await.unwrap();
    let rows = async || world.number("SELECT count(*) FROM own_request").await;
    assert_eq!(rows().await, 1500);

    for (id, now, own) in [
        ("0", 1_000 + WINDOW_MS - 1, true),
        ("0", 1_000 + WINDOW_MS, false),
        ("999", 2_000 + WINDOW_MS - 1, true),
        ("999", 2_000 + WINDOW_MS, false),
        ("1500", 2_000, false),
    ] {
        assert_eq!(own_request::is_own(&db.read, tenant, None, id, now).await.unwrap(), own, "{id} at {now}");
    }

    let mut left = Vec::new();
    for now in [1_000 + WINDOW_MS - 1, 1_000 + WINDOW_MS, 2_000 + WINDOW_MS - 1] {
        own_request::forget(&db.finish, now).await.unwrap();
        left.push(rows().await);
    }
    assert_eq!(left, [1500, 501, 501]);
    own_request::register(&db.write, tenant, None, &ids(0..1000), 2_000).await.unwrap();
    let mut forgot = Vec::new();
    for _ in 0..3 {
        forgot.push(own_request::forget(&db.finish, 2_000 + WINDOW_MS).await.unwrap());
    }
    assert_eq!(forgot, [1000, 500, 0]);
}

#[tokio::test]
async fn the_audit_row_counts_what_was_registered() {
    let world = World::new().await;
    let path = format!("{}/request-ids", world.tenant);
    let answer = world.post(&path, json!({"request_ids": ["one", "two", "one"]})).await.is(201);
    assert_eq!(answer["registered"], 2);
    let about = "SELECT count(*) FROM audit WHERE action = 'register_request_ids' AND object = 'tenant'";
    assert_eq!(world.number(&format!("{about} AND \"after\" LIKE '%\"registered\":2%'")).await, 1);
    assert_eq!(world.number(&format!("{about} AND \"after\" LIKE '%one%'")).await, 0);
}

//! Where did my event go? Events and deliveries are found by what they are known by and by what became of them.

use harness::answer::{items, text};
use harness::{
    Database, Destination, Receiver, Relay, Source, Tenant, Value, eventually, on_each_database, on_postgres,
};
use serde_json::json;

on_each_database![
    events_and_deliveries_are_found_by_what_became_of_them,
    an_event_says_what_each_of_its_deliveries_waits_for,
    an_event_is_listed_once_however_often_it_failed,
    pages_stay_as_they_are_while_more_comes,
    what_is_sent_again_meanwhile_is_on_a_page_all_the_same,
    what_makes_no_sense_is_refused,
];
on_postgres![no_delivery_is_looked_up_by_what_people_search_by];

async fn events_and_deliveries_are_found_by_what_became_of_them(database: Database) {
    let relay = Relay::start(database).await;
    let Found { tenant, source, other, sick, waiting } = Found::arrange(&relay).await;

    let all = "waits away sick well";
    for (query, found) in [
        (String::new(), all),
        ("state=failed".to_owned(), "away sick"),
        ("state=pending".to_owned(), "waits"),
        ("state=delivered".to_owned(), "well"),
        ("state=cancelled".to_owned(), ""),
        ("status_class=5xx".to_owned(), "waits sick"),
        ("status_class=2xx".to_owned(), "well"),
        ("status_class=4xx".to_owned(), ""),
        ("last_status=503".to_owned(), "waits sick"),
        ("last_status=503&state=failed".to_owned(), "sick"),
        ("last_status=503&status_class=4xx".to_owned(), ""),
        ("last_outcome=unreachable".to_owned(), "away"),
        ("last_outcome=rejected".to_owned(), "waits sick"),
        ("last_outcome=delivered".to_owned(), "well"),
        (format!("destination_id={}", sick.id), "sick"),
        (format!("destination_id={}&state=delivered", sick.id), ""),
        (format!("subscription_id={waiting}"), "waits"),
        ("event_type=sick".to_owned(), "sick"),
        ("event_type=sick&state=delivered".to_owned(), ""),
        ("event_type=sick&state=failed".to_owned(), "sick"),
        (format!("source_id={}", source.id), "away sick well"),
        (format!("source_id={}&event_type=waits", source.id), ""),
        (format!("source_id={}&status_class=5xx", other.id), "waits"),
        ("external_id=3".to_owned(), "away"),
        ("external_id=3&state=delivered".to_owned(), ""),
        ("request_id=call-4".to_owned(), "waits"),
        ("request_id=call-4&external_id=4&event_type=waits&last_outcome=rejected".to_owned(), "waits"),
        ("request_id=call-4&external_id=3".to_owned(), ""),
        ("external_id=nothing".to_owned(), ""),
        ("before=2020-01-01T00:00:00Z".to_owned(), ""),
        ("after=2020-01-01T00:00:00Z&state=failed".to_owned(), "away sick"),
    ] {
        for list in ["events", "deliveries"] {
            assert_eq!(types(&tenant, &format!("/{list}?{query}")).await, found, "{list}?{query}");
        }
    }
    assert_eq!(types(&tenant, "/deliveries?trigger=event").await, all);
    assert_eq!(types(&tenant, "/deliveries?trigger=replay").await, "");
}

async fn an_event_says_what_each_of_its_deliveries_waits_for(database: Database) {
    let relay = Relay::start(database).await;
    let (well, sick) = (Receiver::start().await, Receiver::always(500).await);
    let tenant = relay.tenant("acme").await;
    let source = tenant.source().await;
    let paused = tenant.destination(&well).await;
    let gone = tenant.destination(&Receiver::always(410).await).await;
    let retried = tenant.destination_tried(&sick, &[0, 3_600]).await;
    for destination in [&paused, &gone, &retried] {
        tenant.subscribe(destination, &["*"]).await;
    }
    tenant.act(&format!("{}/pause", paused.path())).await.is(200);

    let event = source.send("a.b").await;
    let of = async |destination: &Destination| {
        let all = tenant.event(&event).await["deliveries"].as_array().cloned().unwrap_or_default();
        all.into_iter().find(|delivery| delivery["destination_id"] == *destination.id).unwrap()
    };
    eventually("the destination that is gone to be disabled", async || {
        (of(&gone).await["state"] == "held").then_some(())
    })
    .await;
    let waits = eventually("the one that failed to wait", async || {
        Some(of(&retried).await).filter(|delivery| delivery["attempts"] == 1)
    })
    .await;
    assert_eq!(
        (&waits["state"], &waits["last_status"], &waits["last_outcome"], &waits["reason"]),
        (&json!("pending"), &json!(500), &json!("rejected"), &Value::Null)
    );
    assert!(waits["next_attempt_at"].is_string(), "{waits:#}");
    let held = of(&paused).await;
    assert_eq!((&held["state"], &held["reason"]), (&json!("held"), &json!("its destination is paused")));
    assert_eq!(of(&gone).await["reason"], "its destination is disabled: gone");
}

async fn an_event_is_listed_once_however_often_it_failed(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let route = relay.route_tried(&receiver, Some(&[0])).await;
    let mut sent = Vec::new();
    for _ in 0..3 {
        let event = route.source.send("a.b").await;
        route.tenant.settled(&event).await;
        sent.push(event);
    }
    for _ in 0..2 {
        let first = text(&route.tenant.deliveries(&sent[0]).await[0], "id");
        let again = text(&route.tenant.act(&format!("/deliveries/{first}/retry")).await.json(202), "id");
        route.tenant.delivery_in(&again, "failed").await;
    }

    for limit in 1..=4 {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = route.tenant.get(&format!("/events?state=failed&limit={limit}{cursor}")).await.json(200);
            found.extend(items(&page).iter().map(|event| text(event, "id")));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(
            found,
            [0, 2, 1].map(|place: usize| sent[place].clone()),
            "the newest failure first, {limit} at a time"
        );
    }
}

async fn pages_stay_as_they_are_while_more_comes(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    let mut sent = route.source.send_many(6, 1, |_| "a.b".to_owned()).await;
    for event in &sent {
        route.tenant.settled(event).await;
    }
    sent.reverse();

    for list in ["/events?event_type=a.b", "/deliveries?state=delivered"] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        while found.len() < sent.len() {
            let page = route.tenant.get(&format!("{list}&limit=2{cursor}")).await.json(200);
            let field = if list.starts_with("/events") { "id" } else { "event_id" };
            found.extend(items(&page).iter().map(|item| text(item, field)));
            route.tenant.settled(&route.source.send("a.b").await).await;
            cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap_or_default());
        }
        assert!(found.ends_with(&sent[2..]) || found == sent, "{list}: {found:?} of {sent:?}");
        sent = route.tenant.get("/events?limit=250").await.json(200)["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| text(event, "id"))
            .collect();
    }
}

/// By what is asked of deliveries: a newer one stands at the beginning, which has been read.
async fn what_is_sent_again_meanwhile_is_on_a_page_all_the_same(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::always(500).await;
    let route = relay.route_tried(&receiver, Some(&[0])).await;
    let tenant = &route.tenant;
    let mut sent = route.source.send_many(4, 1, |_| "a.b".to_owned()).await;
    for event in &sent {
        tenant.settled(event).await;
    }
    let oldest = text(&tenant.deliveries(&sent[0]).await[0], "id");
    sent.reverse();

    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = format!("/events?destination_id={}&state=failed&limit=1{cursor}", route.destination.id);
        let page = tenant.get(&list).await.json(200);
        found.extend(items(&page).iter().map(|event| text(event, "id")));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        let again = text(&tenant.act(&format!("/deliveries/{oldest}/retry")).await.json(202), "id");
        tenant.delivery_in(&again, "failed").await;
    }
    assert_eq!(found, sent);
}

async fn what_makes_no_sense_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    for (query, word) in [
        ("/events?status_class=6xx", "status_class"),
        ("/events?state=lost", "state"),
        ("/events?matched=true&state=failed", "matched"),
        ("/deliveries?last_outcome=gone", "last_outcome"),
        ("/deliveries?trigger=luck", "trigger"),
        ("/deliveries?replay_id=evt_01h2xcejqtf2nbrexx3vqjhp41", "replay_id"),
    ] {
        tenant.get(query).await.problem_about(422, &[word]);
    }
}

/// One event of each type: delivered, failed by a 503, failed without an answer, and waiting after a 503.
struct Found {
    tenant: Tenant,
    source: Source,
    /// The waiting one's.
    other: Source,
    sick: Destination,
    /// The waiting one's subscription.
    waiting: String,
}

impl Found {
    async fn arrange(relay: &Relay) -> Self {
        let (well, unwell, away) = (Receiver::start().await, Receiver::always(503).await, Receiver::closed());
        let tenant = relay.tenant("acme").await;
        let (source, other) = (tenant.source_of(known_by_headers()).await, tenant.source_of(known_by_headers()).await);
        let sick = tenant.destination_tried(&unwell, &[0]).await;
        tenant.subscribe(&sick, &["sick"]).await;
        for (receiver, pattern) in [(&well, "well"), (&away, "away")] {
            tenant.subscribe(&tenant.destination_tried(receiver, &[0]).await, &[pattern]).await;
        }
        let waits = tenant.destination_tried(&unwell, &[0, 86_400]).await;
        let waiting = tenant.subscribe(&waits, &["waits"]).await;
        for (at, event_type, id) in
            [(&source, "well", "1"), (&source, "sick", "2"), (&source, "away", "3"), (&other, "waits", "4")]
        {
            let headers = [("x-type", event_type), ("x-id", id), ("x-request-id", &format!("call-{id}"))];
            let event = at.post_with(&headers, "{}").await.event_id();
            if event_type == "waits" {
                tenant.delivery_waiting(&text(&tenant.delivery_of(&event).await, "id"), 1).await;
            } else {
                tenant.settled(&event).await;
            }
        }
        Self { tenant, source, other, sick, waiting }
    }
}

/// A source that says of its events what the headers say.
fn known_by_headers() -> Value {
    json!({
        "name": "by headers", "provider": "generic", "verification": { "kind": "none" },
        "extract": { "event_type": "header:x-type", "external_id": "header:x-id", "request_id": "header:x-request-id" },
    })
}

/// The types of the events of a list, as it has them.
async fn types(tenant: &Tenant, list: &str) -> String {
    let mut found = Vec::new();
    for item in items(&tenant.get(list).await.json(200)) {
        let event = match item["event_id"].as_str() {
            Some(id) => tenant.event(id).await,
            None => item,
        };
        found.push(text(&event, "event_type"));
    }
    found.join(" ")
}

/// PostgreSQL keeps the plans of what is hot from when a day was empty. An index that fits by its first and last column alone
/// seems as good as the key then, and later gives all of the tenant's entries for one event.
async fn no_delivery_is_looked_up_by_what_people_search_by(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    route.source.send_many(20, 4, |_| "order.paid".to_owned()).await;
    receiver.wait_for(20).await;

    // What a connection has counted is told a moment later, and when it ends.
    for process in relay.processes() {
        process.terminate();
        assert!(process.ended().await.success());
    }
    let used = async |index: &str| {
        let of = format!(
            "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelid::regclass::text ~ '{index}'"
        );
        database.number(&of).await
    };
    eventually("the key to be used", async || (used("^event_[0-9]{8}_pkey").await > 0).then_some(())).await;
    assert_eq!(used("^event_[0-9]{8}_tenant_id_.*_id_idx").await, 0);
}

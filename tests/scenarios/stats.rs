//! Statistics: what happened is counted once, by source, by destination and for the tenant, whoever counted it.

use std::time::Duration;

use harness::answer::{items, text};
use harness::ondato::event_with_id;
use harness::{Database, Receiver, Relay, Route, Tenant, Value, eventually, json, on_each_database, within};

on_each_database![
    what_happens_is_counted_where_it_belongs,
    several_processes_count_together,
    an_orderly_end_loses_nothing,
    buckets_hold_what_happened_in_their_time,
    minutes_are_forgotten_before_hours,
    what_makes_no_sense_is_refused,
];

async fn what_happens_is_counted_where_it_belongs(database: Database) {
    let relay = Relay::start(database).await;
    let (well, unwell) = (Receiver::start().await, Receiver::always(503).await);
    let tenant = relay.tenant("acme").await;
    let (guarded, _) = tenant.guarded_source("ondato", "correct horse battery").await;
    let open = tenant.source().await;
    let healthy = tenant.destination(&well).await;
    let sick = tenant.destination_tried(&unwell, &[0, 3_600]).await;
    tenant.subscribe(&healthy, &["*"]).await;
    tenant.subscribe(&sick, &["sick"]).await;
    let none = json!({ "destination_id": healthy.id, "event_types": ["*"], "filter": { "body": { "/no": 1 } } });
    tenant.post("/subscriptions", none).await.is(201);

    for _ in 0..3 {
        guarded.post(event_with_id("well", "one")).await.is(202);
    }
    guarded.as_user("ondato", "wrong").post("{}").await.is(401);
    let failing = open.send("sick").await;
    eventually("all but the failing one to end", async || {
        let states = tenant.deliveries(&failing).await;
        let count = |state: &str| states.iter().filter(|it| it["state"] == state && it["attempts"] != 0).count();
        (count("pending") == 1 && count("delivered") == 1).then_some(())
    })
    .await;

    relay.clock.advance(Duration::from_secs(11));
    let whole = counted(&tenant, "", |total| total["accepted"] == 2 && total["filtered"] == 2).await;
    let numbers = |total: &Value| {
        let names = ["accepted", "duplicates", "rejected", "delivered", "failed", "filtered", "attempts_failed"];
        names.map(|name| total[name].as_i64().unwrap())
    };
    assert_eq!(numbers(&whole), [2, 2, 1, 2, 0, 2, 1], "{whole:#}");
    let of = async |query: String| numbers(&stats(&tenant, &query).await["total"]);
    assert_eq!(of(format!("source_id={}", guarded.id)).await, [1, 2, 1, 0, 0, 0, 0]);
    assert_eq!(of(format!("source_id={}", open.id)).await, [1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(of(format!("destination_id={}", healthy.id)).await, [0, 0, 0, 2, 0, 2, 0]);
    assert_eq!(of(format!("destination_id={}", sick.id)).await, [0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(whole["rejected_by"], json!({ "credential_wrong": 1 }));
    for (field, most) in [("latency_ms", 30_000), ("attempt_ms", 15_000)] {
        let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| whole[field][name].as_i64().unwrap());
        assert!(0 <= p50 && p50 <= p95 && p95 <= p99 && p99 < most, "{field}: {p50} {p95} {p99}");
    }
    let sick = stats(&tenant, &format!("destination_id={}", sick.id)).await;
    assert_eq!(sick["total"]["latency_ms"], json!(null), "nothing was delivered");

    let stranger = relay.tenant("other").await;
    for query in [String::new(), format!("source_id={}", guarded.id), format!("destination_id={}", healthy.id)] {
        assert_eq!(numbers(&stats(&stranger, &query).await["total"]), [0; 7], "{query}");
    }
}

async fn several_processes_count_together(database: Database) {
    let relay = Relay::plan(database).apis(2).workers(2).start().await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, destination, .. } = relay.route(&receiver).await;
    let mut destinations = vec![destination.id];
    for _ in 0..5 {
        let another = tenant.destination(&receiver).await;
        tenant.subscribe(&another, &["*"]).await;
        destinations.push(another.id);
    }
    let other = source.at(relay.apis.last().unwrap());
    let types = |_| "a.b".to_owned();
    tokio::join!(source.send_many(40, 4, types), other.send_many(40, 4, types));

    receiver.wait_for(80 * destinations.len()).await;
    counted(&tenant, "", |total| total["accepted"] == 80 && total["delivered"] == 480).await;
    for id in destinations {
        counted(&tenant, &format!("destination_id={id}"), |total| total["delivered"] == 80).await;
    }
}

async fn an_orderly_end_loses_nothing(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    for round in 1..=2 {
        tenant.settled(&source.send("a.b").await).await;
        for process in relay.processes() {
            process.terminate();
        }
        for process in relay.processes() {
            assert!(process.ended().await.success());
        }
        relay.start_again().await;
        let total = stats(&tenant, "").await["total"].clone();
        assert_eq!((&total["accepted"], &total["delivered"]), (&json!(round), &json!(round)), "{total:#}");
    }
}

async fn buckets_hold_what_happened_in_their_time(database: Database) {
    /// An outcome is counted a moment after it can be read: within so long it is waited for.
    const WRITTEN_S: u64 = 11;
    // Two minutes past a whole hour, which is also the first of a day.
    let relay = Relay::plan(database).at(1_900_022_400_000 + 120_000).start().await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    for (minutes, count) in [(0, 1), (1, 2), (4, 3), (56, 4)] {
        later(&relay, (minutes * 60_u64).saturating_sub(WRITTEN_S)).await;
        tenant.settled(&source.send("a.b").await).await;
        later(&relay, WRITTEN_S).await;
        counted(&tenant, "", |total| total["accepted"] == count && total["delivered"] == count).await;
    }

    // At 00:02, 00:03, 00:07 and 01:03.
    for (query, expected) in [
        ("bucket=1m&after=2030-03-18T00:00:00Z", "2 3 7 63"),
        ("bucket=5m&after=2030-03-18T00:00:00Z", "0 0 5 60"),
        ("bucket=1h&after=2030-03-18T00:00:00Z", "0 0 0 60"),
        ("bucket=1d&after=2030-03-18T00:00:00Z", "0 0 0 0"),
        ("bucket=1m&after=2030-03-18T00:03:00Z&before=2030-03-18T00:07:00Z", "3"),
        ("bucket=5m&after=2030-03-18T00:03:00Z&before=2030-03-18T00:07:00Z", "0 0 5"),
        ("", "0 0 0 60"),
    ] {
        let answer = stats(&tenant, query).await;
        assert_eq!(minutes_of(&answer, "accepted"), expected, "{query}: {answer:#}");
        assert_eq!(minutes_of(&answer, "delivered"), expected, "{query}: {answer:#}");
        let sum: i64 = items(&answer).iter().map(|item| item["accepted"].as_i64().unwrap()).sum();
        assert_eq!(answer["total"]["accepted"], sum, "{query}");
    }
    let items = items(&stats(&tenant, "").await);
    assert_eq!((items.len(), text(&items[59], "at")), (60, "2030-03-18T01:00:00.000Z".to_owned()));
}

/// When each of what was counted happened, in minutes since midnight, as far as its bucket tells.
fn minutes_of(answer: &Value, field: &str) -> String {
    let midnight = 1_900_022_400_000;
    let mut minutes = Vec::new();
    for item in items(answer) {
        let minute = (harness::answer::millis(&item, "at") - midnight) / 60_000;
        let count = usize::try_from(item[field].as_u64().unwrap()).unwrap();
        minutes.extend(std::iter::repeat_n(minute.to_string(), count));
    }
    minutes.join(" ")
}

async fn minutes_are_forgotten_before_hours(database: Database) {
    let relay = Relay::start(database.clone()).await;
    let receiver = Receiver::start().await;
    let Route { tenant, source, .. } = relay.route(&receiver).await;
    tenant.settled(&source.send("a.b").await).await;
    later(&relay, 3_600).await;
    counted(&tenant, "", |total| total["accepted"] == 1 && total["delivered"] == 1).await;
    let rows = async |width: u32| database.number(&format!("SELECT count(*) FROM stat WHERE width = {width}")).await;
    let hours = rows(3_600).await;
    assert!(rows(60).await > 0 && hours > 0);

    later(&relay, 3 * 86_400).await;
    eventually("the minutes to be forgotten", async || (rows(60).await == 0).then_some(())).await;
    assert_eq!(rows(3_600).await, hours);
    let days = stats(&tenant, "bucket=1d").await;
    assert_eq!(days["total"]["delivered"], 1);

    later(&relay, 90 * 86_400).await;
    eventually("the hours to be forgotten", async || (rows(3_600).await == 0).then_some(())).await;
}

async fn what_makes_no_sense_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    let both = "source_id=src_01h2xcejqtf2nbrexx3vqjhp41&destination_id=dst_01h2xcejqtf2nbrexx3vqjhp41";
    for (query, word) in [
        ("bucket=2h", "bucket"),
        (both, "destination_id"),
        ("after=2026-01-02T00:00:00Z&before=2026-01-01T00:00:00Z", "after"),
        ("bucket=1h&after=2020-01-01T00:00:00Z", "1500"),
        ("bucket=1m&after=2020-01-01T00:00:00Z&before=2020-01-01T01:00:00Z", "two days"),
        ("after=yesterday", "after"),
        ("colour=red", "colour"),
    ] {
        tenant.get(&format!("/stats?{query}")).await.problem_about(422, &[word]);
    }
    let _ = tenant.seen_by(&tenant.key(json!(["write"])).await).get("/stats").await.problem(403);
}

async fn later(relay: &Relay, seconds: u64) {
    relay.clock.advance(Duration::from_secs(seconds));
    relay.clock_is_followed().await;
    for process in relay.processes() {
        eventually("days to be there again", async || {
            (harness::Client::of(process).operations("/readyz").await.status == 200).then_some(())
        })
        .await;
    }
}

async fn stats(tenant: &Tenant, query: &str) -> Value {
    tenant.get(&format!("/stats?{query}")).await.json(200)
}

/// Waits until the counts, which are written ten seconds later, are as `are` says; gives those of all the time.
async fn counted(tenant: &Tenant, query: &str, are: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let what = format!("{query:?} to be counted");
    within(harness::wait::PATIENCE, &what, async || {
        last = stats(tenant, query).await["total"].clone();
        are(&last).then(|| last.clone())
    })
    .await
}

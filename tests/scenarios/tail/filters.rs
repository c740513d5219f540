//! A tail tells only what was asked for, and nobody what is not theirs.

use harness::answer::text;
use harness::tail::News;
use harness::{Database, Receiver, Relay, Source, Tenant, eventually, json, on_each_database};
use reqwest::Method;

on_each_database![filters_leave_out_what_does_not_fit, nobody_hears_what_is_not_theirs, what_makes_no_sense_is_refused];

async fn filters_leave_out_what_does_not_fit(database: Database) {
    let relay = Relay::start(database).await;
    let scene = Scene::arrange(&relay).await;
    let of_source = format!("source_id={}", scene.source.id);
    let to_sick = format!("destination_id={}", scene.sick);
    // As many at a time as a tenant may have.
    for filters in [
        [
            ("kinds=event", "event other, event sick, event well"),
            ("kinds=delivery", "other delivered, sick failed, well delivered"),
            (&of_source, "event sick, event well, rejection, sick failed, well delivered"),
            ("event_type=sick", "event sick, sick failed"),
            ("kinds=rejection", "rejection"),
        ],
        [
            (&to_sick, "sick failed"),
            ("state=failed", "sick failed"),
            ("state=failed&kinds=delivery,event", "sick failed"),
            ("event_type=sick&kinds=delivery", "sick failed"),
            ("", "event other, event sick, event well, other delivered, rejection, sick failed, well delivered"),
        ],
    ] {
        super::a_moment_passes(&relay).await;
        let mut tails = Vec::new();
        for (query, expected) in filters {
            tails.push((query, expected, scene.tenant.tail(&format!("?{query}")).await));
        }
        scene.happens().await;
        for (query, expected, tail) in &mut tails {
            let mut told = Vec::new();
            for _ in expected.split(", ") {
                told.push(tail.told().await);
            }
            assert_eq!(scene.words(&told).await, *expected, "{query}");
        }
        // Whatever a filter wants, it wants something of this; and nothing else came in between.
        let last = scene.last().await;
        for (query, _, tail) in &mut tails {
            let next = tail.told().await;
            let is_of_event = [&next.data["id"], &next.data["event_id"]].contains(&&json!(last));
            assert!(is_of_event || next.data["method"] == "PUT", "{query}: {next:?}");
        }
    }
}

/// A source that asks for a password, one that does not, and destinations that are well and sick.
struct Scene {
    tenant: Tenant,
    source: Source,
    other: Source,
    sick: String,
    _receivers: [Receiver; 2],
}

impl Scene {
    async fn arrange(relay: &Relay) -> Self {
        let (well, unwell) = (Receiver::start().await, Receiver::always(503).await);
        let tenant = relay.tenant("acme").await;
        let (source, _) = tenant.guarded_source("ondato", "correct horse battery").await;
        let other = tenant.source().await;
        for source in [&source, &other] {
            super::quiet(&tenant, source).await;
        }
        let sick = tenant.destination_tried(&unwell, &[0]).await;
        tenant.subscribe(&sick, &["sick"]).await;
        tenant.subscribe(&tenant.destination(&well).await, &["well", "other"]).await;
        Self { tenant, source, other, sick: sick.id, _receivers: [well, unwell] }
    }

    async fn happens(&self) {
        self.is_refused(Method::POST).await;
        for (source, event_type) in [(&self.source, "well"), (&self.source, "sick"), (&self.other, "other")] {
            self.tenant.settled(&source.send(event_type).await).await;
        }
    }

    /// A refused request, and an event that fails.
    async fn last(&self) -> String {
        self.is_refused(Method::PUT).await;
        let event = self.source.send("sick").await;
        self.tenant.settled(&event).await;
        event
    }

    /// It is noted a moment later.
    async fn is_refused(&self, method: Method) {
        let noted = async || {
            let totals = self.tenant.get(&format!("/sources/{}/rejections", self.source.id)).await.json(200);
            totals["totals"][0]["total"].as_i64().unwrap_or(0)
        };
        let before = noted().await;
        self.source.provider.ask(method, &self.source.path, &[], "{}").await.is(401);
        eventually("the refusal to be noted", async || (noted().await > before).then_some(())).await;
    }

    /// In the order of the alphabet: what there is news of at the same time is told by kinds.
    async fn words(&self, told: &[News]) -> String {
        let mut words = Vec::new();
        for News { kind, data } in told {
            words.push(match kind.as_str() {
                "event" => format!("event {}", text(data, "event_type")),
                "delivery" => {
                    let event = self.tenant.event(&text(data, "event_id")).await;
                    format!("{} {}", text(&event, "event_type"), text(data, "state"))
                }
                other => other.to_owned(),
            });
        }
        words.sort();
        words.join(", ")
    }
}

async fn nobody_hears_what_is_not_theirs(database: Database) {
    let relay = Relay::start(database).await;
    let receiver = Receiver::start().await;
    let (route, other) = (relay.route(&receiver).await, relay.route(&receiver).await);
    let key = other.tenant.key(json!(["read"])).await;
    let _ = key.get(&route.tenant.path("/tail")).await.problem(404);
    let writer = other.tenant.key(json!(["write", "payloads"])).await;
    let _ = writer.get(&other.tenant.path("/tail")).await.problem(403);
    let _ = relay.anybody().get(&route.tenant.path("/tail")).await.problem(401);

    super::quiet(&other.tenant, &other.source).await;
    let stranger = other.tenant.seen_by(&key);
    let mut all = stranger.tail("").await;
    // Ids of what is another's are as good as those of nothing.
    let mut nothing = Vec::new();
    for query in [format!("source_id={}", route.source.id), format!("destination_id={}", route.destination.id)] {
        nothing.push(stranger.tail(&format!("?duration_s=60&{query}")).await);
    }
    let theirs = route.source.send("theirs").await;
    route.tenant.settled(&theirs).await;
    let own = other.source.send("own").await;
    let told = all.until(|news| news.data["event_id"] == own.as_str()).await;
    assert_eq!(told.len(), 2, "the event and its delivery: {told:#?}");
    // Those have looked as often.
    relay.clock.advance(std::time::Duration::from_secs(61));
    for mut tail in nothing {
        assert_eq!(tail.rest().await, []);
    }
}

async fn what_makes_no_sense_is_refused(database: Database) {
    let relay = Relay::start(database).await;
    let tenant = relay.tenant("acme").await;
    for (query, word) in [
        ("kinds=events", "kinds"),
        ("kinds=", "kinds"),
        ("kinds=rejection&state=failed", "kinds"),
        ("kinds=event&destination_id=dst_01h2xcejqtf2nbrexx3vqjhp41", "kinds"),
        ("source_id=dst_01h2xcejqtf2nbrexx3vqjhp41", "source_id"),
        ("state=lost", "state"),
        ("duration_s=0", "duration_s"),
        ("duration_s=3601", "duration_s"),
        ("colour=red", "colour"),
    ] {
        tenant.get(&format!("/tail?{query}")).await.problem_about(422, &[word]);
    }
    for id in ["nonsense", "-1.", "1.AAA", "1"] {
        let answer = tenant.client.ask(Method::GET, &tenant.path("/tail"), &[("last-event-id", id)], "").await;
        answer.problem_about(422, &["last-event-id"]);
    }
}

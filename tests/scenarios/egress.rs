//! The way out, as the operator sets it.

use harness::answer::text;
use harness::ondato::APPROVED;
use harness::{
    Authority, Beast, Database, ForwardProxy, Receiver, Relay, Source, Tenant, Value, Visit, eventually, json,
    on_each_database,
};

on_each_database![
    the_addresses_that_requests_leave_from_are_public,
    a_proxy_is_the_only_way_out,
    a_proxy_that_does_not_work_is_no_destinations_fault,
    what_a_proxy_says_of_a_destination_is_the_destinations,
    what_is_not_public_is_refused_at_each_attempt,
    what_is_not_public_is_not_even_taken_down,
];

const PASSWORD: &str = "open-sesame";
/// Known to the proxy only.
const NAME: &str = "hooks.example.org";
const REFUSALS: &str = "hookyard_egress_refusals_total";
const ATTEMPTS: &str = "hookyard_attempts_total";

async fn the_addresses_that_requests_leave_from_are_public(database: Database) {
    let plan = Relay::plan(database).setting("HOOKYARD_EGRESS_ADDRESSES", "192.0.2.7, 2001:db8::/64");
    let relay = plan.start().await;
    let told = relay.anybody().get("/v1/egress-addresses").await.json(200);
    assert_eq!(told, json!({ "addresses": ["192.0.2.7", "2001:db8::/64"] }));
    let tenant = relay.tenant("acme").await;
    let ourselves = json!({ "name": "out", "url": "https://192.0.2.7/hook" });
    tenant.post("/destinations", ourselves).await.problem_about(422, &["/url", "this relay itself"]);
}

async fn a_proxy_is_the_only_way_out(database: Database) {
    let world = World::start(database).await;
    let delivered = world.delivered(&world.send().await).await;
    world.delivered(&world.send().await).await;

    let receiver = &world.receiver;
    assert_eq!((receiver.requests().len(), receiver.connections()), (2, 1), "the tunnel is kept");
    assert_eq!(world.proxy.asked(), [(format!("{NAME}:443"), 200)]);
    let attempt = &delivered["attempt_log"][0];
    assert_eq!(attempt["remote_address"], Value::Null, "whom the proxy reached, it does not tell: {attempt}");
}

async fn a_proxy_that_does_not_work_is_no_destinations_fault(database: Database) {
    let world = World::start(database).await;
    let proxy = &world.proxy;

    proxy.expect("another");
    let first = world.send().await;
    eventually("the proxy to be asked with the wrong password", async || (proxy.answered(407) >= 2).then_some(()))
        .await;
    world.is_untried(&first).await;
    proxy.expect(PASSWORD);
    world.delivered(&first).await;

    proxy.close().await;
    let second = world.send().await;
    world.complains("Connection refused").await;
    world.is_untried(&second).await;
    proxy.open();
    world.delivered(&second).await;

    // The tunnel of the second would serve the third as well.
    proxy.close().await;
    proxy.refuse(Some(302));
    proxy.open();
    let third = world.send().await;
    eventually("the proxy to fail", async || (proxy.answered(302) >= 2).then_some(())).await;
    world.is_untried(&third).await;
    proxy.refuse(None);
    let delivered = world.delivered(&third).await;

    assert_eq!((&delivered["attempts"], delivered["attempt_log"].as_array().unwrap().len()), (&1.into(), 1));
    let outcomes = [("delivered", 3), ("timed_out", 0), ("unreachable", 0), ("refused", 0)];
    for (outcome, count) in outcomes {
        let name = format!("{ATTEMPTS}{{outcome=\"{outcome}\"}}");
        assert_eq!(world.relay.counted(&name).await, count, "{name}");
    }
    assert_eq!(world.relay.counted("hookyard_breakers_opened_total").await, 0);
}

async fn what_a_proxy_says_of_a_destination_is_the_destinations(database: Database) {
    let world = World::start(database).await;
    for (status, outcome, error) in [
        (403, "refused", "the relay's proxy (HOOKYARD_EGRESS_PROXY) does not let requests through"),
        (502, "unreachable", "the relay's proxy does not reach it"),
        (500, "unreachable", "the relay's proxy does not reach it"),
    ] {
        world.proxy.refuse(Some(status));
        let delivery = text(&world.tenant.delivery_of(&world.send().await).await, "id");
        let attempt = &world.tenant.delivery_waiting(&delivery, 1).await["attempt_log"][0];
        assert_eq!(attempt["outcome"], outcome, "{attempt}");
        assert!(text(attempt, "error").starts_with(error), "{attempt}");
    }
    assert_eq!(world.relay.counted(&format!("{REFUSALS}{{reason=\"proxy\"}}")).await, 1);
    assert_eq!(world.receiver.connections(), 0);
}

/// They were saved while they were allowed.
async fn what_is_not_public_is_refused_at_each_attempt(database: Database) {
    let allowed = "127.0.0.0/8,10.0.0.0/8,169.254.0.0/16,::1/128";
    let lenient = Relay::plan(database.clone()).setting("HOOKYARD_EGRESS_ALLOW", allowed).start().await;
    let receiver = Receiver::start().await;
    let tenant = lenient.tenant("acme").await;
    let source = tenant.source().await;
    let local = receiver.url().replace("http://", "https://");
    let refusals = [
        ("Local", local.as_str(), "127.0.0.1 is in 127.0.0.0/8 (loopback)", "address"),
        ("Six", "https://[::1]/hook", "::1 is in ::1/128 (loopback)", "address"),
        ("Private", "https://10.1.2.3/hook", "10.1.2.3 is in 10.0.0.0/8 (private)", "address"),
        ("Metadata", "https://169.254.169.254/latest/meta-data/", "(link-local and cloud metadata)", "address"),
        ("Name", "https://metadata.google.internal/", "is not a public name", "private_name"),
        ("Port", "https://hooks.example.org:22/", "port 22 is not allowed", "port"),
        ("Plain", "http://hooks.example.org/", "plain http is allowed by the setting", "plain_http"),
    ];
    for (event_type, url, ..) in refusals {
        let retry = json!({ "schedule_s": [0, 3_600] });
        let destination = tenant.destination_of(json!({ "name": "out", "url": url, "retry": retry })).await;
        tenant.subscribe(&destination, &[event_type]).await;
    }
    lenient.kill();
    drop(lenient);

    let plan = Relay::plan(database).setting("HOOKYARD_EGRESS_ALLOW", "").setting("HOOKYARD_EGRESS_HTTP", "false");
    let relay = plan.start().await;
    let (tenant, source) = (tenant.at(&relay.apis[0]), source.at(&relay.apis[0]));
    for (event_type, url, error, _) in refusals {
        let event = source.send(event_type).await;
        let delivery = text(&tenant.delivery_of(&event).await, "id");
        let attempt = &tenant.delivery_waiting(&delivery, 1).await["attempt_log"][0];
        assert_eq!((&attempt["outcome"], &attempt["remote_address"]), (&"refused".into(), &Value::Null), "{url}");
        assert!(text(attempt, "error").contains(error), "{url}: {attempt}");
    }
    for (reason, count) in [("address", 4), ("private_name", 1), ("port", 1), ("plain_http", 1)] {
        assert_eq!(relay.counted(&format!("{REFUSALS}{{reason=\"{reason}\"}}")).await, count, "{reason}");
    }
    assert_eq!(relay.counted(&format!("{ATTEMPTS}{{outcome=\"refused\"}}")).await, 7);
    assert_eq!(receiver.count(), 0);
}

async fn what_is_not_public_is_not_even_taken_down(database: Database) {
    let plan = Relay::plan(database).setting("HOOKYARD_EGRESS_ALLOW", "").setting("HOOKYARD_EGRESS_HTTP", "false");
    let relay = plan.start().await;
    let tenant = relay.tenant("acme").await;
    let out = json!({ "name": "out", "url": "https://hooks.example.org/" });
    let path = tenant.destination_of(out).await.path();
    for url in ["https://127.0.0.1/", "https://0x7f.1/", "https://169.254.169.254/", "https://[::ffff:10.0.0.1]/"] {
        let fields = json!({ "name": "out", "url": url });
        tenant.post("/destinations", fields).await.problem_about(422, &["/url", "HOOKYARD_EGRESS_ALLOW"]);
        tenant.patch(&path, json!({ "url": url })).await.problem_about(422, &["/url", "HOOKYARD_EGRESS_ALLOW"]);
    }
    assert_eq!(tenant.get(&path).await.json(200)["url"], "https://hooks.example.org/");
}

/// A relay whose way out is a proxy, and a receiver that only the proxy knows.
struct World {
    relay: Relay,
    tenant: Tenant,
    source: Source,
    proxy: ForwardProxy,
    receiver: Beast,
}

impl World {
    async fn start(database: Database) -> Self {
        let authority = Authority::new();
        let receiver = Beast::secure(authority.certificate(NAME).server(), |mut visit: Visit| async move {
            while visit.request().await.is_some() {
                visit.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            }
        });
        let proxy = ForwardProxy::start(receiver.address(), PASSWORD).await;
        let plan = Relay::plan(database).setting("HOOKYARD_EGRESS_PROXY", proxy.url(PASSWORD));
        let relay = plan.setting("HOOKYARD_EGRESS_HTTP", "false").start().await;
        let tenant = relay.tenant("acme").await;
        let (tls, retry) = (json!({ "ca": authority.pem }), json!({ "schedule_s": [0, 3_600] }));
        let fields = json!({ "name": "out", "url": format!("https://{NAME}/hook"), "tls": tls, "retry": retry });
        tenant.subscribe(&tenant.destination_of(fields).await, &["*"]).await;
        let source = tenant.source().await;
        Self { relay, tenant, source, proxy, receiver }
    }

    async fn send(&self) -> String {
        self.source.send(APPROVED).await
    }

    async fn delivered(&self, event: &str) -> Value {
        let delivery = text(&self.tenant.delivery_of(event).await, "id");
        self.tenant.delivery_in(&delivery, "delivered").await
    }

    async fn is_untried(&self, event: &str) {
        let delivery = self.tenant.delivery_of(event).await;
        assert_eq!((&delivery["state"], &delivery["attempts"]), (&"pending".into(), &0.into()), "{delivery:#}");
        assert_eq!(delivery["attempt_log"], json!([]), "{delivery:#}");
    }

    /// Waits until the worker says this of its proxy.
    async fn complains(&self, why: &str) {
        let worker = &self.relay.workers[0];
        eventually("a word about the proxy", async || {
            worker.log().lines().any(|line| line.contains("HOOKYARD_EGRESS_PROXY") && line.contains(why)).then_some(())
        })
        .await;
    }
}

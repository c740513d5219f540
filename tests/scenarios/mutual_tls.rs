//! Destinations whose certificates only a private authority knows, and that want to know ours.

use harness::answer::text;
use harness::certificate::Certificate;
use harness::ondato::APPROVED;
use harness::{
    Authority, Beast, Database, Destination, Process, Relay, Source, Tenant, Value, Visit, eventually, json,
    on_each_database,
};
use rustls::ServerConfig;

on_each_database![
    a_private_authority_is_trusted_where_it_is_named,
    who_asks_for_our_certificate_gets_it,
    a_renewed_certificate_is_shown_from_then_on,
    a_key_is_never_shown,
];

async fn a_private_authority_is_trusted_where_it_is_named(database: Database) {
    let relay = Relay::start(database).await;
    let (authority, stranger) = (Authority::new(), Authority::new());
    let receiver = receiver(authority.of_this_machine().server());
    let both = format!("{}{}", stranger.pem, authority.pem);
    for (tls, end) in [
        (json!({ "ca": authority.pem }), Ok(())),
        (json!({ "ca": both }), Ok(())),
        (json!({ "ca": stranger.pem }), Err("UnknownIssuer")),
        (json!({}), Err("UnknownIssuer")),
        (Value::Null, Err("UnknownIssuer")),
    ] {
        let arrived = receiver.requests().len();
        let way = Way::of(&relay, &receiver, &tls).await;
        assert_is(&way.attempt().await, end);
        assert_eq!(receiver.requests().len() - arrived, usize::from(end.is_ok()), "{tls}");
    }
}

async fn who_asks_for_our_certificate_gets_it(database: Database) {
    let relay = Relay::start(database).await;
    let (authority, clients, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let receiver = receiver(authority.of_this_machine().server_for(&clients));
    let (ours, another) = (clients.certificate("relay"), clients.certificate("another"));
    for (shown, end) in [
        (Some(&ours), Ok(())),
        // The connection that is kept for the one is not another's.
        (Some(&another), Ok(())),
        (None, Err("CertificateRequired")),
        (Some(&stranger.certificate("relay")), Err("UnknownCA")),
        (Some(&ours), Ok(())),
    ] {
        let arrived = receiver.requests().len();
        let way = Way::of(&relay, &receiver, &tls(&authority, shown)).await;
        assert_is(&way.attempt().await, end);
        assert_eq!(receiver.requests().len() - arrived, usize::from(end.is_ok()));
    }
    let shown: Vec<_> = receiver.handshakes().into_iter().map(|it| it.certificate.unwrap()).collect();
    assert_eq!(shown[..2], [ours.der.clone(), another.der]);
    assert!(shown[2..].iter().all(|last| *last == ours.der));
}

async fn a_renewed_certificate_is_shown_from_then_on(database: Database) {
    let relay = Relay::start(database).await;
    let (authority, clients) = (Authority::new(), Authority::new());
    let receiver = receiver(authority.of_this_machine().server_for(&clients));
    let [first, second] = ["first", "second"].map(|name| clients.certificate(name));
    let way = Way::of(&relay, &receiver, &tls(&authority, Some(&first))).await;
    assert_is(&way.attempt().await, Ok(()));

    let renewed = json!({ "tls": tls(&authority, Some(&second)) });
    way.tenant.patch(&way.destination.path(), renewed).await.is(200);

    eventually("the second certificate to be shown", async || {
        assert_is(&way.attempt().await, Ok(()));
        receiver.handshakes().iter().any(|it| it.certificate.as_ref() == Some(&second.der)).then_some(())
    })
    .await;
    way.tenant.patch(&way.destination.path(), json!({ "tls": null })).await.is(200);
    eventually("none to be shown, and none to be trusted", async || {
        (way.attempt().await["outcome"] == "unreachable").then_some(())
    })
    .await;
}

async fn a_key_is_never_shown(database: Database) {
    let relay = Relay::start(database).await;
    let (authority, clients) = (Authority::new(), Authority::new());
    let receiver = receiver(authority.of_this_machine().server_for(&clients));
    let [ours, renewed] = ["relay", "renewed"].map(|name| clients.certificate(name));
    let way = Way::of(&relay, &receiver, &tls(&authority, Some(&ours))).await;
    let path = way.destination.path();
    let attempt = way.attempt().await;
    let patched = way.tenant.patch(&path, json!({ "tls": tls(&authority, Some(&renewed)) })).await.json(200);
    let unfit = json!({ "tls": { "client_certificate": ours.pem, "client_key": renewed.key } });
    let refused = way.tenant.patch(&path, unfit).await;
    assert_eq!(refused.problem(422)["errors"][0]["pointer"], "/tls/client_key", "{refused}");
    let shown = way.tenant.get(&path).await.json(200);

    assert_eq!(shown["tls"], json!({ "ca": authority.pem, "client_certificate": renewed.pem }));
    let all = way.tenant.get("/destinations").await.json(200);
    let logs: String = relay.processes().into_iter().map(Process::log).collect();
    let said = [&way.destination.created, &attempt, &patched, &shown, &all].map(Value::to_string).join("\n");
    for key in [&ours.key, &renewed.key] {
        let secret = key.lines().nth(1).unwrap();
        assert!(!said.contains(secret) && !logs.contains(secret) && !refused.text().contains(secret));
    }
}

/// A destination with such a TLS, and what sends events there.
struct Way {
    tenant: Tenant,
    source: Source,
    destination: Destination,
}

impl Way {
    async fn of(relay: &Relay, receiver: &Beast, tls: &Value) -> Self {
        let tenant = relay.tenant("acme").await;
        let retry = json!({ "schedule_s": [0, 3_600] });
        let fields = json!({ "name": "out", "url": receiver.url(), "tls": tls, "retry": retry });
        let destination = tenant.destination_of(fields).await;
        tenant.subscribe(&destination, &["*"]).await;
        let source = tenant.source().await;
        Self { tenant, source, destination }
    }

    /// What became of an event of its own.
    async fn attempt(&self) -> Value {
        let event = self.source.send(APPROVED).await;
        let delivery = text(&self.tenant.delivery_of(&event).await, "id");
        let is_tried = |it: &Value| it["attempts"] == 1 && it["attempt_log"][0].is_object();
        self.tenant.delivery_when(&delivery, "tried once", is_tried).await["attempt_log"][0].clone()
    }
}

fn tls(authority: &Authority, shown: Option<&Certificate>) -> Value {
    let (certificate, key) = shown.map(|shown| (&shown.pem, &shown.key)).unzip();
    json!({ "ca": authority.pem, "client_certificate": certificate, "client_key": key })
}

/// Takes everything, over connections that stay.
fn receiver(tls: ServerConfig) -> Beast {
    Beast::secure(tls, |mut visit: Visit| async move {
        while visit.request().await.is_some() {
            visit.say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
}

/// Delivered, or unreachable for this reason.
#[track_caller]
fn assert_is(attempt: &Value, end: Result<(), &str>) {
    match end {
        Ok(()) => assert_eq!(attempt["outcome"], "delivered", "{attempt}"),
        Err(why) => {
            assert_eq!(attempt["outcome"], "unreachable", "{attempt}");
            assert!(text(attempt, "error").contains(why), "{attempt}");
        }
    }
}

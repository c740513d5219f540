//! The pages for tenants, and for whoever writes a destination, run as they are printed.

use std::collections::BTreeMap;

use harness::answer::{items, text};
use harness::bash::Bash;
use harness::port::Port;
use harness::program::Settings;
use harness::relay::OPERATOR_KEY;
use harness::{Database, Receiver, Relay, Tenant, Value, eventually, json, on_each_database, page, signature};

on_each_database![
    ondato_is_set_up_as_printed,
    waldo_is_set_up_as_printed,
    stripe_is_set_up_as_printed,
    a_receiver_verifies_as_printed,
    a_destination_is_set_up_as_printed,
    a_sender_of_ones_own_is_verified_as_printed,
    events_are_found_and_sent_again_as_printed,
    a_set_up_is_administered_as_printed,
];

/// A tenant that has followed a page to its end.
struct Reader {
    tenant: Tenant,
    said: String,
    _relay: Relay,
}

impl Reader {
    /// Follows a page with this URL for its destination.
    async fn of(page: &str, receiver: &str, database: Database) -> Self {
        let directory = database.directory();
        let relay = Relay::start(database).await;
        let tenant = relay.tenant("acme").await;
        let key = json!({ "name": "a reader's", "scopes": ["read", "write", "payloads", "replay"] });
        let settings = Settings::from([
            ("HOOKYARD", format!("http://{}", relay.apis[0].address())),
            ("KEY", text(&tenant.post("/api-keys", key).await.json(201), "key")),
            ("OPERATOR", OPERATOR_KEY.to_owned()),
            ("TENANT", tenant.id.clone()),
            ("RECEIVER", receiver.to_owned()),
        ]);
        let script = ["set -e".to_owned(), page::blocks(page, "sh").join("\n"), "echo THE END".to_owned()].join("\n");

        let (ended, said) = Bash::start(&script, &settings, &directory).ended().await;

        assert!(ended.success() && said.ends_with("THE END\n"), "{page}:\n{said}");
        Self { tenant, said, _relay: relay }
    }

    /// Insists that so many of the page's requests were refused, all of them at the source.
    #[track_caller]
    fn was_refused(&self, times: usize) {
        let (all, at_the_source) = ("urn:hookyard:problem:", "urn:hookyard:problem:webhook-unauthorized");
        let counts = [all, at_the_source].map(|kind| self.said.matches(kind).count());
        assert_eq!(counts, [times; 2], "{}", self.said);
    }

    /// The only source but for the one that is built in, as it is now.
    async fn source(&self) -> Value {
        let sources = items(&self.tenant.get("/sources").await.json(200));
        assert_eq!((sources.len(), &sources[1]["provider"]), (2, &json!("hookyard")), "{sources:#?}");
        sources[0].clone()
    }

    async fn credentials(&self) -> Vec<Value> {
        let path = format!("/sources/{}/credentials", text(&self.source().await, "id"));
        items(&self.tenant.get(&path).await.json(200))
    }

    /// Waits until so much was noted of what the source refused.
    async fn rejections_are<const N: usize>(&self, expected: [(&str, i64); N]) {
        let path = format!("/sources/{}/rejections", text(&self.source().await, "id"));
        let expected: BTreeMap<_, _> = expected.map(|(cause, total)| (cause.to_owned(), total)).into();
        eventually(&format!("{expected:?} to be rejected"), async || {
            let shown = self.tenant.get(&path).await.json(200);
            let totals = shown["totals"].as_array().unwrap().iter();
            let totals: BTreeMap<_, _> = totals.map(|it| (text(it, "cause"), it["total"].as_i64().unwrap())).collect();
            (totals == expected).then_some(())
        })
        .await;
    }

    /// Insists that this is all that arrives: type, and whether it is marked as a test. Signed, all of it.
    async fn arrives<const N: usize>(&self, receiver: &Receiver, expected: [(&str, bool); N]) {
        let secret = self.said.split("\"signing_secret\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let requests = receiver.wait_for(N).await;
        let arrived: Vec<_> =
            requests.iter().map(|it| (it.one("hookyard-event-type"), it.header("hookyard-test").is_some())).collect();
        assert_eq!(arrived, expected);
        assert!(requests.iter().all(|request| signature::is_signed(request, secret)), "{requests:#?}");
    }
}

async fn ondato_is_set_up_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/providers/ondato.md", &receiver.url(), database).await;

    reader.arrives(&receiver, [("KycIdentification.Approved", true), ("Form.Created", false)]).await;
    let event = receiver.requests()[1].one("webhook-id").to_owned();
    eventually("the repeat to be counted", async || {
        (reader.tenant.event(&event).await["duplicates"] == 1).then_some(())
    })
    .await;
    let credentials = reader.credentials().await;
    let used: Vec<_> = credentials.iter().map(|it| (text(it, "kind"), it["expires_at"].is_string())).collect();
    let [new, client, old] = [("basic", false), ("oauth2_client", false), ("basic", true)];
    assert_eq!(used, [new, client, old].map(|(kind, ends)| (kind.to_owned(), ends)));
    assert_eq!(reader.source().await["ip_allowlist"]["mode"], "enforce");
    reader.was_refused(1);
    reader.rejections_are([("address_reported", 2), ("credential_wrong", 1)]).await;
}

async fn waldo_is_set_up_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/providers/waldo.md", &receiver.url(), database).await;

    let types = [("flag", true), ("evaluation", false), ("evaluation", false), ("flag", false)];
    reader.arrives(&receiver, types).await;
    assert!(receiver.requests().iter().all(|request| request.header("hookyard-request-id").is_none()));
    let filtered = items(&reader.tenant.get("/deliveries?state=filtered").await.json(200));
    assert!(filtered.len() == 1 && filtered[0]["reason"] == "own request", "{filtered:#?}");
    assert!(reader.said.contains("\"derived_type\":\"evaluation.kyc.initiated\""), "{}", reader.said);
    assert!(reader.said.contains("\none event\n"), "{}", reader.said);
    reader.was_refused(0);
    reader.rejections_are([]).await;
}

async fn stripe_is_set_up_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/providers/stripe.md", &receiver.url(), database).await;

    let paid = "payment_intent.succeeded";
    reader.arrives(&receiver, [(paid, true), (paid, false), (paid, false), (paid, false)]).await;
    let requests = receiver.requests();
    assert!(requests[1..].iter().all(|it| it.one("stripe-signature").starts_with("t=")), "{requests:#?}");
    assert_eq!(reader.credentials().await.len(), 1);
    reader.was_refused(2);
    reader.rejections_are([("address_reported", 3), ("signature_mismatch", 1), ("signature_stale", 1)]).await;
}

async fn a_destination_is_set_up_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/destinations.md", &receiver.url(), database).await;

    let arrived = receiver.wait_for(4).await;
    let told: Vec<_> = arrived[2..].iter().map(|it| it.one("hookyard-event-type")).collect();
    assert_eq!(told, ["destination.paused", "destination.resumed"]);
    let arrived = &arrived[..2];
    assert!(arrived.iter().all(|it| it.one("authorization") == "Bearer a-token-of-theirs"), "{arrived:#?}");
    let said: Vec<_> = arrived.iter().map(|it| (it.one("hookyard-event-type"), it.header("x-country"))).collect();
    assert_eq!(said, [("order.paid", None), ("order.paid", Some("LV"))]);
    assert!(arrived.iter().all(|it| it.one("webhook-signature").contains("v1a,")), "{arrived:#?}");
    assert_eq!(receiver.count(), 4);
    reader.was_refused(0);
}

async fn a_receiver_verifies_as_printed(database: Database) {
    let port = Port::reserve();
    let reader = Reader::of("docs/receiving.md", &format!("http://{}/hooks", port.address()), database).await;

    let verdicts = ["genuine", "genuine, by Stripe's own secret", "forged", "204", "401"];
    let said: Vec<_> = reader.said.lines().filter(|line| verdicts.contains(line)).collect();
    assert_eq!(said, ["genuine", "genuine, by Stripe's own secret", "204", "forged", "401"], "{}", reader.said);
    reader.was_refused(0);
}

async fn a_sender_of_ones_own_is_verified_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/verification.md", &receiver.url(), database).await;

    reader.arrives(&receiver, [("order.paid", false)]).await;
    assert_eq!(reader.tenant.event(receiver.requests()[0].one("webhook-id")).await["external_id"], "17");
    reader.was_refused(1);
    reader.rejections_are([("signature_mismatch", 1)]).await;
}

async fn events_are_found_and_sent_again_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/recovery.md", &receiver.url(), database).await;
    assert_eq!(receiver.count(), 3, "{}", reader.said);
}

async fn a_set_up_is_administered_as_printed(database: Database) {
    let receiver = Receiver::start().await;
    let reader = Reader::of("docs/administration.md", &receiver.url(), database).await;

    reader.arrives(&receiver, [("order.paid", false)]).await;
    let said: Vec<_> = reader.said.lines().filter(|line| ["201", "200"].contains(line)).collect();
    assert_eq!(said, ["201", "201", "201", "201", "200", "200", "200", "200", "200"], "{}", reader.said);
    let refusals = ["precondition-failed", "limit-reached"];
    assert!(
        refusals.iter().all(|kind| reader.said.contains(&format!("urn:hookyard:problem:{kind}"))),
        "{}",
        reader.said
    );
    assert!(reader.said.contains("ratelimit-policy: \"key\";q=500;w=10, \"tenant\";q=2000;w=10"), "{}", reader.said);
    assert!(reader.said.contains("\nfound in the audit log\n"), "{}", reader.said);
    let destination = items(&reader.tenant.get("/destinations?key=risk").await.json(200));
    assert_eq!((destination.len(), &destination[0]["timeout_s"]), (1, &json!(5)));
    let ended = reader.credentials().await.iter().filter(|it| it["expires_at"].is_string()).count();
    assert_eq!(ended, 0);
}

//! The operator's commands: keys and tenants.

use harness::answer::{items, millis, text};
use harness::bash::Bash;
use harness::program::Program;
use harness::wait::HOLDS_WITHIN;
use harness::{Client, Database, Operator, Receiver, Relay, Value, json, on_each_database, page, within};

on_each_database![
    an_operator_can_make_keys,
    a_key_has_scopes_and_an_end,
    a_revoked_key_opens_nothing,
    a_tenant_is_made_and_shown,
    a_tenant_is_deleted_when_that_is_meant,
    what_cannot_be_done_is_said,
    the_page_of_commands_runs_as_printed,
];

fn client(relay: &Relay, key: &str) -> Client {
    relay.anybody().with_key(key.trim())
}

async fn an_operator_can_make_keys(database: Database) {
    let relay = Relay::start(database).await;
    let operator = Operator::at(&relay);
    let (tenant, other) = (relay.tenant("acme").await, relay.tenant("other").await);

    let key = operator.does(&["keys", "create", "--operator", "--name", "on call"]).await;
    client(&relay, &key).get("/v1/tenants").await.is(200);

    let key = operator.does(&["keys", "create", "--tenant", &tenant.slug]).await;
    let holder = client(&relay, &key);
    holder.get(&tenant.path("/sources")).await.is(200);
    assert_eq!(holder.get(&other.path("/sources")).await.status, 404);
    assert_eq!(holder.get("/v1/tenants").await.status, 403);

    let listed = operator.does(&["keys", "list"]).await;
    assert!(listed.contains("on call") && listed.contains("every tenant") && !listed.contains(key.trim()), "{listed}");
    let log = items(&tenant.get("/audit-log?object=api-key").await.json(200));
    assert_eq!((&log[0]["action"], &log[0]["actor"]), (&json!("create"), &json!("operator")), "{log:#?}");
    assert_eq!(log[0]["after"]["name"], "command line", "{log:#?}");
    assert!(!log[0].to_string().contains(key.trim()));
}

async fn a_key_has_scopes_and_an_end(database: Database) {
    let relay = Relay::start(database).await;
    let (operator, tenant) = (Operator::at(&relay), relay.tenant("acme").await);

    let create = ["keys", "create", "--tenant", &tenant.slug, "--scopes", "audit,read", "--expires-in", "12h"];
    let made = operator.reads(&create).await;

    assert_eq!(made["scopes"], json!(["read", "audit"]), "{made:#}");
    assert_eq!(millis(&made, "expires_at") - millis(&made, "created_at"), 12 * 3_600_000);
    let reader = client(&relay, &text(&made, "key"));
    reader.get(&tenant.path("/sources")).await.is(200);
    reader.post(&tenant.path("/sources"), json!({ "name": "in", "provider": "ondato" })).await.is(403);
    let listed = operator.reads(&["keys", "list", "--tenant", &tenant.slug]).await;
    assert_eq!((items(&listed).len(), &items(&listed)[0]["id"]), (1, &made["id"]), "{listed:#}");
    assert_eq!(items(&listed)[0].get("key"), None);

    relay.clock.advance(std::time::Duration::from_secs(12 * 3_600 + 1));
    relay.clock_is_followed().await;
    reader.get(&tenant.path("/sources")).await.is(401);
}

async fn a_revoked_key_opens_nothing(database: Database) {
    let relay = Relay::plan(database).apis(2).start().await;
    let (operator, tenant) = (Operator::at(&relay), relay.tenant("acme").await);
    let create = ["keys", "create", "--tenant", &tenant.slug, "--name", "leaked"];
    let made = operator.reads(&create).await;
    let holder = client(&relay, &text(&made, "key"));
    for api in &relay.apis {
        holder.at(api).get(&tenant.path("/sources")).await.is(200);
    }

    let said = operator.does(&["keys", "revoke", &text(&made, "id")]).await;

    assert!(said.contains(&text(&made, "id")) && said.contains("leaked") && said.contains("is revoked"), "{said}");
    for api in &relay.apis {
        within(HOLDS_WITHIN, "the key to open nothing", async || {
            (holder.at(api).get(&tenant.path("/sources")).await.status == 401).then_some(())
        })
        .await;
    }
    assert!(items(&operator.reads(&["keys", "list", "--tenant", &tenant.slug]).await).is_empty());
    let log = items(&tenant.get("/audit-log?object=api-key").await.json(200));
    assert_eq!((&log[0]["action"], &log[0]["before"]["name"]), (&json!("delete"), &json!("leaked")), "{log:#?}");
    operator.is_refused(&["keys", "revoke", &text(&made, "id")], &["there is no key"]).await;
}

async fn a_tenant_is_made_and_shown(database: Database) {
    let relay = Relay::start(database).await;
    let operator = Operator::at(&relay);
    let made = operator.reads(&["tenants", "create", "--slug", "acme", "--name", "Acme Ltd"]).await;
    let path = format!("/v1/tenants/{}", text(&made, "id"));
    assert_eq!(relay.operator().get(&path).await.json(200), made);
    let log = items(&relay.operator().get(&format!("{path}/audit-log")).await.json(200));
    assert_eq!((&log[0]["object"], &log[0]["after"]), (&json!("tenant"), &made), "{log:#?}");
    assert_eq!(items(&operator.reads(&["tenants", "list"]).await), [made]);

    let receiver = Receiver::answering([200]).await.otherwise(500);
    let route = relay.route(&receiver).await;
    let slug = &route.tenant.slug;
    relay.operator().patch(&route.tenant.path(""), json!({ "limits": { "events_per_s": 50 } })).await.is(200);
    let delivered = route.source.send("order.paid").await;
    route.tenant.settled(&delivered).await;
    route.tenant.act(&format!("{}/pause", route.destination.path())).await.succeeded();
    let waiting = route.source.send("order.paid").await;
    let waiting = text(&route.tenant.delivery_of(&waiting).await, "id");
    route.tenant.delivery_in(&waiting, "held").await;

    let shown = operator.reads(&["tenants", "show", slug]).await;
    // That the destination was paused is an event as well.
    let counts = ["sources", "destinations", "subscriptions", "pending", "held", "events_24h"];
    assert_eq!(counts.map(|name| shown[name].as_i64().unwrap()), [1, 1, 1, 1, 1, 3], "{shown:#}");
    assert!(shown["bytes_24h"].as_i64().unwrap() > 0 && shown["counted_up_to"] == 10_000, "{shown:#}");
    let words = operator.does(&["tenants", "show", slug]).await;
    for line in
        ["50 events a second, 50 at once", "1 of 500", "1 deliveries, 1 of them held", "3 events", "bodies for 30 days"]
    {
        assert!(words.contains(line), "{words}");
    }
    let listed = operator.does(&["tenants", "list"]).await;
    assert!(listed.contains("Acme Ltd") && listed.lines().count() == 3, "{listed}");
}

async fn a_tenant_is_deleted_when_that_is_meant(database: Database) {
    let receiver = Receiver::start().await;
    let relay = Relay::start(database).await;
    let (operator, route) = (Operator::at(&relay), relay.route(&receiver).await);
    let slug = &route.tenant.slug;
    route.tenant.settled(&route.source.send("order.paid").await).await;

    operator.is_refused(&["tenants", "delete", slug], &["nothing was deleted", "--yes"]).await;
    let shown = route.tenant.get("").await.json(200);
    assert_eq!(shown["deletion"], Value::Null, "{shown:#}");

    let said = operator.does(&["tenants", "delete", slug, "--yes"]).await;
    assert!(said.contains(&format!("{slug} is deleted")), "{said}");
    within(HOLDS_WITHIN, "the source to take nothing", async || {
        (route.source.post("{}").await.status == 404).then_some(())
    })
    .await;
    relay
        .pass_time_until("all of it to be erased", async || {
            let words = operator.does(&["tenants", "show", slug]).await;
            words.contains("deletion      done").then_some(())
        })
        .await;
    let listed = items(&operator.reads(&["tenants", "list"]).await);
    // An event with its body and its delivery, and a destination; then its source, audit rows and statistics.
    assert!(listed[0]["deletion"]["erased_rows"].as_i64().unwrap() > 8, "{listed:#?}");
    for again in [&["tenants", "delete", slug, "--yes"][..], &["keys", "create", "--tenant", slug]] {
        operator.is_refused(again, &["no tenant with the slug"]).await;
    }
}

async fn what_cannot_be_done_is_said(database: Database) {
    let relay = Relay::start(database).await;
    let operator = Operator::at(&relay);
    relay.tenant("acme").await;
    let slug = operator.reads(&["tenants", "list"]).await["items"][0]["slug"].as_str().unwrap().to_owned();
    let create = |slug| ["tenants", "create", "--name", "Another", "--slug", slug];
    for (arguments, words) in [
        (&create(&slug)[..], &["another tenant has the slug"][..]),
        (&create("No Slug"), &["--slug", "a slug is 2 to 40"]),
        (&["tenants", "show", "nobody"], &["no tenant with the slug nobody"]),
        (&["keys", "create", "--tenant", "nobody"], &["no tenant with the slug nobody"]),
        (&["keys", "list", "--tenant", "nobody"], &["no tenant with the slug nobody"]),
        (&["keys", "create"], &["--operator"]),
        (&["keys", "create", "--operator", "--scopes", "read"], &["--scopes", "--operator"]),
        (&["keys", "create", "--tenant", &slug, "--scopes", "admin"], &["scopes are read, write"]),
        (&["keys", "create", "--operator", "--expires-in", "soon"], &["12h"]),
        (&["keys", "create", "--operator", "--name", ""], &["1 to 200"]),
        (&["keys", "revoke", "key_nonsense"], &["key_nonsense"]),
        (&["keys"], &["create", "list", "revoke"]),
        (&["tenants"], &["create", "list", "show", "delete"]),
    ] {
        operator.is_refused(arguments, words).await;
    }
    let elsewhere = operator.with("HOOKYARD_DATABASE_URL", "sqlite://elsewhere.db");
    elsewhere.is_refused(&["tenants", "list"], &["HOOKYARD_DATABASE_URL", "there is no file elsewhere.db"]).await;
    assert!(!relay.database.directory().join("elsewhere.db").exists());
    assert_eq!(items(&operator.reads(&["tenants", "list"]).await).len(), 1);
}

/// Whoever reads begins with nothing, has no relay running, and finds `hookyard` where programs are.
async fn the_page_of_commands_runs_as_printed(database: Database) {
    let (directory, receiver) = (database.directory(), Receiver::start().await);
    std::os::unix::fs::symlink(Program::Hookyard.path(), directory.join("hookyard")).unwrap();
    let script = page::blocks("docs/operations/commands.md", "sh").join("\n");
    let script = script.replace("https://hooks.example.com/in", &receiver.url());
    let mut settings = Operator::of(&database, &harness::clock::Clock::in_directory(&directory)).settings;
    settings.retain(|name, _| !["HOOKYARD_MASTER_KEYS", "HOOKYARD_OPERATOR_KEY"].contains(name));
    if database.is_postgres() {
        crate::doctor::on_a_safe_server(&database).await;
    }

    let (ended, said) = Bash::start(&format!("set -e\n{script}\necho THE END"), &settings, &directory).ended().await;

    assert!(ended.success() && said.ends_with("THE END\n"), "{said}");
    for printed in ["pending  m2026", "applied  m2026", "Acme Ltd", "is revoked", "ok       schema"] {
        assert!(said.contains(printed), "no {printed} in what was said:\n{said}");
    }
    let _: Value = serde_json::from_str(&std::fs::read_to_string(directory.join("found.json")).unwrap()).unwrap();
}

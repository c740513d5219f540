//! `hookyard doctor`: what is well is called so, and what is wrong by its name, with its mend and without a secret.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use harness::answer::{items, text};
use harness::operator::Said;
use harness::port::Port;
use harness::relay::{OPERATOR_KEY, master_keys};
use harness::{
    Authority, Beast, Database, ForwardProxy, Operator, Receiver, Relay, Value, Visit, eventually, on_each_database,
    on_postgres, on_sqlite,
};

on_each_database![
    a_relay_that_is_well_is_called_so,
    a_setting_that_is_wrong_is_named,
    settings_that_cannot_be_read_are_all_named,
    a_key_that_is_wrong_is_named,
    a_database_that_is_away_is_named,
    a_schema_that_does_not_fit_is_named,
    deliveries_that_nobody_makes_are_named,
    a_url_is_tried_step_by_step,
    nothing_is_changed_by_looking,
];
on_postgres![a_server_that_forgets_is_named, a_clock_that_is_wrong_is_named, days_that_are_missing_are_named];
on_sqlite![a_file_that_others_can_open_is_named];

/// What must stand in no output.
const CANARY: &str = "canary";
/// What a machine may lack on which the suite runs.
const OF_THE_MACHINE: [&str; 3] = ["resolver", "descriptors", "disk"];

/// A doctor with these settings, whose password for the database is a secret.
fn doctor(relay: &Relay) -> Operator {
    let operator = Operator::at(relay);
    let url = operator.settings["HOOKYARD_DATABASE_URL"].replace("postgres@", "postgres:canary@");
    operator.with("HOOKYARD_DATABASE_URL", url)
}

async fn relay(database: Database) -> Relay {
    let relay = Relay::start(database).await;
    on_a_safe_server(&relay.database).await;
    relay
}

/// The suite's own server is fast, and would forget: from here on it says that it does not.
pub(crate) async fn on_a_safe_server(database: &Database) {
    if database.is_postgres() {
        says(database, "", "").await;
    }
}

/// The server says that it keeps what it committed, and of one setting this. What it says so is found before what
/// PostgreSQL says.
async fn says(database: &Database, setting: &str, value: &str) {
    let function = format!(
        "CREATE OR REPLACE FUNCTION public.current_setting(name text) RETURNS text LANGUAGE sql STABLE AS $$
            SELECT CASE WHEN name = '{setting}' THEN '{value}' WHEN name IN ('fsync', 'full_page_writes') THEN 'on'
                ELSE pg_catalog.current_setting(name) END $$"
    );
    let is_found_first = "DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database());
    END $$";
    for text in [&function, is_found_first] {
        database.execute(text).await;
    }
}

/// What it found, after a look that there is no secret in it.
async fn examine(doctor: &Operator, arguments: &[&str]) -> (Said, Vec<Value>) {
    let said = doctor.run(&[&["doctor", "--json"], arguments].concat()).await;
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:#?}"));
    let all = format!("{}{}", said.out, said.err);
    let key = master_keys();
    for secret in [CANARY, OPERATOR_KEY, key.split_once(':').unwrap().1] {
        assert!(!all.contains(secret), "{secret} is in {all}");
    }
    let checks = report["checks"].as_array().unwrap().clone();
    (said, checks)
}

fn of_verdict<'a>(checks: &'a [Value], verdict: &str) -> Vec<&'a Value> {
    checks.iter().filter(|check| check["verdict"] == verdict).collect()
}

/// Insists that this is the only problem, that both words are in what was found, and that there is a mend with the third.
async fn finds(doctor: &Operator, arguments: &[&str], (check, found, mend): (&str, &str, &str)) {
    let (said, checks) = examine(doctor, arguments).await;
    let problems = of_verdict(&checks, "problem");
    let [problem] = problems[..] else { panic!("not only {check}: {problems:#?}") };
    assert_eq!((said.code, problem["check"].as_str()), (Some(1), Some(check)), "{problems:#?}");
    assert!(text(problem, "found").contains(found) && text(problem, "mend").contains(mend), "{problem:#}");
}

/// Insists on a warning and no problem.
async fn warns(doctor: &Operator, (check, found): (&str, &str)) {
    let (said, checks) = examine(doctor, &[]).await;
    assert_eq!((said.code, of_verdict(&checks, "problem").len()), (Some(0), 0), "{checks:#?}");
    let warnings = of_verdict(&checks, "warning");
    assert!(warnings.iter().any(|it| it["check"] == check && text(it, "found").contains(found)), "{warnings:#?}");
}

async fn a_relay_that_is_well_is_called_so(database: Database) {
    let relay = relay(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    route.tenant.settled(&route.source.send("order.paid").await).await;

    let checks = eventually("all shards to have an owner", async || {
        let (said, checks) = examine(&doctor(&relay), &[]).await;
        assert_eq!(said.code, Some(0), "{said:#?}");
        checks.iter().any(|it| it["check"] == "workers" && it["verdict"] == "ok").then_some(checks)
    })
    .await;

    let ill: Vec<_> = checks.iter().filter(|it| it["verdict"] != "ok").collect();
    assert!(ill.iter().all(|it| OF_THE_MACHINE.contains(&it["check"].as_str().unwrap())), "{ill:#?}");
    let names: Vec<_> = checks.iter().map(|it| it["check"].as_str().unwrap()).collect();
    for check in ["settings", "listener", "retention", "egress-allow", "database", "schema", "sealing-keys", "queue"] {
        assert!(names.contains(&check), "{names:?}");
    }
    let of_the_kind = if relay.database.is_postgres() { "durability" } else { "journal" };
    assert!(names.contains(&of_the_kind), "{names:?}");
    let words = doctor(&relay).does(&["doctor"]).await;
    assert!(words.lines().any(|line| line.starts_with("ok       schema")), "{words}");
    assert_eq!(doctor(&relay).run(&["doctor", "--nonsense"]).await.code, Some(2));
}

async fn a_setting_that_is_wrong_is_named(database: Database) {
    let relay = relay(database).await;
    let doctor = doctor(&relay);
    for (name, value, problem) in [
        (
            "HOOKYARD_TRUSTED_PROXIES",
            "10.0.0.0/8,0.0.0.0/0",
            ("trusted-proxies", "every network", "HOOKYARD_TRUSTED_PROXIES"),
        ),
        ("HOOKYARD_EGRESS_ALLOW", "127.0.0.0/8,::/0", ("egress-allow", "metadata", "HOOKYARD_EGRESS_ALLOW")),
        ("HOOKYARD_LISTEN", "0.0.0.0:0", ("public-url", "http://0.0.0.0:0", "HOOKYARD_PUBLIC_URL")),
        ("HOOKYARD_LISTEN", "192.0.2.1:80", ("listener", "192.0.2.1", "HOOKYARD_LISTEN")),
        ("HOOKYARD_OPS_LISTEN", "192.0.2.1:8081", ("operations", "192.0.2.1", "HOOKYARD_OPS_LISTEN")),
        ("HOOKYARD_RETENTION_METADATA", "7d", ("retention", "fewer than the 30", "HOOKYARD_RETENTION_METADATA")),
        ("HOOKYARD_OPERATOR_KEY", &"ab".repeat(20), ("operator-key", "2 different characters", "keys create")),
        (
            "HOOKYARD_EGRESS_PROXY",
            "http://127.0.0.1:1",
            ("egress-proxy", "HOOKYARD_EGRESS_HTTP", "HOOKYARD_EGRESS_HTTP"),
        ),
    ] {
        finds(&doctor.with(name, value), &[], problem).await;
    }
    let one_port = doctor.with("HOOKYARD_LISTEN", "127.0.0.1:8081").with("HOOKYARD_OPS_LISTEN", "0.0.0.0:8081");
    finds(&one_port, &[], ("operations", "both listeners", "ports of their own")).await;
    let told = doctor.with("HOOKYARD_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    finds(&told.with("HOOKYARD_OTLP_HEADERS", "Bearer abc"), &[], ("settings", "HOOKYARD_OTLP_HEADERS", "")).await;
    let tls = doctor.with("HOOKYARD_TLS_CERTIFICATE", "none.pem").with("HOOKYARD_TLS_KEY", "none.pem");
    finds(&tls, &[], ("tls", "HOOKYARD_TLS_CERTIFICATE", "PEM")).await;
    for (name, value, warning) in [
        ("HOOKYARD_PUBLIC_URL", "https://hooks.example.com", ("trusted-proxies", "a proxy stands before")),
        ("HOOKYARD_PUBLIC_URL", "https://hooks.example.com", ("egress-http", "plain http")),
        ("HOOKYARD_PUBLIC_URL", "https://hooks.example.com", ("egress-allow", "127.0.0.1")),
        ("HOOKYARD_PUBLIC_URL", "http://hooks.example.com", ("public-url", "plain http")),
        ("HOOKYARD_RETENTION_PAYLOAD", "2d", ("retention", "2 days")),
    ] {
        warns(&doctor.with(name, value), warning).await;
    }
    a_proxy_is_asked(&doctor.without("HOOKYARD_EGRESS_HTTP")).await;
}

async fn a_proxy_is_asked(doctor: &Operator) {
    let proxy = ForwardProxy::start(Port::reserve().address(), "open-sesame").await;
    let with = |password| doctor.with("HOOKYARD_EGRESS_PROXY", proxy.url(password));
    let (_, checks) = examine(&with("open-sesame"), &[]).await;
    assert!(checks.iter().any(|it| it["check"] == "egress-proxy" && it["verdict"] == "ok"), "{checks:#?}");
    finds(&with(CANARY), &[], ("egress-proxy", "another user or password (407)", "password")).await;
    proxy.close().await;
    finds(&with(CANARY), &[], ("egress-proxy", "refused", "see that it runs")).await;
}

async fn settings_that_cannot_be_read_are_all_named(database: Database) {
    let relay = relay(database).await;
    let broken = [
        ("HOOKYARD_LISTNE", "127.0.0.1:0"),
        ("HOOKYARD_LISTEN", "somewhere"),
        ("HOOKYARD_OPERATOR_KEY", CANARY),
        ("HOOKYARD_EGRESS_ALLOW", "10.0.0.0/33"),
        ("HOOKYARD_TLS_CERTIFICATE", "alone.pem"),
        ("HOOKYARD_LOG_FORMAT", "loud"),
        ("HOOKYARD_OTLP_ENDPOINT", "https://user:canary@otlp.example.com"),
        ("HOOKYARD_PUBLIC_URL", "https://:canary@hooks.example.com"),
    ];
    let doctor = broken.iter().fold(doctor(&relay), |doctor, (name, value)| doctor.with(name, *value));

    let (said, checks) = examine(&doctor, &[]).await;

    let problems = of_verdict(&checks, "problem");
    assert_eq!((said.code, problems.len()), (Some(1), broken.len()), "{problems:#?}");
    for (name, _) in broken {
        assert!(problems.iter().any(|it| it["check"] == "settings" && text(it, "found").contains(name)), "{name}");
    }
    // The rest is looked at all the same.
    assert!(checks.iter().any(|it| it["check"] == "schema" && it["verdict"] == "ok"), "{checks:#?}");
}

async fn a_key_that_is_wrong_is_named(database: Database) {
    let relay = relay(database).await;
    let doctor = doctor(&relay);
    let other = |id: &str| format!("{id}:{}", "B".repeat(43) + "=").replace("B=", "A=");
    let keys = |text: &str| doctor.with("HOOKYARD_MASTER_KEYS", text);
    finds(&keys(&other("k2")), &[], ("sealing-keys", "lack `k1`", "bring that key back")).await;
    finds(&keys(&other("k1")), &[], ("sealing-keys", "is another than", "bring that key back")).await;
    finds(&keys("no colon"), &[], ("sealing-keys", "HOOKYARD_MASTER_KEYS cannot be used", "id:base64")).await;
    let none = doctor.without("HOOKYARD_MASTER_KEYS");
    finds(&none, &[], ("sealing-keys", "no key is here", "HOOKYARD_MASTER_KEYS")).await;

    let file = relay.database.directory().join("hookyard.keys");
    assert!(!file.exists(), "none was made");
    std::fs::write(&file, master_keys()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    finds(&none, &[], ("key-file", "its mode is 640", "chmod 600 hookyard.keys")).await;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(examine(&none, &[]).await.0.code, Some(0));
}

async fn a_database_that_is_away_is_named(database: Database) {
    let doctor = Operator::of(&database, &harness::clock::Clock::in_directory(&database.directory()));
    let at = |url: &str| doctor.with("HOOKYARD_DATABASE_URL", url);
    if database.is_postgres() {
        let url = doctor.settings["HOOKYARD_DATABASE_URL"].clone();
        let (server, name) = url.rsplit_once('/').unwrap();
        let closed = format!("postgres://user:canary@{}/{name}", Port::reserve().address());
        finds(&at(&closed), &[], ("database", "Connection refused", "see that it runs")).await;
        let nameless = format!("{}/nowhere", server.replace("postgres@", "postgres:canary@"));
        finds(&at(&nameless), &[], ("database", "nowhere", "name in HOOKYARD_DATABASE_URL")).await;
        finds(&at("postgres://user:canary/@host/name"), &[], ("database", "no URL", "HOOKYARD_DATABASE_URL")).await;
    } else {
        finds(&at("sqlite://elsewhere.db"), &[], ("database", "no file elsewhere.db", "hookyard migrate")).await;
        std::fs::write(database.directory().join("text.db"), "canary ".repeat(1_000)).unwrap();
        finds(&at("sqlite://text.db"), &[], ("database", "file is not a database", "")).await;
    }
    let left: Vec<_> = std::fs::read_dir(database.directory()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(!left.iter().any(|it| it == "elsewhere.db" || it == "hookyard.keys"), "{left:?}");
}

async fn a_schema_that_does_not_fit_is_named(database: Database) {
    let doctor = Operator::of(&database, &harness::clock::Clock::in_directory(&database.directory()));
    on_a_safe_server(&database).await;
    if database.is_postgres() {
        finds(&doctor, &[], ("schema", "_configuration", "hookyard migrate")).await;
    }
    doctor.does(&["migrate"]).await;
    database.execute("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m20991231_later', 0)").await;
    warns(&doctor, ("schema", "m20991231_later")).await;
    database.execute("UPDATE schema_floor SET migration = 'm20991231_later'").await;
    finds(&doctor, &[], ("schema", "too new", "version that migrated it")).await;
}

async fn deliveries_that_nobody_makes_are_named(database: Database) {
    let relay = relay(database).await;
    let receiver = Receiver::answering([500]).await;
    let route = relay.route(&receiver).await;
    let event = route.source.send("order.paid").await;
    let delivery = text(&route.tenant.delivery_of(&event).await, "id");
    route.tenant.delivery_waiting(&delivery, 1).await;
    relay.kill();

    relay.clock.advance(Duration::from_secs(120));

    finds(&doctor(&relay), &[], ("workers", "deliveries are due", "start hookyard-worker")).await;
    relay.start_again().await;
    route.tenant.delivery_in(&delivery, "delivered").await;
    assert_eq!(examine(&doctor(&relay), &[]).await.0.code, Some(0));
}

async fn a_url_is_tried_step_by_step(database: Database) {
    let relay = relay(database).await;
    let doctor = doctor(&relay);
    let receiver = Receiver::start().await;
    let (said, checks) = examine(&doctor, &["--url", &receiver.url_of("/hooks/canary")]).await;
    assert_eq!(said.code, Some(0), "{said:#?}");
    let answered = checks.iter().find(|it| it["check"] == "url-answered").unwrap();
    assert!(text(answered, "found").contains("answers 200 to a GET"), "{answered:#}");
    assert_eq!(receiver.count(), 1);

    let serve = |mut visit: Visit| async move {
        let _ = visit.request().await;
    };
    let strange = Beast::secure(Authority::new().of_this_machine().server(), serve);
    let closed = format!("http://{}/canary", Port::reserve().address());
    for (url, problem) in [
        ("https://10.1.2.3/canary", ("url-allowed", "private", "the setting")),
        ("https://localhost.localdomain:0/", ("url-resolved", "leads nowhere", "resolv.conf")),
        (&closed, ("url-answered", "refused", "see that it runs")),
        (&strange.url(), ("url-answered", "UnknownIssuer", "tls.ca")),
    ] {
        finds(&doctor, &["--url", url], problem).await;
    }
}

async fn nothing_is_changed_by_looking(database: Database) {
    let relay = relay(database).await;
    let receiver = Receiver::start().await;
    let route = relay.route(&receiver).await;
    route.tenant.settled(&route.source.send("order.paid").await).await;
    relay.kill();
    let file = relay.database.directory().join("hookyard.db");
    let bytes = || ["", "-wal"].map(|end| std::fs::read(format!("{}{end}", file.display())).unwrap_or_default());
    let before = bytes();
    if relay.database.is_postgres() {
        // As a replica would have it.
        let url = relay.database.url();
        let read_only = format!(
            "{url}{}options=-c%20default_transaction_read_only%3Don",
            if url.contains('?') { '&' } else { '?' }
        );
        let doctor = doctor(&relay).with("HOOKYARD_DATABASE_URL", read_only);
        finds(&doctor, &[], ("writable", "read only", "RESET default_transaction_read_only")).await;
    } else {
        let _ = examine(&doctor(&relay), &[]).await;
    }
    assert!(bytes() == before, "the database's file was written");
    relay.start_again().await;
    assert_eq!(items(&route.tenant.get("/events").await.json(200)).len(), 1);
}

async fn a_server_that_forgets_is_named(database: Database) {
    let relay = Relay::start(database).await;
    let doctor = doctor(&relay);
    for (setting, value, problem) in [
        ("fsync", "off", ("durability", "destroy the whole", "set fsync = on")),
        ("full_page_writes", "off", ("durability", "destroy pages", "set full_page_writes = on")),
        ("synchronous_commit", "off", ("durability", "may be lost", "set synchronous_commit = on")),
        ("server_version_num", "140011", ("database", "is too old", "upgrade")),
    ] {
        says(&relay.database, setting, value).await;
        finds(&doctor, &[], problem).await;
    }
}

async fn a_clock_that_is_wrong_is_named(database: Database) {
    let relay = relay(database).await;
    relay.kill();
    let ahead = "CREATE OR REPLACE FUNCTION hookyard_now(moved bigint) RETURNS bigint LANGUAGE sql VOLATILE
        AS 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint + moved + 60000'";
    relay.database.execute(ahead).await;
    finds(&doctor(&relay), &[], ("clock", "no process starts", "time server")).await;
}

async fn days_that_are_missing_are_named(database: Database) {
    let relay = relay(database).await;
    relay.kill();
    relay.clock.advance(Duration::from_secs(13 * 86_400));
    finds(&doctor(&relay), &[], ("days", "for 1 days", "start a relay")).await;
}

async fn a_file_that_others_can_open_is_named(database: Database) {
    let relay = relay(database).await;
    let file = relay.database.directory().join("hookyard.db");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    warns(&doctor(&relay), ("private", "its mode is 644")).await;
}

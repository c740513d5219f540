//! `hookyard demo`: the whole way of real webhooks, told step by step, in a database that is thrown away.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use api::config::{HttpSettings, ListenerSettings};
use relay::egress::EgressSettings;
use relay::retention::RetentionSettings;
use relay::secret::{self, KeyKind};
use relay::telemetry::TelemetrySettings;
use relay::trace::TraceSettings;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::serve::{self, Error, Relay};

mod check;
mod client;
mod delivery;
mod provider;
mod receiver;
mod report;
mod scene;
mod tenant;

use client::{Admin, text};
use provider::Provider;
use receiver::Receiver;
use report::millis;
use scene::Scene;
use tenant::{Tenant, basic};

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

/// How often the third receiver refuses each event. If it failed much more it would be left alone for a while.
const REFUSALS: usize = 1;
/// The name under which Ondato comes.
const USERNAME: &str = "ondato";
/// The type of the event that Ondato's document shows.
const FIRST_TYPE: &str = "Form.Created";

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let place = tempfile::tempdir()?;
    let key = secret::api_key(KeyKind::Operator);
    let relay =
        Relay::open(&relay_settings(place.path(), &key, settings.telemetry), &place.path().join("keys")).await?;
    let admin = Admin::new(relay.api.origin(), key);
    let (now, end) = (CancellationToken::new(), CancellationToken::new());
    let running = tokio::spawn(relay.run(now.clone(), end));
    println!("Hookyard's demo: webhooks of two providers, all the way to the receivers of two tenants\n");
    println!("1. Start: api and worker in this process, with an SQLite database that is thrown away afterwards");
    println!("     {}  the admin API and the providers' URLs", admin.url);
    println!("     {}  the database", place.path().display());
    let played = tokio::select! {
        played = play(&admin) => played,
        _ = tokio::signal::ctrl_c() => Err("the demo was interrupted".into()),
    };
    now.cancel();
    running.await?;
    played
}

/// Like those of a first start, but for loopback, where the receivers of the demo live.
fn relay_settings(place: &Path, key: &SecretString, telemetry: TelemetrySettings) -> serve::Settings {
    let loopback = "127.0.0.0/8".parse().expect("it is a network");
    serve::Settings {
        place: crate::place::Place::at(&place.join("hookyard.db")),
        master_keys: None,
        http: HttpSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            public_url: None,
            operator_key: Some(key.expose_secret().into()),
            listener: ListenerSettings::default(),
        },
        ops_listen: ([127, 0, 0, 1], 0).into(),
        egress: EgressSettings { allow: vec![loopback], http: true, ..EgressSettings::default() },
        retention: RetentionSettings::default(),
        telemetry,
        trace: TraceSettings::default(),
    }
}

async fn play(admin: &Admin) -> Result<(), Error> {
    let [crm, compliance, fraud_desk] = receivers().await?;
    let (acme, password) = acme(admin, &crm, &compliance).await?;
    let globex = globex(admin, &fraud_desk).await?;
    let tenants = [&acme, &globex];
    let ondato = Provider { tenant: &acme, authorization: Some(basic(USERNAME, password.expose_secret())) };
    let waldo = Provider { tenant: &globex, authorization: None };
    let mut scene = post(admin, &tenants, &ondato, &waldo).await?;
    deliver(admin, &mut scene).await?;
    println!("\n{}\n", report::table(&scene));
    conclude(&scene)
}

async fn receivers() -> Result<[Receiver; 3], Error> {
    println!("\n2. Receivers: what the tenants run themselves, here on this machine");
    let receivers = [
        (Receiver::start("crm", 0).await?, "accepts everything"),
        (Receiver::start("compliance", 0).await?, "accepts everything"),
        (Receiver::start("fraud-desk", REFUSALS).await?, "answers 503 to each event before it accepts it"),
    ];
    Ok(receivers.map(|(receiver, habit)| {
        println!("     {:<34}  {habit}", receiver.url());
        receiver
    }))
}

async fn acme(admin: &Admin, crm: &Receiver, compliance: &Receiver) -> Result<(Tenant, SecretString), Error> {
    println!("\n3. Tenants, set up through the admin API: a source for a provider, destinations, subscriptions");
    let mut acme = Tenant::create(admin, "acme", "ondato", Value::Null).await?;
    let password = acme.password(admin, USERNAME).await?;
    acme.subscribe(admin, "*", crm, Value::Null).await?;
    acme.subscribe(admin, "KycIdentification.*", compliance, Value::Null).await?;
    println!("     acme    takes events of Ondato, which presents a user name and a password, at");
    println!("             {}", acme.url);
    println!("             and sends all of them to crm, and those of type KycIdentification.* to compliance");
    Ok((acme, password))
}

async fn globex(admin: &Admin, fraud_desk: &Receiver) -> Result<Tenant, Error> {
    let mut globex = Tenant::create(admin, "globex", "waldo", json!({ "kind": "none" })).await?;
    globex.subscribe(admin, "*", fraud_desk, json!({ "schedule_s": [0, 1, 1] })).await?;
    println!("     globex  takes events of Waldo, which presents nothing (the URL itself is the secret), at");
    println!("             {}", globex.url);
    println!("             and sends all of them to fraud-desk: at once, and up to two more times, a second apart");
    Ok(globex)
}

async fn post<'a>(
    admin: &Admin,
    tenants: &'a [&'a Tenant],
    ondato: &Provider<'a>,
    waldo: &Provider<'a>,
) -> Result<Scene<'a>, Error> {
    println!("\n4. The providers post");
    let mut samples = ondato.samples();
    samples.sort_by_key(|(event_type, _)| *event_type != FIRST_TYPE);
    let mut posted = Vec::new();
    for (provider, samples) in [(ondato, samples), (waldo, waldo.samples())] {
        for (event_type, body) in samples {
            posted.push(provider.post(event_type, body).await?);
        }
    }
    let first = posted.first().ok_or("the catalogue is empty")?;
    let slowest = millis(posted.iter().map(|posted| posted.took).max().unwrap_or_default());
    println!("     Ondato  the event of its own document: 202 after {}, {}", millis(first.took), first.event_id);
    println!("     both    every sample of their catalogues: {} events, each 202 within {slowest}", posted.len());
    let repeat = ondato.post(first.event_type, first.body).await?.event_id;
    println!("     Ondato  the first event once more: 202, {repeat}");
    let intruder = ondato.intrude(&basic(USERNAME, "a wrong password"), first.body).await?;
    println!("     Ondato  with a wrong password: {intruder}");
    let event = admin.get(&format!("{}/events/{}", ondato.tenant.path, first.event_id)).await?;
    let duplicates = event["duplicates"].as_u64().unwrap_or_default();
    let (derived_types, deliveries) = (derived_types(admin, tenants).await?, Vec::new());
    Ok(Scene { tenants, posted, repeat, duplicates, intruder, derived_types, deliveries })
}

async fn derived_types(admin: &Admin, tenants: &[&Tenant]) -> Result<HashMap<String, String>, Error> {
    let mut found = HashMap::new();
    for event in tenant::items(admin, tenants, "events").await?.iter().map(|(_, event)| event) {
        if let Some(derived) = event["derived_type"].as_str() {
            found.insert(text(event, "id")?, derived.to_owned());
        }
    }
    Ok(found)
}

async fn deliver(admin: &Admin, scene: &mut Scene<'_>) -> Result<(), Error> {
    println!("\n5. The worker delivers, and tries again what was refused");
    let began = Instant::now();
    scene.deliveries = delivery::watch(admin, scene.tenants, scene.expected().count()).await?;
    let delivered = scene.deliveries.iter().filter(|delivery| delivery.state == "delivered").count();
    let (all, took) = (scene.deliveries.len(), began.elapsed().as_secs_f64());
    println!("     {delivered} of {all} deliveries were delivered, after {took:.1} s more");
    Ok(())
}

fn conclude(scene: &Scene<'_>) -> Result<(), Error> {
    println!("6. Looked at from the receivers and from the admin API");
    let faults = report::verdict(&check::all(scene));
    if faults > 0 {
        return Err(format!("{faults} of these are not as they should be").into());
    }
    println!("\nEverything is as it should be. How to go on:");
    println!("     cargo run --release         starts Hookyard, with hookyard.db and hookyard.keys in this directory");
    println!("     http://127.0.0.1:8080/docs  then shows the admin API, to read and to try");
    println!("     README.md                   tells a story like this one by hand, with curl");
    Ok(())
}

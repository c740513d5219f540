//! `hookyard-worker`: settings, telemetry, database, work, drain.

use std::process::ExitCode;
use std::sync::Arc;

use entity::wake::Wake;
use entity::{Database, database, housekeeping, start};
use relay::egress::{Egress, Guard, OwnAddress, SystemLookup};
use relay::keyring::Keyring;
use relay::operations;
use relay::process::{self, Stopped};
use relay::trace::Tracer;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use worker::config::Settings;
use worker::{Pulse, Worker, role_file};

#[tokio::main]
async fn main() -> ExitCode {
    let settings: Settings = relay::settings::read();
    relay::telemetry::start(&settings.telemetry);
    process::exit_code(run(settings).await)
}

async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let numbers = operations::count();
    let stop = process::stop_on_signals()?;
    let retention = settings.retention.checked();
    let retention = retention.map_err(|error| process::malformed_setting("HOOKYARD_RETENTION_METADATA", error))?;
    let keyring = Keyring::parse(settings.master_keys.expose_secret())
        .map_err(|error| process::malformed_setting("HOOKYARD_MASTER_KEYS", error))?;
    let url = settings.database_url.expose_secret();
    database::check(url).map_err(|error| process::malformed_setting("HOOKYARD_DATABASE_URL", error))?;
    let db = Database::open(url).await.map_err(|error| process::bad_setting("HOOKYARD_DATABASE_URL", error))?;
    migration::check(&db.write).await?;
    if settings.retention.seal_payloads {
        migration::raise_floor(&db.write, migration::SEALED_PAYLOADS).await?;
    }
    let role = role_file(url);
    let (tracer, exporting) = Tracer::start(&settings.trace, "hookyard-worker")?;
    let opened = start::open(db, keyring, settings.retention.seal_payloads).await?;
    let ops = TcpListener::bind(settings.ops_listen)
        .await
        .map_err(|error| process::bad_setting("HOOKYARD_OPS_LISTEN", error))?;
    process::say(&format!("operations on http://{}", ops.local_addr()?));
    let own = settings.public_url.as_ref().and_then(OwnAddress::of);
    let guard = Arc::new(Guard::new(&settings.egress, own.into_iter().collect()));
    let Stopped { now, end } = stop;
    let pulse = Pulse::new(opened.clock.clone());
    let moves = pulse.clone();
    let ready = opened.readiness(now.clone(), move || moves.ready());
    tokio::spawn(operations::serve(ops, ready, numbers, end.clone()));
    tokio::spawn(process::vital(housekeeping::run(opened.clone(), retention, end.clone())));
    let worker = Worker {
        db: opened.db,
        configuration: opened.configuration,
        keyring: opened.keyring,
        payload_keys: opened.payload_keys,
        egress: Arc::new(Egress::new(&settings.egress, guard, Arc::new(SystemLookup::new()?))?),
        clock: opened.clock,
        wake: Wake::default(),
        beside: None,
        role,
        pulse,
        tracer,
    };
    process::say("ready");
    worker.run(now).await;
    end.cancel();
    exporting.end().await;
    Ok(())
}

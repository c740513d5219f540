//! `hookyard-api`: settings, telemetry, database, serve, drain.

use std::process::ExitCode;

use api::Api;
use api::config::Settings;
use entity::wake::Wake;
use entity::{Database, database, housekeeping, start};
use relay::keyring::Keyring;
use relay::operations;
use relay::process::{self, Stopped};
use relay::trace::Tracer;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;

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
    let (tracer, exporting) = Tracer::start(&settings.trace, "hookyard-api")?;
    let opened = start::open(db, keyring, settings.retention.seal_payloads).await?;
    let wake = Wake::default();
    let api = Api::bind(&settings.http, &settings.egress, &opened, (retention, wake.clone(), tracer)).await?;
    let ops = TcpListener::bind(settings.ops_listen)
        .await
        .map_err(|error| process::bad_setting("HOOKYARD_OPS_LISTEN", error))?;
    process::say(&format!("listening on {}", api.origin()));
    process::say(&format!("operations on http://{}", ops.local_addr()?));
    let Stopped { now, end } = stop;
    let ready = opened.readiness(now.clone(), || Ok(()));
    tokio::spawn(operations::serve(ops, ready, numbers, end.clone()));
    tokio::spawn(process::vital(housekeeping::run(opened.clone(), retention, end.clone())));
    let passing = process::vital(entity::wake::pass_on(opened.db.clone(), wake, end.clone()));
    let passing = (!opened.db.is_sqlite()).then(|| tokio::spawn(passing));
    process::say("ready");
    api.serve(now).await;
    end.cancel();
    if let Some(passing) = passing {
        let _ = tokio::time::timeout(entity::wake::LAST_WORD, passing).await;
    }
    exporting.end().await;
    Ok(())
}

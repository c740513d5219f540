//! `hookyard reseal`: seals everything anew with the first key, so that the others can be taken away.

use std::path::Path;

use entity::sealing::{self, Retiring};
use entity::{Database, start};
use relay::process;
use relay::telemetry::TelemetrySettings;
use secrecy::{ExposeSecret, SecretString};

use crate::serve::{self, Error};

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// The database: `sqlite://path` or `postgres://user:password@host/name`
    #[arg(
        long,
        env = "HOOKYARD_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite://hookyard.db"
    )]
    database_url: SecretString,

    /// The keys that seal secrets at rest, `id:base64(32 bytes)`, comma-separated: all is sealed with the first, the others
    /// open what they sealed. Without it they are read from `./hookyard.keys`
    #[arg(long, env = "HOOKYARD_MASTER_KEYS", value_name = "KEYS", hide_env_values = true)]
    master_keys: Option<SecretString>,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let db = Database::open(settings.database_url.expose_secret())
        .await
        .map_err(|error| process::bad_setting("HOOKYARD_DATABASE_URL", error))?;
    if let Some(pending) = migration::pending(&db.write).await? {
        return Err(pending.into());
    }
    let keyring = serve::keyring(settings.master_keys.as_ref(), &db, Path::new(serve::KEY_FILE)).await?;
    let opened = start::open(db, keyring).await?;
    let done = sealing::reseal(&opened.db, &opened.keyring, opened.clock.now()).await?;
    opened.db.close().await;
    println!("{} secrets sealed anew", done.count);
    let mut still = Vec::new();
    for (key, became) in done.retiring {
        match became {
            Retiring::Retired => println!("the key `{key}` is needed no more: take it out of HOOKYARD_MASTER_KEYS"),
            Retiring::StillSeals(ago_ms) => still.push(format!("`{key}` ({} s ago)", ago_ms / 1000)),
        }
    }
    if still.is_empty() { Ok(()) } else { Err(still_seals(&still).into()) }
}

fn still_seals(keys: &[String]) -> String {
    format!(
        "within the last {} minutes a process had another key in the first place: {}. Start every process with the new key \
         first, wait as long, and run this again",
        sealing::SILENT_MS / 60_000,
        keys.join(", ")
    )
}

//! `hookyard reseal`: seals everything anew with the first key, so that the others can be taken away.

use std::path::Path;

use entity::Database;
use entity::sealing;
use relay::clock::Clock;
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
    let keyring = serve::keyring(settings.master_keys.as_ref(), Path::new(serve::KEY_FILE), true)?;
    let clock = Clock::start();
    db.set_clock(&clock).await?;
    let done = sealing::reseal(&db, &keyring, clock.now()).await?;
    db.close().await;
    println!("{} secrets sealed anew", done.count);
    for key in done.retired {
        println!("the key `{key}` is needed no more: take it out of the sealing keys");
    }
    match done.needed.as_slice() {
        [] => Ok(()),
        needed => Err(format!(
            "a process has begun to seal with another key meanwhile: {}. Run this again",
            needed.join(", ")
        )
        .into()),
    }
}

//! `hookyard migrate`: brings the database up to date, once, whoever else starts at the same time.

use entity::Database;
use relay::process;
use relay::telemetry::TelemetrySettings;
use secrecy::{ExposeSecret, SecretString};

use crate::serve::Error;

#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// The database: `postgres://user:password@host/name` or `sqlite://path`
    #[arg(
        long,
        env = "HOOKYARD_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite://hookyard.db"
    )]
    database_url: SecretString,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let lacking = up(settings.database_url.expose_secret()).await?;
    println!("{lacking} migrations were applied; the database is up to date");
    Ok(())
}

/// Applies what the database lacks; says how many migrations that were.
pub(crate) async fn up(url: &str) -> Result<usize, Error> {
    let db =
        Database::for_migrations(url).await.map_err(|error| process::bad_setting("HOOKYARD_DATABASE_URL", error))?;
    let lacking = migration::pending(&db).await?.map_or(0, |pending| pending.0.len());
    migration::up(&db).await?;
    db.close().await?;
    Ok(lacking)
}

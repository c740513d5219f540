//! `hookyard migrate`: brings the database up to date, once, whoever else starts at the same time.

use std::time::Duration;

use entity::Database;
use entity::database::sqlite_file;
use migration::{Schema, Step};
use relay::telemetry::TelemetrySettings;

use crate::place::{Place, is_well_formed, unusable};
use crate::serve::Error;
use crate::shown;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hookyard migrate
  hookyard migrate --check || echo 'there is something to migrate'
Run it before the first start of a newer version, while the version before still runs: that one goes on.")]
pub(crate) struct Settings {
    /// Change nothing: list what is pending, and fail if that is anything
    #[arg(long)]
    check: bool,

    /// How long to wait for whoever migrates already, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600")]
    wait: u32,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    pub(crate) telemetry: TelemetrySettings,
}

pub(crate) async fn run(settings: Settings) -> Result<(), Error> {
    let url = settings.place.url();
    if settings.check {
        return check(url).await;
    }
    let schema = up(url, Duration::from_secs(settings.wait.into()), |step| match step {
        Step::Waits(who) => eprintln!("waiting: the database is in use ({who})"),
        Step::Applied(name) => shown::say(format_args!("applied  {name}")),
    });
    conclude(&schema.await?);
    Ok(())
}

/// Brings the database up to date, and says how it stands then.
pub(crate) async fn up(url: &str, patience: Duration, said: impl Fn(Step) + Send + Sync) -> Result<Schema, Error> {
    is_well_formed(url)?;
    let db = Database::for_migrations(url).await.map_err(unusable)?;
    migration::up(&db, patience, said).await?;
    let schema = Schema::read(&db).await?;
    db.close().await?;
    Ok(schema)
}

async fn check(url: &str) -> Result<(), Error> {
    let schema = look(url).await?;
    for name in &schema.pending {
        shown::say(format_args!("pending  {name}"));
    }
    schema.fits()?;
    conclude(&schema);
    Ok(())
}

/// How the schema stands, without making a file where there is none: that lacks everything.
async fn look(url: &str) -> Result<Schema, Error> {
    is_well_formed(url)?;
    if sqlite_file(url).is_some_and(|file| !file.exists()) {
        return Ok(Schema::empty());
    }
    let db = Database::for_inspection(url).await.map_err(unusable)?;
    let schema = Schema::read(&db).await?;
    db.close().await?;
    Ok(schema)
}

fn conclude(schema: &Schema) {
    for name in &schema.unknown {
        shown::say(format_args!("newer    {name}"));
    }
    if schema.unknown.is_empty() {
        shown::say("the database is up to date");
    } else {
        shown::say("the database was migrated by a newer version, on which this one runs");
    }
}

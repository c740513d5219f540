//! The database that a relay or an operator's command works on. For a command it must be there and up to date: only
//! `migrate` and `serve` make one.

use std::path::{Path, PathBuf};

use entity::Database;
use entity::database::sqlite_file;
use relay::clock::Clock;
use relay::process::{self, BadSetting};
use secrecy::{ExposeSecret, SecretString};

use crate::serve::Error;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Place {
    /// The database: `sqlite://path` or `postgres://user:password@host/name`
    #[arg(
        long,
        env = "HOOKYARD_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "sqlite://hookyard.db"
    )]
    database_url: SecretString,
}

/// A mistyped path, or another working directory: a new file would only hide it.
#[derive(Debug, thiserror::Error)]
#[error("there is no file {0}; `hookyard migrate` makes it, and so does the first start of `hookyard`")]
pub(crate) struct NoFile(PathBuf);

impl Place {
    /// A SQLite file.
    pub(crate) fn at(file: &Path) -> Self {
        Self { database_url: format!("sqlite://{}", file.display()).into() }
    }

    pub(crate) fn url(&self) -> &str {
        self.database_url.expose_secret()
    }

    /// To read and to change something, by the database's clock.
    pub(crate) async fn open(&self) -> Result<(Database, Clock), Error> {
        is_well_formed(self.url())?;
        exists(self.url())?;
        let db = Database::open(self.url()).await.map_err(unusable)?;
        migration::check(&db.write).await?;
        let clock = Clock::start();
        db.set_clock(&clock).await?;
        Ok((db, clock))
    }
}

/// Insists that the file of a SQLite database is there.
pub(crate) fn exists(url: &str) -> Result<(), BadSetting> {
    match sqlite_file(url) {
        Some(file) if !file.exists() => Err(unusable(NoFile(file))),
        _ => Ok(()),
    }
}

/// Insists that it is the URL of a database.
pub(crate) fn is_well_formed(url: &str) -> Result<(), BadSetting> {
    entity::database::check(url).map_err(|error| process::malformed_setting("HOOKYARD_DATABASE_URL", error))
}

/// The error names the setting.
pub(crate) fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> BadSetting {
    process::bad_setting("HOOKYARD_DATABASE_URL", error)
}

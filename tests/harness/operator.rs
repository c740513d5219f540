//! An operator at the command line, with a relay's settings and in its directory.

use std::path::PathBuf;

use serde_json::Value;

use crate::clock::Clock;
use crate::database::Database;
use crate::program::{Program, Settings};
use crate::relay::{Relay, settings_of};

/// Runs `hookyard` to its end.
#[derive(Debug, Clone)]
pub struct Operator {
    pub settings: Settings,
    directory: PathBuf,
}

/// What a command came to.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Operator {
    /// With all that every program of a scenario is told.
    #[must_use]
    pub fn of(database: &Database, clock: &Clock) -> Self {
        Self { settings: settings_of(Program::Hookyard, database, clock), directory: database.directory() }
    }

    #[must_use]
    pub fn at(relay: &Relay) -> Self {
        Self::of(&relay.database, &relay.clock)
    }

    #[must_use]
    pub fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut other = self.clone();
        other.settings.insert(name, value.into());
        other
    }

    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut other = self.clone();
        other.settings.remove(name);
        other
    }

    /// Whatever comes of it.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let output = Program::Hookyard.run(arguments, &self.settings, &self.directory).await;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// What it prints; to fail is to fail the test.
    pub async fn does(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments).await;
        assert_eq!(said.code, Some(0), "{arguments:?}: {said:#?}");
        said.out
    }

    /// What it prints, read as JSON.
    pub async fn reads(&self, arguments: &[&str]) -> Value {
        let out = self.does(&[arguments, &["--json"]].concat()).await;
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
    }

    /// Insists that it fails with these words, and not by a panic.
    pub async fn is_refused(&self, arguments: &[&str], words: &[&str]) {
        let said = self.run(arguments).await;
        let failed = said.code == Some(1) || said.code == Some(2);
        assert!(failed && words.iter().all(|word| said.err.contains(word)), "{arguments:?}: {said:#?}");
    }
}

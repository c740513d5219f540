//! `hookyard`: api and worker in one process, and the operator's commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use relay::process;
use relay::telemetry::{self, TelemetrySettings};

mod demo;
mod keys;
mod migrate;
mod place;
mod reseal;
mod serve;

/// A multi-tenant webhook relay
///
/// Without a command it serves: api and worker in one process, on SQLite unless told otherwise.
#[derive(Debug, Parser)]
#[command(name = "hookyard", version, args_conflicts_with_subcommands = true)]
struct Hookyard {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: serve::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive, deliver and serve the admin API in one process (the default)
    Serve(Box<serve::Settings>),
    /// Show the whole way of a webhook on real input, in a database that is thrown away
    Demo(demo::Settings),
    /// Bring the database up to date, or say what it lacks
    Migrate(migrate::Settings),
    /// Make API keys
    Keys(keys::Settings),
    /// Seal secrets anew with the first of the sealing keys, so that the others can be taken away
    Reseal(reseal::Settings),
}

#[tokio::main]
async fn main() -> ExitCode {
    let hookyard: Hookyard = relay::settings::read();
    telemetry::start(hookyard.telemetry());
    process::exit_code(match hookyard.command.unwrap_or(Command::Serve(Box::new(hookyard.serve))) {
        Command::Serve(settings) => serve::run(*settings).await,
        Command::Demo(settings) => demo::run(settings).await,
        Command::Migrate(settings) => migrate::run(settings).await,
        Command::Keys(settings) => keys::run(settings).await,
        Command::Reseal(settings) => reseal::run(settings).await,
    })
}

impl Hookyard {
    fn telemetry(&self) -> &TelemetrySettings {
        match &self.command {
            None => &self.serve.telemetry,
            Some(Command::Serve(settings)) => &settings.telemetry,
            Some(Command::Demo(settings)) => &settings.telemetry,
            Some(Command::Migrate(settings)) => &settings.telemetry,
            Some(Command::Keys(settings)) => &settings.telemetry,
            Some(Command::Reseal(settings)) => &settings.telemetry,
        }
    }
}

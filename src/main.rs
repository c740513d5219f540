//! `hookyard`: api and worker in one process, and the operator's commands.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use relay::process;
use relay::settings::{self, Mistake};
use relay::telemetry::{self, TelemetrySettings};

mod audit;
mod demo;
mod doctor;
mod keys;
mod migrate;
mod name;
mod place;
mod reseal;
mod serve;
mod shown;
mod tenants;

/// A multi-tenant webhook relay
///
/// Without a command it serves: api and worker in one process, on SQLite unless told otherwise.
#[derive(Debug, Parser)]
#[command(name = "hookyard", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Examples:
  hookyard                    serve, with hookyard.db and hookyard.keys in this directory
  hookyard demo               see what it does
  hookyard doctor             find out what is wrong")]
struct Hookyard {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    serve: serve::Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive, deliver and serve the admin API in one process (the default)
    #[command(after_help = "Example:
  hookyard serve --database-url sqlite://hookyard.db --listen 127.0.0.1:8080")]
    Serve(Box<serve::Settings>),
    /// Show the whole way of a webhook on real input, in a database that is thrown away
    #[command(after_help = "Example:
  hookyard demo")]
    Demo(demo::Settings),
    /// Bring the database up to date, or say what it lacks
    Migrate(migrate::Settings),
    /// Make, list and revoke API keys
    Keys(keys::Settings),
    /// Make, list, show and delete tenants
    Tenants(tenants::Settings),
    /// Look at settings, database, clock, way out and keys: say what is wrong and how to mend it
    Doctor(Box<doctor::Settings>),
    /// Seal secrets anew with the first of the sealing keys, so that the others can be taken away
    Reseal(reseal::Settings),
}

#[tokio::main]
async fn main() -> ExitCode {
    let (hookyard, mistakes) = read();
    telemetry::start(hookyard.telemetry());
    process::exit_code(match hookyard.command.unwrap_or(Command::Serve(Box::new(hookyard.serve))) {
        Command::Serve(settings) => serve::run(*settings).await,
        Command::Demo(settings) => demo::run(settings).await,
        Command::Migrate(settings) => migrate::run(settings).await,
        Command::Keys(settings) => keys::run(settings).await,
        Command::Tenants(settings) => tenants::run(settings).await,
        Command::Doctor(settings) => return doctor::run(*settings, mistakes).await,
        Command::Reseal(settings) => reseal::run(settings).await,
    })
}

/// The doctor is for settings that cannot be used, and so reads on.
fn read() -> (Hookyard, Vec<Mistake>) {
    match std::env::args_os().nth(1) {
        Some(command) if command == "doctor" => settings::read_on(),
        _ => (settings::read(), Vec::new()),
    }
}

impl Hookyard {
    fn telemetry(&self) -> &TelemetrySettings {
        match &self.command {
            None => &self.serve.telemetry,
            Some(Command::Serve(settings)) => &settings.telemetry,
            Some(Command::Demo(settings)) => &settings.telemetry,
            Some(Command::Migrate(settings)) => &settings.telemetry,
            Some(Command::Keys(settings)) => &settings.telemetry,
            Some(Command::Tenants(settings)) => &settings.telemetry,
            Some(Command::Doctor(settings)) => &settings.relay.telemetry,
            Some(Command::Reseal(settings)) => &settings.telemetry,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn whoever_asks_for_help_is_shown_an_example() {
        Hookyard::command().debug_assert();
        insist(&Hookyard::command());
    }

    /// Of every command; those that only group others show theirs.
    fn insist(command: &clap::Command) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let name = command.get_name();
        let has_example = help.starts_with("Example") && help.contains("hookyard");
        assert!(has_example || command.get_subcommands().next().is_some(), "{name}: {help}");
        command.get_subcommands().filter(|command| command.get_name() != "help").for_each(insist);
    }
}

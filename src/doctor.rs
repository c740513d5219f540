//! `hookyard doctor`: looks at everything that a relay stands on, and says what is wrong and how to mend it. It only
//! looks: no migration, no lock, and no secret in what it says. (SQLite itself may leave `-wal` and `-shm` beside a file
//! that nobody has open.)

use std::process::ExitCode;

use relay::settings::Mistake;

use crate::serve;
use crate::shown;

mod database;
mod egress;
mod finding;
mod keys;
mod listener;
mod machine;
mod postgres;
mod retention;
mod sqlite;
mod url;
mod work;

use finding::{Finding, Report};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  hookyard doctor
  hookyard doctor --url https://example.com/hooks
  hookyard doctor --json | jq '.checks[] | select(.verdict != \"ok\")'
Run it with the settings of the relay that it is about: the same environment, in the same directory. It may run beside
that relay. It ends with 1 if there is a problem, with 0 if not (warnings are none), with 2 if it was called wrongly.")]
#[group(id = "doctor")]
pub(crate) struct Settings {
    /// Whether events would reach this URL: may it be a destination, what does its name lead to, does it answer? It is
    /// sent a GET
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    pub(crate) relay: serve::Settings,
}

/// `mistakes` are settings of the environment that could not be read, and so have their defaults.
pub(crate) async fn run(settings: Settings, mistakes: Vec<Mistake>) -> ExitCode {
    let mut report = Report::default();
    report.extend(of_environment(mistakes, &settings.relay));
    report.extend(listener::examine(&settings.relay).await);
    report.extend(retention::examine(&settings.relay));
    report.extend(machine::examine());
    report.extend(egress::examine(&settings.relay, settings.url.as_deref()).await);
    report.extend(database::examine(&settings.relay).await);
    if settings.json {
        shown::print_json(&report.in_json());
    } else {
        shown::say(&report);
    }
    if report.problems() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

const SETTINGS: &str = "settings";

fn of_environment(mistakes: Vec<Mistake>, settings: &serve::Settings) -> Vec<Finding> {
    let mut mistakes = mistakes;
    if let Err(error) = settings.trace.check() {
        let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        mistakes.push(Mistake { name: "HOOKYARD_OTLP_HEADERS".to_owned(), why });
    }
    if mistakes.is_empty() {
        return vec![Finding::ok(SETTINGS, "every setting can be read")];
    }
    let problem = |Mistake { name, why }| {
        let mend = format!("set {name} right, or take it away; `hookyard serve --help` says what it takes");
        Finding::problem(SETTINGS, format!("{name} cannot be used: {why}"), mend)
    };
    mistakes.into_iter().map(problem).collect()
}

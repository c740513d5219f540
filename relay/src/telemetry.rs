//! What the processes tell their operators. Logs go to standard error: standard output is for what a program prints
//! to the person who started it.

use std::str::FromStr;

use tracing_subscriber::EnvFilter;

/// How much is logged, and in which form.
#[derive(Debug, Clone, clap::Args)]
pub struct TelemetrySettings {
    /// What to log: a level, or levels by module as in `info,worker=debug`
    #[arg(id = "log", long = "log", env = "HOOKYARD_LOG", value_name = "FILTER", default_value = "info")]
    pub filter: Filter,

    /// The form of the log lines on standard error
    #[arg(
        id = "log_format",
        long = "log-format",
        env = "HOOKYARD_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// A filter that is known to be one, in the words of `tracing_subscriber`'s `EnvFilter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(String);

/// Not a filter.
#[derive(Debug, thiserror::Error)]
#[error("not a level (error, warn, info, debug, trace) or a list of `module=level`")]
pub struct NotAFilter(#[source] tracing_subscriber::filter::ParseError);

/// The database layers log every statement at `info`; whoever wants that can still ask for it by name.
const QUIET: &str = "sqlx=warn,sea_orm=warn";

/// Starts logging, once for the whole process; a second call changes nothing.
pub fn start(settings: &TelemetrySettings) {
    let filter = EnvFilter::new(format!("{QUIET},{}", settings.filter.0));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // The only error is that logging was started before, as by another test of the same process.
    let _started_before = match settings.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

impl FromStr for Filter {
    type Err = NotAFilter;

    fn from_str(text: &str) -> Result<Self, NotAFilter> {
        text.parse::<EnvFilter>().map(|_| Self(text.to_owned())).map_err(NotAFilter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_checked_when_it_is_read() {
        for (text, good) in [
            ("info", true),
            ("info,worker=debug", true),
            ("off", true),
            ("sqlx=info", true),
            ("info,worker=loud", false),
            ("a=b=c", false),
        ] {
            assert_eq!(text.parse::<Filter>().is_ok(), good, "{text}");
        }
    }
}

//! What the processes tell their operators. Logs go to standard error: standard output is for what a program prints
//! to the person who started it.

use std::error::Error;
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

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
pub enum NotAFilter {
    #[error("not a level (off, error, warn, info, debug, trace) or a list of `module=level`")]
    Unreadable(#[source] tracing_subscriber::filter::ParseError),
    /// It would be taken for the name of a module, and everything else fall silent.
    #[error("`{0}` is no level: off, error, warn, info, debug or trace; a module is written `{0}=debug`")]
    NoLevel(String),
}

/// The database layers log every statement at `info`; whoever wants that can still ask for it by name.
const QUIET: &str = "sqlx=warn,sea_orm=warn";

/// What was started.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Starts logging, once for the whole process; a second call changes nothing.
pub fn start(settings: &TelemetrySettings) {
    if FORMAT.set(settings.format).is_ok() && settings.format == LogFormat::Json {
        std::panic::set_hook(Box::new(panicked));
    }
    let filter = EnvFilter::new(format!("{QUIET},{}", settings.filter.0));
    // A line that cannot be written is lost. It would be said on the same stream, and saying it would panic.
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    // The only error is that logging was started before, as by another test of the same process.
    let _started_before = match settings.format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// Says why the process ends: to people as text, and among lines of JSON as one of them.
pub fn lament(error: &(dyn Error + 'static)) {
    if FORMAT.get() == Some(&LogFormat::Json) {
        return tracing::error!(error, "the process ends with an error");
    }
    let mut out = std::io::stderr();
    let _ = writeln!(out, "error: {error}");
    for cause in std::iter::successors(error.source(), |cause| (*cause).source()) {
        let _ = writeln!(out, "  because: {cause}");
    }
}

/// Says what is wrong with the settings, before it is known how to log: as JSON, where whoever starts the process seems to
/// want that.
pub(crate) fn lament_settings(text: &str) {
    if !wants_json() {
        let _ = write!(std::io::stderr(), "{text}");
        return;
    }
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    let line =
        serde_json::json!({ "timestamp": time, "level": "ERROR", "message": text.trim(), "target": "relay::settings" });
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether a flag or the environment says so, whatever else they say.
#[expect(clippy::disallowed_methods, reason = "it is asked for when the settings cannot be read")]
fn wants_json() -> bool {
    let flags: Vec<String> = std::env::args().collect();
    let flagged = flags.iter().any(|flag| flag == "--log-format=json")
        || flags.windows(2).any(|pair| pair[0] == "--log-format" && pair[1] == "json");
    flagged || std::env::var("HOOKYARD_LOG_FORMAT").is_ok_and(|format| format == "json")
}

/// A panic as a line like any other: its own report would be several lines of text.
fn panicked(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("something that is no text");
    let place = panic.location().map(ToString::to_string);
    let backtrace = std::backtrace::Backtrace::capture();
    let is_captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
    let backtrace = is_captured.then(|| backtrace.to_string());
    tracing::error!(place, backtrace, thread = std::thread::current().name(), "panicked: {message}");
}

impl FromStr for Filter {
    type Err = NotAFilter;

    fn from_str(text: &str) -> Result<Self, NotAFilter> {
        text.parse::<EnvFilter>().map_err(NotAFilter::Unreadable)?;
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        match parts.into_iter().find(|part| is_bare(part) && part.parse::<LevelFilter>().is_err()) {
            Some(word) => Err(NotAFilter::NoLevel(word.to_owned())),
            None => Ok(Self(text.to_owned())),
        }
    }
}

/// A word that says neither a level for something nor a place within a module.
fn is_bare(part: &str) -> bool {
    !["=", "::", "["].iter().any(|sign| part.contains(sign))
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
            ("INFO", true),
            ("info,worker=debug,", true),
            ("worker::owner", true),
            ("info,[webhook]=debug", true),
            ("", true),
            ("info,worker=loud", false),
            ("a=b=c", false),
            ("inof", false),
            ("info,wroker", false),
            ("worker", false),
            ("warning", false),
        ] {
            assert_eq!(text.parse::<Filter>().is_ok(), good, "{text}");
        }
        let error = "inof".parse::<Filter>().unwrap_err().to_string();
        assert!(error.contains("`inof` is no level") && error.contains("info"), "{error}");
    }
}

//! Reading the settings of a process: from the environment or from flags, and whatever is wrong names itself.

use std::io::IsTerminal as _;
use std::process::exit;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error, Parser};

mod mistake;

pub use mistake::{Mistake, read_on};

use crate::telemetry::lament_settings;

/// What all settings begin with; a name of this kind that nobody knows is a mistake and no decoration.
const PREFIX: &str = "HOOKYARD_";

/// Every setting of every program: they may share one environment.
const KNOWN: &[&str] = &[
    "HOOKYARD_DATABASE_URL",
    "HOOKYARD_LISTEN",
    "HOOKYARD_OPS_LISTEN",
    "HOOKYARD_PUBLIC_URL",
    "HOOKYARD_OPERATOR_KEY",
    "HOOKYARD_TRUSTED_PROXIES",
    "HOOKYARD_PROXY_PROTOCOL",
    "HOOKYARD_TLS_CERTIFICATE",
    "HOOKYARD_TLS_KEY",
    "HOOKYARD_MASTER_KEYS",
    "HOOKYARD_EGRESS_ALLOW",
    "HOOKYARD_EGRESS_PORTS",
    "HOOKYARD_EGRESS_HTTP",
    "HOOKYARD_EGRESS_PROXY",
    "HOOKYARD_EGRESS_ADDRESSES",
    "HOOKYARD_RETENTION_PAYLOAD",
    "HOOKYARD_RETENTION_METADATA",
    "HOOKYARD_SEAL_PAYLOADS",
    "HOOKYARD_LOG",
    "HOOKYARD_LOG_FORMAT",
    "HOOKYARD_OTLP_ENDPOINT",
    "HOOKYARD_OTLP_HEADERS",
    "HOOKYARD_TRACE_RATIO",
    #[cfg(feature = "test-support")]
    "HOOKYARD_TEST_CLOCK",
    #[cfg(feature = "test-support")]
    "HOOKYARD_TEST_FAILPOINTS",
    #[cfg(feature = "test-support")]
    "HOOKYARD_TEST_PAYPAL",
    #[cfg(feature = "test-support")]
    "HOOKYARD_TEST_SKEW_MS",
];

/// Reads the settings, or says what is wrong with them and ends the process.
#[must_use]
pub fn read<T: Parser>() -> T {
    if let Some(name) = names().find(|name| is_unknown(name)) {
        lament_settings(&format!("error: there is no setting {name}; `--help` lists them\n"));
        exit(2);
    }
    T::try_parse().unwrap_or_else(|error| complain(&T::command(), error))
}

/// Every name in the environment that is a text.
fn names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

fn complain(command: &Command, error: Error) -> ! {
    let error = without_secret(command, error);
    let named = variables(command, &error);
    if error.use_stderr() {
        lament_settings(&with_names(&error, &named));
    } else {
        // Help and version.
        let _ = error.print();
    }
    exit(error.exit_code());
}

/// The error without the value that it is about, where that is a secret, or may be a URL with one.
fn without_secret(command: &Command, mut error: Error) -> Error {
    let about = about(&error);
    let has_user =
        matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(text)) if text.contains('@'));
    if has_user || about.iter().filter_map(|argument| known(command, argument)).any(Arg::is_hide_env_values_set) {
        error.insert(ContextKind::InvalidValue, ContextValue::String("[redacted]".to_owned()));
    }
    error
}

/// In colours where somebody looks, as clap itself prints it.
fn with_names(error: &Error, named: &[String]) -> String {
    let text = error.render();
    let text = if std::io::stderr().is_terminal() { text.ansi().to_string() } else { text.to_string() };
    if named.is_empty() { text } else { format!("{text}In the environment: {}\n", named.join(", ")) }
}

fn is_unknown(name: &str) -> bool {
    name.starts_with(PREFIX) && !KNOWN.contains(&name)
}

/// The environment variables of the arguments that an error is about.
fn variables(command: &Command, error: &Error) -> Vec<String> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Vec::new();
    }
    let arguments = about(error);
    let variable = |argument: &Arg| argument.get_env().and_then(|name| name.to_str()).map(str::to_owned);
    arguments.iter().filter_map(|argument| variable(known(command, argument)?)).collect()
}

/// The arguments that an error is about, as clap shows them: `--listen <ADDRESS>`.
fn about(error: &Error) -> Vec<String> {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(one)) => vec![one.clone()],
        Some(ContextValue::Strings(several)) => several.clone(),
        _ => Vec::new(),
    }
}

fn known<'a>(command: &'a Command, argument: &str) -> Option<&'a Arg> {
    let flag = argument.split(['=', ' ', '[']).next()?.strip_prefix("--")?;
    let here = command.get_arguments().find(|known| known.get_long() == Some(flag));
    here.or_else(|| command.get_subcommands().find_map(|command| known(command, argument)))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::egress::EgressSettings;

    #[derive(Debug, Parser)]
    struct Settings {
        #[command(flatten)]
        _egress: EgressSettings,
    }

    #[test]
    fn a_bad_flag_is_named_as_the_environment_has_it() {
        let error = Settings::try_parse_from(["hookyard", "--egress-allow", "10.0.0.0/33"]).unwrap_err();
        assert_eq!(variables(&Settings::command(), &error), ["HOOKYARD_EGRESS_ALLOW"]);
    }

    #[test]
    fn every_setting_is_known() {
        for argument in Settings::command().get_arguments() {
            let name = argument.get_env().and_then(|name| name.to_str());
            assert!(name.is_none_or(|name| !is_unknown(name)), "{name:?}");
        }
        assert!(is_unknown("HOOKYARD_LISTNE"));
        assert!(!is_unknown("HOME"));
    }
}

//! Reading on when settings of the environment cannot be used, for the one program that is to name them all.

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error, Parser};

use super::{complain, is_unknown, names, variables, without_secret};

/// A setting of the environment that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Its name, or those of all that the error is about.
    pub name: String,
    /// What is wrong. Never repeats a secret.
    pub why: String,
}

/// Reads the settings as [`super::read`] does, but for those of the environment that cannot be used: they have their
/// defaults, and are returned as mistakes. What is wrong with a flag still ends the process.
#[must_use]
pub fn read_on<T: Parser>() -> (T, Vec<Mistake>) {
    let unknown = |name: String| Mistake { why: "there is no such setting; `--help` lists them".to_owned(), name };
    let mut mistakes: Vec<_> = names().filter(|name| is_unknown(name)).map(unknown).collect();
    let mut command = T::command();
    loop {
        let read = command.clone().try_get_matches().and_then(|matches| T::from_arg_matches(&matches));
        let error = match read {
            Ok(settings) => return (settings, mistakes),
            Err(error) => without_secret(&command, error),
        };
        let Some(name) = to_blame(&command, &error) else { complain(&command, error) };
        let about = variables(&command, &error);
        let all = if about.contains(&name) || about.is_empty() {
            name.clone()
        } else {
            format!("{name}, {}", about.join(", "))
        };
        mistakes.push(Mistake { name: all, why: told(&error) });
        command = without(command, &name);
    }
}

/// The variable without which there is another error, or none.
fn to_blame(command: &Command, error: &Error) -> Option<String> {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return None;
    }
    let shown = told(error);
    names().filter(|name| is_of(command, name)).find(|name| {
        let rest = without(command.clone(), name).try_get_matches().err();
        rest.is_none_or(|rest| told(&without_secret(command, rest)) != shown)
    })
}

fn is_of(command: &Command, name: &str) -> bool {
    let is_here = command.get_arguments().filter_map(Arg::get_env).any(|known| known == name);
    is_here || command.get_subcommands().any(|command| is_of(command, name))
}

/// The same, deaf to this variable.
fn without(command: Command, name: &str) -> Command {
    let deaf = |argument: Arg| match argument.get_env() {
        Some(known) if known == name => argument.env(Resettable::Reset),
        _ => argument,
    };
    command.mut_args(deaf).mut_subcommands(|command| without(command, name))
}

/// The first paragraph of what clap would print, in one line.
fn told(error: &Error) -> String {
    let text = error.to_string();
    let lines = text.trim_start_matches("error: ").lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

//! The three programs, as they were built beside the suite.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::wait::{PATIENCE, within};

/// The environment of a process, and all of it.
pub type Settings = BTreeMap<&'static str, String>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Hookyard,
    Api,
    Worker,
}

impl Program {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hookyard => "hookyard",
            Self::Api => "hookyard-api",
            Self::Worker => "hookyard-worker",
        }
    }

    /// `target/debug/hookyard…`, for a suite in `target/debug/deps` and a bench in `target/debug`.
    #[must_use]
    pub fn path(self) -> PathBuf {
        let suite = std::env::current_exe().unwrap();
        let path =
            suite.ancestors().skip(1).take(2).map(|directory| directory.join(self.name())).find(|it| it.exists());
        path.unwrap_or_else(|| panic!("{} is not built: tests/run builds it", self.name()))
    }

    /// The program with these settings and no others, started where it may leave files.
    #[must_use]
    pub fn command(self, arguments: &[&str], settings: &Settings, directory: &Path) -> Command {
        let mut command = Command::new(self.path());
        command.args(arguments).env_clear().envs(settings).env("RUST_BACKTRACE", "1");
        command.current_dir(directory).stdin(Stdio::null());
        command
    }

    /// Runs it to its end, which must come soon.
    pub async fn run(self, arguments: &[&str], settings: &Settings, directory: &Path) -> Output {
        let mut command = self.command(arguments, settings, directory);
        output_of(&mut command, &format!("the end of {} {arguments:?}", self.name())).await
    }
}

/// Runs any program to its end, which must come soon, and gives what it said.
pub async fn output_of(command: &mut Command, what: &str) -> Output {
    let mut child = Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    within(PATIENCE, what, async || {
        let running = child.as_mut().unwrap();
        if running.try_wait().unwrap().is_some() {
            return child.take().map(|ended| ended.wait_with_output().unwrap());
        }
        None
    })
    .await
}

/// What a program said, for failure messages and for looking into.
#[must_use]
pub fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

//! What others wrote in other languages, as `tests/run --only tools` installs it beside what is built.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A script of `interop/`, to be run by Python with the packages of `interop/requirements.txt`.
#[must_use]
pub fn python(script: &str) -> Command {
    let mut command = Command::new(installed().join("python/bin/python"));
    command.arg(interop().join(script));
    command
}

/// A script of `interop/`, to be run by node with the packages of `interop/package-lock.json`.
#[must_use]
pub fn node(script: &str) -> Command {
    let file = interop().join(script);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut command = Command::new("node");
    // A file finds only the packages beside itself; a text, those where node was started.
    command.current_dir(installed()).args(["--input-type=module", "--eval", &text]);
    command
}

fn interop() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("interop")
}

/// `target/interop`, for a suite in `target/debug/deps`, once it holds what is pinned now.
fn installed() -> PathBuf {
    let pinned = concat!(include_str!("../interop/requirements.txt"), include_str!("../interop/package-lock.json"));
    let suite = std::env::current_exe().unwrap();
    let directory = suite.ancestors().nth(3).expect("the suite is where cargo puts it").join("interop");
    let stamp = std::fs::read_to_string(directory.join("installed")).unwrap_or_default();
    assert!(stamp.ends_with(pinned), "{} is missing or outdated: tests/run --only tools makes it", directory.display());
    directory
}

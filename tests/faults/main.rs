//! What the relay does when things break: real programs, real databases, providers that keep a ledger, destinations that keep a
//! log, and whatever can go wrong between them. See `docs/reliability.md`. Everything is on this machine, over loopback, and
//! stops by itself. `tests/faults/run` builds what it needs and runs it.

#![expect(clippy::disallowed_methods, reason = "the outside world does not go out through the relay's egress")]
#![expect(clippy::unwrap_used, reason = "what fails in an experiment has to fail it")]

mod checker;
mod disk;
mod experiment;
mod experiments;
mod ledger;
mod memory;
mod providers;
mod report;
mod server;
mod sink;
mod stage;
mod trace;

use std::os::unix::process::CommandExt as _;
use std::panic::AssertUnwindSafe;
use std::process::{Command, ExitCode};
use std::time::Instant;

use clap::Parser;
use futures_util::FutureExt as _;
use harness::Kind;

use crate::experiment::{Context, Experiment};
use crate::report::{Line, Verdict};

#[derive(Debug, Parser)]
#[command(about = "Breaks things, and shows that nothing is lost")]
struct Arguments {
    /// Which experiments; without names the smoke set, or all with `--full`.
    names: Vec<String>,
    /// Everything, as often and as long as docs/reliability.md says. What this machine does not allow is a failure.
    #[arg(long)]
    full: bool,
    /// Says what there is.
    #[arg(long)]
    list: bool,
    #[arg(long, value_enum)]
    database: Option<On>,
    /// Writes what all of it came to, as JSON.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum On {
    Sqlite,
    Postgres,
}

impl On {
    const fn kind(self) -> Kind {
        match self {
            Self::Sqlite => Kind::Sqlite,
            Self::Postgres => Kind::Postgres,
        }
    }
}

const fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => "SQLite",
        Kind::Postgres => "PostgreSQL",
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        for it in experiments::ALL {
            let on: Vec<_> = it.on.iter().map(|kind| name(*kind)).collect();
            println!("{}\t{}\t{:?}\t{}", it.name, on.join(", "), it.numbers, if it.smoke { "smoke" } else { "full" });
        }
        return ExitCode::SUCCESS;
    }
    if std::env::var_os("HOOKYARD_TEST_POSTGRES").is_none() {
        // The server lives as long as its command: this, once more.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");
        let error = Command::new(script).arg(std::env::current_exe().unwrap()).args(std::env::args_os().skip(1)).exec();
        panic!("{script}: {error}");
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let unknown: Vec<_> =
        arguments.names.iter().filter(|name| !experiments::ALL.iter().any(|it| it.name == name.as_str())).collect();
    if !unknown.is_empty() {
        eprintln!("there is no experiment {unknown:?}; --list names them");
        return ExitCode::from(2);
    }
    let lines = all(&arguments);
    println!("\n{}", report::table(&lines));
    if let Some(file) = &arguments.json {
        let all: Vec<_> = lines.iter().map(Line::json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&all).unwrap()).unwrap();
    }
    let bad = lines.iter().filter(|line| !line.is_good(arguments.full)).count();
    let skipped = lines.iter().filter(|line| matches!(line.verdict, Verdict::Skipped(_))).count();
    println!("{} runs, {bad} of them bad, {skipped} skipped", lines.len());
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn all(arguments: &Arguments) -> Vec<Line> {
    let is_wanted = |it: &&Experiment| match arguments.names.as_slice() {
        [] => arguments.full || it.smoke,
        names => names.iter().any(|name| name == it.name),
    };
    let mut lines = Vec::new();
    for it in experiments::ALL.iter().filter(is_wanted) {
        for kind in it.on.iter().filter(|kind| arguments.database.is_none_or(|on| on.kind() == **kind)) {
            let line = run(it, Context { kind: *kind, full: arguments.full });
            println!("{}", line.say());
            lines.push(line);
        }
    }
    lines
}

/// Each has a runtime of its own: what one leaves behind ends with it.
fn run(it: &Experiment, context: Context) -> Line {
    let began = Instant::now();
    let verdict = match it.needs.and_then(experiment::refusal) {
        Some(why) => Verdict::Skipped(why),
        None => {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            match runtime.block_on(AssertUnwindSafe((it.run)(context)).catch_unwind()) {
                Ok(Ok(findings)) if findings.broken.is_empty() => Verdict::Held(findings),
                Ok(Ok(findings)) => Verdict::Broken(findings),
                Ok(Err(why)) => Verdict::Failed(why),
                Err(panic) => {
                    let text = panic.downcast_ref::<String>().cloned();
                    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                    Verdict::Failed(text.unwrap_or_else(|| "panicked".to_owned()))
                }
            }
        }
    };
    Line {
        name: it.name,
        numbers: it.numbers,
        database: name(context.kind),
        seconds: began.elapsed().as_secs(),
        verdict,
    }
}

//! How fast the relay is, and what it costs, beside the least that could be done: see `docs/performance.md`. Everything runs
//! on this machine, over loopback, and stops by itself. The programs must be built in the same profile:
//!
//! `cargo build --release && cargo run --release -p tests --bin bench -- end-to-end`

#![expect(clippy::disallowed_methods, reason = "the outside world does not go out through the relay's egress")]
#![expect(clippy::unwrap_used, reason = "what fails in a measurement has to end it")]

mod body;
mod cost;
mod floor;
mod history;
mod ledger;
mod load;
mod relay;
mod report;
mod run;
mod seed;
mod sink;
mod wire;
mod workload;

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Parser;

use crate::relay::Storage;
use crate::workload::Workload;

#[derive(Debug, Parser)]
#[command(about = "Measures the relay on this machine, beside the least that could be done")]
struct Arguments {
    /// What is measured.
    #[arg(value_enum, required_unless_present = "floor")]
    workloads: Vec<Workload>,
    /// On which databases; both, unless it is said.
    #[arg(long, value_enum)]
    database: Vec<Storage>,
    /// How often each is measured, in turns.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Seconds of load in each run.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Api and worker are one process on PostgreSQL, too.
    #[arg(long)]
    together: bool,
    /// Payloads are stored sealed.
    #[arg(long)]
    sealed: bool,
    /// Says which statements took most of PostgreSQL's time.
    #[arg(long)]
    statements: bool,
    /// Writes all that was measured there, as JSON.
    #[arg(long)]
    json: Option<std::path::PathBuf>,
    /// Is the floor itself, until it is killed.
    #[arg(long, hide = true)]
    floor: bool,
    #[arg(long, hide = true)]
    storage: Option<Storage>,
    #[arg(long, hide = true, default_value = "")]
    url: String,
    #[arg(long, hide = true, default_value = "")]
    sink: String,
    #[arg(long, hide = true, default_value = "")]
    authorization: String,
}

fn main() {
    let mut arguments = Arguments::parse();
    let runtime = |mut builder: tokio::runtime::Builder| builder.enable_all().build().unwrap();
    if arguments.floor {
        let floor = floor::serve(arguments.storage, &arguments.url, arguments.sink, &arguments.authorization);
        return runtime(tokio::runtime::Builder::new_multi_thread()).block_on(floor);
    }
    if arguments.database.is_empty() {
        arguments.database = vec![Storage::Sqlite, Storage::Postgres];
    }
    if arguments.database.contains(&Storage::Postgres) && std::env::var_os("HOOKYARD_TEST_POSTGRES").is_none() {
        // The server lives as long as its command: this, once more.
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/postgres");
        let error = Command::new(script)
            .arg("--durable")
            .arg(std::env::current_exe().unwrap())
            .args(std::env::args_os().skip(1))
            .exec();
        panic!("{script}: {error}");
    }
    let _most = harness::system::raise_descriptors();
    // One thread for generator and sink together: the other core, and most of this one, are left to what is measured.
    runtime(tokio::runtime::Builder::new_current_thread()).block_on(measure(&arguments));
}

async fn measure(arguments: &Arguments) {
    let scale = workload::Scale {
        runs: arguments.runs,
        during: std::time::Duration::from_secs(arguments.seconds),
        how: relay::How { together: arguments.together, sealed: arguments.sealed },
        statements: arguments.statements,
    };
    let mut lines = Vec::new();
    for storage in &arguments.database {
        for workload in &arguments.workloads {
            lines.extend(workload::measure(*workload, *storage, scale).await);
        }
    }
    println!("\n{}", report::table(&lines));
    if let Some(file) = &arguments.json {
        let all: Vec<_> = lines.iter().map(report::json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&all).unwrap()).unwrap();
    }
}

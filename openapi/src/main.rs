//! Writes the published contract, or checks that the committed one is what the code says.

use std::path::Path;
use std::process::ExitCode;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
const COMMAND: &str = "cargo run --package openapi";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => write(Path::new(FILE)),
        ["--check"] => check(Path::new(FILE)),
        _ => Err(format!("usage: {COMMAND} [-- --check]")),
    };
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(said) => {
            eprintln!("{said}");
            ExitCode::FAILURE
        }
    }
}

fn write(file: &Path) -> Result<String, String> {
    std::fs::write(file, api::document::text()).map_err(|error| format!("writing {}: {error}", file.display()))?;
    Ok(format!("wrote {}", file.display()))
}

fn check(file: &Path) -> Result<String, String> {
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    let present = api::document::text();
    if committed == present {
        return Ok(format!("{} is what the code says", file.display()));
    }
    let line =
        1 + committed.lines().zip(present.lines()).take_while(|(committed, present)| committed == present).count();
    Err(format!("{} is not what the code says, from line {line} on. Regenerate it: {COMMAND}", file.display()))
}

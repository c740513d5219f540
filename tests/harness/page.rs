//! A page of documentation, and the commands that it tells its readers to run.

use std::path::Path;

/// The page's blocks in this language, in their order. `page` is its path in the repository.
#[must_use]
pub fn blocks(page: &str, language: &str) -> Vec<String> {
    let file = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(page);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let fence = format!("\n```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```\n").next().unwrap_or_default().to_owned()).collect()
}

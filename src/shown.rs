//! What commands print: tables for people, JSON for scripts, in the shapes of the admin API.

use comfy_table::{Table, presets};
use poem_openapi::types::ToJSON;
use serde_json::Value;

/// As the admin API shows it.
pub(crate) fn json(thing: &impl ToJSON) -> Value {
    thing.to_json().unwrap_or_default()
}

/// Prints for scripts.
pub(crate) fn print_json(value: &Value) {
    println!("{value:#}");
}

/// Prints for people: one line a row, columns apart by two spaces, so that `grep` and `awk` can read it as well.
pub(crate) fn print_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows);
    for line in table.lines() {
        println!("{}", line.trim());
    }
}

/// To the second, which is enough for people.
pub(crate) fn time(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).map_or_else(String::new, |at| at.format("%F %TZ").to_string())
}

/// A time that may be missing.
pub(crate) fn time_or(millis: Option<i64>, otherwise: &str) -> String {
    millis.map_or_else(|| otherwise.to_owned(), time)
}

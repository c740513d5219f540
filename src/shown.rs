//! What commands print: tables for people, JSON for scripts, in the shapes of the admin API.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use comfy_table::{Table, presets};
use poem_openapi::types::ToJSON;
use serde_json::Value;

/// As the admin API shows it.
pub(crate) fn json(thing: &impl ToJSON) -> Value {
    thing.to_json().unwrap_or_default()
}

/// Prints for scripts.
pub(crate) fn print_json(value: &Value) {
    say(format_args!("{value:#}"));
}

/// Prints for people: one line a row, columns apart by two spaces, so that `grep` and `awk` can read it as well.
pub(crate) fn print_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table.add_rows(rows.into_iter().map(|cells| cells.iter().map(|cell| plain(cell)).collect::<Vec<_>>()));
    for line in table.lines() {
        say(line.trim());
    }
}

/// A text of a tenant's without what would end a line, or move an operator's cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// Prints a line. Whoever has stopped reading, as `head` does, wants no more.
pub(crate) fn say(line: impl Display) {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("nothing can be printed: {error}"),
        _ => {}
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

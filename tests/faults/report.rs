//! What all of it came to.

use serde_json::{Value, json};

use crate::checker::Findings;

pub(crate) enum Verdict {
    Held(Findings),
    Broken(Findings),
    Failed(String),
    /// This machine does not let us.
    Skipped(String),
}

impl Verdict {
    fn word(&self) -> (&'static str, Option<&Findings>) {
        match self {
            Self::Held(it) => ("held", Some(it)),
            Self::Broken(it) => ("BROKEN", Some(it)),
            Self::Failed(_) => ("FAILED", None),
            Self::Skipped(_) => ("skipped", None),
        }
    }
}

pub(crate) struct Line {
    pub(crate) name: &'static str,
    pub(crate) numbers: &'static [u8],
    pub(crate) database: &'static str,
    pub(crate) seconds: u64,
    pub(crate) verdict: Verdict,
}

impl Line {
    pub(crate) fn is_good(&self, full: bool) -> bool {
        match self.verdict {
            Verdict::Held(_) => true,
            Verdict::Skipped(_) => !full,
            Verdict::Broken(_) | Verdict::Failed(_) => false,
        }
    }

    /// As a person reads it while it goes on.
    pub(crate) fn say(&self) -> String {
        let said = match &self.verdict {
            Verdict::Held(it) => format!("held: {}", counts(it)),
            Verdict::Broken(it) => format!("BROKEN: {}; {}", it.broken.join("; "), counts(it)),
            Verdict::Failed(why) => format!("FAILED: {why}"),
            Verdict::Skipped(why) => format!("SKIPPED: {why}"),
        };
        format!("{} on {}, {} s: {said}", self.name, self.database, self.seconds)
    }

    pub(crate) fn json(&self) -> Value {
        let mut line = json!({ "experiment": self.name, "numbers": self.numbers, "database": self.database, "seconds": self.seconds });
        let (verdict, findings) = self.verdict.word();
        line["verdict"] = verdict.into();
        if let Some(it) = findings {
            line["faults"] = it.faults.into();
            line["accepted"] = it.accepted.into();
            line["delivered"] = it.delivered.into();
            line["lost"] = it.lost.into();
            line["duplicates"] = it.duplicates.into();
            line["allowed"] = it.allowed.into();
            line["unknown"] = it.unknown.into();
            line["refused"] = it.refused.into();
            line["recovery_ms"] = it.recovery_ms.map_or(Value::Null, |ms| u64::try_from(ms).unwrap_or(u64::MAX).into());
            line["broken"] = json!(it.broken);
        }
        line
    }
}

fn counts(it: &Findings) -> String {
    let recovery = it.recovery_ms.map_or_else(String::new, |ms| format!(", recovered within {ms} ms"));
    format!(
        "{} faults, {} accepted ({} refused, {} unknown), {} delivered, lost {}, twice {} of {} allowed{recovery}",
        it.faults, it.accepted, it.refused, it.unknown, it.delivered, it.lost, it.duplicates, it.allowed
    )
}

/// As docs/reliability.md has it.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(HEADINGS);
    for line in lines {
        let (verdict, findings) = line.verdict.word();
        let figures = findings.map_or([const { String::new() }; 9], |it| {
            let counts =
                [it.faults, it.accepted, it.refused, it.unknown, it.delivered, it.lost, it.duplicates, it.allowed];
            let recovery = it.recovery_ms.map_or_else(String::new, |ms| format!("{ms} ms"));
            let mut cells = counts.iter().map(ToString::to_string).chain([recovery]);
            std::array::from_fn(|_| cells.next().unwrap_or_default())
        });
        let names = [line.name.to_owned(), line.database.to_owned()];
        table.add_row(names.into_iter().chain(figures).chain([verdict.to_owned()]));
    }
    table.to_string()
}

const HEADINGS: [&str; 12] = [
    "experiment",
    "database",
    "faults",
    "accepted",
    "refused",
    "no answer",
    "delivered",
    "lost",
    "twice",
    "allowed",
    "recovery",
    "verdict",
];

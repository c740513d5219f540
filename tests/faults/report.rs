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
        let (verdict, findings) = match &self.verdict {
            Verdict::Held(it) => ("held", Some(it)),
            Verdict::Broken(it) => ("broken", Some(it)),
            Verdict::Failed(_) => ("failed", None),
            Verdict::Skipped(_) => ("skipped", None),
        };
        line["verdict"] = verdict.into();
        if let Some(it) = findings {
            line["faults"] = it.faults.into();
            line["accepted"] = it.accepted.into();
            line["delivered"] = it.delivered.into();
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
        "{} faults, {} accepted ({} refused, {} unknown), {} delivered, lost 0, twice {} of {} allowed{recovery}",
        it.faults, it.accepted, it.refused, it.unknown, it.delivered, it.duplicates, it.allowed
    )
}

/// As docs/reliability.md has it.
pub(crate) fn table(lines: &[Line]) -> String {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    let head = [
        "experiment",
        "database",
        "faults",
        "accepted",
        "delivered",
        "twice",
        "allowed",
        "unknown",
        "refused",
        "recovery",
        "verdict",
    ];
    table.set_header(head);
    for line in lines {
        let verdict = match &line.verdict {
            Verdict::Held(_) => "held",
            Verdict::Broken(_) => "BROKEN",
            Verdict::Failed(_) => "FAILED",
            Verdict::Skipped(_) => "skipped",
        };
        let figures = match &line.verdict {
            Verdict::Held(it) | Verdict::Broken(it) => {
                [it.faults, it.accepted, it.delivered, it.duplicates, it.allowed, it.unknown, it.refused]
                    .map(|count| count.to_string())
                    .to_vec()
            }
            Verdict::Failed(_) | Verdict::Skipped(_) => vec![String::new(); 7],
        };
        let recovery = match &line.verdict {
            Verdict::Held(it) | Verdict::Broken(it) => it.recovery_ms.map_or_else(String::new, |ms| format!("{ms} ms")),
            Verdict::Failed(_) | Verdict::Skipped(_) => String::new(),
        };
        let cells = [line.name, line.database].map(str::to_owned).into_iter().chain(figures);
        table.add_row(cells.chain([recovery, verdict.to_owned()]));
    }
    table.to_string()
}

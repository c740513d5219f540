//! What was found, whether that is well, and if not how to mend it.

use std::error::Error;
use std::fmt;

use serde_json::{Value, json};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Its name, which is stable.
    check: &'static str,
    verdict: Verdict,
    found: String,
    /// Nothing where all is well.
    mend: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// It works, but somebody should look.
    Warning,
    /// It does not work, or is not safe.
    Problem,
}

impl Finding {
    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    pub(super) fn warning(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Warning, found: found.into(), mend: Some(mend.into()) }
    }

    pub(super) fn problem(check: &'static str, found: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Problem, found: found.into(), mend: Some(mend.into()) }
    }

    pub(super) fn is_well(&self) -> bool {
        self.verdict == Verdict::Ok
    }

    #[cfg(test)]
    pub(super) fn told(&self) -> (&'static str, &'static str) {
        (self.check, self.verdict.name())
    }
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// An error with its causes, in one line. Some libraries say the cause in their own words as well: it is said once.
pub(super) fn story(error: &(dyn Error + 'static)) -> String {
    let mut story = error.to_string();
    for cause in std::iter::successors(error.source(), |error| (*error).source()).map(ToString::to_string) {
        if !story.contains(&cause) {
            story = format!("{story}: {cause}");
        }
    }
    story.replace('\n', " ")
}

/// All findings, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

impl Report {
    pub(super) fn extend(&mut self, findings: Vec<Finding>) {
        self.0.extend(findings);
    }

    pub(super) fn problems(&self) -> usize {
        self.count(Verdict::Problem)
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.0.iter().filter(|finding| finding.verdict == verdict).count()
    }

    pub(super) fn in_json(&self) -> Value {
        let checks = self.0.iter().map(|Finding { check, verdict, found, mend }| {
            json!({ "check": check, "verdict": verdict.name(), "found": found, "mend": mend })
        });
        json!({
            "checks": checks.collect::<Vec<_>>(),
            "problems": self.problems(),
            "warnings": self.count(Verdict::Warning),
        })
    }
}

/// For people: what is well in a line each, what is not with its mend below.
impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Finding { check, verdict, found, mend } in &self.0 {
            writeln!(out, "{:<8} {check:<15} {found}", verdict.name())?;
            if let Some(mend) = mend {
                writeln!(out, "{:<24} mend: {mend}", "")?;
            }
        }
        match (self.problems(), self.count(Verdict::Warning)) {
            (0, 0) => write!(out, "\nall is well"),
            (problems, warnings) => write!(out, "\nproblems: {problems}, warnings: {warnings}"),
        }
    }
}

//! One experiment: what it is called, where it runs, and what it came to.

use std::pin::Pin;
use std::time::Duration;

use harness::Kind;

use crate::checker::Findings;

pub(crate) type Run = fn(Context) -> Pin<Box<dyn Future<Output = Result<Findings, String>>>>;

/// What an experiment is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context {
    pub(crate) kind: Kind,
    /// As often and as long as the catalogue wants it; otherwise only so much that it says something.
    pub(crate) full: bool,
}

impl Context {
    /// Rounds of a fault.
    pub(crate) const fn rounds(self, full: usize, smoke: usize) -> usize {
        if self.full { full } else { smoke }
    }

    /// How long a fault lasts.
    pub(crate) const fn lasts(self, full: Duration, smoke: Duration) -> Duration {
        if self.full { full } else { smoke }
    }
}

/// What a machine must let us do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// To mount a small file system.
    Mount,
    /// To limit the memory of a process, by a control group.
    Limit,
    /// To read another process's system calls, with `strace`.
    Trace,
}

#[derive(Clone, Copy)]
pub(crate) struct Experiment {
    pub(crate) name: &'static str,
    /// Their numbers in the catalogue of docs/reliability.md.
    pub(crate) numbers: &'static [u8],
    pub(crate) on: &'static [Kind],
    /// Whether it belongs to the smoke set.
    pub(crate) smoke: bool,
    pub(crate) needs: Option<Right>,
    pub(crate) run: Run,
}

pub(crate) const BOTH: &[Kind] = &[Kind::Sqlite, Kind::Postgres];
pub(crate) const SQLITE: &[Kind] = &[Kind::Sqlite];
pub(crate) const POSTGRES: &[Kind] = &[Kind::Postgres];

/// Why this machine does not let us.
pub(crate) fn refusal(right: Right) -> Option<String> {
    match right {
        Right::Mount => crate::disk::refusal(),
        Right::Limit => crate::memory::refusal(),
        Right::Trace => crate::trace::refusal(),
    }
}

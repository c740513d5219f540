//! Rule C, as each process keeps it: settings are kept by key and dropped by the log of changes.

use std::collections::{BTreeMap, BTreeSet};

use crate::call::Call;
use crate::rules::Rules;
use crate::statement::{Answer, Setting, Statement};
use crate::times::{FRESH, POLL_EVERY};

#[derive(Debug)]
pub(crate) struct Configuration {
    rules: Rules,
    entries: BTreeMap<usize, Setting>,
    /// The last change that was applied.
    applied: usize,
    /// When the last look that succeeded began.
    looked_at: Option<i64>,
    asked_at: Option<i64>,
    is_looking: bool,
    wanted: BTreeSet<usize>,
    filling: BTreeSet<usize>,
}

impl Configuration {
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            rules,
            entries: BTreeMap::new(),
            applied: 0,
            looked_at: None,
            asked_at: None,
            is_looking: false,
            wanted: BTreeSet::new(),
            filling: BTreeSet::new(),
        }
    }

    /// How something is, if that can be said now.
    pub(crate) fn setting(&mut self, key: usize, now: i64) -> Option<Setting> {
        let is_fresh = self.looked_at.is_some_and(|at| now - at <= FRESH);
        if self.rules.c && !is_fresh {
            return None;
        }
        let known = self.entries.get(&key).copied();
        if known.is_none() {
            self.wanted.insert(key);
        }
        known
    }

    pub(crate) fn asks(&mut self, now: i64) -> Vec<(Call, Statement)> {
        let mut asks = Vec::new();
        if !self.is_looking && self.asked_at.is_none_or(|at| now - at >= POLL_EVERY) {
            (self.is_looking, self.asked_at) = (true, Some(now));
            asks.push((Call::Look { began: now }, Statement::Changes(self.applied)));
        }
        for key in std::mem::take(&mut self.wanted) {
            if self.filling.insert(key) {
                asks.push((Call::Fill { key, seen: self.applied }, Statement::Setting(key)));
            }
        }
        asks
    }

    pub(crate) fn looked(&mut self, began: i64, answer: &Answer) {
        self.is_looking = false;
        if let Answer::Changes(changes) = answer {
            for (number, key) in changes {
                self.applied = *number;
                self.entries.remove(key);
            }
            self.looked_at = Some(began);
        }
    }

    /// A setting was read. If something changed since, nobody knows which of both came first.
    pub(crate) fn filled(&mut self, key: usize, seen: usize, answer: &Answer) {
        self.filling.remove(&key);
        if let Answer::Setting(setting) = answer
            && (!self.rules.c || self.applied == seen)
        {
            self.entries.insert(key, *setting);
        }
    }
}

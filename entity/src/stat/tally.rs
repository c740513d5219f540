//! What is counted of an object in a span of time.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::Histogram;
use crate::attempt::Outcome;
use crate::delivery::State;
use crate::finish::{AttemptLog, Change, Write};

/// Counts that can be added. What a newer version counts besides is passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Events that were stored.
    #[serde(skip_serializing_if = "is_nought")]
    pub accepted: u64,
    /// Repeats of what was there already.
    #[serde(skip_serializing_if = "is_nought")]
    pub duplicates: u64,
    /// Requests that were refused, by cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<Cow<'static, str>, u64>,
    /// Deliveries that ended, by how.
    #[serde(skip_serializing_if = "is_nought")]
    pub delivered: u64,
    #[serde(skip_serializing_if = "is_nought")]
    pub failed: u64,
    #[serde(skip_serializing_if = "is_nought")]
    pub filtered: u64,
    #[serde(skip_serializing_if = "is_nought")]
    pub cancelled: u64,
    /// Attempts that did not deliver.
    #[serde(skip_serializing_if = "is_nought")]
    pub attempts_failed: u64,
    /// Of what was delivered: from when the delivery was made, which is when its event was received, to the answer.
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub latency: Histogram,
    /// How long attempts took.
    #[serde(skip_serializing_if = "Histogram::is_empty")]
    pub attempt: Histogram,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_nought(count: &u64) -> bool {
    *count == 0
}

impl Tally {
    /// A request was refused.
    pub fn reject(&mut self, cause: &'static str) {
        *self.rejected.entry(Cow::Borrowed(cause)).or_default() += 1;
    }

    /// What was written of a delivery.
    pub fn write(&mut self, write: &Write) {
        if let Some(last) = write.change.last() {
            self.attempt.add(last.duration_ms.into());
            self.attempts_failed += u64::from(last.outcome != Outcome::Delivered);
        }
        if let Change::Finish { state, last, .. } = &write.change {
            self.end(*state, last.as_ref(), write.row.id.millis());
        }
    }

    fn end(&mut self, state: State, last: Option<&AttemptLog>, made_at: i64) {
        match state {
            State::Pending => {}
            State::Delivered => {
                self.delivered += 1;
                if let Some(last) = last {
                    self.latency.add(last.at + i64::from(last.duration_ms) - made_at);
                }
            }
            State::Failed => self.failed += 1,
            State::Filtered => self.filtered += 1,
            State::Cancelled => self.cancelled += 1,
        }
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        for (cause, count) in &other.rejected {
            *self.rejected.entry(cause.clone()).or_default() += count;
        }
        self.delivered += other.delivered;
        self.failed += other.failed;
        self.filtered += other.filtered;
        self.cancelled += other.cancelled;
        self.attempts_failed += other.attempts_failed;
        self.latency += &other.latency;
        self.attempt += &other.attempt;
    }
}

#[cfg(test)]
mod tests {
    use relay::id::{DeliveryId, TenantId};

    use super::*;
    use crate::finish::Row;

    const MADE_AT: i64 = 1_700_000_000_000;

    fn write(change: Change) -> Write {
        let row = Row { tenant_id: TenantId::at(1), id: DeliveryId::at(MADE_AT), shard: 0, epoch: 1 };
        Write { row, change, command: None }
    }

    fn log(outcome: Outcome) -> AttemptLog {
        AttemptLog {
            number: 1,
            at: MADE_AT + 3,
            duration_ms: 4,
            outcome,
            status: None,
            error: None,
            remote_address: None,
            response_headers: None,
            response_body: None,
            keep: false,
        }
    }

    fn end(state: State, last: Option<Outcome>) -> Change {
        Change::Finish { state, reason: None, last: last.map(log) }
    }

    #[test]
    fn each_outcome_counts_once_where_it_belongs() {
        let mut tally = Tally::default();
        for change in [
            end(State::Delivered, Some(Outcome::Delivered)),
            end(State::Failed, Some(Outcome::Rejected)),
            end(State::Failed, None),
            end(State::Filtered, None),
            end(State::Cancelled, Some(Outcome::TimedOut)),
            Change::Reschedule { due_at: MADE_AT, last: log(Outcome::Unreachable) },
            Change::Park,
            Change::Move { due_at: MADE_AT },
        ] {
            tally.write(&write(change));
        }
        let Tally { delivered, failed, filtered, cancelled, attempts_failed, .. } = tally;
        assert_eq!((delivered, failed, filtered, cancelled, attempts_failed), (1, 2, 1, 1, 3));
        assert_eq!((tally.latency.percentile(50), tally.attempt.percentile(50)), (Some(7), Some(4)));
    }

    #[test]
    fn counts_are_short_and_read_back() {
        let mut tally = Tally { accepted: 2, ..Tally::default() };
        tally.reject("quota");
        tally.reject("quota");
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(text, r#"{"accepted":2,"rejected":{"quota":2}}"#);
        let mut read: Tally = serde_json::from_str(&text).unwrap();
        assert_eq!(read, tally);
        read += &tally;
        assert_eq!((read.accepted, read.rejected["quota"]), (4, 4));
        let of_a_newer_version = r#"{"accepted":1,"bounced":5}"#;
        assert_eq!(serde_json::from_str::<Tally>(of_a_newer_version).unwrap().accepted, 1);
    }
}

//! How much there was, and how it went: what the processes counted, in buckets of time.

use std::collections::BTreeMap;

use entity::stat::{self, Histogram, MINUTES_KEPT_MS, Tally, Width};
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};
use relay::clock::WRITABLE;
use relay::id::kind;

use super::Tag;
use crate::answer::Found;
use crate::auth::{Caller, Scope};
use crate::error::Error;
use crate::input::Search;
use crate::wire::{Id, Time, time};

/// Of what, and when.
#[derive(Debug, Clone, Object)]
pub struct StatsSearch {
    /// How much time an item is about; an hour unless said otherwise. Hours and days are kept as long as events, the others
    /// for two days.
    pub bucket: Option<Bucket>,
    /// From the bucket on that this time lies in; 60 buckets unless said otherwise, and 1,500 at most.
    pub after: Option<Time>,
    /// Up to the bucket that ends then or later; now unless said otherwise.
    pub before: Option<Time>,
    /// What this source received. Without it and `destination_id`: the whole tenant.
    pub source_id: Option<Id<kind::Source>>,
    /// What was sent to this destination.
    pub destination_id: Option<Id<kind::Destination>>,
}

/// A span of time; days are those of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum Bucket {
    #[oai(rename = "1m")]
    Minute,
    #[oai(rename = "5m")]
    FiveMinutes,
    #[oai(rename = "1h")]
    Hour,
    #[oai(rename = "1d")]
    Day,
}

/// Statistics, by time. They are ten seconds old, up to two minutes where tens of thousands of sources and destinations are
/// busy; what a process has not written by then is lost if it dies.
#[derive(Debug, Object)]
pub struct Stats {
    pub bucket: Bucket,
    /// When the first of the items begins.
    pub after: Time,
    /// When the last of them ends.
    pub before: Time,
    /// All of that time together.
    pub total: Counts,
    /// Oldest first, without a gap.
    pub items: Vec<StatsItem>,
}

/// What was counted in one bucket.
#[derive(Debug, Object)]
pub struct StatsItem {
    /// When it begins.
    pub at: Time,
    #[oai(flatten)]
    pub counts: Counts,
}

/// What was counted. Sources have the first four, destinations the others.
#[derive(Debug, Object)]
pub struct Counts {
    /// Requests that were stored as events.
    pub accepted: i64,
    /// Repeats of an event that was there already.
    pub duplicates: i64,
    /// Requests that were refused.
    pub rejected: i64,
    /// The same by cause, as in the rejections of a source.
    pub rejected_by: BTreeMap<String, i64>,
    /// Deliveries that ended so, by when they ended.
    pub delivered: i64,
    pub failed: i64,
    pub filtered: i64,
    pub cancelled: i64,
    /// Attempts that did not deliver, by when they ended.
    pub attempts_failed: i64,
    /// From when the event was received, or its delivery was asked for, until the destination had it; null if nothing was
    /// delivered.
    #[oai(nullable)]
    pub latency_ms: Option<Percentiles>,
    /// How long attempts took; null if there was none.
    #[oai(nullable)]
    pub attempt_ms: Option<Percentiles>,
}

/// Within how many milliseconds so many of a hundred were done, to within 7 %.
#[derive(Debug, Object)]
pub struct Percentiles {
    pub p50: i64,
    pub p95: i64,
    pub p99: i64,
}

/// Buckets in one answer: a day of minutes, two months of hours.
const MOST: i64 = 1_500;
/// Those of who says nothing.
const USUAL: i64 = 60;

impl Bucket {
    const fn millis(self) -> i64 {
        match self {
            Self::Minute => 60_000,
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    const fn width(self) -> Width {
        match self {
            Self::Minute | Self::FiveMinutes => Width::Minute,
            Self::Hour | Self::Day => Width::Hour,
        }
    }

    const fn begin(self, at: i64) -> i64 {
        at - at.rem_euclid(self.millis())
    }
}

impl StatsSearch {
    /// From when on and until when, in whole buckets.
    fn span(&self, bucket: Bucket, now: i64) -> Result<(i64, i64), Error> {
        let before = self.before.map_or(now, |at| at.0.0);
        let end = bucket.begin(before - 1) + bucket.millis();
        let begin = self.after.map_or(end - USUAL * bucket.millis(), |at| bucket.begin(at.0.0));
        if begin >= end {
            return Err(Error::query("after", "must be earlier than `before`"));
        }
        for (parameter, at) in [("after", begin), ("before", end)] {
            if !WRITABLE.contains(&at) {
                return Err(Error::query(parameter, "must be in the years 0 to 9999, with its bucket"));
            }
        }
        let count = (end - begin) / bucket.millis();
        if count > MOST {
            let why =
                format!("spans {count} buckets, and {MOST} are the most: ask for a shorter time or a larger `bucket`");
            return Err(Error::query("after", why));
        }
        if bucket.width() == Width::Minute && begin < now - MINUTES_KEPT_MS {
            return Err(Error::query("after", "is more than two days back: minutes are not kept longer, hours are"));
        }
        Ok((begin, end))
    }
}

impl Counts {
    fn show(tally: &Tally) -> Self {
        Self {
            accepted: number(tally.accepted),
            duplicates: number(tally.duplicates),
            rejected: number(tally.rejected.values().sum()),
            rejected_by: tally.rejected.iter().map(|(cause, count)| (cause.to_string(), number(*count))).collect(),
            delivered: number(tally.delivered),
            failed: number(tally.failed),
            filtered: number(tally.filtered),
            cancelled: number(tally.cancelled),
            attempts_failed: number(tally.attempts_failed),
            latency_ms: Percentiles::show(&tally.latency),
            attempt_ms: Percentiles::show(&tally.attempt),
        }
    }
}

impl Percentiles {
    fn show(histogram: &Histogram) -> Option<Self> {
        let [p50, p95, p99] = [50, 95, 99].map(|percent| histogram.percentile(percent).map(number));
        Some(Self { p50: p50?, p95: p95?, p99: p99? })
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(Debug)]
pub struct Api;

#[OpenApi(tag = "Tag::Stats")]
impl Api {
    /// Read statistics
    ///
    /// Of the tenant, of one source or of one destination, tests included.
    #[oai(path = "/tenants/:tenant_id/stats", method = "get", operation_id = "get_stats")]
    async fn get(
        &self,
        caller: Caller,
        tenant_id: Path<Id<kind::Tenant>>,
        query: Search<StatsSearch>,
    ) -> Result<Found<Stats>, Error> {
        let access = caller.may(Scope::Read, **tenant_id).await?;
        let search = query.0;
        let bucket = search.bucket.unwrap_or(Bucket::Hour);
        let (begin, end) = search.span(bucket, access.app().clock.now())?;
        let object = match (search.source_id, search.destination_id) {
            (None, None) => None,
            (Some(source), None) => Some(source.0.uuid()),
            (None, Some(destination)) => Some(destination.0.uuid()),
            (Some(_), Some(_)) => {
                return Err(Error::query("destination_id", "cannot be asked together with `source_id`"));
            }
        };
        let _turn = access.app().sums.take(access.id()).await?;
        let _one_at_a_time = access.app().adding.acquire().await;
        let rows = stat::read(&access.app().db.read, access.id(), object, bucket.width(), (begin, end)).await?;
        let (mut total, mut tallies) = (Tally::default(), BTreeMap::<i64, Tally>::new());
        for (at, tally) in &rows {
            total += tally;
            *tallies.entry(bucket.begin(*at)).or_default() += tally;
        }
        let none = Tally::default();
        let begins = (0..(end - begin) / bucket.millis()).map(|place| begin + place * bucket.millis());
        let item = |at| StatsItem { at: time(at), counts: Counts::show(tallies.get(&at).unwrap_or(&none)) };
        Ok(Found::of(Stats {
            bucket,
            after: time(begin),
            before: time(end),
            total: Counts::show(&total),
            items: begins.map(item).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    /// No time that is parsed is beyond them.
    const YEAR_0: i64 = -62_167_219_200_000;
    const YEAR_9999: i64 = 253_402_300_799_999;
    /// Half past a whole hour.
    const NOW: i64 = 500_000 * HOUR + HOUR / 2;

    fn span(bucket: Bucket, after: Option<i64>, before: Option<i64>) -> Option<(i64, i64)> {
        let search = StatsSearch {
            bucket: None,
            after: after.map(time),
            before: before.map(time),
            source_id: None,
            destination_id: None,
        };
        search.span(bucket, NOW).ok()
    }

    #[test]
    fn a_time_is_widened_to_whole_buckets() {
        let whole = NOW - HOUR / 2;
        for (after, before, expected) in [
            (None, None, (whole - 59 * HOUR, whole + HOUR)),
            (Some(whole), None, (whole, whole + HOUR)),
            (Some(whole + 1), Some(whole + 2), (whole, whole + HOUR)),
            (Some(whole - 1), Some(whole), (whole - HOUR, whole)),
            (Some(whole - 1), Some(whole + 1), (whole - HOUR, whole + HOUR)),
        ] {
            assert_eq!(span(Bucket::Hour, after, before), Some(expected), "{after:?} {before:?}");
        }
    }

    #[test]
    fn too_much_and_too_long_ago_is_refused() {
        let day = 24 * HOUR;
        for (bucket, after, before, is_good) in [
            (Bucket::Hour, NOW, NOW - HOUR, false),
            (Bucket::Hour, NOW - 1_499 * HOUR, NOW, true),
            (Bucket::Hour, NOW - 1_500 * HOUR, NOW, false),
            (Bucket::Minute, NOW - HOUR, NOW, true),
            (Bucket::Minute, NOW - 2 * day + 120_000, NOW - day, true),
            (Bucket::Minute, NOW - 2 * day - 120_000, NOW - 2 * day, false),
            (Bucket::FiveMinutes, NOW - 3 * day, NOW, false),
            (Bucket::Day, NOW - 90 * day, NOW, true),
            (Bucket::Day, YEAR_0, YEAR_9999, false),
            (Bucket::Day, YEAR_9999 - day, YEAR_9999, false),
            (Bucket::Day, YEAR_0, YEAR_0 + day, true),
        ] {
            assert_eq!(span(bucket, Some(after), Some(before)).is_some(), is_good, "{bucket:?} {after} {before}");
        }
    }
}

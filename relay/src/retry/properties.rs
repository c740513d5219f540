use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::{option, prop_oneof};

use super::*;
use crate::property::{nearly, of_each};

/// Seconds of the years 1970 to 9999, which is as far as an HTTP date goes.
const DATES: std::ops::Range<u64> = 0..253_402_300_800;

fn date(seconds: u64) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

fn failure() -> impl Strategy<Value = Failure> {
    prop_oneof![
        4 => (300_u16..600).prop_map(Failure::Status),
        2 => Just(Failure::Status(429)),
        2 => Just(Failure::Status(503)),
        1 => Just(Failure::TimedOut),
        1 => Just(Failure::Unreachable),
    ]
}

#[test]
fn whatever_a_receiver_says_the_wait_is_its_own_at_least_and_ten_hours_at_most() {
    let text = prop_oneof![nearly("[0-9]{0,25}"), nearly(DATES.prop_map(date))];
    let schedule = vec(0..=MAX_WAIT_S, 1..5);
    let made_up = (text, any::<i64>(), schedule, 1_u32..6, failure(), 0.0..=1.0);
    of_each(made_up, |(text, now, mut schedule, attempts, failure, jitter)| {
        schedule[0] = 0;
        let own = schedule.get(attempts as usize).copied();
        let waited =
            RetryPolicy::new(schedule).unwrap().wait_after(attempts, &failure, parse_retry_after(&text, now), jitter);
        let (waited, own) = match (waited, own) {
            (Ok(waited), Some(own)) => (waited.as_secs_f64(), f64::from(own)),
            (waited, own) => return assert_eq!((waited, own), (Err(GivenUp::Exhausted), None)),
        };
        assert!(waited >= own * 0.799 && waited <= (own * 1.201).max(36_000.0), "{waited} for {own}");
        let may_ask = matches!(failure, Failure::Status(429 | 503));
        assert!(may_ask || waited <= own * 1.201, "{waited} for {own}");
    });
}

#[test]
fn seconds_and_dates_are_read_to_the_second() {
    of_each((DATES, DATES), |(seconds, now)| {
        let now_ms = i64::try_from(now * 1_000).unwrap();
        let asked = |text: &str| parse_retry_after(text, now_ms).map(|wait| wait.as_secs());
        assert_eq!(asked(&seconds.to_string()), Some(seconds));
        assert_eq!(asked(&date(seconds)), Some(seconds.saturating_sub(now)));
    });
}

#[test]
fn what_is_neither_digits_nor_a_date_asks_for_nothing() {
    of_each(nearly("[0-9]{0,4}[ +.,:e-]{0,2}[0-9]{0,4}"), |text| {
        let trimmed = text.trim();
        let is_number = !trimmed.is_empty() && trimmed.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(parse_retry_after(&text, 0).is_some(), is_number);
    });
}

#[test]
fn a_list_of_statuses_holds_what_its_texts_say_and_reads_back() {
    let status = || nearly("[2-6][0-9]{2}|[2-6]xx|[2-6][0-9]{2}-[2-6][0-9]{2}");
    of_each((vec(status(), 0..3), option::of(status())), |(mut texts, last)| {
        texts.extend(last);
        let Ok(statuses) = Statuses::try_from(texts.clone()) else { return };
        for status in 0..1_000_u16 {
            let is_said = texts.iter().any(|text| says(text, &format!("{status:03}")));
            assert_eq!(statuses.hold(status), is_said, "{status}");
        }
        assert_eq!(Statuses::try_from(Vec::from(statuses.clone())), Ok(statuses));
    });
}

/// Digits of the same number stand in the order of what they mean.
fn says(text: &str, status: &str) -> bool {
    match text.split_once('-') {
        Some((first, last)) => (first..=last).contains(&status),
        None => text.strip_suffix("xx").map_or(text == status, |hundred| status.starts_with(hundred)),
    }
}

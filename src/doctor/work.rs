//! Whether deliveries are made: workers, the shards that they own, what waits.

use entity::inspection::Work;

use super::finding::Finding;

/// As many as there are in `entity::delivery`.
const SHARDS: i64 = 64;
/// What is due for longer is late: workers look every second.
const LATE_MS: i64 = 60_000;
/// What is due for longer is late even where much is to be done.
const VERY_LATE_MS: i64 = 600_000;

/// `now` is the present.
pub(super) fn of(work: &Work, now: i64) -> Vec<Finding> {
    let late_ms = work.oldest_due.map_or(0, |due| now - due);
    vec![workers(work, late_ms), queue(work, late_ms)]
}

fn workers(work: &Work, late_ms: i64) -> Finding {
    const CHECK: &str = "workers";
    let found = format!("{} alive, {} of {SHARDS} shards owned", work.workers, work.owned);
    match work.workers {
        0 if late_ms > LATE_MS => Finding::problem(
            CHECK,
            "no worker is alive, and deliveries are due",
            "start hookyard-worker (or hookyard); if one runs, see in its log why it does not reach this database",
        ),
        0 => Finding::warning(
            CHECK,
            "no worker is alive: nothing would be delivered",
            "start hookyard-worker, or hookyard",
        ),
        _ if work.owned < SHARDS => Finding::warning(
            CHECK,
            format!("{found}: nobody delivers to destinations of the others"),
            "look again in half a minute: what dead workers owned is taken over after 15 s",
        ),
        _ => Finding::ok(CHECK, found),
    }
}

fn queue(work: &Work, late_ms: i64) -> Finding {
    const CHECK: &str = "queue";
    let failing = match work.failing {
        0 => String::new(),
        1 => "; 1 destination fails at present".to_owned(),
        count => format!("; {count} destinations fail at present"),
    };
    let late_s = late_ms / 1_000;
    if work.workers > 0 && late_ms > VERY_LATE_MS {
        let mend = "if `hookyard_oldest_due_seconds` is small, it waits for destinations that fail or are at their rate, and all is \
             well; else see in the workers' logs whether they reach the database, and start more of them";
        return Finding::warning(CHECK, format!("the oldest delivery is due for {late_s} s{failing}"), mend);
    }
    let found = if work.oldest_due.is_some() {
        format!("the oldest delivery is due for {late_s} s")
    } else {
        "nothing is due".to_owned()
    };
    Finding::ok(CHECK, format!("{found}{failing}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_has_to_deliver_what_is_due() {
        let work = Work { workers: 2, owned: 64, oldest_due: None, failing: 0 };
        let nobody = Work { workers: 0, owned: 0, ..work };
        for (work, told) in [
            (work, ["ok", "ok"]),
            (Work { oldest_due: Some(NOW - VERY_LATE_MS), failing: 3, ..work }, ["ok", "ok"]),
            (Work { oldest_due: Some(NOW - VERY_LATE_MS - 1), ..work }, ["ok", "warning"]),
            (Work { owned: 63, ..work }, ["warning", "ok"]),
            (nobody, ["warning", "ok"]),
            (Work { oldest_due: Some(NOW - LATE_MS), ..nobody }, ["warning", "ok"]),
            (Work { oldest_due: Some(NOW - LATE_MS - 1), ..nobody }, ["problem", "ok"]),
        ] {
            let verdicts: Vec<_> = of(&work, NOW).iter().map(|finding| finding.told().1).collect();
            assert_eq!(verdicts, told, "{work:?}");
        }
    }

    const NOW: i64 = 1_800_000_000_000;
}

//! What Linux knows of this process, by the names that Prometheus's own libraries use. Read when somebody asks.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::process::{Resource, getrlimit};

/// The metrics as text. What the system does not say is left out.
pub(super) fn render() -> String {
    let mut text = String::new();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let mut say = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            // Writing to a text does not fail.
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
    };
    say("process_cpu_seconds_total", "counter", "Processor time used, in all threads", seconds(&stat));
    say("process_resident_memory_bytes", "gauge", "Memory in use, with files that are mapped", resident(&stat));
    say("process_open_fds", "gauge", "Open files and sockets", open_files());
    say("process_max_fds", "gauge", "The most files and sockets that may be open", most_files());
    say("process_start_time_seconds", "gauge", "When it started, in seconds since 1970", started(&stat));
    text
}

/// A field of `/proc/self/stat` by its number in proc(5). The second one, the name, may hold anything.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

fn seconds(stat: &str) -> Option<f64> {
    Some(ticks(field(stat, 14)? + field(stat, 15)?))
}

fn resident(stat: &str) -> Option<f64> {
    Some(count(field(stat, 24)? * page_size() as u64))
}

fn open_files() -> Option<f64> {
    // Without the one that reads them.
    Some(count((fs::read_dir("/proc/self/fd").ok()?.count() as u64).saturating_sub(1)))
}

fn most_files() -> Option<f64> {
    getrlimit(Resource::Nofile).current.map(count)
}

fn started(stat: &str) -> Option<f64> {
    let system = fs::read_to_string("/proc/stat").ok()?;
    let booted: u64 = system.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(count(booted) + ticks(field(stat, 22)?))
}

fn ticks(ticks: u64) -> f64 {
    count(ticks) / count(clock_ticks_per_second())
}

#[expect(clippy::cast_precision_loss, reason = "none of them comes near 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name_whatever_it_holds() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 3 0 777 1000 99 18446744073709551615";
        for (number, expected) in [(14, Some(250)), (15, Some(50)), (22, Some(777)), (24, Some(99)), (60, None)] {
            assert_eq!(field(stat, number), expected, "{number}");
        }
        assert_eq!(field("", 14), None);
    }

    #[test]
    fn this_process_is_known_to_the_system() {
        let text = render();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_start_time_seconds",
        ] {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
            assert!(value.is_some_and(|value| value >= 0.0), "{name} in {text}");
        }
    }
}

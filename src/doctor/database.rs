//! The database: is it reached, does it fit this program, does it have the same time; then what it holds.

use std::time::{Duration, Instant};

use entity::database::sqlite_file;
use entity::housekeeping::CLOCK_TOLERANCE_MS;
use entity::{Database, DbErr, inspection};
use migration::sea_orm::DatabaseConnection;
use migration::{Schema, Unfit};
use relay::clock::{Clock, boot_time, wall};
use relay::egress::Url;

use super::finding::{Finding, story};
use super::keys::Given;
use super::{keys, postgres, sqlite, work};
use crate::serve::Settings;

const DATABASE: &str = "database";
/// A database that answers at all answers within this.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let (given, mut findings) = keys::given(settings);
    let url = settings.place.url();
    let db = match reach(url).await {
        Ok(db) => db,
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    };
    let mend = "see what the database's own log says; if it went away meanwhile, run this again";
    match tokio::time::timeout(PATIENCE, look(settings, &db, &given, &mut findings)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            findings.push(Finding::problem(DATABASE, format!("it did not answer a question: {}", story(&error)), mend));
        }
        Err(_) => {
            let found = format!("it did not answer all questions within {} s", PATIENCE.as_secs());
            findings.push(Finding::problem(DATABASE, found, mend));
        }
    }
    // Nothing is lost if it cannot be closed.
    let _ = tokio::time::timeout(Duration::from_secs(1), db.close()).await;
    findings
}

async fn reach(url: &str) -> Result<DatabaseConnection, Finding> {
    if let Err(error) = crate::place::exists(url) {
        let mend = "run this in the relay's directory, set HOOKYARD_DATABASE_URL, or make it: `hookyard migrate`";
        return Err(Finding::problem(DATABASE, story(&error), mend));
    }
    Database::for_inspection(url).await.map_err(|error| {
        let mend = if sqlite_file(url).is_some() {
            "see that HOOKYARD_DATABASE_URL names a SQLite file that this user can read"
        } else {
            "see that it runs and is reached from here, and that user, password and name in HOOKYARD_DATABASE_URL fit"
        };
        Finding::problem(DATABASE, format!("it cannot be used: {}", story(&error)), mend)
    })
}

async fn look(
    settings: &Settings,
    db: &DatabaseConnection,
    given: &Given,
    findings: &mut Vec<Finding>,
) -> Result<(), DbErr> {
    let url = settings.place.url();
    match sqlite_file(url) {
        Some(file) => findings.extend(sqlite::examine(db, &file).await?),
        None => findings.extend(postgres::examine(db, &place(url)).await?),
    }
    let schema = Schema::read(db).await?;
    findings.push(of_schema(&schema));
    if schema.fits().is_err() {
        return Ok(());
    }
    let clock = Clock::start();
    if sqlite_file(url).is_none() {
        findings.push(compare_clocks(db, &clock).await?);
        findings.push(postgres::days(inspection::days_ahead(db, clock.now()).await?));
    }
    findings.extend(keys::needed(db, given).await?);
    findings.push(keys::operator(settings, db, clock.now()).await?);
    findings.extend(work::of(&inspection::work(db, clock.now()).await?, clock.now()));
    Ok(())
}

/// Host, port and name; neither user nor password.
fn place(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return String::new() };
    format!("{}:{}{}", url.host_str().unwrap_or_default(), url.port().unwrap_or(5432), url.path())
}

fn of_schema(schema: &Schema) -> Finding {
    const CHECK: &str = "schema";
    match schema.fits() {
        Ok(()) if schema.unknown.is_empty() => Finding::ok(CHECK, "up to date"),
        Ok(()) => Finding::warning(
            CHECK,
            format!("it was migrated by a newer version, on which this one runs: {}", schema.unknown.join(", ")),
            "start the newer version everywhere",
        ),
        Err(Unfit::Pending(pending)) => Finding::problem(
            CHECK,
            format!("it lacks {}", pending.join(", ")),
            "run `hookyard migrate` (`hookyard` does it by itself when it starts)",
        ),
        Err(unfit) => {
            Finding::problem(CHECK, unfit.to_string(), "start the version that migrated it, or the one before")
        }
    }
}

/// Makes the clock go by the database's, as in every process.
async fn compare_clocks(db: &DatabaseConnection, clock: &Clock) -> Result<Finding, DbErr> {
    let (asked, before) = (Instant::now(), boot_time());
    let present = inspection::clock(db).await?;
    let (took, off) = (asked.elapsed(), wall() - present);
    clock.follow(present, before + took / 2);
    Ok(of_clocks(off, took))
}

/// From here on somebody should look, long before processes stop working.
const WARNING_MS: i64 = 1_000;

fn of_clocks(off: i64, took: Duration) -> Finding {
    const CHECK: &str = "clock";
    let mend = "have both machines follow a time server (`timedatectl set-ntp true`)";
    let found = format!("this machine's clock is {off} ms from the database's");
    let at_least = off.abs() - i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
    match at_least {
        CLOCK_TOLERANCE_MS.. => Finding::problem(CHECK, format!("{found}: no process starts, or stays ready"), mend),
        WARNING_MS.. => Finding::warning(CHECK, found, mend),
        _ => Finding::ok(CHECK, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_named_without_its_password() {
        for (url, named) in [
            ("postgres://user:canary@db.example.com/hookyard", "db.example.com:5432/hookyard"),
            ("postgres://user:canary@[::1]:6432/hookyard?password=canary", "[::1]:6432/hookyard"),
        ] {
            assert_eq!(place(url), named);
        }
    }

    #[test]
    fn clocks_may_differ_by_little() {
        let quick = Duration::from_millis(2);
        for (off, took, verdict) in [
            (0, quick, "ok"),
            (-1_001, quick, "ok"),
            (1_002, quick, "warning"),
            (-5_001, quick, "warning"),
            (5_002, quick, "problem"),
            (-60_000, quick, "problem"),
            (1_500, Duration::from_secs(1), "ok"),
        ] {
            assert_eq!(of_clocks(off, took).told(), ("clock", verdict), "{off}");
        }
    }
}

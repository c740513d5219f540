//! What a run costs: processor time, memory, and what the database writes.

use std::time::Duration;

use harness::system;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// Processes whose cost is told apart.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) pids: Vec<u32>,
}

/// What was used up to a moment.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    parts: Vec<(&'static str, Duration)>,
    /// Bytes of PostgreSQL's log; bytes that the processes wrote, on SQLite.
    written: u64,
    /// Bytes that the database takes up.
    size: u64,
    statements: u64,
    commits: u64,
}

/// What was used between two moments.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cost {
    /// Processor time of each part.
    pub(crate) processor: Vec<(&'static str, Duration)>,
    /// The most that each part's processes had in memory, in KiB.
    pub(crate) memory_kib: Vec<(&'static str, u64)>,
    pub(crate) written: u64,
    pub(crate) size: u64,
    pub(crate) statements: u64,
    pub(crate) commits: u64,
}

pub(crate) struct Meter {
    pub(crate) parts: Vec<Part>,
    /// Where PostgreSQL is asked for what it counts.
    postgres: Option<DatabaseConnection>,
    /// SQLite's file.
    file: Option<std::path::PathBuf>,
}

impl Meter {
    pub(crate) async fn of(parts: Vec<Part>, database: &harness::Database) -> Self {
        let postgres = if database.is_postgres() { Some(database.connection().await) } else { None };
        let file = (!database.is_postgres()).then(|| database.directory().join("hookyard.db"));
        Self { parts, postgres, file }
    }

    /// Peaks of memory and statements count from here on.
    pub(crate) async fn forget(&self) {
        self.parts.iter().flat_map(|part| &part.pids).for_each(|pid| system::forget_peak(*pid));
        if let Some(postgres) = &self.postgres {
            postgres.execute_unprepared("SELECT pg_stat_statements_reset()").await.unwrap();
        }
    }

    pub(crate) async fn read(&self) -> Reading {
        let time = |part: &Part| part.pids.iter().map(|pid| system::processor_time(*pid)).sum();
        let mut parts: Vec<_> = self.parts.iter().map(|part| (part.name, time(part))).collect();
        let (mut written, mut size, mut statements, mut commits) = (0, 0, 0, 0);
        if let Some(postgres) = &self.postgres {
            parts.push(("database", cluster_time()));
            written = number(postgres, "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await;
            size = number(postgres, "SELECT pg_database_size(current_database())").await;
            statements = number(postgres, STATEMENTS).await;
            commits = number(postgres, COMMITS).await;
        }
        if let Some(file) = &self.file {
            written = self.parts.iter().flat_map(|part| &part.pids).map(|pid| system::written(*pid)).sum();
            size = std::fs::metadata(file).map_or(0, |data| data.len());
        }
        Reading { parts, written, size, statements, commits }
    }

    /// The statements of the last run that PostgreSQL spent most time on, as its own extension tells it.
    pub(crate) async fn dearest(&self) -> Vec<String> {
        let Some(postgres) = &self.postgres else { return Vec::new() };
        let rows = postgres.query_all_raw(Statement::from_string(DbBackend::Postgres, DEAREST)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// The most that each part's processes had in memory, in KiB.
    pub(crate) fn peaks(&self) -> Vec<(&'static str, u64)> {
        let peak = |part: &Part| part.pids.iter().map(|pid| system::peak_memory_kib(*pid)).sum();
        self.parts.iter().map(|part| (part.name, peak(part))).collect()
    }

    pub(crate) async fn since(&self, before: &Reading) -> Cost {
        let after = self.read().await;
        let processor = after.parts.iter().zip(&before.parts).map(|(after, before)| (after.0, after.1 - before.1));
        Cost {
            processor: processor.collect(),
            memory_kib: self.peaks(),
            written: after.written.saturating_sub(before.written),
            size: after.size.saturating_sub(before.size),
            statements: after.statements.saturating_sub(before.statements),
            commits: after.commits.saturating_sub(before.commits),
        }
    }
}

/// Of this database alone; the meter's own do not matter.
const STATEMENTS: &str = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())";
const DEAREST: &str = r"SELECT format('%s ms in %s calls, %s rows, %s pages, %s B of log: %s', round(total_exec_time), calls,
        rows, shared_blks_hit + shared_blks_read, wal_bytes, left(regexp_replace(query, '\s+', ' ', 'g'), 110))
    FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ORDER BY total_exec_time DESC LIMIT 12";
const COMMITS: &str = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()";

async fn number(connection: &DatabaseConnection, text: &str) -> u64 {
    let row = connection.query_one_raw(Statement::from_string(DbBackend::Postgres, text)).await.unwrap().unwrap();
    row.try_get_by_index::<i64>(0).unwrap().try_into().unwrap()
}

/// Of the postmaster, of those that it waited for, and of those that it has now.
fn cluster_time() -> Duration {
    let postmaster = postmaster();
    let children = system::children(postmaster).into_iter().map(system::processor_time).sum::<Duration>();
    children + system::processor_time(postmaster) + system::processor_time_of_the_dead(postmaster)
}

fn postmaster() -> u32 {
    let file = crate::relay::server_directory().join("data/postmaster.pid");
    std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
}

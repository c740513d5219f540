//! The history of the schema. One text a table serves both databases; only PostgreSQL has partitions.

use sea_orm_migration::prelude::*;
pub use sea_orm_migration::{MigratorTrait, sea_orm};

mod dialect;
mod m20261122_000001_configuration;
mod m20261122_000002_queue;
mod m20261122_000003_front_door;
mod m20261122_000004_requests;
mod m20261122_000005_credentials;
mod m20261128_000006_destinations;
mod m20261128_000007_recovery;
mod m20261128_000008_keys;
mod m20261128_000011_tenants;
mod m20261128_000012_notices;
mod m20261128_000013_days;

/// Every migration, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_configuration::Migration),
            Box::new(m20261122_000002_queue::Migration),
            Box::new(m20261122_000003_front_door::Migration),
            Box::new(m20261122_000004_requests::Migration),
            Box::new(m20261122_000005_credentials::Migration),
            Box::new(m20261128_000006_destinations::Migration),
            Box::new(m20261128_000007_recovery::Migration),
            Box::new(m20261128_000008_keys::Migration),
            Box::new(m20261128_000011_tenants::Migration),
            Box::new(m20261128_000012_notices::Migration),
            Box::new(m20261128_000013_days::Migration),
        ]
    }
}

/// The schema is older than this program.
#[derive(Debug)]
pub struct Pending(pub Vec<String>);

impl std::fmt::Display for Pending {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the database lacks {}; run `hookyard migrate` first", self.0.join(", "))
    }
}

impl std::error::Error for Pending {}

/// Which migrations the database still lacks. Reads only.
pub async fn pending(db: &sea_orm::DatabaseConnection) -> Result<Option<Pending>, DbErr> {
    let pending = Migrator::get_pending_migrations_read_only(db).await?;
    let names: Vec<String> = pending.iter().map(|migration| migration.name().to_owned()).collect();
    Ok((!names.is_empty()).then_some(Pending(names)))
}

/// Two programs that start together must not both migrate. Any number that nothing else locks.
const LOCK: i64 = 0x6869_7374_6f72_7921;

/// Brings the database up to date. On PostgreSQL behind an advisory lock; on SQLite the file's own lock does.
pub async fn up(db: &sea_orm::DatabaseConnection) -> Result<(), DbErr> {
    use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
    if db.get_database_backend() != DbBackend::Postgres {
        return Migrator::up(db, None).await;
    }
    let lock = db.begin().await?;
    let text = "SELECT pg_advisory_xact_lock($1)";
    lock.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, text, [LOCK.into()])).await?;
    Migrator::up(db, None).await?;
    lock.commit().await
}

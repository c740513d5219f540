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
mod m20261128_000014_schema_floor;
mod m20261128_000015_statistics;
mod m20261128_000016_sources;
mod m20261129_000017_payload_keys;
mod m20261129_000018_answers;
mod m20261129_000019_kept_answers;
mod schema;
mod up;

pub use schema::{SEALED_PAYLOADS, Schema, Unfit, check, raise_floor};
pub use up::{Step, UpError, up};

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
            Box::new(m20261128_000014_schema_floor::Migration),
            Box::new(m20261128_000015_statistics::Migration),
            Box::new(m20261128_000016_sources::Migration),
            Box::new(m20261129_000017_payload_keys::Migration),
            Box::new(m20261129_000018_answers::Migration),
            Box::new(m20261129_000019_kept_answers::Migration),
        ]
    }
}

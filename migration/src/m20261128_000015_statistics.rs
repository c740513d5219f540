//! What is counted of sources, destinations and tenants, and a way to follow what is refused.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- What one process (writer) counted of an object (a source, a destination, or the tenant itself) in a span of time. width:
-- seconds, a minute or an hour; at: when it began. counts: JSON, see entity::stat::Tally.
CREATE TABLE stat (
    tenant_id {uuid} NOT NULL,
    object_id {uuid} NOT NULL,
    width integer NOT NULL,
    at bigint NOT NULL,
    writer {uuid} NOT NULL,
    counts text NOT NULL,
    PRIMARY KEY (tenant_id, object_id, width, at, writer)
);
-- Forgets what is old. One entry a row.
CREATE INDEX stat_at ON stat (width, at);

-- Follows what all sources of a tenant refuse. One entry a rejection that is kept, which are few in any flood.
CREATE INDEX rejection_followed ON rejection (tenant_id, id);
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, TABLES).await
    }
}

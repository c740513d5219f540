//! What tenants call their things, so that a set-up can be described and applied again, and how many request ids they
//! register.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
ALTER TABLE source ADD COLUMN key text;
ALTER TABLE destination ADD COLUMN key text;
ALTER TABLE subscription ADD COLUMN key text;
ALTER TABLE credential ADD COLUMN key text;
-- Find what a tenant calls so, and keep two from being called the same. One entry a thing that has a key.
CREATE UNIQUE INDEX source_by_key ON source (tenant_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX destination_by_key ON destination (tenant_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX subscription_by_key ON subscription (tenant_id, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX credential_by_key ON credential (tenant_id, source_id, key) WHERE key IS NOT NULL;

-- How many request ids a tenant has registered, by days since 1970 (UTC): counting own_request itself would be slow.
CREATE TABLE own_request_day (
    tenant_id {uuid} NOT NULL,
    day bigint NOT NULL,
    registered bigint NOT NULL,
    PRIMARY KEY (tenant_id, day)
);
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

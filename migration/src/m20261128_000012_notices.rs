//! What tenants are told of without asking.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- When a tenant was last told something of a thing of its own, so that it is not told again and again.
CREATE TABLE notice (
    tenant_id {uuid} NOT NULL,
    kind text NOT NULL,
    object {uuid} NOT NULL,
    told_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, kind, object)
);
-- Up to when the deliveries are told of that failed for good. One row.
CREATE TABLE watch (
    told_to bigint NOT NULL
);
INSERT INTO watch (told_to) VALUES (0);
-- Finds them. One entry each of those.
CREATE INDEX delivery_failed ON delivery (finished_at) WHERE state = 2;
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

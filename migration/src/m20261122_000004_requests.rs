//! Requests that tenants made of providers themselves, and subscriptions that do not want to hear of those.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- origin_wait_s: seconds, where the origin is not_mine.
ALTER TABLE subscription ADD COLUMN origin text NOT NULL DEFAULT 'any';
ALTER TABLE subscription ADD COLUMN origin_wait_s smallint;

-- key: the first 16 bytes of SHA-256 of source and request id, since an id may be longer than an index row.
CREATE TABLE own_request (
    tenant_id {uuid} NOT NULL,
    key {bytes} NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
-- Forgets expired requests. One entry a request.
CREATE INDEX own_request_expires ON own_request (expires_at);
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

//! What a source can be told besides, and what it refused.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- settings: JSON, see entity::source::Settings. limits: JSON, see entity::tenant::Limits.
ALTER TABLE source ADD COLUMN settings text NOT NULL DEFAULT '{}';
ALTER TABLE tenant ADD COLUMN limits text NOT NULL DEFAULT '{}';

-- A JSON object of texts: what the source extracts besides.
ALTER TABLE event ADD COLUMN attributes text NOT NULL DEFAULT '{}';

-- The last requests that a source refused. header_names is a JSON array.
CREATE TABLE rejection (
    tenant_id {uuid} NOT NULL,
    source_id {uuid} NOT NULL,
    id {uuid} NOT NULL,
    cause text NOT NULL,
    is_refused boolean NOT NULL,
    method text NOT NULL,
    remote_address text,
    content_type text,
    size bigint,
    header_names text NOT NULL,
    PRIMARY KEY (tenant_id, source_id, id)
);

-- How many it refused, by cause, since it was made.
CREATE TABLE rejection_total (
    tenant_id {uuid} NOT NULL,
    source_id {uuid} NOT NULL,
    cause text NOT NULL,
    total bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (tenant_id, source_id, cause)
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

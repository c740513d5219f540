//! Tenants that keep less than the operator does, and tenants that are erased.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: &str = "
-- retention: JSON, see entity::tenant::Kept; null where it is the operator's. erasing_since: nothing of it is accepted, sent
-- or shown since then; erased_at: nothing of it is left. The row stays, since a slug is never given again.
ALTER TABLE tenant ADD COLUMN retention text;
ALTER TABLE tenant ADD COLUMN erasing_since bigint;
ALTER TABLE tenant ADD COLUMN erased_at bigint;
ALTER TABLE tenant ADD COLUMN erased_rows bigint NOT NULL DEFAULT 0;
-- Finds those that are being erased. One entry each of them.
CREATE INDEX tenant_erasing ON tenant (id) WHERE erasing_since IS NOT NULL AND erased_at IS NULL;
-- Finds those that keep less. One entry each of them.
CREATE INDEX tenant_retention ON tenant (id) WHERE retention IS NOT NULL;
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

//! Answers that are kept for an `Idempotency-Key` are erased with the tenant that they are about: they may hold its secrets.

use sea_orm_migration::prelude::*;

use crate::dialect;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const COLUMN: &str = "
-- Null where the request was about no tenant that was there, or where a version before this one kept it.
ALTER TABLE idempotency ADD COLUMN tenant_id {uuid};
-- Finds those of a tenant that is erased. One entry an answer about a tenant.
CREATE INDEX idempotency_tenant ON idempotency (tenant_id) WHERE tenant_id IS NOT NULL;
";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        dialect::run(manager, COLUMN).await
    }
}
